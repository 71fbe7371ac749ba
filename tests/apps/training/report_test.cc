// Reports beside what scikit-learn 1.9.1 printed for the same counts, with
//   classification_report(truth, predicted, labels=range(n), target_names=labels, digits=digits,
//                         zero_division=0)
//   balanced_accuracy_score(truth, predicted)
#include "apps/training/report.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

using namespace maskwatch;

namespace {

using Rows = std::vector<std::vector<int>>;

// The matrix of as many pairs of labels as `rows` counts.
apps::ConfusionMatrix matrix_of(const std::vector<std::string>& labels, const Rows& rows) {
  std::vector<int> truth;
  std::vector<int> predicted;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::size_t column = 0; column < rows.size(); ++column) {
      const auto count = static_cast<std::size_t>(rows[row][column]);
      truth.insert(truth.end(), count, static_cast<int>(row));
      predicted.insert(predicted.end(), count, static_cast<int>(column));
    }
  }
  return apps::confusion_matrix(labels, truth, predicted);
}

void check_report(const std::vector<std::string>& labels, const Rows& rows, int digits,
                  double balanced_accuracy, const std::string& expected) {
  const apps::ConfusionMatrix matrix = matrix_of(labels, rows);
  CHECK(apps::classification_report(matrix, digits) == expected);
  CHECK(apps::figures_of(matrix).balanced_accuracy ==
        doctest::Approx(balanced_accuracy).epsilon(1e-15));
}

}  // namespace

TEST_CASE("report: two classes") {
  check_report({"with_mask", "without_mask"}, {{135, 3}, {2, 136}}, 2, 0.98188405797101452,
               R"(              precision    recall  f1-score   support

   with_mask       0.99      0.98      0.98       138
without_mask       0.98      0.99      0.98       138

    accuracy                           0.98       276
   macro avg       0.98      0.98      0.98       276
weighted avg       0.98      0.98      0.98       276
)");
}

TEST_CASE("report: three classes, long and accented names") {
  check_report({"a", "mask worn wrongly", "n\u00e9"}, {{5, 3, 0}, {1, 6, 1}, {0, 0, 8}}, 4,
               0.79166666666666663, R"(                   precision    recall  f1-score   support

                a     0.8333    0.6250    0.7143         8
mask worn wrongly     0.6667    0.7500    0.7059         8
               né     0.8889    1.0000    0.9412         8

         accuracy                         0.7917        24
        macro avg     0.7963    0.7917    0.7871        24
     weighted avg     0.7963    0.7917    0.7871        24
)");
}

TEST_CASE("report: a class never predicted") {
  check_report({"cat", "dog", "owl"}, {{5, 3, 0}, {0, 4, 0}, {2, 1, 0}}, 2, 0.54166666666666663,
               R"(              precision    recall  f1-score   support

         cat       0.71      0.62      0.67         8
         dog       0.50      1.00      0.67         4
         owl       0.00      0.00      0.00         3

    accuracy                           0.60        15
   macro avg       0.40      0.54      0.44        15
weighted avg       0.51      0.60      0.53        15
)");
}

TEST_CASE("report: a class that does not occur") {
  check_report({"cat", "dog", "owl"}, {{5, 3, 0}, {0, 4, 1}, {0, 0, 0}}, 3, 0.71250000000000002,
               R"(              precision    recall  f1-score   support

         cat      1.000     0.625     0.769         8
         dog      0.571     0.800     0.667         5
         owl      0.000     0.000     0.000         0

    accuracy                          0.692        13
   macro avg      0.524     0.475     0.479        13
weighted avg      0.835     0.692     0.730        13
)");
}

TEST_CASE("report: one digit") {
  check_report({"x", "y"}, {{5, 3}, {1, 7}}, 1, 0.75,
               R"(              precision    recall  f1-score   support

           x        0.8       0.6       0.7         8
           y        0.7       0.9       0.8         8

    accuracy                            0.8        16
   macro avg        0.8       0.8       0.7        16
weighted avg        0.8       0.8       0.7        16
)");
}

TEST_CASE("report: large counts") {
  check_report({"x", "y"}, {{1234567, 3}, {12, 7654321}}, 2, 0.99999800113232795,
               R"(              precision    recall  f1-score   support

           x       1.00      1.00      1.00   1234570
           y       1.00      1.00      1.00   7654333

    accuracy                           1.00   8888903
   macro avg       1.00      1.00      1.00   8888903
weighted avg       1.00      1.00      1.00   8888903
)");
}

TEST_CASE("figures are also JSON") {
  const auto report = nlohmann::json::parse(
      apps::report_json(matrix_of({"cat", "dog", "owl"}, {{5, 3, 0}, {0, 4, 0}, {2, 1, 0}}))
          .dump());
  CHECK(report["labels"] == nlohmann::json{"cat", "dog", "owl"});
  CHECK(report["confusion_matrix"] == nlohmann::json{{5, 3, 0}, {0, 4, 0}, {2, 1, 0}});
  // The figures of the same call with output_dict=True.
  CHECK(report["classes"][0] == nlohmann::json{{"label", "cat"},
                                               {"precision", 0.7142857142857143},
                                               {"recall", 0.625},
                                               {"f1-score", 0.6666666666666666},
                                               {"support", 8}});
  CHECK(report["classes"][2]["precision"] == 0.0);
  CHECK(report["accuracy"] == 0.6);
  CHECK(report["macro avg"]["precision"].get<double>() == doctest::Approx(0.4047619047619048));
  CHECK(report["weighted avg"]["f1-score"].get<double>() == doctest::Approx(0.5333333333333333));
  CHECK(report["weighted avg"]["support"] == 15);
  CHECK(report["balanced_accuracy"].get<double>() == doctest::Approx(0.54166666666666663));
}

TEST_CASE("the confusion matrix in print") {
  CHECK(apps::confusion_table(matrix_of({"with_mask", "n\u00e9"}, {{135, 3}, {2, 1234567}})) ==
        "true \\ predicted  with_mask       n\u00e9\n"
        "       with_mask        135        3\n"
        "              n\u00e9          2  1234567\n");
}

TEST_CASE("wrong labels are refused") {
  const std::vector<std::string> labels{"a", "b"};
  const std::vector<int> two{0, 1};
  CHECK_THROWS_AS(apps::confusion_matrix(labels, two, std::vector<int>{0}), std::invalid_argument);
  CHECK_THROWS_AS(apps::confusion_matrix(labels, two, std::vector<int>{0, 2}),
                  std::invalid_argument);
  CHECK_THROWS_AS(apps::confusion_matrix(labels, std::vector<int>{-1, 0}, two),
                  std::invalid_argument);
  CHECK_THROWS_AS(apps::confusion_matrix({}, {}, {}), std::invalid_argument);
  CHECK_THROWS_AS(apps::figures_of(apps::confusion_matrix(labels, {}, {})), std::invalid_argument);
}

TEST_CASE("roc_of: scikit-learn's area, recall at limited false alarms") {
  // sklearn.metrics.roc_auc_score([1,1,0,1,0,0,1,0], [.9,.8,.8,.6,.4,.4,.4,.1]) = 0.78125 (1.9.1)
  const std::vector<float> scores{.9f, .8f, .8f, .6f, .4f, .4f, .4f, .1f};
  const std::vector<bool> positive{true, true, false, true, false, false, true, false};
  const apps::Roc roc = apps::roc_of(scores, positive);
  CHECK(roc.area == doctest::Approx(.78125));
  for (const apps::RocPoint& point : roc.points) {  // none of 4 may be wrong
    CHECK(point.recall == .25);
    CHECK(point.false_alarms == 0);
    CHECK(point.threshold == doctest::Approx(.85));
  }
  // 100 others at 0.00 .. 0.99, 10 positives at 0.055, 0.155, ... 0.955.
  std::vector<float> many;
  std::vector<bool> sides;
  for (int i = 0; i < 100; ++i) {
    many.push_back(static_cast<float>(i) / 100);
    sides.push_back(false);
  }
  for (int i = 0; i < 10; ++i) {
    many.push_back(static_cast<float>(i) / 10 + .055f);
    sides.push_back(true);
  }
  const apps::Roc line = apps::roc_of(many, sides);
  CHECK(line.area == doctest::Approx(.51));
  CHECK(line.points.back().false_alarms == doctest::Approx(.1));
  CHECK(line.points.back().recall == doctest::Approx(.1));
  CHECK(line.points[2].false_alarms == doctest::Approx(.01));
  CHECK(line.points[2].recall == 0);
  CHECK(nlohmann::json::parse(apps::roc_json(line).dump())["area"] == line.area);
  const apps::Roc wrong = apps::roc_of(std::vector<float>{1, 0}, {false, true});
  CHECK(wrong.area == 0);
  CHECK(wrong.points.back().recall == 0);
  CHECK(wrong.points.back().threshold == 1);

  CHECK_THROWS_AS(apps::roc_of(scores, {true, false}), std::invalid_argument);
  CHECK_THROWS_AS(apps::roc_of(std::vector<float>{1, 2}, {true, true}), std::invalid_argument);
  CHECK_THROWS_AS(apps::roc_of(std::vector<float>{1, std::nanf("")}, {true, false}),
                  std::invalid_argument);
}
