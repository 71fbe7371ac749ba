// COCO's average precision of a face detector (Lin et al., "Microsoft COCO: Common Objects in
// Context", 2014), with the very rules of pycocotools: the same matches, the same 101 points of
// recall, the same buckets of size.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "apps/training/boxes.h"

namespace maskwatch::apps {

struct FoundFace {
  vision::Box box;
  double score = 0;
  int label = kUnlabelled;  // index into kFaceClasses; kUnlabelled: the detector does not say
};

// What is in a picture and what was found there.
struct JudgedPicture {
  std::vector<FaceBox> truth;
  std::vector<FoundFace> found;
};

// What a found face turned out to be.
struct FaceMatch {
  int truth = -1;        // index of the true face; -1: none
  bool ignored = false;  // it counts neither as right nor as false
};

// Which faces a matching is about; the others are ignored, as are those outside the sizes.
struct FaceSelection {
  std::optional<int> label;  // nothing: faces of any class
  double min_area = 0, max_area = 1e10;
  std::size_t most_found = 100;  // the surest of a picture count, as COCO has it
};

// COCO's sizes, in pixels of area.
struct AreaRange {
  const char* name;
  double min_area, max_area;
};
inline constexpr std::array<AreaRange, 3> kCocoAreas{
    {{"small", 0, 32. * 32}, {"medium", 32. * 32, 96. * 96}, {"large", 96. * 96, 1e10}}};

// One picture's found faces that the selection admits, surest first, of equal scores the earlier
// one; each takes the free true face that it overlaps most, by at least `overlap` (intersection
// over union). In ignored regions, what counts is the share of the found face that lies inside, and
// one region serves many. A true face without a class is an ignored region to a selection by label.
struct MatchedPicture {
  std::vector<int> order;  // indices into `found`
  std::vector<FaceMatch> matches;
  std::int64_t positives = 0;  // true faces that are to be found
};
MatchedPicture match_faces(const JudgedPicture& picture, double overlap,
                           const FaceSelection& selection = {});

struct PrecisionCurve {
  std::vector<double> precision;  // at recall 0, 0.01 ... 1; empty where there is nothing to find
  double average = std::numeric_limits<double>::quiet_NaN();  // average precision
  double recall = std::numeric_limits<double>::quiet_NaN();   // of everything found
  std::int64_t positives = 0;
};
PrecisionCurve precision_curve(std::span<const JudgedPicture> pictures, double overlap,
                               const FaceSelection& selection = {});

struct AveragePrecision {
  double at_50 = 0;     // at an overlap of 0.5
  double at_50_95 = 0;  // mean over overlaps of 0.5, 0.55 ... 0.95
  std::int64_t positives = 0;
};
// NaN where there is nothing to find.
AveragePrecision average_precision(std::span<const JudgedPicture> pictures,
                                   const FaceSelection& selection = {});

}  // namespace maskwatch::apps
