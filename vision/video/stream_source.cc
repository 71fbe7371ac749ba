#include "vision/video/stream_source.h"

#include <fmt/format.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>
#include <future>
#include <limits>
#include <stdexcept>
#include <utility>

#include "base/unavailable.h"
#include "vision/video/frame_clock.h"
#include "vision/video/stream_decoder.h"

namespace maskwatch::vision {
namespace {

using ffmpeg::steady_seconds;

// s for the first picture of an attempt at connecting again.
constexpr double kPatience = 1.5;
constexpr double kUnknownFps = 25;
constexpr double kSlower = 1.5;  // than the stream was before
constexpr double kLook = .01;    // s
constexpr double kSettled = 3;   // s after which a connection counts as good

struct Connection {
  std::unique_ptr<StreamDecoder> decoder;
  const AVFrame* first = nullptr;  // its picture that has not been delivered yet
};

Connection connect(const StreamAddress& address, const VideoSourceOptions& options,
                   std::shared_ptr<ffmpeg::Watch> watch) {
  Connection made{std::make_unique<StreamDecoder>(address, options, std::move(watch))};
  made.first = made.decoder->first();
  return made;
}

// Connects, in a thread of its own.
class Attempt {
 public:
  Attempt(const StreamAddress& address, const VideoSourceOptions& options,
          const ffmpeg::Watch& source)
      : begun(steady_seconds()),
        watch_(std::make_shared<ffmpeg::Watch>(&source)),
        result_(std::async(std::launch::async, connect, address, options, watch_)) {}
  ~Attempt() {
    if (result_.valid()) give_up();  // what was taken lives on
  }

  void give_up() { watch_->interrupt(); }
  bool given_up() const { return watch_->interrupted(); }
  bool done() const {
    return result_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  Connection take() { return result_.get(); }

  const double begun;  // s, steady clock

 private:
  const std::shared_ptr<ffmpeg::Watch> watch_;
  std::future<Connection> result_;
};

// Each attempt, and each thread of a decoder, has memory of an arena of its own in glibc; what a
// lost connection leaves free there would wait for a thread that comes upon the same arena.
void return_free_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

class StreamSource final : public VideoSource {
 public:
  StreamSource(const StreamAddress& address, const VideoSourceOptions& options)
      : address_(address),
        options_(options),
        asked_(turned(options.rotate, options.flip)),
        watch_(options.stop) {
    Attempt attempt(address_, options_, watch_);
    try {
      use(attempt.take(), attempt.begun);
    } catch (const Unavailable& error) {
      if (!may_be_waited_for()) throw Unavailable(named(error.what()));
      schedule(attempt.begun, error.what());
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(named(error.what()));
    }
  }

  Status read(VideoFrame& frame) override {
    if (ended_ || watch_.interrupted()) return Status::end;
    if (!met_ && std::exchange(untold_, false)) return Status::reconnecting;
    forget_given_up();
    if (!decoder_ && !connect_again()) return stopped_or(Status::reconnecting);
    const AVFrame* picture = std::exchange(first_, nullptr);
    if (picture == nullptr) picture = decoder_->next();
    if (picture == nullptr) return lost();
    deliver(*picture, frame);
    return Status::frame;
  }

  void interrupt() override { watch_.interrupt(); }
  SourceKind kind() const override { return address_.kind; }
  bool met() const override { return met_; }
  bool live() const override { return live_; }
  bool bursts() const override { return bursts_; }
  double fps() const override { return fps_; }
  int width() const override { return width_; }
  int height() const override { return height_; }
  std::string description() const override { return description_; }
  std::string message() const override { return message_; }
  std::string note() const override { return note_; }

 private:
  // Every text that leaves goes through here: FFmpeg's log shows addresses of its own too, such as
  // those in a playlist.
  std::string named(const std::string& text) const {
    return hide_passwords(address_.name + ": " + text);
  }

  void use(Connection connection, double begun) {
    decoder_ = std::move(connection.decoder);
    first_ = connection.first;
    usual_ = std::min(usual_, steady_seconds() - begun);
    fps_ = decoder_->fps();
    note_size(*first_);
    if (!met_) meet();
    connected_at_ = steady_seconds();
    clock_.connected(connected_at_);
  }

  void meet() {
    met_ = true;
    live_ = decoder_->live();
    bursts_ = live_ && decoder_->segmented();
    clock_ = FrameClock(live_, decoder_->may_jump());
    description_ = named(decoder_->description());
    note_ = told_otherwise();
  }

  bool may_be_waited_for() const {
    const bool usually_live =
        address_.kind == SourceKind::camera || address_.kind == SourceKind::network;
    return options_.wait && options_.reconnect && options_.live.value_or(usually_live) &&
           may_come_again();
  }

  // s until an attempt is no longer waited for alone. A camera, and a port at which packets just
  // arrive, can only be waited for.
  double patience() const {
    const bool asks = address_.kind == SourceKind::network && !address_.url.starts_with("udp:") &&
                      !address_.url.starts_with("rtp:");
    return asks ? std::max(kPatience, kSlower * usual_) : std::numeric_limits<double>::infinity();
  }

  // A server that takes a connection and then says nothing, as one that hangs does, must not hold
  // up the one that takes its place; a slow one needs its time. So the first attempt to outlast the
  // patience goes on beside newer ones, for as long as the time-out lets it.
  bool connect_again() {
    for (; !watch_.interrupted(); watch_.pause(kLook)) {
      forget_given_up();
      if (aside_ && aside_->done() && succeeded(aside_)) return true;
      if (attempt_ && attempt_->done()) return succeeded(attempt_);
      const double now = steady_seconds();
      if (attempt_ && !attempt_->given_up() && now > attempt_->begun + patience()) {
        schedule(attempt_->begun, fmt::format("no picture for {:.1f} s", patience()));
        if (aside_)
          attempt_->give_up();
        else
          aside_ = std::move(attempt_);
        return false;
      }
      if (!attempt_ && now >= next_attempt_)
        attempt_ = std::make_unique<Attempt>(address_, options_, watch_);
    }
    return false;
  }

  bool succeeded(std::unique_ptr<Attempt>& attempt) {
    const std::unique_ptr<Attempt> done = std::move(attempt);
    try {
      Connection made = done->take();
      // It would play from its beginning; once its encoder runs again it is live again.
      if (bursts_ && !made.decoder->live())
        throw std::runtime_error("the playlist says that it has ended");
      use(std::move(made), done->begun);
    } catch (const std::runtime_error& error) {
      schedule(done->begun, error.what());
      return false;
    }
    message_.clear();
    for (const auto& other : {attempt_.get(), aside_.get()})
      if (other != nullptr) other->give_up();
    return true;
  }

  // Not waited for: a name that is being looked up may take long.
  void forget_given_up() {
    for (auto* attempt : {&attempt_, &aside_})
      if (*attempt && (*attempt)->given_up() && (*attempt)->done()) attempt->reset();
  }

  // The next attempt, in a pause that doubles, counted from when the latest one began.
  void schedule(double from, const std::string& reason) {
    backoff_ = std::clamp(2 * backoff_, options_.backoff_first, options_.backoff_most);
    next_attempt_ = from + backoff_;
    const double wait = next_attempt_ - steady_seconds();
    message_ = named(reason + "; connecting again");
    if (wait > .05) message_ += fmt::format(" in {:.1f} s", wait);
  }

  Status stopped_or(Status status) const { return watch_.interrupted() ? Status::end : status; }

  Status lost() {
    const std::string problem = decoder_->problem();
    decoder_.reset();
    return_free_memory();
    if (live_ && options_.reconnect && !watch_.interrupted() && may_come_again()) {
      // A source that breaks off at once, again and again, is left alone for longer and longer.
      if (steady_seconds() - connected_at_ > kSettled) backoff_ = 0;
      schedule(steady_seconds(), "lost: " + problem);
      return Status::reconnecting;
    }
    ended_ = true;
    if (!watch_.interrupted() && !problem.empty()) message_ = named(problem);
    return Status::end;
  }

  // A named pipe may get another writer; what was opened for us, such as /dev/stdin, has had its.
  bool may_come_again() const {
    return address_.kind != SourceKind::pipe || !address_.url.starts_with("/dev/");
  }

  // What the source is, and is not shown as; empty if there is nothing of that kind.
  std::string told_otherwise() const {
    const std::string unlike = decoder_->unlike(options_);
    if (!unlike.empty()) return named(unlike);
    const AVRational told = decoder_->told_aspect(*first_);
    if (!is_absurd_aspect(told)) return "";
    return named(
        fmt::format("its pixels are said to have a width by height of {}:{}, which no "
                    "video has; they are shown as squares",
                    told.num, told.den));
  }

  double aspect(const AVFrame& picture) const {
    return pixel_aspect(decoder_->told_aspect(picture));
  }

  Orientation orientation(const AVFrame& picture) const {
    return then(decoder_->orientation(picture), asked_);
  }

  void note_size(const AVFrame& picture) {
    const ImageSize size = square_pixel_size(picture.width, picture.height, aspect(picture));
    const bool turned = orientation(picture).swap_axes;
    width_ = turned ? size.height : size.width;
    height_ = turned ? size.width : size.height;
  }

  void deliver(const AVFrame& picture, VideoFrame& frame) {
    note_size(picture);
    try {
      converter_.convert(picture, aspect(picture), orientation(picture), frame.image);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(named(error.what()));
    }
    frame.time = clock_.next(decoder_->timestamp(picture), steady_seconds(), 1 / fps_);
    frame.number = count_++;
    frame.arrived = decoder_->arrived();
  }

  const StreamAddress address_;
  const VideoSourceOptions options_;
  const Orientation asked_;
  ffmpeg::Watch watch_;
  std::unique_ptr<StreamDecoder> decoder_;  // null while a live source is lost
  const AVFrame* first_ = nullptr;          // of a new connection, not delivered yet
  FrameConverter converter_;
  FrameClock clock_{false, false};
  std::string description_ = address_.name, message_, note_;
  bool met_ = false;  // it was connected to at least once
  bool untold_ = true;
  bool live_ = true, bursts_ = false, ended_ = false;
  double fps_ = kUnknownFps, backoff_ = 0, next_attempt_ = 0, connected_at_ = 0;
  double usual_ = std::numeric_limits<double>::infinity();  // s from an attempt to its picture
  int width_ = 0, height_ = 0;
  std::int64_t count_ = 0;
  std::unique_ptr<Attempt> attempt_, aside_;
};

}  // namespace

std::unique_ptr<VideoSource> open_stream(const StreamAddress& address,
                                         const VideoSourceOptions& options) {
  ffmpeg::prepare();
  return std::make_unique<StreamSource>(address, options);
}

}  // namespace maskwatch::vision
