// The words that class names are made of: what people write for a mask, for none, and for one that
// is worn wrongly. vision/masks/labels.h says what a name means in all.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace maskwatch::vision {

enum class WordKind {
  mask,
  kind_of_mask,  // "N95", "surgical": a mask where no other word names one
  bare,          // no mask, in one word: "unmasked"
  negation,
  right,  // "correctly"
  wrong,
  maybe_right,  // "well", "good": says how a mask is worn only beside one, or beside `wearing`
  maybe_wrong,
  wearing,  // "worn"
  person,   // "man", "people"
  filler,   // says nothing
  count
};

// How many of each kind.
class WordCounts {
 public:
  int operator[](WordKind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  int& operator[](WordKind kind) { return counts_[static_cast<std::size_t>(kind)]; }

 private:
  std::array<int, static_cast<std::size_t>(WordKind::count)> counts_{};
};

// In small letters without accents, spaces, punctuation and marks: "0 Con_Mascarilla" becomes
// "0conmascarilla". A character that joins alternatives ("mask/no mask") stays, so that no word
// matches it.
std::string folded_name(std::string_view label);

// The words that a folded name is made of, the longest that leave no rest; none if there is a rest.
std::optional<WordCounts> words_of(std::string_view folded);

// Whether a folded name says that there is no face.
bool is_background(std::string_view folded);

}  // namespace maskwatch::vision
