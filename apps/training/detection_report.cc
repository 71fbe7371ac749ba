#include "apps/training/detection_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/training/curves.h"

namespace maskwatch::apps {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::array<double, 3> kFalseFaces{0.01, 0.1, 1};
constexpr std::array<double, 3> kLeastSides{0, 12, 32};
constexpr std::size_t kAllFound = std::numeric_limits<std::size_t>::max();

bool is_background(const JudgedPicture& picture) { return picture.truth.empty(); }

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : kNone;
}

struct Scored {
  double score;
  bool right;   // a true face
  bool counts;  // as a false alarm, if it is not right
};

// Points of operation: `rates` of false boxes over `pictures`, from boxes surest first.
std::vector<OperatingPoint> points_of(const std::vector<Scored>& boxes, std::int64_t pictures,
                                      std::int64_t positives) {
  std::vector<OperatingPoint> points;
  for (const double rate : kFalseFaces) {
    const double most = rate * static_cast<double>(pictures) + 1e-9;
    OperatingPoint point{rate, std::numeric_limits<double>::infinity(), 0};
    std::int64_t right = 0, wrong = 0, kept = 0;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      right += boxes[i].right ? 1 : 0;
      wrong += !boxes[i].right && boxes[i].counts ? 1 : 0;
      if (static_cast<double>(wrong) > most) break;
      // No threshold parts boxes of equal score.
      if (i + 1 < boxes.size() && boxes[i + 1].score == boxes[i].score) continue;
      point.threshold = boxes[i].score;
      kept = right;
    }
    point.recall = share(kept, positives);
    points.push_back(point);
  }
  return points;
}

struct Matched {
  const JudgedPicture& picture;
  MatchedPicture faces;
};

std::vector<FaceShare> shares_of(const std::vector<Matched>& all, double threshold) {
  std::vector<FaceShare> shares;
  for (const double least : kLeastSides) {
    const auto counted = [&](const FaceBox& face) {
      return !face.ignored && std::min(face.box.width, face.box.height) >= least;
    };
    std::int64_t faces = 0, classed = 0, found = 0, found_classed = 0, right = 0;
    for (const auto& [picture, matched] : all) {
      for (const FaceBox& face : picture.truth) {
        faces += counted(face) ? 1 : 0;
        classed += counted(face) && face.label != kUnlabelled ? 1 : 0;
      }
      for (std::size_t i = 0; i < matched.order.size(); ++i) {
        const FoundFace& box = picture.found[static_cast<std::size_t>(matched.order[i])];
        const int truth = matched.matches[i].truth;
        if (truth < 0 || box.score < threshold) continue;
        const FaceBox& face = picture.truth[static_cast<std::size_t>(truth)];
        if (!counted(face)) continue;
        ++found;
        if (face.label == kUnlabelled) continue;
        ++found_classed;
        right += face.label == box.label ? 1 : 0;
      }
    }
    shares.push_back(
        {least, faces, share(found, faces), share(right, classed), share(right, found_classed)});
  }
  return shares;
}

OverlapFigures overlap_figures(std::span<const JudgedPicture> pictures, double overlap,
                               double threshold) {
  OverlapFigures figures;
  figures.overlap = overlap;
  figures.average_precision = precision_curve(pictures, overlap).average;
  FaceSelection selection;
  selection.most_found = kAllFound;
  std::vector<Matched> all;
  std::vector<Scored> boxes, on_backgrounds;
  std::int64_t positives = 0, backgrounds = 0;
  for (const JudgedPicture& picture : pictures) {
    all.push_back({picture, match_faces(picture, overlap, selection)});
    const MatchedPicture& matched = all.back().faces;
    positives += matched.positives;
    backgrounds += is_background(picture) ? 1 : 0;
    for (std::size_t i = 0; i < matched.order.size(); ++i) {
      if (matched.matches[i].ignored) continue;
      const double score = picture.found[static_cast<std::size_t>(matched.order[i])].score;
      const bool right = matched.matches[i].truth >= 0;
      boxes.push_back({score, right, true});
      on_backgrounds.push_back({score, right, is_background(picture)});
    }
  }
  for (auto* list : {&boxes, &on_backgrounds})
    std::stable_sort(list->begin(), list->end(),
                     [](const Scored& a, const Scored& b) { return a.score > b.score; });
  figures.points = points_of(boxes, static_cast<std::int64_t>(pictures.size()), positives);
  if (backgrounds > 0) figures.backgrounds = points_of(on_backgrounds, backgrounds, positives);
  figures.shares = shares_of(all, threshold);
  return figures;
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : "-";
}

Json average_json(const AveragePrecision& average) {
  return Json::object(
      {{"faces", average.positives}, {"AP50", average.at_50}, {"AP50:95", average.at_50_95}});
}

Json points_json(const std::vector<OperatingPoint>& points) {
  Json list = Json::list();
  for (const OperatingPoint& point : points)
    list.push_back(Json::object({{"false_faces_per_picture", point.false_faces},
                                 {"threshold", point.threshold},
                                 {"recall", point.recall}}));
  return list;
}

Json overlap_json(const OverlapFigures& figures) {
  Json shares = Json::list();
  for (const FaceShare& each : figures.shares)
    shares.push_back(Json::object({{"least_side", each.least_side},
                                   {"faces", each.faces},
                                   {"found", each.found},
                                   {"found_and_right", each.right},
                                   {"right_of_found", each.right_of_found}}));
  return Json::object({{"overlap", figures.overlap},
                       {"AP", figures.average_precision},
                       {"all_pictures", points_json(figures.points)},
                       {"backgrounds", points_json(figures.backgrounds)},
                       {"at_threshold", shares}});
}

// "recall at 0.01 / 0.1 / 1 false faces a picture   0.5000  0.6000  0.7000".
std::string points_text(const char* where, const std::vector<OperatingPoint>& points) {
  if (points.empty()) return "";
  std::string recalls, thresholds;
  for (const OperatingPoint& point : points) {
    recalls += fmt::format("{:>9}", number(point.recall));
    thresholds += fmt::format("{:>9}", number(point.threshold));
  }
  return fmt::format("  recall at 0.01, 0.1, 1 false faces a {:<12}{}   threshold{}\n", where,
                     recalls, thresholds);
}

std::string average_text(std::string_view name, const AveragePrecision& average) {
  return fmt::format("{:<18}{:>9}{:>9}{:>8}\n", name, number(average.at_50),
                     number(average.at_50_95), average.positives);
}

}  // namespace

DetectionFigures detection_figures(std::span<const JudgedPicture> pictures, double threshold) {
  DetectionFigures figures;
  figures.pictures = static_cast<std::int64_t>(pictures.size());
  figures.threshold = threshold;
  std::int64_t wrong = 0;
  for (const JudgedPicture& picture : pictures) {
    figures.found += static_cast<std::int64_t>(picture.found.size());
    if (!is_background(picture)) continue;
    ++figures.backgrounds;
    wrong += std::count_if(picture.found.begin(), picture.found.end(),
                           [&](const FoundFace& face) { return face.score >= threshold; });
  }
  figures.false_on_backgrounds = share(wrong, figures.backgrounds);
  figures.any = average_precision(pictures);
  figures.faces = figures.any.positives;
  for (std::size_t i = 0; i < kCocoAreas.size(); ++i) {
    FaceSelection selection;
    selection.min_area = kCocoAreas[i].min_area;
    selection.max_area = kCocoAreas[i].max_area;
    figures.by_size[i] = average_precision(pictures, selection);
  }
  for (std::size_t i = 0; i < kFaceClasses.size(); ++i) {
    FaceSelection selection;
    selection.label = static_cast<int>(i);
    figures.by_class[i] = average_precision(pictures, selection);
  }
  figures.at = {overlap_figures(pictures, 0.4, threshold),
                overlap_figures(pictures, 0.5, threshold)};
  return figures;
}

std::string detection_text(const DetectionFigures& figures) {
  std::string text = fmt::format("{:<18}{:>9}{:>9}{:>8}\n", "", "AP50", "AP50:95", "faces");
  text += average_text("faces", figures.any);
  for (std::size_t i = 0; i < kCocoAreas.size(); ++i)
    text += average_text(fmt::format("  {}", kCocoAreas[i].name), figures.by_size[i]);
  for (std::size_t i = 0; i < kFaceClasses.size(); ++i)
    text += average_text(fmt::format("  {}", kFaceClasses[i]), figures.by_class[i]);
  for (const OverlapFigures& at : figures.at) {
    text +=
        fmt::format("at an overlap of {:.1f}: AP {}\n", at.overlap, number(at.average_precision));
    text += points_text("picture", at.points);
    text += points_text("background", at.backgrounds);
    for (const FaceShare& each : at.shares)
      text += fmt::format(
          "  score >= {:.2f}, sides >= {:>2} pixels: found {}, found and labelled right {} (of "
          "{}); "
          "of the found, right {}\n",
          figures.threshold, each.least_side, number(each.found), number(each.right), each.faces,
          number(each.right_of_found));
  }
  text += fmt::format("false faces a picture without a face, score >= {:.2f}: {} ({} pictures)\n",
                      figures.threshold, number(figures.false_on_backgrounds), figures.backgrounds);
  return text;
}

Json detection_json(const DetectionFigures& figures) {
  Json sizes, classes, at;
  for (std::size_t i = 0; i < kCocoAreas.size(); ++i)
    sizes[kCocoAreas[i].name] = average_json(figures.by_size[i]);
  for (std::size_t i = 0; i < kFaceClasses.size(); ++i)
    classes[kFaceClasses[i]] = average_json(figures.by_class[i]);
  for (const OverlapFigures& each : figures.at) at.push_back(overlap_json(each));
  return Json::object({{"pictures", figures.pictures},
                       {"backgrounds", figures.backgrounds},
                       {"found", figures.found},
                       {"faces", average_json(figures.any)},
                       {"by_size", sizes},
                       {"by_class", classes},
                       {"at_overlap", at},
                       {"threshold", figures.threshold},
                       {"false_faces_per_background", figures.false_on_backgrounds}});
}

vision::Image plot_precision(std::span<const JudgedPicture> pictures) {
  std::vector<Curve> curves;
  const auto add = [&](std::string_view name, const FaceSelection& selection) {
    const PrecisionCurve curve = precision_curve(pictures, 0.5, selection);
    if (curve.precision.empty()) return;
    curves.push_back({fmt::format("{:.3f} {}", curve.average, name), {}});
    for (std::size_t i = 0; i < curve.precision.size(); ++i)
      curves.back().points.emplace_back(0.01 * static_cast<double>(i), curve.precision[i]);
  };
  add("faces", {});
  for (std::size_t i = 0; i < kFaceClasses.size(); ++i) {
    FaceSelection selection;
    selection.label = static_cast<int>(i);
    add(kFaceClasses[i], selection);
  }
  for (const AreaRange& range : kCocoAreas) {
    FaceSelection selection;
    selection.min_area = range.min_area;
    selection.max_area = range.max_area;
    add(range.name, selection);
  }
  return draw_chart({"precision, at an overlap of 0.5", "recall", 0, 1, 0, 1}, curves);
}

}  // namespace maskwatch::apps
