#include "apps/training/boxes_counted.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

namespace maskwatch::apps {
namespace {

using Numbers = std::vector<double>;

// Of a face in WIDER FACE's form.
constexpr std::size_t kWiderNumbers = 10, kInvalid = 7;
// Other people's programs round angles.
constexpr double kMostAngle = std::numbers::pi + 0.01;

std::optional<int> count_in(std::string_view line) {
  double value = 0;
  if (!read_number(line, value) || value < 0 || value > 1e6 || value != std::floor(value))
    return std::nullopt;
  return static_cast<int>(value);
}

bool is_ellipse(const Numbers& numbers) {
  return (numbers.size() == 5 || numbers.size() == 6) && numbers[0] > 0 && numbers[1] > 0 &&
         std::abs(numbers[2]) <= kMostAngle;
}

WrittenBox box_around(const Numbers& ellipse) {
  const double major = ellipse[0], minor = ellipse[1], angle = ellipse[2];
  const double half_width = std::hypot(major * std::cos(angle), minor * std::sin(angle));
  const double half_height = std::hypot(major * std::sin(angle), minor * std::cos(angle));
  return {
      "face",
      {static_cast<float>(ellipse[3] - half_width), static_cast<float>(ellipse[4] - half_height),
       static_cast<float>(2 * half_width), static_cast<float>(2 * half_height)}};
}

bool is_wider_face(const Numbers& numbers) {
  return numbers.size() == kWiderNumbers && (numbers[kInvalid] == 0 || numbers[kInvalid] == 1);
}

WrittenBox box_of(const Numbers& numbers) {
  return {"face",
          {static_cast<float>(numbers[0]), static_cast<float>(numbers[1]),
           static_cast<float>(numbers[2]), static_cast<float>(numbers[3])},
          numbers[kInvalid] == 1};
}

bool is_line_of_zeros(std::string_view line) {
  const auto numbers = numbers_in(line);
  return numbers && numbers->size() == kWiderNumbers &&
         std::all_of(numbers->begin(), numbers->end(), [](double value) { return value == 0; });
}

WrittenBox face_in(const std::vector<std::string_view>& lines, std::size_t i, bool wider) {
  const auto numbers = i < lines.size() ? numbers_in(lines[i]) : std::nullopt;
  if (wider) {
    if (numbers && is_wider_face(*numbers)) return box_of(*numbers);
    throw FormatError(fmt::format(
        "line {} is not a face of WIDER FACE: x, y, width, height and six attributes", i + 1));
  }
  if (numbers && is_ellipse(*numbers)) return box_around(*numbers);
  throw FormatError(
      fmt::format("line {} is not an ellipse: two radii above 0, an angle from -pi to pi and a "
                  "centre (nor are its numbers the ten of WIDER FACE)",
                  i + 1));
}

}  // namespace

bool is_counted(std::string_view text) {
  const auto lines = lines_of(text);
  if (lines.size() < 2 || lines[0].empty() || numbers_in(lines[0])) return false;
  const auto count = count_in(lines[1]);
  if (!count || *count == 0) return count.has_value();
  const auto face = lines.size() > 2 ? numbers_in(lines[2]) : std::nullopt;
  return face && face->size() >= 4;
}

std::vector<WrittenPicture> parse_counted(std::string_view text) {
  const auto lines = lines_of(text);
  std::vector<WrittenPicture> pictures;
  std::optional<bool> wider;
  for (std::size_t i = 0; i < lines.size();) {
    if (lines[i].empty()) {
      ++i;
      continue;
    }
    WrittenPicture picture;
    picture.file = lines[i++];
    const auto count = i < lines.size() ? count_in(lines[i]) : std::nullopt;
    if (!count)
      throw FormatError(
          fmt::format("line {} is not the number of faces of {}", i + 1, picture.file));
    ++i;
    if (*count == 0 && i < lines.size() && is_line_of_zeros(lines[i])) ++i;
    for (int face = 0; face < *count; ++face, ++i) {
      if (!wider) wider = i < lines.size() && words_of(lines[i]).size() == kWiderNumbers;
      picture.boxes.push_back(face_in(lines, i, *wider));
    }
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

}  // namespace maskwatch::apps
