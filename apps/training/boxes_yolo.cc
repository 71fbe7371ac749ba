#include "apps/training/boxes_yolo.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace maskwatch::apps {
namespace {

// Rounding in other people's programs may leave a share a little outside.
constexpr double kShareSlack = 0.01;
constexpr std::size_t kMostClasses = 10000;

vision::Box box_around(const std::vector<double>& numbers) {
  double left = numbers[1], right = left, top = numbers[2], bottom = top;
  for (std::size_t i = 3; i + 1 < numbers.size(); i += 2) {
    left = std::min(left, numbers[i]);
    right = std::max(right, numbers[i]);
    top = std::min(top, numbers[i + 1]);
    bottom = std::max(bottom, numbers[i + 1]);
  }
  return {static_cast<float>(left), static_cast<float>(top), static_cast<float>(right - left),
          static_cast<float>(bottom - top)};
}

// "class x y width height" and five landmarks "x y", as face data sets have them; -1 where a
// landmark is not known. A polygon of seven points has as many numbers, but hardly ever five of
// them in the box that the first two would be.
bool has_landmarks(const std::vector<double>& numbers) {
  if (numbers.size() != 15) return false;
  const auto inside = [&](double at, double middle, double size) {
    return at < 0 || std::abs(at - middle) <= size / 2 + kShareSlack;
  };
  for (std::size_t i = 5; i + 1 < numbers.size(); i += 2)
    if (!inside(numbers[i], numbers[1], numbers[3]) ||
        !inside(numbers[i + 1], numbers[2], numbers[4]))
      return false;
  return true;
}

vision::Box box_of(const std::vector<double>& numbers) {
  const bool polygon = numbers.size() >= 7 && numbers.size() % 2 == 1 && !has_landmarks(numbers);
  if (polygon) return box_around(numbers);
  return {static_cast<float>(numbers[1] - numbers[3] / 2),
          static_cast<float>(numbers[2] - numbers[4] / 2), static_cast<float>(numbers[3]),
          static_cast<float>(numbers[4])};
}

std::string_view unquoted(std::string_view text) {
  text = trimmed(text);
  if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') &&
      text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

// "a" becomes the next name, "3: a" the fourth.
void add_name(std::string_view entry, std::vector<std::string>& names) {
  entry = trimmed(entry);
  if (entry.empty()) return;
  const std::size_t colon = entry.find(':');
  double key = 0;
  if (colon == std::string_view::npos || !read_number(entry.substr(0, colon), key)) {
    names.emplace_back(unquoted(entry));
    return;
  }
  if (key < 0 || key >= kMostClasses || key != std::floor(key))
    throw FormatError(fmt::format("'{}' in \"names\" is not the number of a class", key));
  const auto index = static_cast<std::size_t>(key);
  if (names.size() <= index) names.resize(index + 1);
  const std::string name(unquoted(entry.substr(colon + 1)));
  if (!names[index].empty() && names[index] != name)
    throw FormatError(
        fmt::format("the class {} has two names: '{}' and '{}'", index, names[index], name));
  names[index] = name;
}

std::string_view without_comment(std::string_view line) {
  const std::size_t mark = line.find(" #");
  return line.starts_with('#') ? std::string_view{} : line.substr(0, mark);
}

// [a, b] or {0: a, 1: b}, which may run over lines.
std::vector<std::string> inline_names(std::string_view text) {
  const std::size_t end = text.find(text.front() == '[' ? ']' : '}');
  if (end == std::string_view::npos) throw FormatError("the list of \"names\" is not closed");
  std::vector<std::string> names;
  text = text.substr(1, end - 1);
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    add_name(text.substr(0, comma), names);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return names;
}

}  // namespace

bool is_yolo(std::string_view text) {
  bool any = false;
  for (const std::string_view line : lines_of(text)) {
    if (line.empty()) continue;
    const auto numbers = numbers_in(line);
    if (!numbers || numbers->size() < 5) return false;
    any = true;
  }
  return any;
}

WrittenPicture parse_yolo(std::string_view text, const std::vector<std::string>& names) {
  WrittenPicture picture;
  picture.in_shares = true;
  int line_number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++line_number;
    if (line.empty()) continue;
    const auto fault = [&](const char* what) {
      picture.faults.push_back(fmt::format("line {} {}", line_number, what));
    };
    const auto numbers = numbers_in(line);
    if (!numbers && picture.boxes.empty() && picture.faults.empty())
      throw FormatError(fmt::format("line {} is not \"class x y width height\"", line_number));
    if (!numbers || numbers->size() < 5) {
      fault("is not \"class x y width height\"");
      continue;
    }
    const double index = numbers->front();
    if (index < 0 || index >= kMostClasses || index != std::floor(index)) {
      fault("does not begin with the number of a class");
      continue;
    }
    const auto end = has_landmarks(*numbers) ? numbers->begin() + 5 : numbers->end();
    const bool shares = std::all_of(numbers->begin() + 1, end, [](double value) {
      return value >= -kShareSlack && value <= 1 + kShareSlack;
    });
    if (!shares) {
      fault("holds numbers that are not shares of the picture's sides");
      continue;
    }
    const auto place = static_cast<std::size_t>(index);
    const bool named = place < names.size() && !names[place].empty();
    picture.boxes.push_back({named ? names[place] : std::to_string(place), box_of(*numbers)});
  }
  return picture;
}

std::vector<std::string> parse_class_list(std::string_view text) {
  std::vector<std::string> names;
  for (const std::string_view line : lines_of(text)) names.emplace_back(line);
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

std::vector<std::string> parse_yaml_names(std::string_view text) {
  constexpr std::string_view key = "names:";
  std::size_t begin = 0;
  while (begin < text.size() && !text.substr(begin).starts_with(key))
    begin = std::min(text.find('\n', begin), text.size() - 1) + 1;
  if (begin >= text.size()) throw FormatError("no \"names:\" in it");
  std::string_view rest = text.substr(begin + key.size());
  const std::size_t line_end = std::min(rest.find('\n'), rest.size());
  const std::string_view same_line = trimmed(without_comment(trimmed(rest.substr(0, line_end))));
  if (same_line.starts_with('[') || same_line.starts_with('{'))
    return inline_names(rest.substr(rest.find_first_of("[{")));
  std::vector<std::string> names;
  rest.remove_prefix(line_end);
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the line break
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view whole = rest.substr(0, end);
    std::string_view line = trimmed(without_comment(trimmed(whole)));
    rest.remove_prefix(end);
    if (line.empty()) continue;
    const bool dash = line.starts_with('-');
    if (!dash && !whole.starts_with(' ') && !whole.starts_with('\t')) break;  // the next key
    add_name(dash ? line.substr(1) : line, names);
  }
  if (names.empty()) throw FormatError("\"names:\" lists nothing");
  return names;
}

}  // namespace maskwatch::apps
