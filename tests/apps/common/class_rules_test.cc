// What --classes takes, and what is said where names stay unknown.
#include "apps/common/class_rules.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

#include "tests/apps/common/captured_run.h"

using namespace maskwatch;

using vision::LabelMeaning;

TEST_CASE("--classes says what names mean") {
  const apps::ClassMeanings meanings = apps::class_meanings(
      {"mask=A,with WM", "no_mask=b", "Worn_Wrongly=c,d", "other=e", "background=f"});
  CHECK(meanings == apps::ClassMeanings{{"A", LabelMeaning::mask},
                                        {"with WM", LabelMeaning::mask},
                                        {"b", LabelMeaning::no_mask},
                                        {"c", LabelMeaning::worn_wrongly},
                                        {"d", LabelMeaning::worn_wrongly},
                                        {"e", LabelMeaning::other},
                                        {"f", LabelMeaning::background}});
  CHECK(apps::class_meanings({}).empty());
  for (const char* wrong : {"mask", "=a", "mask=", "helmet=a", "face=a", "ignore=a", "mask=a,,b"})
    CHECK_THROWS_AS(apps::class_meanings({wrong}), apps::UsageError);
  CHECK_THROWS_AS(apps::class_meanings({"mask=a", "no_mask=a"}), apps::UsageError);
}

TEST_CASE("--classes names classes that there are") {
  const apps::ClassMeanings meanings{{"A", LabelMeaning::mask}};
  CHECK_NOTHROW(apps::check_class_names(meanings, {"A", "B"}, "the model"));
  const Outcome outcome = run([&](int, char**) {
    apps::check_class_names(meanings, {"a", "B"}, "the model");
    return 0;
  });
  CHECK(outcome.code == 2);
  CHECK(outcome.err == "error: --classes: 'A' is not a class of the model: a, B\n");
}

TEST_CASE("unknown names are warned of in one line that cannot steer a terminal") {
  const auto warned = [](const std::vector<std::string>& classes) {
    return run([&](int, char**) {
             apps::warn_of_unknown_classes(classes, "no alert");
             return 0;
           })
        .err;
  };
  CHECK(warned({}) == "");
  CHECK(warned({"A\xc2\x9b"
                "2J",
                "B"})
            .starts_with("warning: the class names A\\u{009b}2J, B do not say who wears a mask: no "
                         "alert (say it with --classes mask=NAME "));
  CHECK(warned(std::vector<std::string>(1000, "x")).find("and 990 more") != std::string::npos);
}

TEST_CASE("classes of one meaning are told of, but for those that mean nothing") {
  const auto told = [](const std::vector<std::string>& classes) {
    return run([&](int, char**) {
             apps::tell_of_shared_meanings(classes, vision::meanings_of(classes));
             return 0;
           })
        .err;
  };
  CHECK(told({"mask", "no_mask", "cat", "dog"}) == "");
  const std::string note = told({"WithMask", "bare", "no_mask", "with_mask", "cat"});
  CHECK(note.starts_with("note: the classes WithMask, with_mask mean the same (mask)"));
  CHECK(note.find("note: the classes bare, no_mask mean the same (no_mask)") != note.npos);
  CHECK(std::count(note.begin(), note.end(), '\n') == 2);
}
