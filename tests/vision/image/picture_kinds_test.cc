#include "vision/image/picture_kinds.h"

#include <doctest/doctest.h>

#include <string>

using namespace maskwatch;

TEST_CASE("pictures are known by their extensions, in any case") {
  for (const char* path : {"a.jpg", "a.JPEG", "a.b.jfif", "/x.y/a.png", "a.BMP", "a.gif", "a.tif",
                           "a.TIFF", "a.webp", "a.HEIC", "a.heif", "a.avif"})
    CHECK(vision::has_image_extension(path));
  for (const char* path : {"jpg", "a.jpg/b", "a.txt", "", "a.jpg ", "a.mp4"})
    CHECK_FALSE(vision::has_image_extension(path));
  // The message and the test of a name are of the same list.
  const std::string all = std::string(vision::kPictureExtensions) + ", ";
  int known = 0;
  for (std::size_t at = 0, end; (end = all.find(", ", at)) != std::string::npos; at = end + 2) {
    CHECK(vision::has_image_extension("a." + all.substr(at, end - at)));
    ++known;
  }
  CHECK(known == 12);
}

TEST_CASE("what begins with a dot, and macOS's own folder, are not what people put there") {
  for (const char* name : {".hidden", "._1.jpg", ".DS_Store", "__MACOSX"})
    CHECK(vision::is_hidden_name(name));
  for (const char* name : {"a.jpg", "_1.jpg", "MACOSX"}) CHECK_FALSE(vision::is_hidden_name(name));
}
