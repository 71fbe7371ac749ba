#include "vision/masks/labels.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

using namespace maskwatch;

using vision::LabelMeaning;

namespace {

bool same(const vision::Color& a, const vision::Color& b) {
  return a.r == b.r && a.g == b.g && a.b == b.b;
}

// Relative luminance (WCAG 2), 0 to 1.
double luminance(const vision::Color& color) {
  const auto linear = [](std::uint8_t value) {
    const double v = value / 255.0;
    return v <= .03928 ? v / 12.92 : std::pow((v + .055) / 1.055, 2.4);
  };
  return .2126 * linear(color.r) + .7152 * linear(color.g) + .0722 * linear(color.b);
}

void check(const char* name, LabelMeaning meaning, const char* words) {
  CAPTURE(name);
  CHECK(vision::meaning_of(name) == meaning);
  CHECK(vision::display_name(name) == words);
}

}  // namespace

TEST_CASE("names of a mask") {
  for (const char* name : {"with_mask",
                           "With Mask",
                           "WithMask",
                           "mask",
                           "Mask",
                           "masked",
                           "WITH-MASK",
                           "with-mask",
                           "face_with_mask",
                           "FaceWithMask",
                           "face_mask",
                           "with_face_mask",
                           "0 With Mask",
                           "0_mask",
                           "12 - Mask",
                           "\xEF\xBB\xBFmask",
                           "\xEF\xBB\xBF"
                           "0 Mask",
                           " mask ",
                           "mask_on",
                           "wearing_mask",
                           "correct_mask",
                           "mask_worn_correctly",
                           "with_mask_correct",
                           "mask\r"})
    check(name, LabelMeaning::mask, "Mask");
}

TEST_CASE("names of no mask") {
  for (const char* name :
       {"without_mask", "Without Mask", "WithoutMask", "no_mask", "No Mask", "NoMask", "no-mask",
        "NO_MASK", "unmasked", "face_no_mask", "no_face_mask", "1 Without Mask", "non_mask",
        "without_a_mask", "maskless", "mask_off", "not_masked", "not wearing mask"})
    check(name, LabelMeaning::no_mask, "No Mask");
}

TEST_CASE("names of a mask that is worn wrongly") {
  for (const char* name :
       {"mask_worn_wrongly", "Mask Worn Wrongly", "worn_wrongly", "wrongly_worn", "incorrect_mask",
        "IncorrectMask", "mask_incorrect", "mask_weared_incorrect", "mask_worn_incorrect",
        "mask-worn-incorrectly", "face_with_mask_incorrect", "with_mask_incorrect", "wrong_mask",
        "2 Incorrect Mask", "incorrectly_masked_face", "improper_mask"})
    check(name, LabelMeaning::worn_wrongly, "Mask Worn Wrongly");
}

TEST_CASE("other names keep their own words") {
  check("cat", LabelMeaning::other, "cat");
  check("golden_retriever", LabelMeaning::other, "golden retriever");
  check("\xEF\xBB\xBFtie", LabelMeaning::other, "tie");
  check("class 0", LabelMeaning::other, "class 0");
  check("unknown mask", LabelMeaning::other, "unknown mask");
  check("maskara", LabelMeaning::other, "maskara");
  check("face", LabelMeaning::other, "face");
  check("7", LabelMeaning::other, "7");
  check("", LabelMeaning::other, "");
}

TEST_CASE("background is no face, but a background of a mask is no such name") {
  check("background", LabelMeaning::background, "No Face");
  check("Background", LabelMeaning::background, "No Face");
  check("2 background", LabelMeaning::background, "No Face");
  check("no", LabelMeaning::other, "no");
  check("background person", LabelMeaning::other, "background person");
}

TEST_CASE("the colours differ, in lightness too") {
  const LabelMeaning all[] = {LabelMeaning::mask, LabelMeaning::no_mask, LabelMeaning::worn_wrongly,
                              LabelMeaning::other};
  for (const LabelMeaning a : all)
    for (const LabelMeaning b : all)
      CHECK(same(vision::color_of(a), vision::color_of(b)) == (a == b));
  const double mask = luminance(vision::color_of(LabelMeaning::mask));
  const double no_mask = luminance(vision::color_of(LabelMeaning::no_mask));
  const double wrongly = luminance(vision::color_of(LabelMeaning::worn_wrongly));
  CHECK((wrongly + .05) / (mask + .05) > 1.3);
  CHECK((mask + .05) / (no_mask + .05) > 1.3);
}

TEST_CASE("a result reads as words and a share of a hundred") {
  CHECK(vision::result_text("with_mask", 0.99116f) == "Mask: 99.12%");
  CHECK(vision::result_text("without_mask", 1) == "No Mask: 100.00%");
}

TEST_CASE("the labels of a model: what each means, and which meanings they know") {
  const std::vector<std::string> labels{"cat", "NoMask", "with_mask", "mask"};
  CHECK(vision::meanings_of(labels) == std::vector{LabelMeaning::other, LabelMeaning::no_mask,
                                                   LabelMeaning::mask, LabelMeaning::mask});
  CHECK(vision::knows(labels, LabelMeaning::mask));
  CHECK(vision::knows(labels, LabelMeaning::other));
  CHECK_FALSE(vision::knows(labels, LabelMeaning::worn_wrongly));
  CHECK_FALSE(vision::knows(std::vector<std::string>(), LabelMeaning::other));
  CHECK(vision::knows(vision::meanings_of(labels), LabelMeaning::no_mask));
  for (const std::string& label : labels)
    CHECK(vision::display_name(label, vision::meaning_of(label)) == vision::display_name(label));
}
