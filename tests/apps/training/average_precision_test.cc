// Matches and average precision on cases that can be counted by hand; pycocotools judges the rest
// (tests/apps/coco_peer.py).
#include "apps/training/average_precision.h"

#include <doctest/doctest.h>

#include <cmath>

#include "apps/training/detection_report.h"
#include "base/json_fields.h"

using namespace maskwatch;
using apps::FaceBox;
using apps::FoundFace;
using apps::JudgedPicture;

namespace {

FaceBox face(float x, float size, int label = 0, bool ignored = false) {
  return {{x, 0, size, size}, label, ignored};
}
FoundFace found(float x, float size, double score, int label = 0) {
  return {{x, 0, size, size}, score, label};
}

}  // namespace

TEST_CASE("average precision by hand: right, wrong, right of three faces") {
  const std::vector<JudgedPicture> pictures{
      {{face(0, 10), face(100, 10), face(200, 10)},
       {found(100, 10, 0.7), found(0, 10, 0.9), found(50, 10, 0.8)}}};
  const auto curve = apps::precision_curve(pictures, 0.5);
  CHECK(curve.positives == 3);
  CHECK(curve.recall == doctest::Approx(2.0 / 3));
  // 34 points of recall up to 1/3 at precision 1, 33 up to 2/3 at 2/3, the rest at 0.
  CHECK(curve.average == doctest::Approx((34 + 33 * 2.0 / 3) / 101));
  const auto all = apps::average_precision(pictures);
  CHECK(all.at_50 == doctest::Approx(curve.average));
  CHECK(all.at_50_95 == doctest::Approx(curve.average));
  CHECK(std::isnan(apps::average_precision(std::vector<JudgedPicture>(2)).at_50));
}

TEST_CASE("a face is taken once, the surest first; an ignored region serves many") {
  const JudgedPicture picture{
      {face(0, 10), face(100, 50, 0, true)},
      {found(1, 10, 0.5), found(0, 10, 0.9), found(101, 10, 0.8), found(120, 10, 0.7)}};
  const auto matched = apps::match_faces(picture, 0.5);
  CHECK(matched.positives == 1);
  CHECK(matched.order == std::vector<int>{1, 2, 3, 0});
  CHECK(matched.matches[0].truth == 0);
  CHECK(matched.matches[1].ignored);
  CHECK(matched.matches[2].ignored);
  CHECK(matched.matches[3].truth == -1);
  CHECK_FALSE(matched.matches[3].ignored);
}

TEST_CASE("sizes and classes: what does not concern a selection is ignored") {
  const std::vector<JudgedPicture> pictures{
      {{face(0, 10, 0), face(100, 40, 1), face(200, 10, apps::kUnlabelled)},
       {found(0, 10, 0.9, 0), found(100, 40, 0.8, 0), found(200, 10, 0.7, 0)}}};
  apps::FaceSelection small;
  small.max_area = 32 * 32;
  CHECK(apps::average_precision(pictures, small).positives == 2);
  CHECK(apps::average_precision(pictures, small).at_50 == doctest::Approx(1));
  apps::FaceSelection masked;
  masked.label = 0;
  // The face without a class is ignored; the bare one labelled as masked is a false alarm.
  CHECK(apps::average_precision(pictures, masked).positives == 1);
  const auto matched = apps::match_faces(pictures[0], 0.5, masked);
  CHECK(matched.matches[0].truth == 0);
  CHECK(matched.matches[1].truth == -1);
  CHECK(matched.matches[2].ignored);
}

TEST_CASE("recall at a rate of false faces, and shares at a threshold") {
  std::vector<JudgedPicture> pictures(10);
  pictures[0] = {{face(0, 10, 0), face(50, 40, 1), face(100, 40, apps::kUnlabelled)},
                 {found(0, 10, 0.9, 0), found(50, 40, 0.6, 0), found(100, 40, 0.3, 1)}};
  pictures[1].found = {found(0, 10, 0.7), found(20, 10, 0.2)};
  const auto figures = apps::detection_figures(pictures, 0.5);
  CHECK(figures.pictures == 10);
  CHECK(figures.backgrounds == 9);
  CHECK(figures.faces == 3);
  CHECK(figures.false_on_backgrounds == doctest::Approx(1.0 / 9));
  const auto& at = figures.at[0];
  CHECK(at.overlap == 0.4);
  CHECK(at.points[0].recall == doctest::Approx(1.0 / 3));  // no false face at all
  CHECK(at.points[0].threshold == 0.9);
  CHECK(at.points[1].recall == doctest::Approx(1));  // one
  CHECK(at.points[1].threshold == 0.3);
  CHECK(at.backgrounds[1].recall == doctest::Approx(1.0 / 3));  // one is more than 0.1 of nine
  CHECK(at.shares[0].found == doctest::Approx(2.0 / 3));
  CHECK(at.shares[0].right == doctest::Approx(0.5));  // of the two with a class
  CHECK(at.shares[1].faces == 2);
  CHECK(at.shares[1].found == doctest::Approx(0.5));
  CHECK(at.shares[1].right == doctest::Approx(0));
  const auto json = JsonFields::parse(apps::detection_json(figures).dump(), "figures");
  CHECK(json["by_class"]["mask_worn_wrongly"]["AP50"].is_null());
  CHECK(json["faces"]["faces"].number() == 3);
  CHECK(apps::detection_text(figures).find("AP50:95") != std::string::npos);
}

TEST_CASE("boxes of equal score stand or fall together") {
  std::vector<JudgedPicture> pictures(1);
  pictures[0] = {{face(0, 10)}, {found(0, 10, 0.5), found(50, 10, 0.5)}};
  const auto figures = apps::detection_figures(pictures, 0.5);
  CHECK(figures.at[1].points[0].recall == 0);
  CHECK(std::isinf(figures.at[1].points[0].threshold));
  CHECK(figures.at[1].points[2].recall == 1);
}
