// Frames from wherever they come: cameras (Video4Linux2), files, network streams and lavfi graphs
// through the FFmpeg libraries, and folders of pictures.
// Frames are upright 8-bit RGB of square pixels (display matrix and sample aspect ratio of the
// stream, or of its pictures, are applied).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "vision/image/image.h"
#include "vision/video/camera_list.h"
#include "vision/video/stream_address.h"

namespace maskwatch::vision {

struct VideoFrame {
  Image image;
  // s, from the source's timestamps, or from the wall clock for a live source that has none: starts
  // at 0 and always rises.
  double time = 0;
  std::int64_t number = 0;                        // 0, 1, ...: frames that this source gave before
  std::chrono::steady_clock::time_point arrived;  // its data, which had yet to be decoded
};

struct VideoSourceOptions {
  // s without data until a stream, camera or pipe counts as lost; four times that where data comes
  // in segments.
  double timeout = 5;
  bool reconnect = true;  // to a live source that was lost, for ever
  bool wait = false;      // for a live source that is not there yet, as for one that was lost
  // s from one attempt at reconnecting to the next: first, then doubled up to the most.
  double backoff_first = .25;
  double backoff_most = 1.5;
  int width = 0;  // asked of a camera; 0: as it is set
  int height = 0;
  double fps = 0;           // asked of a camera; of a folder of pictures (0: 25)
  int rotate = 0;           // degrees clockwise (0, 90, 180, 270), beyond what the source tells
  bool flip = false;        // then exchange left and right
  int threads = 0;          // of the decoder; 0: as many as there are cores
  std::string format = {};  // FFmpeg's name of an input format, such as "lavfi"; empty: guessed
  std::optional<bool> live = {};  // overrides what live() would guess, but of files and folders
  // When this becomes true (a signal handler may set it), open and read give up within 0.1 s.
  const std::atomic<bool>* stop = nullptr;
};

// The path that a file:// address of this machine names (RFC 8089); any other source as it is.
std::string without_file_scheme(const std::string& source);

class VideoSource {
 public:
  enum class Status {
    frame,         // `frame` was filled
    end,           // there is nothing more; message() tells why if it was not a clean end
    reconnecting,  // a live source was lost; message() tells why; call read again to go on
  };

  // `source` is (without_file_scheme) a camera ("0", "/dev/video0", or a part of the name that
  // list_cameras gives), a file, a named pipe, a folder of pictures (natural order of names), an
  // address (rtsp, http, https, udp, rtp, tcp, srt, rtmp, ...) or "lavfi:GRAPH". Waits for the
  // first frame, so that everything wrong with the source shows here. Throws std::runtime_error
  // that names it and says what is wrong (Unavailable, of base/unavailable.h, where the source is
  // away: no data, no answer, no such camera), std::invalid_argument for another `rotate`. With
  // options.wait a camera or address that is away is not waited for here: read() connects to it.
  static std::unique_ptr<VideoSource> open(const std::string& source,
                                           const VideoSourceOptions& options = {});
  virtual ~VideoSource() = default;

  // The next frame, into the memory of frame.image. Blocks until there is one; for a lost live
  // source it returns `reconnecting` at once, then blocks for one attempt (a pause, then at most
  // the time-out) in each further call. A stream whose first picture takes a second at most is
  // back within 3 s, whatever its server did before. Only one thread may read.
  virtual Status read(VideoFrame& frame) = 0;

  // From any thread: a read that blocks, and every later one, gives `end` within about 0.1 s (but
  // a host name that is being looked up is waited for).
  virtual void interrupt() = 0;

  virtual SourceKind kind() const = 0;
  // False for a source that was away when it was opened, until its first frame: what is told below
  // is a guess until then, and its size 0.
  virtual bool met() const { return true; }

  // Whether frames come at their own pace and are lost if nobody reads them.
  virtual bool live() const = 0;
  // Whether a live source's frames come many at a time, in segments (HLS, DASH): they are to be
  // shown by their times, and what is not read yet waits for a while.
  virtual bool bursts() const { return false; }
  virtual double fps() const = 0;  // nominal; 25 if the source does not say
  // Of the latest frame; it may change in mid-stream.
  virtual int width() const = 0;
  virtual int height() const = 0;
  // Name and kind for people; passwords in addresses are hidden here and in every message.
  virtual std::string description() const = 0;
  virtual std::string message() const = 0;
  // What was asked of a camera and what it gives instead, or what the source tells of itself that
  // cannot be; empty if there is nothing of that kind.
  virtual std::string note() const { return ""; }
};

}  // namespace maskwatch::vision
