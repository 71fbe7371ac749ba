#include "apps/training/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <stdexcept>

#include "apps/common/program.h"

namespace maskwatch::apps {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

// Characters, not bytes, as Python pads them.
std::size_t length_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string pad_left(const std::string& text, std::size_t width) {
  const std::size_t length = length_of(text);
  return length < width ? std::string(width - length, ' ') + text : text;
}

// As the tables show them.
std::vector<std::string> shown_labels(const ConfusionMatrix& matrix) {
  std::vector<std::string> shown;
  for (const std::string& label : matrix.labels) shown.push_back(one_line(label));
  return shown;
}

std::size_t longest(const std::vector<std::string>& labels, std::size_t least) {
  for (const std::string& label : labels) least = std::max(least, length_of(label));
  return least;
}

ClassFigures figures_of_class(const ConfusionMatrix& matrix, std::size_t label) {
  std::int64_t predicted = 0;
  ClassFigures figures;
  for (std::size_t other = 0; other < matrix.labels.size(); ++other) {
    figures.support += matrix.at(label, other);
    predicted += matrix.at(other, label);
  }
  const std::int64_t right = matrix.at(label, label);
  figures.precision = ratio(right, predicted);
  figures.recall = ratio(right, figures.support);
  figures.f1 = ratio(2 * right, figures.support + predicted);
  return figures;
}

Json json_of(const ClassFigures& figures) {
  return Json::object({{"precision", figures.precision},
                       {"recall", figures.recall},
                       {"f1-score", figures.f1},
                       {"support", figures.support}});
}

}  // namespace

ConfusionMatrix confusion_matrix(const std::vector<std::string>& labels, std::span<const int> truth,
                                 std::span<const int> predicted) {
  if (labels.empty() || truth.size() != predicted.size())
    throw std::invalid_argument(
        fmt::format("confusion_matrix: {} true labels, {} predicted, of {} classes", truth.size(),
                    predicted.size(), labels.size()));
  const std::size_t classes = labels.size();
  ConfusionMatrix matrix{labels, std::vector<std::int64_t>(classes * classes)};
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const auto row = static_cast<std::size_t>(truth[i]);
    const auto column = static_cast<std::size_t>(predicted[i]);
    if (row >= classes || column >= classes)
      throw std::invalid_argument(fmt::format("confusion_matrix: label {} or {} of {} classes",
                                              truth[i], predicted[i], classes));
    ++matrix.counts[row * classes + column];
  }
  return matrix;
}

ReportFigures figures_of(const ConfusionMatrix& matrix) {
  ReportFigures figures;
  std::int64_t right = 0;
  std::int64_t occurring = 0;
  for (std::size_t label = 0; label < matrix.labels.size(); ++label) {
    const ClassFigures one = figures_of_class(matrix, label);
    figures.classes.push_back(one);
    right += matrix.at(label, label);
    occurring += one.support > 0 ? 1 : 0;
    figures.balanced_accuracy += one.recall;
    figures.macro.precision += one.precision;
    figures.macro.recall += one.recall;
    figures.macro.f1 += one.f1;
    const auto weight = static_cast<double>(one.support);
    figures.weighted.precision += one.precision * weight;
    figures.weighted.recall += one.recall * weight;
    figures.weighted.f1 += one.f1 * weight;
    figures.weighted.support += one.support;
  }
  const std::int64_t total = figures.weighted.support;
  if (total == 0) throw std::invalid_argument("figures_of: the confusion matrix counts nothing");
  figures.macro.support = total;
  for (double* mean : {&figures.macro.precision, &figures.macro.recall, &figures.macro.f1})
    *mean /= static_cast<double>(matrix.labels.size());
  for (double* mean : {&figures.weighted.precision, &figures.weighted.recall, &figures.weighted.f1})
    *mean /= static_cast<double>(total);
  figures.accuracy = ratio(right, total);
  figures.balanced_accuracy /= static_cast<double>(occurring);
  return figures;
}

std::string classification_report(const ConfusionMatrix& matrix, int digits) {
  const ReportFigures figures = figures_of(matrix);
  const std::vector<std::string> labels = shown_labels(matrix);
  const std::string last_heading = "weighted avg";
  const std::size_t width = longest(labels, last_heading.size());
  const auto row = [&](const std::string& heading, const ClassFigures& f) {
    return fmt::format("{}  {:>9.{}f} {:>9.{}f} {:>9.{}f} {:>9}\n", pad_left(heading, width),
                       f.precision, digits, f.recall, digits, f.f1, digits, f.support);
  };
  std::string text = fmt::format("{}  {:>9} {:>9} {:>9} {:>9}\n\n", pad_left("", width),
                                 "precision", "recall", "f1-score", "support");
  for (std::size_t label = 0; label < labels.size(); ++label)
    text += row(labels[label], figures.classes[label]);
  text += fmt::format("\n{}  {:>9} {:>9} {:>9.{}f} {:>9}\n", pad_left("accuracy", width), "", "",
                      figures.accuracy, digits, figures.macro.support);
  text += row("macro avg", figures.macro);
  text += row(last_heading, figures.weighted);
  return text;
}

std::string confusion_table(const ConfusionMatrix& matrix) {
  const std::vector<std::string> labels = shown_labels(matrix);
  const std::string corner = "true \\ predicted";
  const std::size_t heading = longest(labels, corner.size());
  const std::int64_t most =
      matrix.counts.empty() ? 0 : *std::max_element(matrix.counts.begin(), matrix.counts.end());
  const auto cell = [&](const std::string& label, const std::string& text) {
    const std::size_t width = std::max(length_of(label), std::to_string(most).size());
    return "  " + pad_left(text, width);
  };
  std::string text = pad_left(corner, heading);
  for (const std::string& label : labels) text += cell(label, label);
  text += "\n";
  for (std::size_t row = 0; row < labels.size(); ++row) {
    text += pad_left(labels[row], heading);
    for (std::size_t column = 0; column < labels.size(); ++column)
      text += cell(labels[column], std::to_string(matrix.at(row, column)));
    text += "\n";
  }
  return text;
}

Json report_json(const ConfusionMatrix& matrix) {
  const ReportFigures figures = figures_of(matrix);
  Json report = Json::object({{"labels", matrix.labels},
                              {"accuracy", figures.accuracy},
                              {"balanced_accuracy", figures.balanced_accuracy},
                              {"classes", Json::list()},
                              {"macro avg", json_of(figures.macro)},
                              {"weighted avg", json_of(figures.weighted)},
                              {"confusion_matrix", Json::list()}});
  for (std::size_t row = 0; row < matrix.labels.size(); ++row) {
    Json one = json_of(figures.classes[row]);
    one["label"] = matrix.labels[row];
    report["classes"].push_back(std::move(one));
    Json counts = Json::list();
    for (std::size_t column = 0; column < matrix.labels.size(); ++column)
      counts.push_back(matrix.at(row, column));
    report["confusion_matrix"].push_back(std::move(counts));
  }
  return report;
}

Roc roc_of(std::span<const float> scores, const std::vector<bool>& positive) {
  const auto positives = std::count(positive.begin(), positive.end(), true);
  const auto others = std::count(positive.begin(), positive.end(), false);
  const bool numbers =
      std::none_of(scores.begin(), scores.end(), [](float s) { return std::isnan(s); });
  if (scores.size() != positive.size() || !numbers || positives == 0 || others == 0)
    throw std::invalid_argument(fmt::format("roc_of: {} scores{} for {} positives and {} others",
                                            scores.size(), numbers ? "" : ", some of them NaN,",
                                            positives, others));
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  constexpr double most[] = {.001, .005, .01, .02, .03, .05, .1};
  Roc roc;
  roc.points.assign(std::size(most), RocPoint{1, 0, 0});
  double right = 0, wrong = 0;
  for (std::size_t i = 0; i < order.size();) {
    const float score = scores[order[i]];
    double more_right = 0, more_wrong = 0;
    for (; i < order.size() && scores[order[i]] == score; ++i)
      ++(positive[order[i]] ? more_right : more_wrong);
    roc.area += more_wrong * (right + more_right / 2);
    right += more_right;
    wrong += more_wrong;
    const double next = i < order.size() ? scores[order[i]] : 0;
    for (std::size_t p = 0; p < std::size(most); ++p)
      if (wrong <= most[p] * static_cast<double>(others))
        roc.points[p] = {(score + next) / 2, right / static_cast<double>(positives),
                         wrong / static_cast<double>(others)};
  }
  roc.area /= static_cast<double>(positives) * static_cast<double>(others);
  return roc;
}

Json roc_json(const Roc& roc) {
  Json points = Json::list();
  for (const RocPoint& point : roc.points)
    points.push_back(Json::object({{"threshold", point.threshold},
                                   {"recall", point.recall},
                                   {"false_alarms", point.false_alarms}}));
  return Json::object({{"area", roc.area}, {"points", points}});
}

}  // namespace maskwatch::apps
