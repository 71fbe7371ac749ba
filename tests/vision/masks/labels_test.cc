#include "vision/masks/labels.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
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
                           "face_with_mask_correct",
                           "person wearing a mask",
                           "people_with_masks",
                           "masked faces",
                           "mask (1)",
                           "w/ mask",
                           "N95 mask",
                           "surgical_mask",
                           "properly worn",
                           "correct",
                           "fully_covered",
                           "CMFD",
                           "No. 1 With Mask",
                           "No1_mask",
                           "2 No. 13 mask",
                           "full_face_mask",
                           "mask\r"})
    check(name, LabelMeaning::mask, "Mask");
}

TEST_CASE("names of no mask") {
  for (const char* name : {"without_mask",
                           "Without Mask",
                           "WithoutMask",
                           "no_mask",
                           "No Mask",
                           "NoMask",
                           "no-mask",
                           "NO_MASK",
                           "unmasked",
                           "face_no_mask",
                           "no_face_mask",
                           "1 Without Mask",
                           "non_mask",
                           "without_a_mask",
                           "maskless",
                           "mask_off",
                           "not_masked",
                           "not wearing mask",
                           "w/o mask",
                           "Un-masked",
                           "person without a mask",
                           "no mask detected",
                           "mask not worn",
                           "not_covered",
                           "No. 2 Without Mask",
                           "1 no mask",
                           "no_mask_1",
                           "no n95 mask"})
    check(name, LabelMeaning::no_mask, "No Mask");
}

TEST_CASE("names of a mask that is worn wrongly") {
  for (const char* name : {"mask_worn_wrongly",
                           "Mask Worn Wrongly",
                           "worn_wrongly",
                           "wrongly_worn",
                           "incorrect_mask",
                           "IncorrectMask",
                           "mask_incorrect",
                           "mask_weared_incorrect",
                           "mask_worn_incorrect",
                           "mask-worn-incorrectly",
                           "face_with_mask_incorrect",
                           "with_mask_incorrect",
                           "wrong_mask",
                           "2 Incorrect Mask",
                           "incorrectly_masked_face",
                           "improper_mask",
                           "mask_not_worn_properly",
                           "not correctly masked",
                           "partially_masked",
                           "half_masked",
                           "mask half worn",
                           "Mask_Chin",
                           "Mask_Mouth_Chin",
                           "Mask_Nose_Mouth",
                           "mask under the nose",
                           "badly worn",
                           "incorrect",
                           "IMFD"})
    check(name, LabelMeaning::worn_wrongly, "Mask Worn Wrongly");
}

TEST_CASE("names in other languages, with accents joined or apart, in any case") {
  struct Named {
    const char *mask, *no_mask, *worn_wrongly;
  };
  for (const Named& names :
       {Named{"con_mascarilla", "Sin Mascarilla", "mascarilla mal puesta"},
        {"com m\u00e1scara", "SEM M\u00c1SCARA", "ma\u0301scara incorreta"},
        {"avec un masque", "sans masque", "masque mal port\u00e9"},
        {"Mit Maske", "ohne Maske", "Maske falsch getragen"},
        {"con mascherina", "senza_mascherina", "mascherina indossata scorrettamente"},
        {"met mondkapje", "zonder mondkapje", "mondkapje verkeerd gedragen"},
        {"z maseczk\u0105", "bez maseczki", "maseczka niepoprawnie noszona"},
        {"maskeli", "maskesiz", "maske yanl\u0131\u015f tak\u0131lm\u0131\u015f"},
        {"pakai_masker", "tidak pakai masker", "masker salah"},
        {"c\u00f3 kh\u1ea9u trang", "kh\u00f4ng \u0111eo kh\u1ea9u trang",
         "\u0111eo kh\u1ea9u trang sai c\u00e1ch"},
        {"\u0412 \u043c\u0430\u0441\u043a\u0435",
         "\u0431\u0435\u0437 \u043c\u0430\u0441\u043a\u0438",
         "\u043c\u0430\u0441\u043a\u0430 \u043d\u0430\u0434\u0435\u0442\u0430 "
         "\u043d\u0435\u043f\u0440\u0430\u0432\u0438\u043b\u044c\u043d\u043e"},
        {"\u6234\u53e3\u7f69", "\u672a\u6234\u53e3\u7f69", "\u53e3\u7f69\u672a\u6234\u597d"},
        {"\u30de\u30b9\u30af\u3042\u308a", "\u30de\u30b9\u30af\u306a\u3057",
         "\u4e0d\u9069\u5207\u306a\u30de\u30b9\u30af"},
        {"\ub9c8\uc2a4\ud06c \ucc29\uc6a9", "\ub9c8\uc2a4\ud06c \ubbf8\ucc29\uc6a9",
         "\u4e0d\u6b63\u786e\u6234\u53e3\u7f69"}}) {
    check(names.mask, LabelMeaning::mask, "Mask");
    check(names.no_mask, LabelMeaning::no_mask, "No Mask");
    check(names.worn_wrongly, LabelMeaning::worn_wrongly, "Mask Worn Wrongly");
  }
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
  // What contradicts itself, or leaves open who wears what, is not guessed at.
  for (const char* name :
       {"mask/no mask", "mask or no mask", "mask?", "not without mask", "correct and incorrect",
        "gas mask", "ski mask", "with", "without", "yes", "none", "person", "covered", "worn",
        "wrong person", "right", "good", "1", "unmasked correctly",
        // A kind of respirator, or a mask that is worn by halves; a number, or its absence.
        "half mask", "half face mask", "Half Face Respirator", "mask no 1", "Mask No. 2"})
    check(name, LabelMeaning::other, name);
  check(std::string(100000, 'a').c_str(), LabelMeaning::other, std::string(100000, 'a').c_str());
}

TEST_CASE("background is no face, but a background of a mask is no such name") {
  check("background", LabelMeaning::background, "No Face");
  check("Background", LabelMeaning::background, "No Face");
  check("2 background", LabelMeaning::background, "No Face");
  check("no_face", LabelMeaning::background, "No Face");
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
  CHECK(vision::result_text("with_mask", LabelMeaning::mask, 0.99116f) == "Mask: 99.12%");
  CHECK(vision::result_text("Bare", LabelMeaning::no_mask, 1) == "No Mask: 100.00%");
}

TEST_CASE("what is shown of a hostile label cannot steer a terminal") {
  CHECK(vision::display_name("cat\xc2\x9b"
                             "2J\xe2\x80\xae\x1b[m") == "cat\\u{009b}2J\\u{202e}\\x1b[m");
  CHECK(vision::result_text("\xc2\x9b", LabelMeaning::other, .5f) == "\\u{009b}: 50.00%");
}

TEST_CASE("each meaning has a word, and the word the meaning") {
  for (const LabelMeaning meaning :
       {LabelMeaning::mask, LabelMeaning::no_mask, LabelMeaning::worn_wrongly, LabelMeaning::other,
        LabelMeaning::background})
    CHECK(vision::meaning_of_word(vision::word_of(meaning)) == meaning);
  CHECK_FALSE(vision::meaning_of_word("Mask").has_value());
}

TEST_CASE("labels of one meaning count together, and their order among themselves stays") {
  using enum LabelMeaning;
  const auto weighed = [](std::vector<float> probabilities, std::vector<LabelMeaning> meanings) {
    return vision::weighed_by_meaning(probabilities, meanings);
  };
  CHECK(weighed({.25f, .375f, .125f, .25f}, {mask, no_mask, mask, mask}) ==
        std::vector{.625f, .375f, .3125f, .625f});
  CHECK(weighed({.3f, .6f, .1f}, {worn_wrongly, mask, no_mask}) == std::vector{.3f, .6f, .1f});
  CHECK(weighed({.25f, .25f, .5f}, {other, other, mask}) == std::vector{.25f, .25f, .5f});
  CHECK(weighed({0, 0, 1}, {mask, mask, no_mask}) == std::vector{0.f, 0.f, 1.f});
  CHECK_THROWS_AS(weighed({1}, {}), std::invalid_argument);
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
