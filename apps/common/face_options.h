// The options that every program which looks at faces has: the model and the face detector.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vision/faces/landmark_finder.h"
#include "vision/masks/mask_detector.h"

namespace maskwatch::apps {

class OptionParser;

struct FaceOptions {
  std::string model;  // empty: the one that ships
  std::string face;
  float confidence = 0.5f;
  int detail = -1;  // below 0: not given
  std::vector<std::string> classes;
  std::string device = "cpu";  // as chosen_device() takes it
  int local_rank = 0;          // of the programs that run on several ranks

  std::optional<int> given_detail() const {
    return detail < 0 ? std::nullopt : std::optional(detail);
  }
};

// Adds -m/--model, --classes, -f/--face with `default_face`, -c/--confidence, --detail and
// --device.
void add_face_options(OptionParser& parser, FaceOptions& options, const std::string& default_face);

// Adds --landmarks: `use` says what for, in a few words; `more` names further choices.
void add_landmark_option(OptionParser& parser, std::string& landmarks, const std::string& use,
                         const std::string& more = "");

// vision::make_landmark_finder, with the licence of what was chosen on standard error. UsageError
// says what --landmarks takes, if that is something else; `more` names further choices, each with a
// comma behind.
std::unique_ptr<vision::LandmarkFinder> landmark_finder(const std::string& landmarks,
                                                        const std::string& more = "");

// The model file that was named, or the one that ships. std::runtime_error if that is missing.
std::string model_file(const FaceOptions& options);

// What MaskDetector is to be made of. std::runtime_error if there is no model, and for wrong rules
// of --classes; UsageError for a device that cannot be had.
MaskDetectorOptions detector_options(const FaceOptions& options);

// UsageError if `sureness`, an option that says how sure the face detector must be, was given for
// the detector "none". `option` names the detector; `face` is its value.
void check_sureness(const OptionParser& parser, const std::string& sureness,
                    const std::string& option, const std::string& face);

// UsageError if --detail was given for a face detector that cannot heed it.
void check_detail(const FaceOptions& options, bool heeds_detail);

}  // namespace maskwatch::apps
