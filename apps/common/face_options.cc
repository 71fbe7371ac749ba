#include "apps/common/face_options.h"

#include <fmt/format.h>

#include <stdexcept>

#include "apps/common/class_rules.h"
#include "apps/common/device_option.h"
#include "apps/common/options.h"
#include "apps/common/program.h"

namespace maskwatch::apps {

void add_face_options(OptionParser& parser, FaceOptions& options, const std::string& default_face) {
  options.face = default_face;
  parser.add("-m,--model", &options.model,
             "Model file, as train_mask_detector writes it (default: the one that ships)");
  parser.add("--classes", &options.classes, kClassesHelp);
  parser
      .add(
          "-f,--face", &options.face,
          "How faces are found: ours (the detector that ships), haar, ssd, none (the whole picture "
          "is the face), or the file of a cascade (.xml) or of a detector (.safetensors)")
      .show_default();
  parser
      .add("-c,--confidence", &options.confidence,
           "How sure the face detector must be, from 0 to 1; for haar, ten times as many "
           "windows must agree on a face")
      .range(0.0, 1.0)
      .show_default();
  parser
      .add(
          "--detail", &options.detail,
          "Also look for small faces in large pictures: the length to which the shorter side is "
          "scaled for the search, in pixels; 0: not scaled, which takes long (default: ours scales "
          "the longest side to 640, haar does not scale)")
      .range(0, 65535);
  add_device_option(parser, options.device);
}

void add_landmark_option(OptionParser& parser, std::string& landmarks, const std::string& use,
                         const std::string& more) {
  parser
      .add("--landmarks", &landmarks,
           use +
               ": dlib (the 68-point predictor of Debian's libdlib-data; for research, not "
               "for commercial use), or the file of one like it (.dat) or of a converted "
               "landmark network (.safetensors; data/README.md)" +
               more)
      .show_default();
}

std::unique_ptr<vision::LandmarkFinder> landmark_finder(const std::string& landmarks,
                                                        const std::string& more) {
  const auto make = [&] {
    try {
      return vision::make_landmark_finder(landmarks);
    } catch (const std::invalid_argument&) {
      throw UsageError(fmt::format("--landmarks takes dlib, {}the file of a dlib predictor (.dat) "
                                   "or of a converted landmark network (.safetensors), not \"{}\"",
                                   more, one_line(landmarks)),
                       "data/README.md says which networks can be converted");
    }
  };
  auto finder = make();
  if (const std::string licence = finder->licence(); !licence.empty()) tell(licence);
  return finder;
}

std::string model_file(const FaceOptions& options) {
  if (!options.model.empty()) return options.model;
  try {
    return shipped_model_file();
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error(std::string(fault.what()) + " (name one with --model)");
  }
}

MaskDetectorOptions detector_options(const FaceOptions& options) {
  MaskDetectorOptions out;
  out.model = model_file(options);
  out.meanings = class_meanings(options.classes);
  out.face_detector = options.face;
  out.confidence = options.confidence;
  out.detail = options.given_detail();
  out.device = &chosen_device(options.device, options.local_rank);
  return out;
}

void check_sureness(const OptionParser& parser, const std::string& sureness,
                    const std::string& option, const std::string& face) {
  if (face == "none" && parser.given(sureness))
    throw UsageError(fmt::format("{} is not for {} none", sureness, option),
                     "it takes the whole picture as the face");
}

void check_detail(const FaceOptions& options, bool heeds_detail) {
  if (options.given_detail() && !heeds_detail)
    throw UsageError("--detail is not for --face " + options.face,
                     "it always searches at one size");
}

}  // namespace maskwatch::apps
