#include "apps/training/boxes_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "base/json_fields.h"

namespace maskwatch::apps {
namespace {

// A text, or a number as a text; empty where there is none.
std::string text_of(const JsonFields& object, const char* key) {
  const auto value = object.find(key);
  if (!value || value->is_null()) return {};
  if (value->is_text()) return value->text();
  if (!value->is_number()) value->fail("is neither a text nor a number");
  std::string text = value->dump();
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

int side_of(const JsonFields& object, const char* key) {
  int side = 0;
  if (!read_side(text_of(object, key), side)) object[key].fail("is not a number of pixels");
  return side;
}

bool is_set(const JsonFields& object, const char* key) {
  const auto value = object.find(key);
  if (value && value->is_true()) return true;
  if (!value || value->is_false()) return false;
  bool flag = false;
  if (!read_flag(text_of(object, key), flag)) value->fail("is neither true nor false");
  return flag;
}

std::optional<vision::Box> box_of(const JsonFields& object, const char* key) {
  const auto value = object.find(key);
  if (!value || !value->is_list() || value->size() != 4) return std::nullopt;
  const std::vector<JsonFields> list = value->list();
  std::array<float, 4> numbers{};
  for (std::size_t i = 0; i < 4; ++i) {
    double number = 0;
    if (list[i].is_number())
      number = list[i].number();
    else if (!list[i].is_text() || !read_number(list[i].text(), number))
      return std::nullopt;
    numbers[i] = static_cast<float>(number);
    if (!std::isfinite(numbers[i])) return std::nullopt;
  }
  return vision::Box{numbers[0], numbers[1], numbers[2], numbers[3]};
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
    const std::string id = text_of(entry, "id");
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
  for (const JsonFields& entry : list_of(document, "categories")) {
    const std::string id = text_of(entry, "id");
    if (id.empty()) entry.fail("has no \"id\"");
    const auto [name, added] = names.emplace(id, text_of(entry, "name"));
    if (!added && name->second != text_of(entry, "name"))
      throw FormatError(fmt::format("the category {} has two names: '{}' and '{}'", id,
                                    name->second, text_of(entry, "name")));
  }
  for (const JsonFields& entry : list_of(document, "annotations")) {
    const auto place = places.find(text_of(entry, "image_id"));
    if (place == places.end())
      throw FormatError(fmt::format("an annotation's \"image_id\" {} matches no picture",
                                    text_of(entry, "image_id")));
    WrittenPicture& picture = pictures[place->second];
    const auto box = box_of(entry, "bbox");
    const std::string category = text_of(entry, "category_id");
    const auto name = names.find(category);
    if (!box)
      picture.faults.emplace_back("an annotation has no \"bbox\" of four numbers");
    else if (category.empty())
      picture.faults.emplace_back("an annotation has no \"category_id\"");
    else if (name == names.end() || name->second.empty())
      picture.faults.push_back(
          fmt::format("an annotation's \"category_id\" {} matches no category", category));
    else
      picture.boxes.push_back(
          {name->second, *box, is_set(entry, "iscrowd") || is_set(entry, "ignore")});
  }
  return pictures;
}

}  // namespace

std::vector<WrittenPicture> parse_json_boxes(std::string_view text) {
  try {
    const JsonFields document = JsonFields::parse(text, "");
    if (document.is_list()) return parse_own(document);
    if (document.has("images") && document.has("annotations")) return parse_coco(document);
  } catch (const std::runtime_error& fault) {
    throw FormatError(fault.what());
  }
  throw FormatError("neither COCO's form nor a list of pictures with \"file\" and \"faces\"");
}

}  // namespace maskwatch::apps
