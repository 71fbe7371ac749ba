// Videos of drawn people with known truth: who is where in each frame, and who wears a mask. For
// trying the viewer without a camera, and for its tests. People walk along given points, in front
// of each other or behind, come, leave, put masks on and take them off. Each person is drawn once
// with a mask and once without (vision/drawn/face_generator.h) and then only moved, so a frame
// costs about a millisecond. The same arguments give the same bytes.
#pragma once

#include <string>
#include <vector>

#include "vision/drawn/face_generator.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

// Where the middle of a face is at a time; straight on between two points.
struct WalkPoint {
  double time = 0;  // seconds
  double x = 0,
         y = 0;  // shares of the picture's width and height; outside 0..1: not in the picture
};

struct DrawnPerson {
  FaceParameters look;  // position and backdrop are not used; `mask` is what is worn when masked
  double height = .3;   // of the face, as a share of the picture's height
  std::vector<WalkPoint> walk;  // not there before the first point and after the last one
  bool masked = false;          // at first
  std::vector<double> changes;  // when a mask is put on or taken off, in seconds, ascending
};

// The ready-made scenes: "one" (somebody who sways), "mask" (puts a mask on, and takes it off),
// "cross" (two cross, one masked), "leave" (two come and go one after the other), "crowd" (five).
std::vector<std::string> drawn_scenes();
// Lasts about 10 seconds. Throws std::invalid_argument for another name.
std::vector<DrawnPerson> drawn_scene(const std::string& name);

class DrawnVideo {
 public:
  // The first of `people` stands farthest behind. Throws std::invalid_argument for sizes outside
  // 16..8192, a frame rate outside 1..1000, or a person whose height is not in (0, 2].
  DrawnVideo(int width, int height, double fps, std::vector<DrawnPerson> people);

  struct Truth {
    int person = 0;  // index
    Box box;         // of the face; may reach out of the picture
    bool masked = false;
    float visible = 1;  // share of the face's box inside the picture and not behind others' heads
  };

  Image frame(int index) const;
  // Of everybody who is there, in the order of the people.
  std::vector<Truth> truth(int index) const;

  double fps() const { return fps_; }
  // Until the last walk ends.
  int frames() const;

 private:
  // A picture whose pixels are already multiplied by how much they cover.
  struct Sprite {
    Image colors;
    Image cover;  // grey
    Box face;     // in the sprite
  };
  Sprite draw_sprite(const DrawnPerson& person, bool masked) const;
  static void lay(Image& scene, const Sprite& sprite, double left, double top);

  int width_, height_;
  double fps_;
  std::vector<DrawnPerson> people_;
  std::vector<Sprite> sprites_;  // [people][bare, masked]
  Image backdrop_;
};

}  // namespace maskwatch::vision
