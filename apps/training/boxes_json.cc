#include "apps/training/boxes_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

namespace maskwatch::apps {
namespace {

using nlohmann::json;

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* key) {
  const json* value = member(object, key);
  return value && value->is_string() ? value->get<std::string>() : std::string();
}

int side_of(const json& object, const char* key) {
  const json* value = member(object, key);
  if (!value || !value->is_number()) return 0;
  const double side = value->get<double>();
  return side >= 1 && side < 1e6 ? static_cast<int>(side) : 0;
}

bool is_set(const json& object, const char* key) {
  const json* value = member(object, key);
  if (!value) return false;
  return value->is_boolean() ? value->get<bool>() : value->is_number() && value->get<double>() != 0;
}

std::optional<vision::Box> box_of(const json& object, const char* key) {
  const json* list = member(object, key);
  if (!list || !list->is_array() || list->size() != 4) return std::nullopt;
  std::array<float, 4> numbers{};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!(*list)[i].is_number()) return std::nullopt;
    numbers[i] = (*list)[i].get<float>();
    if (!std::isfinite(numbers[i])) return std::nullopt;
  }
  return vision::Box{numbers[0], numbers[1], numbers[2], numbers[3]};
}

// A number or a text: an identifier either way.
std::string id_of(const json& object, const char* key) {
  const json* value = member(object, key);
  return value && (value->is_number() || value->is_string()) ? value->dump() : std::string();
}

std::vector<WrittenPicture> parse_own(const json& document) {
  std::vector<WrittenPicture> pictures;
  for (const json& entry : document) {
    WrittenPicture picture;
    picture.file = text_of(entry, "file");
    if (picture.file.empty())
      throw FormatError(fmt::format("entry {} has no \"file\"", pictures.size()));
    picture.source = text_of(entry, "source");
    picture.width = side_of(entry, "width");
    picture.height = side_of(entry, "height");
    const json* faces = member(entry, "faces");
    if (!faces || !faces->is_array()) throw FormatError(picture.file + " has no list \"faces\"");
    for (const json& face : *faces) {
      const auto box = box_of(face, "box");
      if (box)
        picture.boxes.push_back({text_of(face, "label"), *box, is_set(face, "ignored")});
      else
        picture.faults.emplace_back("a face has no \"box\" of four numbers");
    }
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

const json& list_of(const json& document, const char* key) {
  const json* list = member(document, key);
  if (!list || !list->is_array()) throw FormatError(fmt::format("no list \"{}\" in it", key));
  return *list;
}

std::vector<WrittenPicture> parse_coco(const json& document) {
  std::vector<WrittenPicture> pictures;
  std::map<std::string, std::size_t> places;
  for (const json& entry : list_of(document, "images")) {
    WrittenPicture picture;
    picture.file = text_of(entry, "file_name");
    const std::string id = id_of(entry, "id");
    if (picture.file.empty() || id.empty())
      throw FormatError(
          fmt::format("entry {} of \"images\" has no \"id\" or \"file_name\"", pictures.size()));
    if (!places.emplace(id, pictures.size()).second)
      throw FormatError(fmt::format("two pictures have the id {}", id));
    picture.width = side_of(entry, "width");
    picture.height = side_of(entry, "height");
    pictures.push_back(std::move(picture));
  }
  std::map<std::string, std::string> names;
  for (const json& entry : list_of(document, "categories"))
    names[id_of(entry, "id")] = text_of(entry, "name");
  for (const json& entry : list_of(document, "annotations")) {
    const auto place = places.find(id_of(entry, "image_id"));
    if (place == places.end())
      throw FormatError(fmt::format("an annotation's \"image_id\" {} is of no picture",
                                    id_of(entry, "image_id")));
    WrittenPicture& picture = pictures[place->second];
    const auto box = box_of(entry, "bbox");
    const auto name = names.find(id_of(entry, "category_id"));
    if (!box)
      picture.faults.emplace_back("an annotation has no \"bbox\" of four numbers");
    else if (name == names.end() || name->second.empty())
      picture.faults.push_back(fmt::format("an annotation's \"category_id\" {} is of no category",
                                           id_of(entry, "category_id")));
    else
      picture.boxes.push_back(
          {name->second, *box, is_set(entry, "iscrowd") || is_set(entry, "ignore")});
  }
  return pictures;
}

}  // namespace

std::vector<WrittenPicture> parse_json_boxes(std::string_view text) {
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    throw FormatError(fmt::format("not JSON: {}", error.what()));
  }
  if (document.is_array()) return parse_own(document);
  if (member(document, "images") && member(document, "annotations")) return parse_coco(document);
  throw FormatError("neither COCO's form nor a list of pictures with \"file\" and \"faces\"");
}

}  // namespace maskwatch::apps
