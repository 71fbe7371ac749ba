// Cameras, files, network streams and lavfi graphs; one that is live and lost is connected again.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <utility>

#include "vision/frame_clock.h"
#include "vision/stream_address.h"
#include "vision/stream_decoder.h"
#include "vision/video_source.h"

namespace vision {
namespace {

using ffmpeg::steady_seconds;

// s until a server must have answered an attempt at connecting to it again.
constexpr double kAnswer = 2;

class StreamSource final : public VideoSource {
 public:
  StreamSource(const StreamAddress& address, const VideoSourceOptions& options)
      : address_(address), options_(options), watch_(options.stop) {
    const double start = steady_seconds();
    try {
      connect();
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(named(error.what()));
    }
    live_ = decoder_->live();
    clock_ = FrameClock(live_, decoder_->may_jump());
    clock_.connected(start);
    description_ = named(decoder_->description());
  }

  Status read(VideoFrame& frame) override {
    if (ended_ || watch_.interrupted()) return Status::end;
    if (!decoder_ && !connect_again()) return stopped_or(Status::reconnecting);
    const AVFrame* picture = std::exchange(first_, nullptr);
    if (picture == nullptr) picture = decoder_->next();
    if (picture == nullptr) return lost();
    deliver(*picture, frame);
    return Status::frame;
  }

  void interrupt() override { watch_.interrupt(); }
  bool live() const override { return live_; }
  double fps() const override { return fps_; }
  int width() const override { return width_; }
  int height() const override { return height_; }
  std::string description() const override { return description_; }
  std::string message() const override { return message_; }

 private:
  std::string named(const std::string& text) const { return address_.name + ": " + text; }

  // A server that takes a connection and then says nothing, as one that hangs does, is soon left
  // for the one that may have taken its place. A slow one has as long as it took before, and, ever
  // more rarely, the whole time-out.
  double patience() const {
    const bool whole = attempts_ >= 4 && std::has_single_bit(attempts_);
    if (whole || attempts_ == 0) return options_.timeout;
    return std::min(options_.timeout, std::max(kAnswer, 2 * answered_after_));
  }

  void connect() {
    auto decoder = std::make_unique<StreamDecoder>(address_, options_, patience(), watch_);
    first_ = decoder->next();
    if (first_ == nullptr) {
      const std::string& problem = decoder->problem();
      throw std::runtime_error("there is no picture in it that can be decoded" +
                               (problem.empty() ? "" : ": " + problem));
    }
    decoder_ = std::move(decoder);
    answered_after_ = decoder_->answered_after();
    attempts_ = 0;
    fps_ = decoder_->fps();
    note_size(*first_);
  }

  bool connect_again() {
    watch_.pause(next_attempt_ - steady_seconds());
    if (watch_.interrupted()) return false;
    const double start = steady_seconds();
    ++attempts_;
    try {
      connect();
    } catch (const std::runtime_error& error) {
      schedule(start, error.what());
      return false;
    }
    clock_.connected(start);
    message_.clear();
    backoff_ = 0;
    return true;
  }

  // The next attempt, in a pause that doubles, counted from when the latest one began.
  void schedule(double from, const std::string& reason) {
    backoff_ = std::clamp(2 * backoff_, options_.backoff_first, options_.backoff_most);
    next_attempt_ = from + backoff_;
    const double wait = std::max(0.0, next_attempt_ - steady_seconds());
    message_ = named(fmt::format("{}; connecting again in {:.1f} s", reason, wait));
  }

  Status stopped_or(Status status) const { return watch_.interrupted() ? Status::end : status; }

  Status lost() {
    const std::string problem = decoder_->problem();
    decoder_.reset();
    if (live_ && options_.reconnect && !watch_.interrupted()) {
      backoff_ = 0;
      schedule(steady_seconds(), "lost: " + problem);
      return Status::reconnecting;
    }
    ended_ = true;
    if (!watch_.interrupted() && !problem.empty()) message_ = named(problem);
    return Status::end;
  }

  void note_size(const AVFrame& picture) {
    const bool turned = decoder_->orientation().swap_axes;
    width_ = turned ? picture.height : picture.width;
    height_ = turned ? picture.width : picture.height;
  }

  void deliver(const AVFrame& picture, VideoFrame& frame) {
    note_size(picture);
    try {
      converter_.convert(picture, decoder_->orientation(), frame.image);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(named(error.what()));
    }
    frame.time = clock_.next(decoder_->timestamp(picture), steady_seconds(), 1 / fps_);
    frame.number = count_++;
  }

  const StreamAddress address_;
  const VideoSourceOptions options_;
  ffmpeg::Watch watch_;
  std::unique_ptr<StreamDecoder> decoder_;  // null while a live source is lost
  const AVFrame* first_ = nullptr;          // of a new connection, not delivered yet
  FrameConverter converter_;
  FrameClock clock_{false, false};
  std::string description_, message_;
  bool live_ = false, ended_ = false;
  double fps_ = 0, backoff_ = 0, next_attempt_ = 0, answered_after_ = 0;
  unsigned attempts_ = 0;  // since the connection was lost
  int width_ = 0, height_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace

std::unique_ptr<VideoSource> open_stream(const StreamAddress& address,
                                         const VideoSourceOptions& options) {
  ffmpeg::prepare();
  return std::make_unique<StreamSource>(address, options);
}

}  // namespace vision
