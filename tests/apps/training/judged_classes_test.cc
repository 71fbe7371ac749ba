// Which answers are right for which folders.
#include "apps/training/judged_classes.h"

#include <doctest/doctest.h>

#include "apps/common/program.h"

using namespace maskwatch;

namespace {

using Names = std::vector<std::string>;
using Indices = std::vector<int>;

apps::NamedClasses named(const Names& names) { return {names, vision::meanings_of(names)}; }

apps::JudgedClasses judged(const Names& folders, const Names& labels) {
  return apps::judged_classes(named(folders), named(labels), "model");
}

const Names kKinds{"n95_mask", "mask_worn_wrongly", "surgical_mask", "no_mask"};

}  // namespace

TEST_CASE("folders that are called as the classes stand for them, and nothing is told") {
  const auto two = judged({"no_mask", "with_mask"}, {"with_mask", "no_mask"});
  CHECK(two.classes.names == Names{"with_mask", "no_mask"});
  CHECK(two.of_folder == Indices{1, 0});
  CHECK(two.of_label == Indices{0, 1});
  CHECK(two.notes.empty());
  const auto kinds = judged({"mask_worn_wrongly", "n95_mask", "no_mask", "surgical_mask"}, kKinds);
  CHECK(kinds.classes.names == kKinds);
  CHECK(kinds.of_folder == Indices{1, 0, 3, 2});
  CHECK(kinds.notes.empty());
  CHECK(judged({"A", "B"}, {"B", "A"}).of_folder == Indices{1, 0});  // whatever they mean
}

TEST_CASE("a folder that is called otherwise stands for the one class that means the same") {
  const auto one = judged({"NoMask", "WithMask"}, {"with_mask", "without_mask"});
  CHECK(one.classes.names == Names{"with_mask", "without_mask"});
  CHECK(one.of_folder == Indices{1, 0});
  CHECK(one.notes == Names{"the folder NoMask counts as the model's class without_mask",
                           "the folder WithMask counts as the model's class with_mask"});
}

TEST_CASE("several classes of one meaning count as one where a folder means them all") {
  const auto both = judged({"with_mask", "without_mask"}, kKinds);
  CHECK(both.classes.names == Names{"with_mask", "no_mask"});
  CHECK(both.classes.meanings ==
        std::vector{vision::LabelMeaning::mask, vision::LabelMeaning::no_mask});
  CHECK(both.of_folder == Indices{0, 1});
  CHECK(both.of_label == Indices{0, 0, 0, 1});
  CHECK(both.sums({.25f, .125f, .5f, .125f}) == std::vector{.875f, .125f});
  REQUIRE(both.notes.size() == 3);
  CHECK(both.notes[0] ==
        "the model's classes n95_mask, surgical_mask count as one, with_mask: the data set does "
        "not tell them apart");
  CHECK(both.notes[1] == "mask_worn_wrongly counts as with_mask: the data set has no such class");
  // Pictures of one kind among pictures of any: who answers with another kind may be right.
  const auto mixed = judged({"masked", "n95_mask", "no_mask", "worn_wrongly"}, kKinds);
  CHECK(mixed.classes.names == Names{"masked", "mask_worn_wrongly", "no_mask"});
  CHECK(mixed.of_folder == Indices{0, 0, 2, 1});
  CHECK(mixed.of_label == Indices{0, 1, 0, 2});
  const auto bare = judged({"mask", "without_mask"}, {"bare", "mask", "unmasked"});
  CHECK(bare.of_label == Indices{0, 1, 0});
  CHECK(bare.classes.names == Names{"without_mask", "mask"});
}

TEST_CASE("a mask worn wrongly is a mask where the data set knows neither it nor kinds of masks") {
  const Names labels{"mask_worn_wrongly", "without_mask", "with_mask"};
  const auto two = judged({"with_mask", "without_mask"}, labels);
  CHECK(two.classes.names == Names{"without_mask", "with_mask"});
  CHECK(two.of_label == Indices{1, 0, 1});
  CHECK(two.of_folder == Indices{1, 0});
  CHECK(two.notes ==
        Names{"mask_worn_wrongly counts as with_mask: the data set has no such class"});
  CHECK(judged({"mask_worn_wrongly", "with_mask", "without_mask"}, labels).notes.empty());
  const auto kinds = judged({"n95_mask", "no_mask", "surgical_mask"}, kKinds);
  CHECK(kinds.of_label == Indices{0, 1, 2, 3});
  CHECK(kinds.notes.empty());
}

TEST_CASE("a folder that is no class of the model is refused") {
  CHECK_THROWS_AS(judged({"cat", "with_mask"}, {"with_mask", "no_mask"}), apps::UsageError);
  CHECK_THROWS_AS(judged({"no_mask", "worn_wrongly"}, {"with_mask", "no_mask"}), apps::UsageError);
}
