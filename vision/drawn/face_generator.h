// Drawn faces with known truth: a shaded head of random build, hair, glasses, beard, light and
// background, with a mask or without, its 68 landmarks, its box, and which pixels the mask covers.
// For the demo, and for tests that need to know what is in a picture. The same parameters give the
// same bytes.
#pragma once

#include <array>
#include <cstdint>

#include "vision/image/draw.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

enum class MaskKind { none, surgical, cloth, n95 };
enum class MaskPattern { plain, stripes, dots, checks, flowers };
enum class MaskWear { proper, under_nose, on_chin };
enum class HairStyle { bald, cropped, fringe, parted, long_hair };
enum class BeardKind { none, stubble, moustache, full };
enum class Glasses { none, thin, thick, dark };
enum class Backdrop { plain, gradient, blobs, stripes, room, outdoors };

struct FaceParameters {
  std::uint64_t seed = 0;  // of textures and backdrop

  // Degrees: yaw turns to the picture's right, pitch down, roll clockwise.
  float yaw = 0, pitch = 0, roll = 0;

  Color skin{224, 172, 140}, hair{60, 40, 25}, iris{90, 60, 30}, lips{190, 95, 90};
  Color clothes{60, 70, 110};
  // Builds: 1 is average.
  float face_width = 1, jaw_width = 1, nose_length = 1, nose_width = 1, eye_size = 1;
  float mouth_width = 1, brow_thickness = 1;
  float eye_open = 1;    // 0 closed .. 1.3
  float brow_lift = 0;   // -1 .. 1
  float smile = 0;       // -1 .. 1
  float mouth_open = 0;  // 0 .. 1
  float gaze = 0;        // -1 .. 1
  HairStyle hair_style = HairStyle::cropped;
  BeardKind beard = BeardKind::none;
  Glasses glasses = Glasses::none;
  bool scarf = false;  // around the neck, below the chin
  bool hand = false;   // before the mouth

  MaskKind mask = MaskKind::none;
  MaskPattern pattern = MaskPattern::plain;
  MaskWear wear = MaskWear::proper;
  Color mask_color{150, 190, 225}, pattern_color{255, 255, 255};

  float light_x = -.4f, light_y = -.5f;  // where it comes from; z is 1
  float light_strength = .6f;            // 0 flat .. 1 hard
  float warmth = 0;                      // -1 bluish .. 1 yellowish

  Backdrop backdrop = Backdrop::gradient;
  Color backdrop_a{120, 140, 160}, backdrop_b{60, 70, 80};

  float size = .58f;                     // height of the face as a share of the picture's
  float centre_x = .5f, centre_y = .5f;  // of the face, as shares of the picture
  float blur = 0, noise = 0;             // pixels; grey levels
};

// A random face from `seed`; the same seed with and without a mask gives the same person in the
// same place.
FaceParameters random_face(std::uint64_t seed, bool with_mask);

struct DrawnFace {
  Image picture;
  std::array<Point, 68>
      landmarks;  // iBUG / dlib order, in pixels, those hidden behind the head or a mask too
  Box box;        // forehead to chin, cheek to cheek
  Image mask;     // grey, 255 where the mask is seen; all 0 without one
};

// Throws std::invalid_argument for sizes outside 8..8192 and a face that is not above 0 high or not
// at a finite place.
DrawnFace draw_face(const FaceParameters& parameters, int width, int height);

// Draws head, neck and shoulders onto a scene so that the upright face would fill `box` (about 0.9
// times as wide as high); backdrop, blur and noise are left alone. `picture` of the result stays
// empty. `samples` x `samples` a pixel. Throws std::invalid_argument for a scene that is empty or
// not RGB or a box that is not finite, empty or higher than 65536.
DrawnFace draw_face_into(Image& scene, const Box& box, const FaceParameters& parameters,
                         int samples = 3);

// The backdrop of `parameters` alone, for scenes with several faces.
Image draw_backdrop(const FaceParameters& parameters, int width, int height);

}  // namespace maskwatch::vision
