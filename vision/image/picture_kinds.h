// Which files hold pictures, by their names.
#pragma once

#include <string>

namespace maskwatch::vision {

// Of files that load_image may read, for messages.
inline constexpr const char* kPictureExtensions =
    "jpg, jpeg, jfif, png, bmp, gif, tif, tiff, webp, heic, heif, avif";

// ".jpg" of "a/B.JPG"; empty where there is none.
std::string lower_case_extension(const std::string& path);

// Whether a path ends in one of them, in any case.
bool has_image_extension(const std::string& path);

// Whether a file or folder of this name is none of what people put there: it begins with a dot, as
// macOS's "._1.jpg" does, or is called __MACOSX.
bool is_hidden_name(const std::string& name);

}  // namespace maskwatch::vision
