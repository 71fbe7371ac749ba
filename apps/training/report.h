// How well a classifier did: confusion matrix, precision and recall, as text and as JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace maskwatch::apps {

struct ConfusionMatrix {
  std::vector<std::string> labels;
  std::vector<std::int64_t> counts;  // [truth, prediction], row-major

  std::int64_t at(std::size_t truth, std::size_t prediction) const {
    return counts[truth * labels.size() + prediction];
  }
};

// Counts pairs of label indices. Throws std::invalid_argument when the lengths differ, an index has
// no label, or there are no labels.
ConfusionMatrix confusion_matrix(const std::vector<std::string>& labels, std::span<const int> truth,
                                 std::span<const int> predicted);

struct ClassFigures {
  double precision = 0;  // a figure without a denominator is 0
  double recall = 0;
  double f1 = 0;
  std::int64_t support = 0;  // how many there truly are
};

struct ReportFigures {
  std::vector<ClassFigures> classes;
  ClassFigures macro;     // mean over classes
  ClassFigures weighted;  // mean over classes by support
  double accuracy = 0;
  double balanced_accuracy = 0;  // mean recall of the classes that occur
};

// Throws std::invalid_argument for a matrix that counts nothing.
ReportFigures figures_of(const ConfusionMatrix& matrix);

// Laid out as scikit-learn's classification_report(truth, predicted, labels=range(n),
// target_names=labels, digits=digits, zero_division=0).
std::string classification_report(const ConfusionMatrix& matrix, int digits = 2);

// The counts with their labels: a row for each true class, a column for each predicted one.
std::string confusion_table(const ConfusionMatrix& matrix);

// How well scores tell positives from the rest, over all thresholds.
struct RocPoint {
  double threshold = 0;     // a score above it counts as positive
  double recall = 0;        // share of the positives above it
  double false_alarms = 0;  // share of the others above it
};

struct Roc {
  double area = 0;  // chance that a positive scores higher than another (half where they are equal)
  std::vector<RocPoint> points;  // at 0.1, 0.5, 1, 2, 3, 5 and 10 % of false alarms at most
};

// Throws std::invalid_argument when the lengths differ, a score is NaN, or one of the two
// sides is empty.
Roc roc_of(std::span<const float> scores, const std::vector<bool>& positive);

// {"area", "points": [{"threshold", "recall", "false_alarms"}]}
Json roc_json(const Roc& roc);

// {"labels", "accuracy", "balanced_accuracy", "classes": [{"label", "precision", "recall",
// "f1-score", "support"}], "macro avg", "weighted avg", "confusion_matrix": [[...]]}
Json report_json(const ConfusionMatrix& matrix);

}  // namespace maskwatch::apps
