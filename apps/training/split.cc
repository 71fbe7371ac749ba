#include "apps/training/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <utility>

#include "base/random.h"

namespace maskwatch::apps {
namespace {

constexpr std::uint64_t kSplitStream = 0x73706c6974u;  // keeps the seed apart from its other uses

using Counts = std::vector<std::int64_t>;

// Images that must stand on one side: a group of copies, or one image.
struct Unit {
  std::vector<int> images;
  std::vector<int> labels;  // of the images, ascending
  bool validation = false;
};

std::vector<Unit> units_of(const Dataset& dataset, bool allow_leakage) {
  std::map<int, Unit> units;
  for (std::size_t i = 0; i < dataset.images.size(); ++i) {
    const int key = allow_leakage ? static_cast<int>(i) : dataset.images[i].group;
    units[key].images.push_back(static_cast<int>(i));
    units[key].labels.push_back(dataset.images[i].label);
  }
  std::vector<Unit> list;
  for (auto& [key, unit] : units) {
    std::sort(unit.labels.begin(), unit.labels.end());
    list.push_back(std::move(unit));
  }
  return list;
}

// Fisher and Yates, with random bits that depend on seed and place alone.
void shuffle(std::vector<Unit>& units, std::uint64_t seed) {
  for (std::size_t i = units.size(); i > 1; --i) {
    const std::uint64_t bits = random_bits(seed ^ kSplitStream, i);
    std::swap(units[i - 1], units[bits % i]);
  }
}

// Moves units to validation until every class is as near to its target as it gets.
class Assignment {
 public:
  Assignment(std::vector<Unit>& units, const Counts& totals, const Counts& targets)
      : units_(units), totals_(totals), targets_(targets), chosen_(totals.size()) {}

  // Takes each unit in turn that fits into what its classes still lack.
  void fill() {
    for (Unit& unit : units_) {
      add(unit.labels, 1);
      const bool fits = std::all_of(unit.labels.begin(), unit.labels.end(), [&](int label) {
        return chosen_[index(label)] <= targets_[index(label)];
      });
      unit.validation = fits;
      if (!fits) add(unit.labels, -1);
    }
  }

  // Units too big for the rest leave a gap: adds, removes or exchanges one while that brings the
  // counts nearer. Units with the same labels are as good as each other, so few pairs are tried.
  void repair() {
    while (improve()) {
    }
  }

  const Counts& chosen() const { return chosen_; }

 private:
  static std::size_t index(int label) { return static_cast<std::size_t>(label); }

  void add(const std::vector<int>& labels, int sign) {
    for (const int label : labels) chosen_[index(label)] += sign;
  }

  // Distance from the targets; a class with one side empty weighs more than any distance.
  std::int64_t cost() const {
    std::int64_t sum = 0;
    for (std::size_t c = 0; c < totals_.size(); ++c) {
      sum += std::abs(chosen_[c] - targets_[c]);
      if (chosen_[c] == 0 || chosen_[c] == totals_[c]) sum += 2 * totals_[c];
    }
    return sum;
  }

  void toggle(Unit* unit) {
    if (unit == nullptr) return;
    add(unit->labels, unit->validation ? -1 : 1);
    unit->validation = !unit->validation;
  }

  bool improve() {
    std::map<std::vector<int>, Unit*> inside;
    std::map<std::vector<int>, Unit*> outside;
    inside[{}] = outside[{}] = nullptr;
    for (Unit& unit : units_) (unit.validation ? inside : outside).try_emplace(unit.labels, &unit);
    std::pair<Unit*, Unit*> best{nullptr, nullptr};
    std::int64_t least = cost();
    for (const auto& [leaving_labels, leaving] : inside) {
      for (const auto& [entering_labels, entering] : outside) {
        toggle(leaving);
        toggle(entering);
        if (const std::int64_t now = cost(); now < least) {
          least = now;
          best = {leaving, entering};
        }
        toggle(leaving);
        toggle(entering);
      }
    }
    toggle(best.first);
    toggle(best.second);
    return best.first != nullptr || best.second != nullptr;
  }

  std::vector<Unit>& units_;
  const Counts& totals_;
  const Counts& targets_;
  Counts chosen_;
};

[[noreturn]] void fail_class(const Dataset& dataset, std::size_t label, std::int64_t total) {
  throw std::runtime_error(fmt::format(
      "class '{}' cannot stand in both training and validation: it has {} ({})",
      dataset.classes[label],
      total == 1 ? "1 picture" : fmt::format("{} pictures, all bound together as copies", total),
      total == 1 ? "add pictures" : "add different pictures, or allow leakage"));
}

}  // namespace

Counts validation_counts(const Counts& class_counts, double validation) {
  if (!(validation > 0 && validation < 1))
    throw std::invalid_argument(
        fmt::format("split: the validation share must lie between 0 and 1, not {}", validation));
  const std::int64_t total =
      std::accumulate(class_counts.begin(), class_counts.end(), std::int64_t{0});
  const auto wanted = static_cast<std::int64_t>(std::ceil(validation * static_cast<double>(total)));
  Counts counts;
  std::vector<std::pair<std::int64_t, std::size_t>> remainders;  // negated: largest first
  std::int64_t given = 0;
  for (std::size_t c = 0; c < class_counts.size(); ++c) {
    const std::int64_t product = class_counts[c] * wanted;
    counts.push_back(total > 0 ? product / total : 0);
    given += counts.back();
    remainders.emplace_back(total > 0 ? -(product % total) : 0, c);
  }
  std::sort(remainders.begin(), remainders.end());
  for (std::size_t k = 0; given < wanted; ++k, ++given) ++counts[remainders[k].second];
  for (std::size_t c = 0; c < counts.size(); ++c)
    if (class_counts[c] >= 2)
      counts[c] = std::clamp(counts[c], std::int64_t{1}, class_counts[c] - 1);
  return counts;
}

Split split_dataset(const Dataset& dataset, double validation, std::uint64_t seed,
                    bool allow_leakage) {
  const Counts totals = class_counts(dataset);
  const Counts targets = validation_counts(totals, validation);
  std::vector<Unit> units = units_of(dataset, allow_leakage);
  shuffle(units, seed);
  Assignment assignment(units, totals, targets);
  assignment.fill();
  assignment.repair();
  for (std::size_t c = 0; c < totals.size(); ++c) {
    const std::int64_t chosen = assignment.chosen()[c];
    if (chosen == 0 || chosen == totals[c]) fail_class(dataset, c, totals[c]);
  }
  Split split;
  for (const Unit& unit : units) {
    std::vector<int>& side = unit.validation ? split.validation : split.train;
    side.insert(side.end(), unit.images.begin(), unit.images.end());
  }
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

DatasetPart validation_part(const Dataset& dataset) {
  for (const DatasetPart part : {DatasetPart::validation, DatasetPart::test})
    if (count_part(dataset, part) > 0) return part;
  return DatasetPart::none;
}

FolderSplit split_by_folders(const Dataset& dataset, bool allow_leakage) {
  const DatasetPart validation = validation_part(dataset);
  FolderSplit result;
  std::set<int> validated;  // groups
  for (std::size_t i = 0; i < dataset.images.size(); ++i)
    if (dataset.images[i].part == validation) {
      result.split.validation.push_back(static_cast<int>(i));
      validated.insert(dataset.images[i].group);
    }
  std::vector<bool> trained(dataset.classes.size());
  for (std::size_t i = 0; i < dataset.images.size(); ++i) {
    const DatasetImage& image = dataset.images[i];
    if (image.part != DatasetPart::train) continue;
    if (!allow_leakage && validated.contains(image.group)) {
      ++result.copies;
      continue;
    }
    result.split.train.push_back(static_cast<int>(i));
    trained[static_cast<std::size_t>(image.label)] = true;
  }
  for (std::size_t c = 0; c < trained.size(); ++c)
    if (!trained[c])
      throw std::runtime_error(fmt::format(
          "class '{}' has no picture to train on in a folder called train", dataset.classes[c]));
  return result;
}

}  // namespace maskwatch::apps
