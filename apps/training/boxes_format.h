// What the readers of annotation files have in common: boxes as a file writes them down, before
// anybody has looked for the picture or asked what its classes mean.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::apps {

struct WrittenBox {
  std::string class_name;  // empty: the format has no classes, every box is a face
  vision::Box box;         // pixels, or shares of the picture's sides
  bool ignored = false;    // "difficult", "iscrowd", "ignore"
};

struct WrittenPicture {
  std::string file;           // as the annotation names the picture
  std::string source;         // where the picture is from, if the file says so
  int width = 0, height = 0;  // as the annotation gives them; 0: it does not
  bool in_shares = false;     // boxes are shares of the picture's sides instead of pixels
  std::vector<WrittenBox> boxes;
  std::vector<std::string> faults;  // boxes that could not be read: why
};

// The file is not what its reader expects. what() says why, without the file's name.
class FormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The whole text as a number, spaces around it aside; false for anything else, infinity and NaN.
bool read_number(std::string_view text, double& value);

// "1", "true" or "yes" (in any case), a number other than 0; or "0", "false", "no", nothing. False
// for anything else.
bool read_flag(std::string_view text, bool& value);

// A side of a picture in pixels; 0, or no text at all, for one that is not known. False for
// anything else.
bool read_side(std::string_view text, int& value);

// Whether boxes, of which there are some, are shares of pictures' sides: as pixels, all of them
// would lie in the first one.
bool look_like_shares(const std::vector<vision::Box>& boxes);

// The text without spaces, tabs and carriage returns at its ends.
std::string_view trimmed(std::string_view text);

// The lines of a text, trimmed; a byte order mark at its start is left out.
std::vector<std::string_view> lines_of(std::string_view text);

// The words of a line, between spaces and tabs.
std::vector<std::string_view> words_of(std::string_view line);

// The words of a line, if all of them are numbers and there is one.
std::optional<std::vector<double>> numbers_in(std::string_view line);

}  // namespace maskwatch::apps
