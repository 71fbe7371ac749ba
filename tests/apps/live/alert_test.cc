// How an alert is split into words, for whom it runs, and what it is told.
#include "apps/live/alert.h"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "base/file.h"
#include "tests/apps/live/tracks.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

using Words = std::vector<std::string>;

const std::vector<vision::LabelMeaning> kMeanings = vision::meanings_of(kLabels);

void wait_for(const std::string& path) {
  for (int i = 0; i < 500 && !std::filesystem::exists(path); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace

TEST_CASE("an alert's words are split as people expect, and nothing more") {
  CHECK(apps::command_words("notify-send 'No mask'") == Words{"notify-send", "No mask"});
  CHECK(apps::command_words("  a  \"b c\"d\\ e '' ") == Words{"a", "b cd e", ""});
  CHECK(apps::command_words("echo $HOME `id` ; rm *|x") ==
        Words{"echo", "$HOME", "`id`", ";", "rm", "*|x"});
  CHECK_THROWS_AS(apps::command_words("a 'b"), std::invalid_argument);
  CHECK_THROWS_AS(apps::command_words("   "), std::invalid_argument);
  CHECK_THROWS_AS(apps::Alert("no-such-program-at-all", 1, kLabels, kMeanings, ""),
                  std::runtime_error);
}

TEST_CASE("an alert runs once for each person, beside us, and knows what happened") {
  const TemporaryFolder folder;
  const std::string script =
      "sh -c 'env | grep MASKWATCH_ | sort > \"$1/$MASKWATCH_TRACK.part\"; "
      "mv \"$1/$MASKWATCH_TRACK.part\" \"$1/$MASKWATCH_TRACK\"; sleep 1' sh " +
      folder.path();
  apps::Alert alert(script, 3, kLabels, kMeanings, "a 'source' $(id)");
  vision::Track masked = unmasked(9, 0);
  masked.label = 0;
  const auto start = std::chrono::steady_clock::now();
  CHECK(alert.look({unmasked(1, 0, 2.9), masked}, 2.9) == "");
  CHECK(alert.look({unmasked(1, 0, 2.9), masked}, 20) == "");  // not seen since
  CHECK(alert.runs() == 0);
  for (const double time : {3.1, 3.2, 4.})
    CHECK(alert.look({unmasked(1, 0, time), unmasked(2, 1, time), masked}, time) == "");
  CHECK(alert.runs() == 2);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(900));
  wait_for(folder / "1");
  wait_for(folder / "2");
  CHECK(read_file(folder / "1") ==
        "MASKWATCH_BOX=10 20 30 40\nMASKWATCH_CONFIDENCE=0.875\nMASKWATCH_LABEL=without_mask\n"
        "MASKWATCH_SECONDS=3.1\nMASKWATCH_SOURCE=a 'source' $(id)\nMASKWATCH_TIME=3.100\n"
        "MASKWATCH_TRACK=1\n");
  CHECK(!std::filesystem::exists(folder / "9"));
}

TEST_CASE("an alert is raised once for who stays, however many come and go") {
  apps::Alert alert("true", 0, kLabels, kMeanings, "");
  for (int number = 2; number < 1100; ++number)
    while (alert.runs() < number) {
      CHECK(alert.look({unmasked(1, 0), unmasked(number, 0)}, 1) == "");
      REQUIRE(alert.runs() <= number);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  CHECK(alert.look({unmasked(1, 0)}, 2) == "");
  CHECK(alert.runs() == 1099);
}

TEST_CASE("an alert is raised for masks that are worn wrongly where it is told to") {
  vision::Track wrongly = unmasked(1, 0, 5);
  wrongly.label = 2;
  const std::vector<std::string> labels{"with_mask", "without_mask", "mask_worn_wrongly"};
  const auto meanings = vision::meanings_of(labels);
  apps::Alert strict("true", 3, labels, meanings, "", true);
  apps::Alert lenient("true", 3, labels, meanings, "");
  CHECK(strict.look({wrongly}, 5) == "");
  CHECK(lenient.look({wrongly}, 5) == "");
  CHECK(strict.runs() == 1);
  CHECK(lenient.runs() == 0);
}

TEST_CASE("what a label means to an alert is said apart from its name") {
  vision::Track bare = unmasked(1, 0, 5);
  bare.label = 1;
  using vision::LabelMeaning;
  const std::vector<std::string> labels{"A", "B"};
  apps::Alert alert("true", 3, labels, {LabelMeaning::mask, LabelMeaning::no_mask}, "");
  apps::Alert other("true", 3, labels, vision::meanings_of(labels), "");
  CHECK(alert.look({bare}, 5) == "");
  CHECK(other.look({bare}, 5) == "");
  CHECK(alert.runs() == 1);
  CHECK(other.runs() == 0);
}
