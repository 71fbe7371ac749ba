// What a class name of a model means, what it is called and which colour it has: one table, which
// everything that shows, counts or alerts asks.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vision/image/draw.h"

namespace maskwatch::vision {

enum class LabelMeaning {
  mask,
  no_mask,
  worn_wrongly,  // a mask that leaves the nose or the mouth free
  other,         // none of these
  background,    // no face at all
};

// Case, spaces, '-', '_', the word "face", a number in front ("0 With Mask") and a byte-order mark
// do not matter: "with_mask", "WithMask", "Mask", "face_with_mask" all mean a mask; "without_mask",
// "NoMask" none; "mask_worn_wrongly", "mask_weared_incorrect" one that is worn wrongly. Unknown
// names are `other`; "background" is no face.
LabelMeaning meaning_of(std::string_view label);

// Of each of the labels of a model.
std::vector<LabelMeaning> meanings_of(std::span<const std::string> labels);

// Whether one of the labels, or of the meanings of labels, is this.
bool knows(std::span<const std::string> labels, LabelMeaning meaning);
bool knows(std::span<const LabelMeaning> meanings, LabelMeaning meaning);

// "Mask", "No Mask", "Mask Worn Wrongly", or the label itself with spaces for underscores.
std::string display_name(const std::string& label);
// The same for a label whose meaning is at hand.
std::string display_name(const std::string& label, LabelMeaning meaning);

// Green, red, amber or grey. Green, red and amber also differ in lightness, so that they can be
// told apart without seeing red and green.
Color color_of(LabelMeaning meaning);

// "Mask: 99.12%"
std::string result_text(const std::string& label, float probability);

}  // namespace maskwatch::vision
