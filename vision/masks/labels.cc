#include "vision/masks/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>

#include "base/printable.h"
#include "vision/masks/label_words.h"

namespace maskwatch::vision {
namespace {

struct Meaning {
  LabelMeaning meaning;
  std::string_view word;
  std::string_view shown;  // empty: the label's own words
  Color color;
};

// In the order of LabelMeaning.
constexpr Meaning kMeanings[] = {
    {LabelMeaning::mask, "mask", "Mask", {40, 190, 70}},
    {LabelMeaning::no_mask, "no_mask", "No Mask", {225, 45, 45}},
    {LabelMeaning::worn_wrongly, "worn_wrongly", "Mask Worn Wrongly", {255, 176, 0}},
    {LabelMeaning::other, "other", "", {150, 150, 150}},
    {LabelMeaning::background, "background", "No Face", {150, 150, 150}},
};

const Meaning& entry(LabelMeaning meaning) { return kMeanings[static_cast<std::size_t>(meaning)]; }

std::string_view without_byte_order_mark(std::string_view label) {
  return label.starts_with("\xEF\xBB\xBF") ? label.substr(3) : label;
}

// How a mask is worn, by words that need not name it.
LabelMeaning meaning_without_mask(const WordCounts& words) {
  const auto has = [&](WordKind kind) { return words[kind] > 0; };
  if (has(WordKind::person) || words[WordKind::negation] > 1) return LabelMeaning::other;
  const bool wearing = has(WordKind::wearing);
  const bool right = has(WordKind::right) || (wearing && has(WordKind::maybe_right));
  const bool wrong = has(WordKind::wrong) || (wearing && has(WordKind::maybe_wrong));
  if (right == wrong) return LabelMeaning::other;
  if (!has(WordKind::negation)) return right ? LabelMeaning::mask : LabelMeaning::worn_wrongly;
  return right ? LabelMeaning::worn_wrongly : LabelMeaning::other;
}

LabelMeaning meaning_with_mask(const WordCounts& words) {
  const bool right = words[WordKind::right] + words[WordKind::maybe_right] > 0;
  const bool wrong = words[WordKind::wrong] + words[WordKind::maybe_wrong] > 0;
  const int negations = words[WordKind::negation];
  if (negations > 1 || (right && wrong) || (wrong && negations > 0)) return LabelMeaning::other;
  if (wrong || (right && negations > 0)) return LabelMeaning::worn_wrongly;
  return negations > 0 ? LabelMeaning::no_mask : LabelMeaning::mask;
}

}  // namespace

LabelMeaning meaning_of(std::string_view label) {
  const std::string name = folded_name(label);
  if (is_background(name)) return LabelMeaning::background;
  const std::optional<WordCounts> words = words_of(name);
  if (!words) return LabelMeaning::other;
  const int masks = (*words)[WordKind::mask], bare = (*words)[WordKind::bare];
  if (masks + bare > 1) return LabelMeaning::other;
  if (masks == 1) return meaning_with_mask(*words);
  if ((*words)[WordKind::kind_of_mask] == 1 && bare == 0) return meaning_with_mask(*words);
  if (bare == 0) return meaning_without_mask(*words);
  const bool more = (*words)[WordKind::negation] + (*words)[WordKind::wrong] +
                        (*words)[WordKind::maybe_wrong] + (*words)[WordKind::right] >
                    0;
  return more ? LabelMeaning::other : LabelMeaning::no_mask;
}

std::vector<LabelMeaning> meanings_of(std::span<const std::string> labels) {
  std::vector<LabelMeaning> meanings;
  for (const std::string& label : labels) meanings.push_back(meaning_of(label));
  return meanings;
}

std::string_view word_of(LabelMeaning meaning) { return entry(meaning).word; }

std::optional<LabelMeaning> meaning_of_word(std::string_view word) {
  for (const Meaning& one : kMeanings)
    if (one.word == word) return one.meaning;
  return std::nullopt;
}

bool knows(std::span<const std::string> labels, LabelMeaning meaning) {
  return knows(meanings_of(labels), meaning);
}

bool knows(std::span<const LabelMeaning> meanings, LabelMeaning meaning) {
  return std::find(meanings.begin(), meanings.end(), meaning) != meanings.end();
}

std::vector<float> weighed_by_meaning(std::span<const float> probabilities,
                                      std::span<const LabelMeaning> meanings) {
  if (probabilities.size() != meanings.size())
    throw std::invalid_argument(fmt::format("weighed_by_meaning: {} probabilities of {} labels",
                                            probabilities.size(), meanings.size()));
  std::array<float, std::size(kMeanings)> sums{}, most{};
  for (std::size_t i = 0; i < meanings.size(); ++i) {
    const auto meaning = static_cast<std::size_t>(meanings[i]);
    sums[meaning] += probabilities[i];
    most[meaning] = std::max(most[meaning], probabilities[i]);
  }
  std::vector<float> weighed(probabilities.begin(), probabilities.end());
  for (std::size_t i = 0; i < meanings.size(); ++i) {
    const auto meaning = static_cast<std::size_t>(meanings[i]);
    if (meanings[i] != LabelMeaning::other && most[meaning] > 0)
      weighed[i] *= sums[meaning] / most[meaning];
  }
  return weighed;
}

std::string display_name(const std::string& label) {
  return display_name(label, meaning_of(label));
}

std::string display_name(const std::string& label, LabelMeaning meaning) {
  if (const auto shown = entry(meaning).shown; !shown.empty()) return std::string(shown);
  std::string name = printable(without_byte_order_mark(label));
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

Color color_of(LabelMeaning meaning) { return entry(meaning).color; }

std::string result_text(const std::string& label, LabelMeaning meaning, float probability) {
  return fmt::format("{}: {:.2f}%", display_name(label, meaning), 100 * probability);
}

}  // namespace maskwatch::vision
