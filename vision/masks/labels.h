// What a class name of a model means, what it is called and which colour it has: one table, which
// everything that shows, counts or alerts asks.
#pragma once

#include <optional>
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

// A name is understood if every word of it is (vision/masks/label_words.h): what it says of a mask,
// of its absence and of how it is worn, in English and a score of other languages, and words that
// do not matter. Case, accents, spaces, punctuation, numbers and a byte-order mark do not matter
// either: "with_mask", "No. 1 With Mask", "FaceWithMask", "Con mascarilla" all mean a mask;
// "without_mask", "NoMask", "sans masque" none; "mask_weared_incorrect", "not properly worn" one
// that is worn wrongly. "background" and "no face" are no face. All else is `other`.
LabelMeaning meaning_of(std::string_view label);

// Of each of the labels of a model.
std::vector<LabelMeaning> meanings_of(std::span<const std::string> labels);

// What stands for a meaning in model files and on the command line: "mask", "no_mask",
// "worn_wrongly", "other", "background"; and back, none for another word.
std::string_view word_of(LabelMeaning meaning);
std::optional<LabelMeaning> meaning_of_word(std::string_view word);

// Whether one of the labels, or of the meanings of labels, is this.
bool knows(std::span<const std::string> labels, LabelMeaning meaning);
bool knows(std::span<const LabelMeaning> meanings, LabelMeaning meaning);

// Probabilities of labels as those are to be compared: of each meaning the likeliest label has what
// all of its labels have in sum, and the others keep their ratio to it. `other` labels stand for
// themselves, as do all where each has a meaning of its own. std::invalid_argument unless there are
// as many of both.
std::vector<float> weighed_by_meaning(std::span<const float> probabilities,
                                      std::span<const LabelMeaning> meanings);

// "Mask", "No Mask", "Mask Worn Wrongly", or the label itself, printable (base/printable.h) and
// with spaces for underscores.
std::string display_name(const std::string& label);
// The same for a label whose meaning is at hand.
std::string display_name(const std::string& label, LabelMeaning meaning);

// Green, red, amber or grey. Green, red and amber also differ in lightness, so that they can be
// told apart without seeing red and green.
Color color_of(LabelMeaning meaning);

// "Mask: 99.12%"
std::string result_text(const std::string& label, LabelMeaning meaning, float probability);

}  // namespace maskwatch::vision
