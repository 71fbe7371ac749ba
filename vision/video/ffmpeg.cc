#include "vision/video/ffmpeg.h"

extern "C" {
#include <libavdevice/version.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
}

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

namespace maskwatch::vision::ffmpeg {
namespace {

thread_local LogCapture* capture = nullptr;

constexpr std::size_t kLargestBlock = std::size_t{1} << 30;

std::int64_t now_in_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int asks_to_end(void* watch) {
  const Watch& it = *static_cast<const Watch*>(watch);
  return it.interrupted() || it.expired();
}

}  // namespace

void log_line(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR || capture == nullptr) return;
  char line[512];
  int prefix = 0;
  av_log_format_line2(context, level, format, arguments, line, sizeof(line), &prefix);
  // "[mov,mp4 @ 0x55...] what happened"
  std::string text = line;
  if (const std::size_t end = text.find("] "); text.starts_with('[') && end != std::string::npos)
    text.erase(0, end + 2);
  while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
  if (!text.empty()) capture->last_ = text;
}

Frame make_frame() {
  Frame frame(av_frame_alloc());
  if (!frame) throw std::bad_alloc();
  return frame;
}

Packet make_packet() {
  Packet packet(av_packet_alloc());
  if (!packet) throw std::bad_alloc();
  return packet;
}

void prepare() {
  static std::once_flag once;
  std::call_once(once, [] {
    av_log_set_callback(log_line);
    av_max_alloc(kLargestBlock);
    avformat_network_init();
  });
}

void load_devices() {
  static const std::string fault = [] {
    const char* const name = "libavdevice.so." AV_STRINGIFY(LIBAVDEVICE_VERSION_MAJOR);
    void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    void* const found = library ? dlsym(library, "avdevice_register_all") : nullptr;
    if (found == nullptr) return std::string(dlerror());
    reinterpret_cast<void (*)()>(found)();
    return std::string();
  }();
  if (!fault.empty())
    throw std::runtime_error("FFmpeg's library of devices cannot be used: " + fault);
}

double steady_seconds() { return static_cast<double>(now_in_ns()) / 1e9; }

std::string error_text(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof(text));
  return text;
}

SwsContext* ScalerCache::get(const Scaling& wanted) {
  if (scaler_ && wanted == made_) return scaler_.get();
  made_ = wanted;
  scaler_.reset(sws_getContext(wanted.width, wanted.height, wanted.format, wanted.to_width,
                               wanted.to_height, wanted.to_format, SWS_BILINEAR, nullptr, nullptr,
                               nullptr));
  if (!scaler_) return nullptr;
  const AVPixFmtDescriptor* const to = av_pix_fmt_desc_get(wanted.to_format);
  const bool to_rgb = (to->flags & AV_PIX_FMT_FLAG_RGB) != 0;
  const int* const matrix = sws_getCoefficients(wanted.matrix);
  constexpr int one = 1 << 16;  // of brightness, contrast and saturation, in 16.16
  // Refused for conversions without a YUV side, where nothing is to be set.
  sws_setColorspaceDetails(scaler_.get(), matrix, to_rgb ? wanted.full_range : 1, matrix,
                           to_rgb ? 1 : wanted.full_range, 0, one, one);
  return scaler_.get();
}

LogCapture::LogCapture() : outer_(capture) { capture = this; }
LogCapture::~LogCapture() { capture = outer_; }

void Watch::allow(double seconds) {
  deadline_ = seconds > 0 ? now_in_ns() + static_cast<std::int64_t>(seconds * 1e9) : 0;
}

bool Watch::expired() const { return deadline_ != 0 && now_in_ns() > deadline_; }

void Watch::pause(double seconds) const {
  constexpr double slice = 0.02;
  const std::int64_t end = now_in_ns() + static_cast<std::int64_t>(seconds * 1e9);
  while (!interrupted()) {
    const double left = static_cast<double>(end - now_in_ns()) / 1e9;
    if (left <= 0) return;
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(left, slice)));
  }
}

AVIOInterruptCB Watch::callback() { return {asks_to_end, this}; }

}  // namespace maskwatch::vision::ffmpeg
