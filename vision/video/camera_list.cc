#include "vision/video/camera_list.h"

#include <fcntl.h>
#include <linux/videodev2.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace maskwatch::vision {
namespace {

constexpr int kMostDevices = 64;  // of VIDEO_NUM_DEVICES = 256; no machine has more cameras

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
};

// The name that the kernel shows to those who may not open the device.
std::string name_in_sys(int index) {
  std::ifstream file("/sys/class/video4linux/video" + std::to_string(index) + "/name");
  std::string name;
  std::getline(file, name);
  return name.empty() ? "camera" : name;
}

std::string problem_of(int error) {
  if (error == EACCES || error == EPERM)
    return "no permission to use it (its group is usually \"video\")";
  return std::strerror(error);
}

// Devices that give data about pictures, or show them, have numbers too.
bool captures(const v4l2_capability& device) {
  const auto abilities =
      (device.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? device.device_caps : device.capabilities;
  return (abilities & V4L2_CAP_VIDEO_CAPTURE) != 0;
}

}  // namespace

std::vector<Camera> list_cameras() {
  std::vector<Camera> cameras;
  for (int index = 0; index < kMostDevices; ++index) {
    const std::string path = "/dev/video" + std::to_string(index);
    const Descriptor device{open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (device.number < 0) {
      if (errno == ENOENT || errno == ENXIO || errno == ENODEV) continue;
      const int error = errno;
      cameras.push_back({name_in_sys(index), path, problem_of(error)});
      continue;
    }
    v4l2_capability found{};
    if (ioctl(device.number, VIDIOC_QUERYCAP, &found) != 0 || !captures(found)) continue;
    const auto* const name = reinterpret_cast<const char*>(found.card);
    cameras.push_back({std::string(name, strnlen(name, sizeof(found.card))), path, ""});
  }
  return cameras;
}

}  // namespace maskwatch::vision
