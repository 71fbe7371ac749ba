#include "apps/training/boxes_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/json_fields.h"

namespace maskwatch::apps {
namespace {

std::string text_of(const JsonFields& object, const char* key) {
  const auto value = object.find(key);
  return value && value->is_text() ? value->text() : std::string();
}

int side_of(const JsonFields& object, const char* key) {
  const auto value = object.find(key);
  if (!value || !value->is_number()) return 0;
  const double side = value->number();
  return side >= 1 && side < 1e6 ? static_cast<int>(side) : 0;
}

bool is_set(const JsonFields& object, const char* key) {
  const auto value = object.find(key);
  return value && (value->is_true() || (value->is_number() && value->number() != 0));
}

std::optional<vision::Box> box_of(const JsonFields& object, const char* key) {
  const auto value = object.find(key);
  if (!value || !value->is_list() || value->size() != 4) return std::nullopt;
  const std::vector<JsonFields> list = value->list();
  std::array<float, 4> numbers{};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!list[i].is_number()) return std::nullopt;
    numbers[i] = static_cast<float>(list[i].number());
    if (!std::isfinite(numbers[i])) return std::nullopt;
  }
  return vision::Box{numbers[0], numbers[1], numbers[2], numbers[3]};
}

// A number or a text: an identifier either way.
std::string id_of(const JsonFields& object, const char* key) {
  const auto value = object.find(key);
  return value && (value->is_number() || value->is_text()) ? value->dump() : std::string();
}

std::vector<WrittenPicture> parse_own(const JsonFields& document) {
  std::vector<WrittenPicture> pictures;
  for (const JsonFields& entry : document.list()) {
    WrittenPicture picture;
    picture.file = text_of(entry, "file");
    if (picture.file.empty())
      throw FormatError(fmt::format("entry {} has no \"file\"", pictures.size()));
    picture.source = text_of(entry, "source");
    picture.width = side_of(entry, "width");
    picture.height = side_of(entry, "height");
    const auto faces = entry.find("faces");
    if (!faces || !faces->is_list()) throw FormatError(picture.file + " has no list \"faces\"");
    for (const JsonFields& face : faces->list()) {
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

std::vector<JsonFields> list_of(const JsonFields& document, const char* key) {
  const auto list = document.find(key);
  if (!list || !list->is_list()) throw FormatError(fmt::format("no list \"{}\" in it", key));
  return list->list();
}

std::vector<WrittenPicture> parse_coco(const JsonFields& document) {
  std::vector<WrittenPicture> pictures;
  std::map<std::string, std::size_t> places;
  for (const JsonFields& entry : list_of(document, "images")) {
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
  for (const JsonFields& entry : list_of(document, "categories"))
    names[id_of(entry, "id")] = text_of(entry, "name");
  for (const JsonFields& entry : list_of(document, "annotations")) {
    const auto place = places.find(id_of(entry, "image_id"));
    if (place == places.end())
      throw FormatError(fmt::format("an annotation's \"image_id\" {} matches no picture",
                                    id_of(entry, "image_id")));
    WrittenPicture& picture = pictures[place->second];
    const auto box = box_of(entry, "bbox");
    const auto name = names.find(id_of(entry, "category_id"));
    if (!box)
      picture.faults.emplace_back("an annotation has no \"bbox\" of four numbers");
    else if (name == names.end() || name->second.empty())
      picture.faults.push_back(fmt::format("an annotation's \"category_id\" {} matches no category",
                                           id_of(entry, "category_id")));
    else
      picture.boxes.push_back(
          {name->second, *box, is_set(entry, "iscrowd") || is_set(entry, "ignore")});
  }
  return pictures;
}

JsonFields parse(std::string_view text) {
  try {
    return JsonFields::parse(text, "");
  } catch (const std::runtime_error& fault) {
    throw FormatError(fault.what());
  }
}

}  // namespace

std::vector<WrittenPicture> parse_json_boxes(std::string_view text) {
  const JsonFields document = parse(text);
  if (document.is_list()) return parse_own(document);
  if (document.has("images") && document.has("annotations")) return parse_coco(document);
  throw FormatError("neither COCO's form nor a list of pictures with \"file\" and \"faces\"");
}

}  // namespace maskwatch::apps
