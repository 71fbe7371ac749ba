#include "vision/masks/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace maskwatch::vision {
namespace {

// CMFD and IMFD are the folders of MaskedFace-Net (Cabani et al. 2021).
constexpr std::string_view kMaskNames[] = {"mask",
                                           "masked",
                                           "withmask",
                                           "withamask",
                                           "maskon",
                                           "wearingmask",
                                           "wearsmask",
                                           "wearmask",
                                           "maskworn",
                                           "correctmask",
                                           "maskcorrect",
                                           "rightmask",
                                           "maskworncorrectly",
                                           "maskwornright",
                                           "maskwornrightly",
                                           "maskweared",
                                           "correctlymasked",
                                           "maskwearedcorrect",
                                           "withmaskcorrect",
                                           "masks",
                                           "hasmask",
                                           "goodmask",
                                           "properlyworn",
                                           "properlywearingmask",
                                           "cmfd"};
constexpr std::string_view kNoMaskNames[] = {
    "nomask",  "withoutmask",    "withoutamask", "unmasked", "notmasked",    "nonmask", "maskless",
    "maskoff", "notwearingmask", "nomaskworn",   "notmask",  "withoutmasks", "bare"};
constexpr std::string_view kWornWronglyNames[] = {"maskwornwrongly",
                                                  "wornwrongly",
                                                  "wronglyworn",
                                                  "wronglywornmask",
                                                  "wrongmask",
                                                  "maskwrong",
                                                  "incorrectmask",
                                                  "maskincorrect",
                                                  "withmaskincorrect",
                                                  "wornincorrectly",
                                                  "incorrectlyworn",
                                                  "incorrectlywornmask",
                                                  "maskwornincorrect",
                                                  "maskwornincorrectly",
                                                  "maskwearedincorrect",
                                                  "maskwearedincorrectly",
                                                  "incorrectlymasked",
                                                  "improper",
                                                  "impropermask",
                                                  "maskwornimproperly",
                                                  "incorrect",
                                                  "incorrectwithmask",
                                                  "wearingmaskincorrectly",
                                                  "maskworincorrect",
                                                  "badmask",
                                                  "improperlyworn",
                                                  "partialmask",
                                                  "imfd"};
constexpr std::string_view kBackgroundNames[] = {"background"};

struct Meaning {
  LabelMeaning meaning;
  std::string_view words;  // empty: the label's own
  Color color;
  std::span<const std::string_view> names;  // as plain_name() leaves them
};

// In the order of LabelMeaning.
constexpr Meaning kMeanings[] = {
    {LabelMeaning::mask, "Mask", {40, 190, 70}, kMaskNames},
    {LabelMeaning::no_mask, "No Mask", {225, 45, 45}, kNoMaskNames},
    {LabelMeaning::worn_wrongly, "Mask Worn Wrongly", {255, 176, 0}, kWornWronglyNames},
    {LabelMeaning::other, "", {150, 150, 150}, {}},
    {LabelMeaning::background, "No Face", {150, 150, 150}, kBackgroundNames},
};

const Meaning& entry(LabelMeaning meaning) { return kMeanings[static_cast<std::size_t>(meaning)]; }

std::string_view without_byte_order_mark(std::string_view label) {
  return label.starts_with("\xEF\xBB\xBF") ? label.substr(3) : label;
}

bool is_separator(char c) { return c == ' ' || c == '-' || c == '_' || c == '\t' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// In lower case, without what does not matter.
std::string plain_name(std::string_view label) {
  label = without_byte_order_mark(label);
  const auto first = std::find_if_not(label.begin(), label.end(),
                                      [](char c) { return is_digit(c) || is_separator(c); });
  std::string name;
  for (auto at = first; at != label.end(); ++at)
    if (!is_separator(*at))
      name += *at >= 'A' && *at <= 'Z' ? static_cast<char>(*at - 'A' + 'a') : *at;
  for (std::size_t face; (face = name.find("face")) != std::string::npos;) name.erase(face, 4);
  return name;
}

}  // namespace

LabelMeaning meaning_of(std::string_view label) {
  const std::string name = plain_name(label);
  for (const Meaning& candidate : kMeanings)
    if (std::find(candidate.names.begin(), candidate.names.end(), name) != candidate.names.end())
      return candidate.meaning;
  return LabelMeaning::other;
}

std::vector<LabelMeaning> meanings_of(std::span<const std::string> labels) {
  std::vector<LabelMeaning> meanings;
  for (const std::string& label : labels) meanings.push_back(meaning_of(label));
  return meanings;
}

bool knows(std::span<const std::string> labels, LabelMeaning meaning) {
  return knows(meanings_of(labels), meaning);
}

bool knows(std::span<const LabelMeaning> meanings, LabelMeaning meaning) {
  return std::find(meanings.begin(), meanings.end(), meaning) != meanings.end();
}

std::string display_name(const std::string& label) {
  return display_name(label, meaning_of(label));
}

std::string display_name(const std::string& label, LabelMeaning meaning) {
  if (const auto words = entry(meaning).words; !words.empty()) return std::string(words);
  std::string name(without_byte_order_mark(label));
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

Color color_of(LabelMeaning meaning) { return entry(meaning).color; }

std::string result_text(const std::string& label, float probability) {
  return fmt::format("{}: {:.2f}%", display_name(label), 100 * probability);
}

}  // namespace maskwatch::vision
