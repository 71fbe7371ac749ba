// One opened input of FFmpeg and the decoder of its video stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vision/video/ffmpeg.h"
#include "vision/video/frame_converter.h"
#include "vision/video/stream_address.h"
#include "vision/video/stream_pipe.h"
#include "vision/video/video_source.h"

namespace maskwatch::vision {

class StreamDecoder {
 public:
  // Connects and finds the decoder. Throws std::runtime_error that says what is wrong, without the
  // name: Unavailable where it may come right by itself. It may hold passwords (hide_passwords), as
  // may problem().
  StreamDecoder(const StreamAddress& address, const VideoSourceOptions& options,
                std::shared_ptr<ffmpeg::Watch> watch);
  ~StreamDecoder();

  // As next(), but a stream without a picture is a fault, as of the constructor.
  const AVFrame* first();
  // The next picture, or null at the end, whose reason problem() then tells. The frame stays valid
  // until the next call.
  const AVFrame* next();

  // When the data that made the latest picture complete had come.
  std::chrono::steady_clock::time_point arrived() const { return arrived_; }
  // s, if the frame has a time.
  std::optional<double> timestamp(const AVFrame& frame) const;
  // Why there is no further picture; empty for a clean end.
  const std::string& problem() const { return problem_; }
  // Of the stream where it tells one, else of the picture.
  Orientation orientation(const AVFrame& frame) const;
  // Width by height of a pixel, as it is told.
  AVRational told_aspect(const AVFrame& frame) const;
  bool live() const { return live_; }
  bool segmented() const;  // its data comes in segments of some seconds (HLS, DASH)
  bool may_jump() const;   // timestamps of this format may start anew
  double fps() const;
  std::string description() const;  // format and codec
  // What a camera gives in place of what was asked for; empty if it gives that.
  std::string unlike(const VideoSourceOptions& wanted) const;

 private:
  using Options = std::vector<std::pair<const char*, std::string>>;
  int try_to_connect(const StreamAddress& address, const Options& options);
  void connect(const StreamAddress& address, const VideoSourceOptions& options);
  void give_up_if_late() const;
  void find_stream(const StreamAddress& address);
  void open_decoder(const VideoSourceOptions& options);
  void allow(double seconds);
  int read_packet();
  bool feed();
  std::string failure(int error) const;
  double promised() const;
  std::string early_end() const;

  const std::shared_ptr<ffmpeg::Watch> watch_;
  double timeout_, allowed_ = 0;  // s
  SourceKind kind_;
  bool live_ = false;
  std::unique_ptr<StreamPipe> pipe_;  // of a pipe; outlives input_
  ffmpeg::Input input_;
  AVStream* stream_ = nullptr;
  ffmpeg::Codec codec_;
  ffmpeg::Frame frame_;
  ffmpeg::Packet packet_;
  std::optional<Orientation> orientation_;  // of the stream
  std::string problem_, log_;
  std::string last_words_;  // of the demuxer, at the end of the file
  std::string doubt_;       // why the first attempt at opening failed
  bool draining_ = false;
  int end_ = 0;               // what ended the reading of packets
  std::int64_t damaged_ = 0;  // packets or pictures
  int damaged_in_a_row_ = 0;
  std::chrono::steady_clock::time_point arrived_;  // the latest packet
  double last_frame_at_ = 0;                       // s, steady clock
  std::int64_t last_end_ = 0;  // where the latest packet ends, in the time base of the stream
};

}  // namespace maskwatch::vision
