#include "apps/training/teacher.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "apps/common/share.h"
#include "base/per_thread.h"
#include "vision/image/geometry.h"

namespace maskwatch::apps {
namespace {

using vision::Detection;

std::vector<FaceBox> taught_boxes(const std::vector<Detection>& found, double least, double below,
                                  int label, bool ignored) {
  std::vector<FaceBox> boxes;
  for (const Detection& face : found)
    if (const auto score = static_cast<double>(face.score); score >= least && score < below)
      boxes.push_back({face.box, label, ignored});
  return boxes;
}

// Adds those boxes that are apart from the ones which stand there.
void add_apart(std::vector<FaceBox>& faces, const std::vector<FaceBox>& taught) {
  const std::vector<FaceBox> standing = faces;
  for (const FaceBox& face : taught)
    if (std::none_of(standing.begin(), standing.end(), [&](const FaceBox& each) {
          return vision::intersection_over_smaller(each.box, face.box) > kTaughtOverlap;
        }))
      faces.push_back(face);
}

void add_faces(BoxPicture& picture, const std::vector<Detection>& found, double sure) {
  constexpr double kAny = std::numeric_limits<double>::infinity();
  if (!picture.without_boxes)
    return add_apart(picture.faces, taught_boxes(found, sure, kAny, kUnlabelled, true));
  const int label = picture.class_of_faces;
  std::vector<FaceBox> faces = taught_boxes(found, sure, kAny, label, false);
  if (faces.empty() || (faces.size() > 1 && label != kUnlabelled)) return;
  picture.faces = std::move(faces);
  add_apart(picture.faces, taught_boxes(found, kFaintestTaught, sure, kUnlabelled, true));
}

}  // namespace

TaughtFaces teach(DetectionPictures& pictures, std::vector<int>& chosen,
                  const TeacherOptions& options) {
  if (!(options.sure >= kFaintestTaught && options.sure <= 1))
    throw std::invalid_argument(
        fmt::format("teach: a least score of {} is not in {}..1", options.sure, kFaintestTaught));
  PerThread<std::unique_ptr<vision::FaceDetector>> detectors(options.make);
  kernels::OneProcess alone;
  const auto picture_of = [&](std::size_t i) -> BoxPicture& {
    return pictures.data.pictures[static_cast<std::size_t>(chosen[i])];
  };
  const std::vector<std::string> found = share_out_on_threads(
      options.communicator ? *options.communicator : alone, chosen.size(),
      [&](std::size_t i) {
        MessageWriter message;
        if (picture_of(i).without_boxes || !picture_of(i).faces.empty()) {
          const auto detector = detectors.take();
          for (const Detection& face :
               (*detector)->detect(pictures.images[static_cast<std::size_t>(chosen[i])]))
            message.put(face);
        }
        return message.bytes();
      },
      [&](std::size_t done) {
        if (options.progress) options.progress(static_cast<std::int64_t>(done));
      });
  TaughtFaces taught;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    BoxPicture& picture = picture_of(i);
    const std::size_t before = picture.faces.size();
    std::vector<Detection> faces;
    for (MessageReader reader(found[i]); !reader.at_end();)
      faces.push_back(reader.get<Detection>());
    // Nothing is found in backgrounds, which were not looked at.
    add_faces(picture, faces, options.sure);
    for (std::size_t k = before; k < picture.faces.size(); ++k)
      ++(picture.faces[k].ignored ? taught.ignored : taught.faces);
  }
  const auto nothing = [&](int index) {
    const BoxPicture& picture = pictures.data.pictures[static_cast<std::size_t>(index)];
    return picture.without_boxes && picture.faces.empty();
  };
  taught.left_out = std::erase_if(chosen, nothing);
  return taught;
}

}  // namespace maskwatch::apps
