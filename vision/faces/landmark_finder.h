// The interface of every way to find the 68 landmarks, and how the one is made that the programs'
// --landmarks names.
#pragma once

#include <memory>
#include <string>

#include "vision/faces/landmarks.h"

namespace maskwatch::vision {

class LandmarkFinder {
 public:
  virtual ~LandmarkFinder() = default;

  // The points of the face in `face`, a box as any face detector gives it: a first answer says
  // where the box should have been for this model, a second one gives points and spread. Not for
  // two threads at once. Throws std::invalid_argument for an empty or malformed picture and a box
  // that holds no pixel of it.
  virtual LandmarkFit find(const Image& image, const Box& face) = 0;

  // Whether points with this spread are those of a face.
  virtual bool holds(const LandmarkFit& fit) const = 0;

  // The same finder for another thread; what it has read is shared where it can be.
  virtual std::unique_ptr<LandmarkFinder> copy() const = 0;

  // For messages: "dlib (shape_predictor_68_face_landmarks.dat)".
  virtual std::string name() const = 0;

  // What a program must tell its user before it works with this finder; empty: nothing.
  virtual std::string licence() const { return {}; }
};

// `landmarks` is "dlib" (the predictor of Debian's libdlib-data: for research, see
// kLandmarkLicence), or the path of a dlib predictor (.dat) or of a converted landmark network
// (.safetensors). Throws std::invalid_argument for another word and std::runtime_error that names a
// file that is missing or broken.
std::unique_ptr<LandmarkFinder> make_landmark_finder(const std::string& landmarks);

// The square about a face's points that is `side` times as wide as their root mean square distance
// from their middle, and lies higher than it by `above` such distances.
Box box_about(const Landmarks& points, float side, float above);

}  // namespace maskwatch::vision
