// What the FFmpeg libraries need to be safe to hold in C++: owners, errors as words, their log as
// messages instead of lines on a terminal, and a watch that ends blocking calls.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
#include <libswscale/swscale.h>
}

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace maskwatch::vision::ffmpeg {

// Of a frame, as it comes and as it is stretched.
constexpr std::int64_t kMostFramePixels = std::int64_t{1} << 26;

struct Free {
  void operator()(AVFormatContext* input) const { avformat_close_input(&input); }
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
struct FreeOutput {
  void operator()(AVFormatContext* output) const { avformat_free_context(output); }
};
using Input = std::unique_ptr<AVFormatContext, Free>;
using Output = std::unique_ptr<AVFormatContext, FreeOutput>;
using Codec = std::unique_ptr<AVCodecContext, Free>;
using Frame = std::unique_ptr<AVFrame, Free>;
using Packet = std::unique_ptr<AVPacket, Free>;
using Scaler = std::unique_ptr<SwsContext, Free>;

Frame make_frame();
Packet make_packet();

// Key-value options for a call; what the call did not take remains.
class Dictionary {
 public:
  Dictionary() = default;
  ~Dictionary() { av_dict_free(&entries_); }
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;
  void set(const char* key, const std::string& value) {
    av_dict_set(&entries_, key, value.c_str(), 0);
  }
  AVDictionary** get() { return &entries_; }

 private:
  AVDictionary* entries_ = nullptr;
};

// Opens the network, bounds single blocks of memory and takes over the log: once for the process.
void prepare();

// Makes the formats of cameras and of FFmpeg's filters known, by a library that brings a hundred
// others with it: so it is loaded only here. std::runtime_error says why it cannot be. After
// prepare().
void load_devices();

std::string error_text(int error);

double steady_seconds();

// One conversion of swscale, kept while its sizes, formats and colours stay. (sws_getCachedContext
// compares flags that swscale itself changes, so it makes most contexts anew for every picture.)
struct Scaling {
  int width = 0, height = 0;
  AVPixelFormat format = AV_PIX_FMT_NONE;
  int matrix = SWS_CS_DEFAULT;  // SWS_CS_*, of a YUV side
  bool full_range = false;      // of a YUV side
  int to_width = 0, to_height = 0;
  AVPixelFormat to_format = AV_PIX_FMT_NONE;
  bool operator==(const Scaling&) const = default;
};

class ScalerCache {
 public:
  // Null if swscale cannot do it. RGB is of full range.
  SwsContext* get(const Scaling& wanted);

 private:
  Scaling made_;
  Scaler scaler_;
};

// Errors that FFmpeg logs in this thread while this lives.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  // The latest line, without its end; empty if there was none.
  const std::string& last() const { return last_; }

 private:
  friend void log_line(void*, int, const char*, va_list);
  std::string last_;
  LogCapture* outer_;
};

// Ends FFmpeg's blocking calls at a deadline or on request. interrupt() may come from any thread.
class Watch {
 public:
  explicit Watch(const std::atomic<bool>* stop) : stop_(stop) {}
  // Interrupted with `whole` too, which lives longer.
  explicit Watch(const Watch* whole) : whole_(whole) {}
  void interrupt() { interrupted_ = true; }
  bool interrupted() const {
    return interrupted_ || (stop_ != nullptr && *stop_) ||
           (whole_ != nullptr && whole_->interrupted());
  }
  void allow(double seconds);  // from now on; 0: for ever
  bool expired() const;
  // Sleeps, unless interrupted.
  void pause(double seconds) const;
  AVIOInterruptCB callback();

 private:
  std::atomic<bool> interrupted_ = false;
  const std::atomic<bool>* stop_ = nullptr;
  const Watch* whole_ = nullptr;
  std::atomic<std::int64_t> deadline_ = 0;  // ns of the steady clock; 0: none
};

}  // namespace maskwatch::vision::ffmpeg
