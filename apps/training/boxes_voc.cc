#include "apps/training/boxes_voc.h"

#include <fmt/format.h>

#include <array>
#include <pugixml.hpp>

namespace maskwatch::apps {
namespace {

int read_side(const pugi::xml_node& size, const char* name) {
  double value = 0;
  return read_number(size.child(name).text().get(), value) && value >= 1 && value < 1e6
             ? static_cast<int>(value)
             : 0;
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
  const std::string_view difficult = trimmed(object.child("difficult").text().get());
  written.ignored = difficult == "1" || difficult == "true";
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
  picture.width = read_side(size, "width");
  picture.height = read_side(size, "height");
  for (const pugi::xml_node& object : annotation.children("object")) read_object(object, picture);
  return picture;
}

}  // namespace maskwatch::apps
