#include "apps/training/boxes_format.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace maskwatch::apps {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(spaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(spaces) - begin + 1);
}

bool read_number(std::string_view text, double& value) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end && std::isfinite(value);
}

bool look_like_shares(const std::vector<vision::Box>& boxes) {
  constexpr float slack = 0.01f;  // other people's programs round
  const auto is_share = [](float value) { return value >= -slack && value <= 1 + slack; };
  return std::all_of(boxes.begin(), boxes.end(),
                     [&](const vision::Box& box) {
                       return is_share(box.x) && is_share(box.y) && is_share(box.width) &&
                              is_share(box.height);
                     }) &&
         std::any_of(boxes.begin(), boxes.end(),
                     [](const vision::Box& box) { return box.width > 0 && box.height > 0; });
}

bool read_flag(std::string_view text, bool& value) {
  text = trimmed(text);
  std::string word;
  for (const char c : text) word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  double number = 0;
  const bool is_number = read_number(text, number);
  value = is_number ? number != 0 : word == "true" || word == "yes";
  return is_number || value || word.empty() || word == "false" || word == "no";
}

bool read_side(std::string_view text, int& value) {
  double side = 0;
  if (!trimmed(text).empty() && !read_number(text, side)) return false;
  if (side < 0 || side >= 1e6) return false;
  value = static_cast<int>(side);
  return true;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(trimmed(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!(line = trimmed(line)).empty()) {
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

std::optional<std::vector<double>> numbers_in(std::string_view line) {
  std::vector<double> numbers;
  for (const std::string_view word : words_of(line)) {
    double value = 0;
    if (!read_number(word, value)) return std::nullopt;
    numbers.push_back(value);
  }
  if (numbers.empty()) return std::nullopt;
  return numbers;
}

}  // namespace maskwatch::apps
