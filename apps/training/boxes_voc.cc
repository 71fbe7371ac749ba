#include "apps/training/boxes_voc.h"

#include <fmt/format.h>

#include <array>
#include <pugixml.hpp>

namespace maskwatch::apps {
namespace {

int side_of(const pugi::xml_node& size, const char* name) {
  const char* text = size.child(name).text().get();
  int side = 0;
  if (!read_side(text, side))
    throw FormatError(fmt::format("<{}> is not a number of pixels: '{}'", name, text));
  return side;
}

bool is_set(const pugi::xml_node& object, const char* name) {
  const char* text = object.child(name).text().get();
  bool flag = false;
  if (!read_flag(text, flag))
    throw FormatError(fmt::format("<{}> is neither 0 nor 1: '{}'", name, text));
  return flag;
}

void read_object(const pugi::xml_node& object, WrittenPicture& picture) {
  WrittenBox written;
  written.class_name = trimmed(object.child("name").text().get());
  if (written.class_name.empty()) {
    picture.faults.emplace_back("an <object> has no <name>");
    return;
  }
  std::array<double, 4> edges{};
  constexpr std::array<const char*, 4> names{"xmin", "ymin", "xmax", "ymax"};
  const pugi::xml_node box = object.child("bndbox");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (read_number(box.child(names[i]).text().get(), edges[i])) continue;
    picture.faults.push_back(
        fmt::format("the box of '{}' has no number <{}>", written.class_name, names[i]));
    return;
  }
  written.box = {static_cast<float>(edges[0]), static_cast<float>(edges[1]),
                 static_cast<float>(edges[2] - edges[0]), static_cast<float>(edges[3] - edges[1])};
  written.ignored = is_set(object, "difficult");
  picture.boxes.push_back(std::move(written));
}

}  // namespace

WrittenPicture parse_voc(std::string_view text) {
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_buffer(text.data(), text.size());
  if (!result) throw FormatError(fmt::format("not XML: {}", result.description()));
  const pugi::xml_node annotation = document.child("annotation");
  if (!annotation) throw FormatError("no <annotation> in it");
  WrittenPicture picture;
  picture.file = trimmed(annotation.child("filename").text().get());
  const pugi::xml_node size = annotation.child("size");
  picture.width = side_of(size, "width");
  picture.height = side_of(size, "height");
  for (const pugi::xml_node& object : annotation.children("object")) read_object(object, picture);
  return picture;
}

}  // namespace maskwatch::apps
