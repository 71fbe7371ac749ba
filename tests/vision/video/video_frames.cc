// Prints what a video source gives, for tests/vision/video/video_peer_test.py and
// tests/vision/video/video_soak.py:
//   video_frames [--raw FILE] [--record FILE] [--most N] [--for S] [--timeout S] [--backoff S]
//                [--no-reconnect] [--size WxH] [--fps N] [--format NAME] SOURCE
// "source LIVE FPS DESCRIPTION" and "note NOTE" if there is one, then for each frame
// "frame CLOCK NUMBER TIME WIDTH HEIGHT R G B" (CLOCK: s of the wall clock; means of the channels)
// or "lost CLOCK MESSAGE", then "end MESSAGE".
// --list prints the cameras. --raw also writes the pixels.
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "vision/video/video_source.h"
#include "vision/video/video_writer.h"

using namespace maskwatch;

namespace {

std::atomic<bool> stop = false;

struct Arguments {
  std::string source, raw, record;
  long most = 1'000'000'000;
  double seconds = 1e9;
  bool list = false;
  vision::VideoSourceOptions options;
};

Arguments parse(int count, char** values) {
  Arguments result;
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    const auto next = [&] { return i + 1 < count ? values[++i] : ""; };
    if (name == "--raw")
      result.raw = next();
    else if (name == "--record")
      result.record = next();
    else if (name == "--most")
      result.most = std::atol(next());
    else if (name == "--for")
      result.seconds = std::atof(next());
    else if (name == "--timeout")
      result.options.timeout = std::atof(next());
    else if (name == "--backoff")
      result.options.backoff_most = std::atof(next());
    else if (name == "--format")
      result.options.format = next();
    else if (name == "--size")
      std::sscanf(next(), "%dx%d", &result.options.width, &result.options.height);
    else if (name == "--fps")
      result.options.fps = std::atof(next());
    else if (name == "--no-reconnect")
      result.options.reconnect = false;
    else if (name == "--list")
      result.list = true;
    else
      result.source = name;
  }
  result.options.stop = &stop;
  return result;
}

double clock_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void print_frame(const vision::VideoFrame& frame) {
  double sums[3] = {};
  const vision::Image& image = frame.image;
  for (std::size_t i = 0; i < image.pixels.size(); ++i) sums[i % 3] += image.pixels[i];
  const double count = static_cast<double>(image.width) * image.height;
  std::printf("frame %.4f %lld %.6f %d %d %.3f %.3f %.3f\n", clock_now(),
              static_cast<long long>(frame.number), frame.time, image.width, image.height,
              sums[0] / count, sums[1] / count, sums[2] / count);
}

void play(const Arguments& arguments) {
  const double end = clock_now() + arguments.seconds;
  const auto source = vision::VideoSource::open(arguments.source, arguments.options);
  std::printf("source %d %.6f %s\n", source->live(), source->fps(), source->description().c_str());
  if (!source->note().empty()) std::printf("note %s\n", source->note().c_str());
  std::ofstream raw(arguments.raw, std::ios::binary);
  std::unique_ptr<vision::VideoWriter> writer;
  vision::VideoFrame frame;
  while (clock_now() < end && frame.number + 1 < arguments.most) {
    const auto status = source->read(frame);
    if (status == vision::VideoSource::Status::end) break;
    if (status == vision::VideoSource::Status::reconnecting) {
      std::printf("lost %.4f %s\n", clock_now(), source->message().c_str());
      continue;
    }
    print_frame(frame);
    const vision::Image& image = frame.image;
    if (!arguments.raw.empty())
      raw.write(reinterpret_cast<const char*>(image.pixels.data()),
                static_cast<std::streamsize>(image.pixels.size()));
    if (arguments.record.empty()) continue;
    if (!writer)
      writer =
          std::make_unique<vision::VideoWriter>(arguments.record, image.width, image.height,
                                                vision::VideoWriterOptions{.fps = source->fps()});
    writer->write(image, frame.time);
  }
  if (writer) writer->close();
  std::printf("end %s\n", source->message().c_str());
}

}  // namespace

int main(int count, char** values) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::signal(SIGINT, [](int) { stop = true; });
  std::signal(SIGXFSZ, SIG_IGN);
  const Arguments arguments = parse(count, values);
  if (arguments.list)
    for (const vision::Camera& camera : vision::list_cameras())
      std::printf("camera %s|%s|%s\n", camera.device.c_str(), camera.name.c_str(),
                  camera.problem.c_str());
  if (arguments.source.empty()) return 0;
  try {
    play(arguments);
  } catch (const std::exception& error) {
    std::printf("error %s\n", error.what());
    return 2;
  }
  return 0;
}
