// Cameras for machines that have none: preloaded (LD_PRELOAD) into a program, it answers for
//   /dev/video41  "Maskwatch Test Camera", YUYV, up to 640x480 at 30 frames a second. It is pulled
//                 out after FAKE_CAMERA_UNPLUG frames, if set, and plugged in again a second later
//   /dev/video42  metadata of that camera, as webcams have; no pictures
//   /dev/video43  no permission
//   /dev/video44  used by another program
// as the kernel does (linux/videodev2.h). Frame k shows luma 16 + 8 (k mod 25), without colour.
// Both open and open64 are defined here, so neither may stand for the other.
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>

namespace {

constexpr unsigned kMostBuffers = 32;
constexpr double kFps = 30, kAway = 1;  // s

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

int fail(int error) {
  errno = error;
  return -1;
}

struct Device {
  int descriptor = -1;
  int number = 0;
  unsigned width = 640, height = 480;
  std::deque<unsigned> queued;
  double started = 0;
  long taken = 0;
  double gone_at = 0;  // 0: plugged in

  unsigned bytes() const { return 2 * width * height; }
  // Of a buffer in memory: mmap wants whole pages.
  unsigned step() const { return (bytes() + 4095) / 4096 * 4096; }
  bool gone() const { return gone_at > 0 && now() < gone_at + kAway; }
};

Device device;

int open_device(int number) {
  if (number == 43) return fail(EACCES);
  if (device.gone()) return fail(ENOENT);
  device = Device();
  device.number = number;
  device.descriptor = memfd_create("fake_camera", MFD_CLOEXEC);
  return device.descriptor;
}

int query(v4l2_capability& found) {
  found = {};
  std::strcpy(reinterpret_cast<char*>(found.driver), "fake");
  std::strcpy(reinterpret_cast<char*>(found.card), "Maskwatch Test Camera");
  const unsigned has = device.number == 42 ? V4L2_CAP_META_CAPTURE : V4L2_CAP_VIDEO_CAPTURE;
  found.device_caps = has | V4L2_CAP_STREAMING;
  found.capabilities =
      V4L2_CAP_DEVICE_CAPS | V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_META_CAPTURE | V4L2_CAP_STREAMING;
  return 0;
}

int format(v4l2_format& wanted, bool set) {
  v4l2_pix_format& pixels = wanted.fmt.pix;
  if (device.number == 42) return fail(EINVAL);
  if (set) {
    if (device.number == 44) return fail(EBUSY);
    device.width = std::clamp(pixels.width & ~1u, 2u, 640u);
    device.height = std::clamp(pixels.height, 2u, 480u);
  }
  pixels = {};
  pixels.width = device.width;
  pixels.height = device.height;
  pixels.pixelformat = V4L2_PIX_FMT_YUYV;
  pixels.field = V4L2_FIELD_NONE;
  pixels.bytesperline = 2 * device.width;
  pixels.sizeimage = device.bytes();
  return 0;
}

int describe_format(v4l2_fmtdesc& wanted) {
  if (wanted.index > 0) return fail(EINVAL);
  wanted.pixelformat = V4L2_PIX_FMT_YUYV;
  return 0;
}

int parameters(v4l2_streamparm& found) {
  found.parm.capture = {};
  found.parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
  found.parm.capture.timeperframe = {1, static_cast<unsigned>(kFps)};
  return 0;
}

int make_buffers(v4l2_requestbuffers& wanted) {
  wanted.count = std::min(wanted.count, kMostBuffers);
  return ftruncate(device.descriptor, static_cast<off_t>(wanted.count) * device.step());
}

void paint(unsigned index) {
  const std::size_t bytes = device.bytes();
  const off_t begin = static_cast<off_t>(index) * device.step();
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, device.descriptor, begin);
  auto* const pixels = static_cast<unsigned char*>(memory);
  for (std::size_t i = 0; i < bytes; i += 4) {
    pixels[i] = pixels[i + 2] = static_cast<unsigned char>(16 + 8 * (device.taken % 25));
    pixels[i + 1] = pixels[i + 3] = 128;
  }
  munmap(memory, bytes);
}

int take(v4l2_buffer& buffer) {
  const char* const unplug = std::getenv("FAKE_CAMERA_UNPLUG");
  if (unplug != nullptr && device.taken >= std::atol(unplug)) {
    device.gone_at = now();
    return fail(ENODEV);
  }
  const double due = device.started + static_cast<double>(device.taken) / kFps;
  if (device.queued.empty() || now() < due) return fail(EAGAIN);
  buffer.index = device.queued.front();
  device.queued.pop_front();
  paint(buffer.index);
  ++device.taken;
  buffer.bytesused = buffer.length = device.bytes();
  buffer.timestamp = {
      static_cast<time_t>(due),
      static_cast<suseconds_t>((due - static_cast<double>(static_cast<time_t>(due))) * 1e6)};
  buffer.flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
  return 0;
}

int answer(unsigned long request, void* argument) {
  if (device.gone()) return fail(ENODEV);
  auto& buffer = *static_cast<v4l2_buffer*>(argument);
  switch (static_cast<unsigned>(request)) {
    case VIDIOC_QUERYCAP:
      return query(*static_cast<v4l2_capability*>(argument));
    case VIDIOC_G_INPUT:
      return *static_cast<int*>(argument) = 0;
    case VIDIOC_ENUMINPUT:
      return static_cast<v4l2_input*>(argument)->std = 0;
    case VIDIOC_ENUM_FMT:
      return describe_format(*static_cast<v4l2_fmtdesc*>(argument));
    case VIDIOC_G_FMT:
      return format(*static_cast<v4l2_format*>(argument), false);
    case VIDIOC_S_FMT:
      return format(*static_cast<v4l2_format*>(argument), true);
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM:
      return parameters(*static_cast<v4l2_streamparm*>(argument));
    case VIDIOC_REQBUFS:
      return make_buffers(*static_cast<v4l2_requestbuffers*>(argument));
    case VIDIOC_QUERYBUF:
      buffer.length = device.bytes();
      buffer.m.offset = buffer.index * device.step();
      return 0;
    case VIDIOC_QBUF:
      device.queued.push_back(buffer.index);
      return 0;
    case VIDIOC_DQBUF:
      return take(buffer);
    case VIDIOC_STREAMON:
      device.started = now();
      return 0;
    case VIDIOC_STREAMOFF:
      return 0;
    default:
      return fail(ENOTTY);
  }
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int open_by(const char* name, const char* path, int flags, int mode) {
  int number = 0;
  if (std::sscanf(path, "/dev/video%d", &number) == 1 && number >= 41 && number <= 44)
    return open_device(number);
  return real<int(const char*, int, ...)>(name)(path, flags, mode);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, int) : 0;
  va_end(rest);
  return open_by("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, int) : 0;
  va_end(rest);
  return open_by("open64", path, flags, mode);
}

int ioctl(int descriptor, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  if (descriptor >= 0 && descriptor == device.descriptor) return answer(request, argument);
  return real<int(int, unsigned long, ...)>("ioctl")(descriptor, request, argument);
}

int close(int descriptor) {
  if (descriptor >= 0 && descriptor == device.descriptor) device.descriptor = -1;
  return real<int(int)>("close")(descriptor);
}

}  // extern "C"
