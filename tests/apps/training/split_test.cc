// Counts as scikit-learn gives them, and copies that never part.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>

#include "apps/common/dataset.h"
#include "apps/training/split.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

namespace {

using Counts = std::vector<std::int64_t>;

// A data set that exists in memory alone: for each class, the sizes of its groups of copies.
apps::Dataset data_set(const std::vector<std::vector<int>>& groups) {
  apps::Dataset dataset;
  int group = 0;
  for (std::size_t label = 0; label < groups.size(); ++label) {
    dataset.classes.push_back(std::string(1, static_cast<char>('a' + label)));
    for (const int size : groups[label]) {
      for (int k = 0; k < size; ++k) {
        apps::DatasetImage image;
        image.label = static_cast<int>(label);
        image.group = group;
        dataset.images.push_back(image);
      }
      ++group;
    }
  }
  return dataset;
}

std::vector<int> ones(int count) { return std::vector<int>(static_cast<std::size_t>(count), 1); }

const apps::DatasetImage& image(const apps::Dataset& dataset, int i) {
  return dataset.images[static_cast<std::size_t>(i)];
}

Counts counts_of(const apps::Dataset& dataset, const std::vector<int>& side) {
  Counts counts(dataset.classes.size());
  for (const int i : side) ++counts[static_cast<std::size_t>(image(dataset, i).label)];
  return counts;
}

// Every picture on one side, in order; copies together.
void check_partition(const apps::Dataset& dataset, const apps::Split& split) {
  CHECK(std::is_sorted(split.train.begin(), split.train.end()));
  CHECK(std::is_sorted(split.validation.begin(), split.validation.end()));
  std::set<int> all(split.train.begin(), split.train.end());
  all.insert(split.validation.begin(), split.validation.end());
  CHECK(all.size() == dataset.images.size());
  CHECK(split.train.size() + split.validation.size() == dataset.images.size());
  std::set<int> train_groups;
  for (const int i : split.train) train_groups.insert(image(dataset, i).group);
  for (const int i : split.validation) CHECK(train_groups.count(image(dataset, i).group) == 0);
}

}  // namespace

TEST_CASE("validation counts are scikit-learn's") {
  // Counter(train_test_split(y, stratify=y, test_size=share, random_state=1)[1]), scikit-learn
  // 1.9.1; cases where two classes tie for a remainder, which it draws at random, are left out.
  CHECK(apps::validation_counts({690, 686}, 0.2) == Counts{138, 138});
  CHECK(apps::validation_counts({690, 686}, 0.37) == Counts{256, 254});
  CHECK(apps::validation_counts({2061, 1233}, 0.2) == Counts{412, 247});
  CHECK(apps::validation_counts({2061, 1233}, 0.25) == Counts{516, 308});
  CHECK(apps::validation_counts({7, 8, 9}, 0.2) == Counts{1, 2, 2});
  CHECK(apps::validation_counts({7, 8, 9}, 0.25) == Counts{2, 2, 2});
  CHECK(apps::validation_counts({101, 13, 5}, 0.2) == Counts{20, 3, 1});
  CHECK(apps::validation_counts({101, 13, 5}, 0.37) == Counts{38, 5, 2});
  CHECK(apps::validation_counts({5, 5}, 0.2) == Counts{1, 1});
  // Ours: no class is left out.
  CHECK(apps::validation_counts({3, 3, 14}, 0.2) == Counts{1, 1, 3});
  CHECK(apps::validation_counts({2, 200}, 0.9) == Counts{1, 180});
  for (const double share : {0.0, 1.0, -0.5, 2.0, std::nan("")})
    CHECK_THROWS_AS(apps::validation_counts({5, 5}, share), std::invalid_argument);
}

TEST_CASE("a split meets its counts and depends on the seed alone") {
  const apps::Dataset dataset = data_set({ones(690), ones(686)});
  const apps::Split split = apps::split_dataset(dataset, 0.2, 42);
  check_partition(dataset, split);
  CHECK(counts_of(dataset, split.validation) == Counts{138, 138});
  CHECK(apps::split_dataset(dataset, 0.2, 42).validation == split.validation);
  CHECK(apps::split_dataset(dataset, 0.2, 43).validation != split.validation);
}

TEST_CASE("every picture is as likely as another to be in validation") {
  const apps::Dataset dataset = data_set({ones(20), ones(30)});
  std::vector<int> hits(50);
  const int seeds = 4000;
  for (int seed = 0; seed < seeds; ++seed)
    for (const int i :
         apps::split_dataset(dataset, 0.2, static_cast<std::uint64_t>(seed)).validation)
      ++hits[static_cast<std::size_t>(i)];
  // 800 expected, standard deviation sqrt(4000 * 0.2 * 0.8) = 25.3: five of them.
  for (const int count : hits) CHECK(std::abs(count - seeds / 5) < 127);
}

TEST_CASE("copies stay together and the counts stay exact where that is possible") {
  std::vector<int> mixed = ones(60);
  for (int k = 0; k < 15; ++k) mixed.push_back(2 + k % 4);
  const apps::Dataset dataset = data_set({mixed, ones(90), {2, 2, 2, 2, 3, 3, 3, 3}});
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const apps::Split split = apps::split_dataset(dataset, 0.25, seed);
    check_partition(dataset, split);
    CHECK(counts_of(dataset, split.validation) ==
          apps::validation_counts(apps::class_counts(dataset), 0.25));
  }
  const apps::Split leaking = apps::split_dataset(dataset, 0.25, 1, true);
  std::set<int> train_groups;
  for (const int i : leaking.train) train_groups.insert(image(dataset, i).group);
  CHECK(std::any_of(leaking.validation.begin(), leaking.validation.end(),
                    [&](int i) { return train_groups.count(image(dataset, i).group) == 1; }));
}

TEST_CASE("groups too big for the target come as near as they can") {
  // 15 of each class, 3 wanted. Twos cannot give 3: 2 or 4 is nearest. Fives: 5, since validation
  // must not be empty.
  const apps::Dataset dataset = data_set({{2, 2, 2, 2, 2, 2, 2}, {5, 5, 5}});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const apps::Split split = apps::split_dataset(dataset, 0.2, seed);
    check_partition(dataset, split);
    const Counts counts = counts_of(dataset, split.validation);
    CHECK((counts[0] == 2 || counts[0] == 4));
    CHECK(counts[1] == 5);
  }
}

TEST_CASE("copies in two classes stay together too") {
  apps::Dataset dataset = data_set({ones(40), ones(40)});
  for (int k = 0; k < 10; ++k) dataset.images[static_cast<std::size_t>(40 + k)].group = k;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const apps::Split split = apps::split_dataset(dataset, 0.2, seed);
    check_partition(dataset, split);
    CHECK(counts_of(dataset, split.validation) == Counts{8, 8});
  }
}

TEST_CASE("a class that cannot stand on both sides is named") {
  CHECK_THROWS_AS(apps::split_dataset(data_set({ones(50), {1}})), std::runtime_error);
  CHECK(message_of([] {
          apps::split_dataset(data_set({ones(50), {1}}));
        }) ==
        "class 'b' cannot stand in both training and validation: it has 1 picture (add pictures)");
  CHECK(message_of([] {
          apps::split_dataset(data_set({ones(50), {7}}));
        }) ==
        "class 'b' cannot stand in both training and validation: it has 7 pictures, all bound "
        "together as copies (add different pictures, or allow leakage)");
  const apps::Dataset copies = data_set({ones(50), {7}});
  CHECK(counts_of(copies, apps::split_dataset(copies, 0.2, 1, true).validation) == Counts{11, 1});
}

TEST_CASE("the split of the original data set is exact, with no copy on both sides") {
  const std::string mask1376 = "../shared/datasets/mask1376";
  if (!std::filesystem::exists(mask1376)) {
    MESSAGE("SKIPPED: ../shared/datasets/mask1376 is missing");
    return;
  }
  const apps::Dataset dataset = apps::scan_dataset({mask1376});
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const apps::Split split = apps::split_dataset(dataset, 0.2, seed);
    check_partition(dataset, split);
    CHECK(counts_of(dataset, split.validation) == Counts{138, 138});
  }
}

TEST_CASE("folders say the split; what validation holds a copy of is not trained on") {
  using Part = apps::DatasetPart;
  apps::Dataset dataset = data_set({ones(4), {1, 2, 1}});
  const auto part = [&](std::initializer_list<Part> parts) {
    std::size_t i = 0;
    for (const Part one : parts) dataset.images[i++].part = one;
  };
  // The images 5 and 6 are copies.
  part({Part::train, Part::train, Part::validation, Part::test, Part::train, Part::train,
        Part::validation, Part::test});
  CHECK(apps::validation_part(dataset) == Part::validation);
  const apps::FolderSplit apart = apps::split_by_folders(dataset);
  CHECK(apart.split.train == std::vector<int>{0, 1, 4});
  CHECK(apart.split.validation == std::vector<int>{2, 6});
  CHECK(apart.copies == 1);
  const apps::FolderSplit leaking = apps::split_by_folders(dataset, true);
  CHECK(leaking.split.train == std::vector<int>{0, 1, 4, 5});
  CHECK(leaking.copies == 0);

  part({Part::train, Part::train, Part::test, Part::test, Part::train, Part::train, Part::test,
        Part::test});
  CHECK(apps::validation_part(dataset) == Part::test);
  CHECK(apps::split_by_folders(dataset).split.validation == std::vector<int>{2, 3, 6, 7});

  part({Part::train, Part::train, Part::train, Part::train, Part::test, Part::test, Part::test,
        Part::test});
  CHECK_THROWS_AS(apps::split_by_folders(dataset), std::runtime_error);
  for (apps::DatasetImage& one : dataset.images) one.part = Part::train;
  CHECK(apps::validation_part(dataset) == Part::none);
}
