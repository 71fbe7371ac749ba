// The cameras of this machine, as Video4Linux2 shows them (/dev/video0, /dev/video1, ...).
#pragma once

#include <string>
#include <vector>

namespace maskwatch::vision {

struct Camera {
  std::string name;     // as the driver calls it
  std::string device;   // "/dev/video0"
  std::string problem;  // why it cannot be opened now; empty if it can
};

// Devices that capture pictures, in the order of their numbers. Asks the drivers only: no picture
// is taken. A device that this user may not open is listed with its problem.
std::vector<Camera> list_cameras();

}  // namespace maskwatch::vision
