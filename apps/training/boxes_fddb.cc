#include "apps/training/boxes_fddb.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>

namespace maskwatch::apps {
namespace {

std::optional<int> count_in(std::string_view line) {
  double value = 0;
  if (!read_number(line, value) || value < 0 || value > 1e6 || value != std::floor(value))
    return std::nullopt;
  return static_cast<int>(value);
}

std::optional<std::array<double, 5>> ellipse_in(std::string_view line) {
  const auto words = words_of(line);
  std::array<double, 5> numbers{};
  if (words.size() < numbers.size()) return std::nullopt;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (!read_number(words[i], numbers[i])) return std::nullopt;
  return numbers;
}

vision::Box box_around(const std::array<double, 5>& ellipse) {
  const auto& [major, minor, angle, x, y] = ellipse;
  const double half_width = std::hypot(major * std::cos(angle), minor * std::sin(angle));
  const double half_height = std::hypot(major * std::sin(angle), minor * std::cos(angle));
  return {static_cast<float>(x - half_width), static_cast<float>(y - half_height),
          static_cast<float>(2 * half_width), static_cast<float>(2 * half_height)};
}

}  // namespace

bool is_fddb(std::string_view text) {
  const auto lines = lines_of(text);
  if (lines.size() < 2 || lines[0].empty() || count_in(lines[0])) return false;
  const auto count = count_in(lines[1]);
  return count && (*count == 0 || (lines.size() > 2 && ellipse_in(lines[2])));
}

std::vector<WrittenPicture> parse_fddb(std::string_view text) {
  const auto lines = lines_of(text);
  std::vector<WrittenPicture> pictures;
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
    for (int face = 0; face < *count; ++face, ++i) {
      const auto ellipse = i < lines.size() ? ellipse_in(lines[i]) : std::nullopt;
      if (!ellipse) throw FormatError(fmt::format("line {} is not an ellipse", i + 1));
      picture.boxes.push_back({"face", box_around(*ellipse)});
    }
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

}  // namespace maskwatch::apps
