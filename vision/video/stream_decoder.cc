#include "vision/video/stream_decoder.h"

extern "C" {
#include <libavutil/avstring.h>
#include <libavutil/avutil.h>
#include <libavutil/common.h>
#include <libavutil/parseutils.h>
}

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/unavailable.h"

namespace maskwatch::vision {
namespace {

using ffmpeg::steady_seconds;
using Kind = SourceKind;

constexpr int kMostDamagedAtEnd = 64;
constexpr double kUsualFps = 25, kLeastFps = 1e-5, kMostFps = 1000;
// A segment lasts up to 10 s, and nothing comes until it is whole.
constexpr double kSegmentTimeouts = 4;
constexpr double kCameraPoll = 0.002;  // s
constexpr double kSameFps = 0.01;      // 29.97 is 30

bool may_block(Kind kind) {
  return kind == Kind::network || kind == Kind::camera || kind == Kind::pipe;
}

using Options = std::vector<std::pair<const char*, std::string>>;

Options network_options() {
  return {{"rtsp_flags", "prefer_tcp"},
          {"reconnect", "1"},  // HTTP: a broken transfer of a file goes on where it broke
          {"reconnect_delay_max", "2"},
          {"overrun_nonfatal", "1"}};  // UDP: packets are lost rather than the stream
}

// What was asked for, then less and less of it.
std::vector<Options> camera_options(const VideoSourceOptions& wanted) {
  Options size, rate;
  if (wanted.width > 0 && wanted.height > 0)
    size = {{"video_size", fmt::format("{}x{}", wanted.width, wanted.height)}};
  if (wanted.fps > 0) rate = {{"framerate", fmt::format("{}", wanted.fps)}};
  Options all = size;
  all.insert(all.end(), rate.begin(), rate.end());
  Options packed = all;
  packed.emplace_back("input_format", "mjpeg");
  // Uncompressed pictures of this width do not fit through USB 2 at 30 frames a second.
  constexpr int large = 1280;
  if (wanted.width >= large) return {packed, all, size, {}};
  return {all, size, {}};
}

// Each is tried where the one before failed.
std::vector<Options> options_for(Kind kind, const VideoSourceOptions& wanted) {
  if (kind == Kind::network) return {network_options()};
  if (kind == Kind::camera) return camera_options(wanted);
  // Formats whose index is scattered through the file, such as fragmented MP4, are read from one
  // end to the other at once, unless that is impossible; a file that was cut plays only so.
  if (kind == Kind::file) return {{}, {{"seekable", "0"}}};
  return {{}};
}

// Whether nothing is wrong with the address: what is behind it does not answer now.
bool is_away(Kind kind, int error) {
  if (error == AVERROR_EXIT) return may_block(kind);
  if (kind == Kind::camera)
    return error == AVERROR(ENOENT) || error == AVERROR(ENODEV) || error == AVERROR(ENXIO) ||
           error == AVERROR(EBUSY) || error == AVERROR(EIO);
  if (kind != Kind::network) return false;
  for (const int away :
       {AVERROR_EOF, AVERROR_HTTP_SERVER_ERROR, AVERROR(ECONNREFUSED), AVERROR(ECONNRESET),
        AVERROR(ECONNABORTED), AVERROR(EPIPE), AVERROR(ETIMEDOUT), AVERROR(EHOSTUNREACH),
        AVERROR(EHOSTDOWN), AVERROR(ENETUNREACH), AVERROR(ENETDOWN),
        AVERROR(EIO)})  // EIO: no such host
    if (error == away) return true;
  return false;
}

[[noreturn]] void fail(Kind kind, int error, const std::string& text) {
  if (is_away(kind, error)) throw Unavailable(text);
  throw std::runtime_error(text);
}

bool other_options_may_help(Kind kind, int error) {
  if (kind == Kind::file) return error == AVERROR_INVALIDDATA || error == AVERROR_EOF;
  return error != AVERROR(ENOENT) && error != AVERROR(EACCES) && error != AVERROR(EBUSY) &&
         error != AVERROR(ENODEV);
}

const AVInputFormat* find_format(const std::string& name) {
  if (name.empty()) return nullptr;
  const AVInputFormat* format = av_find_input_format(name.c_str());
  if (format == nullptr) {
    ffmpeg::load_devices();
    format = av_find_input_format(name.c_str());
  }
  if (format == nullptr)
    throw std::runtime_error(
        fmt::format("the FFmpeg libraries here have no input format \"{}\"", name));
  return format;
}

std::string with_log(const std::string& text, const std::string& log) {
  return log.empty() || text.find(log) != std::string::npos ? text
                                                            : fmt::format("{} ({})", text, log);
}

std::string open_failure(int error, const std::string& log, Kind kind) {
  const std::string because = with_log(ffmpeg::error_text(error), log);
  if (kind == Kind::camera) {
    if (error == AVERROR(EACCES) || error == AVERROR(EPERM))
      return "no permission to use this camera (its group is usually \"video\")";
    if (error == AVERROR(ENOENT) || error == AVERROR(ENODEV) || error == AVERROR(ENXIO))
      return "there is no such camera";
    if (error == AVERROR(EBUSY)) return "the camera is used by another program";
    return "the camera cannot be used: " + because;
  }
  if (kind == Kind::network) return "cannot be opened: " + because;
  if (kind == Kind::graph) return "not a graph that lavfi can run: " + because;
  if (error == AVERROR(EACCES)) return "no permission to read it";
  if (error == AVERROR_INVALIDDATA || error == AVERROR_EOF)
    return "truncated, damaged or not a video: " + because;
  return "cannot be read: " + because;
}

// With the name that people know instead of FFmpeg's.
std::string with_name(std::string text, const StreamAddress& address) {
  if (address.url == address.name || address.url.empty()) return text;
  for (std::size_t at = 0; (at = text.find(address.url, at)) != std::string::npos;)
    text.replace(at, address.url.size(), address.name), at += address.name.size();
  return text;
}

bool scheme_is_of_files(const std::string& url) {
  for (const char* scheme : {"http:", "https:", "ftp:", "sftp:", "smb:"})
    if (url.starts_with(scheme)) return true;
  return false;
}

bool guess_live(const StreamAddress& address, const AVFormatContext& input) {
  if (address.kind == Kind::camera) return true;
  if (address.kind != Kind::network) return false;
  return !scheme_is_of_files(address.url) || input.duration <= 0;
}

int probe(AVFormatContext* input) {
  std::vector<AVDictionary*> options(input->nb_streams, nullptr);
  for (AVDictionary*& of_stream : options) {
    av_dict_set_int(&of_stream, "max_pixels", ffmpeg::kMostFramePixels, 0);
    av_dict_set_int(&of_stream, "threads", 1, 0);
  }
  const int result = avformat_find_stream_info(input, options.empty() ? nullptr : options.data());
  for (AVDictionary*& of_stream : options) av_dict_free(&of_stream);
  return result;
}

// Formats without timestamps, to which FFmpeg gives those of an even rate. What comes from a camera
// at a rate of its own is better told by the clock.
bool makes_times_up(const AVInputFormat& format) {
  const std::string name = format.name;
  return (format.flags & AVFMT_NOTIMESTAMPS) != 0 || name == "h264" || name == "hevc" ||
         name == "m4v";
}

bool draws_text(AVCodecID codec) {
  return codec == AV_CODEC_ID_ANSI || codec == AV_CODEC_ID_BINTEXT || codec == AV_CODEC_ID_XBIN ||
         codec == AV_CODEC_ID_IDF;
}

}  // namespace

StreamDecoder::StreamDecoder(const StreamAddress& address, const VideoSourceOptions& options,
                             std::shared_ptr<ffmpeg::Watch> watch)
    : watch_(std::move(watch)),
      timeout_(options.timeout),
      kind_(address.kind),
      frame_(ffmpeg::make_frame()),
      packet_(ffmpeg::make_packet()) {
  allow(timeout_);
  connect(address, options);
  if (segmented()) timeout_ *= kSegmentTimeouts;
  allow(timeout_);
  find_stream(address);
  live_ = kind_ != Kind::file && options.live.value_or(guess_live(address, *input_));
  open_decoder(options);
  last_frame_at_ = steady_seconds();
}

StreamDecoder::~StreamDecoder() {
  constexpr double farewell = 0.5;  // s that a server may take to hear that we go
  if (may_block(kind_)) watch_->allow(farewell);
  // Pictures and packets of a camera lie in the camera's own memory and go back to it: they go
  // first.
  frame_.reset();
  packet_.reset();
  codec_.reset();
  input_.reset();
  watch_->allow(0);
}

int StreamDecoder::try_to_connect(const StreamAddress& address, const Options& options) {
  const AVInputFormat* const format = find_format(address.format);
  if (kind_ == Kind::pipe) {
    pipe_ = std::make_unique<StreamPipe>(address.url, watch_, timeout_);
    if (pipe_->error() < 0) return pipe_->error();
  }
  ffmpeg::Dictionary entries;
  for (const auto& [key, value] : options) entries.set(key, value);
  AVFormatContext* input = avformat_alloc_context();
  if (input == nullptr) throw std::bad_alloc();
  input->interrupt_callback = watch_->callback();
  if (pipe_) input->pb = pipe_->io();
  if (kind_ == Kind::camera) input->flags |= AVFMT_FLAG_NONBLOCK;
  if (kind_ == Kind::network) input->max_analyze_duration = AV_TIME_BASE;
  // What is read to guess a frame rate is old by the time it is seen.
  if (kind_ != Kind::file && kind_ != Kind::pipe) input->fps_probe_size = 2;
  const int error = avformat_open_input(&input, address.url.c_str(), format, entries.get());
  if (error >= 0) input_.reset(input);
  return error;
}

void StreamDecoder::connect(const StreamAddress& address, const VideoSourceOptions& wanted) {
  int error = 0;
  for (const Options& options : options_for(kind_, wanted)) {
    const ffmpeg::LogCapture log;
    error = try_to_connect(address, options);
    give_up_if_late();
    if (error >= 0) return;
    if (doubt_.empty()) doubt_ = with_name(open_failure(error, log.last(), kind_), address);
    if (!other_options_may_help(kind_, error)) break;
  }
  fail(kind_, error, doubt_);
}

// Some demuxers have words of their own for a call that was ended.
void StreamDecoder::give_up_if_late() const {
  if (watch_->interrupted() || watch_->expired()) fail(kind_, AVERROR_EXIT, failure(AVERROR_EXIT));
}

void StreamDecoder::find_stream(const StreamAddress& address) {
  const ffmpeg::LogCapture log;
  // A camera's driver has told everything already.
  const int error = kind_ == Kind::camera ? 0 : probe(input_.get());
  give_up_if_late();
  if (error < 0) fail(kind_, error, with_name(open_failure(error, log.last(), kind_), address));
  const int index = av_find_best_stream(input_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (index < 0 || (input_->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0 ||
      draws_text(input_->streams[index]->codecpar->codec_id))
    throw std::runtime_error(with_log("there is no video in it", log.last()));
  stream_ = input_->streams[index];
  for (unsigned i = 0; i < input_->nb_streams; ++i)
    if (input_->streams[i] != stream_) input_->streams[i]->discard = AVDISCARD_ALL;
  std::size_t size = 0;
  const std::uint8_t* const matrix =
      av_stream_get_side_data(stream_, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (matrix != nullptr && size >= 9 * sizeof(std::int32_t))
    orientation_ = orientation_of(reinterpret_cast<const std::int32_t*>(matrix));
}

void StreamDecoder::open_decoder(const VideoSourceOptions& options) {
  const AVCodecParameters& parameters = *stream_->codecpar;
  const AVCodec* const decoder = avcodec_find_decoder(parameters.codec_id);
  if (decoder == nullptr) {
    char tag[AV_FOURCC_MAX_STRING_SIZE];
    throw std::runtime_error(fmt::format(
        "its codec is unknown to the FFmpeg libraries here: {} (\"{}\")",
        avcodec_get_name(parameters.codec_id), av_fourcc_make_string(tag, parameters.codec_tag)));
  }
  if (static_cast<std::int64_t>(parameters.width) * parameters.height > ffmpeg::kMostFramePixels)
    throw std::runtime_error(
        fmt::format("pictures of {}x{} pixels are too large", parameters.width, parameters.height));
  codec_.reset(avcodec_alloc_context3(decoder));
  if (!codec_) throw std::bad_alloc();
  const ffmpeg::LogCapture log;
  int error = avcodec_parameters_to_context(codec_.get(), &parameters);
  codec_->pkt_timebase = stream_->time_base;
  codec_->max_pixels = ffmpeg::kMostFramePixels;
  codec_->thread_count = options.threads;
  // Every thread that works on a frame of its own holds that frame back.
  codec_->thread_type = live_ ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE;
  if (live_) codec_->flags |= AV_CODEC_FLAG_LOW_DELAY;
  if (error >= 0) error = avcodec_open2(codec_.get(), decoder, nullptr);
  if (error < 0)
    throw std::runtime_error(fmt::format("the decoder of {} cannot be opened: {}", decoder->name,
                                         with_log(ffmpeg::error_text(error), log.last())));
}

void StreamDecoder::allow(double seconds) {
  allowed_ = seconds;
  watch_->allow(may_block(kind_) ? seconds : 0);
}

int StreamDecoder::read_packet() {
  const ffmpeg::LogCapture log;
  allow(timeout_);
  int error = 0;
  do {
    av_packet_unref(packet_.get());
    if (watch_->interrupted() || watch_->expired()) return AVERROR_EXIT;
    error = av_read_frame(input_.get(), packet_.get());
    if (error == AVERROR(EAGAIN)) watch_->pause(kCameraPoll);
  } while (error == AVERROR(EAGAIN) || (error >= 0 && packet_->stream_index != stream_->index));
  arrived_ = std::chrono::steady_clock::now();
  if (!log.last().empty()) log_ = log.last();
  if (error == AVERROR_EOF) last_words_ = log.last();
  return error;
}

// Gives the decoder one more packet. False when there is none, and none to wait for.
bool StreamDecoder::feed() {
  if (draining_) return damaged_in_a_row_ < kMostDamagedAtEnd;
  end_ = read_packet();
  if (end_ < 0 && (live_ || end_ == AVERROR_EXIT)) {
    problem_ = failure(end_);
    return false;
  }
  if (end_ < 0) {
    draining_ = true;
    avcodec_send_packet(codec_.get(), nullptr);
    return true;
  }
  if (packet_->pts != AV_NOPTS_VALUE)
    last_end_ = std::max(last_end_,
                         av_sat_add64(packet_->pts, std::max<std::int64_t>(packet_->duration, 0)));
  if ((packet_->flags & AV_PKT_FLAG_CORRUPT) != 0) ++damaged_;
  if (avcodec_send_packet(codec_.get(), packet_.get()) < 0) ++damaged_;
  if (!live_ || steady_seconds() - last_frame_at_ < 4 * timeout_) return true;
  problem_ = fmt::format("no picture could be decoded for {} s", 4 * timeout_);
  return false;
}

const AVFrame* StreamDecoder::first() {
  if (const AVFrame* picture = next()) return picture;
  const bool whole = !live_ && end_ == AVERROR_EOF;
  fail(kind_, whole ? 0 : end_,
       "there is no picture in it that can be decoded" + (problem_.empty() ? "" : ": " + problem_));
}

const AVFrame* StreamDecoder::next() {
  for (;;) {
    const int error = avcodec_receive_frame(codec_.get(), frame_.get());
    if (error >= 0) {
      damaged_in_a_row_ = 0;
      last_frame_at_ = steady_seconds();
      return frame_.get();
    }
    if (error == AVERROR_EOF) break;
    if (error != AVERROR(EAGAIN)) ++damaged_, ++damaged_in_a_row_;
    if (!feed()) break;
  }
  if (problem_.empty()) problem_ = early_end();
  return nullptr;
}

std::string StreamDecoder::failure(int error) const {
  if (error == AVERROR_EXIT)
    return watch_->interrupted() ? "stopped" : fmt::format("no data for {} s", allowed_);
  if (error == AVERROR_EOF) return "the stream ended";
  return with_log(ffmpeg::error_text(error), log_);
}

// s of video that the file says it holds; 0 where it does not say.
double StreamDecoder::promised() const {
  if (stream_->duration > 0)
    return static_cast<double>(stream_->duration) * av_q2d(stream_->time_base);
  // Matroska tells it in a tag of the stream, or of the longest stream.
  std::int64_t us = 0;
  const AVDictionaryEntry* const tag = av_dict_get(stream_->metadata, "DURATION", nullptr, 0);
  if (tag == nullptr || av_parse_time(&us, tag->value, 1) < 0) {
    const bool told = input_->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE;
    us = told && input_->nb_streams == 1 ? input_->duration : 0;
  }
  return std::max(0.0, static_cast<double>(us) / AV_TIME_BASE);
}

std::string StreamDecoder::early_end() const {
  if (end_ != AVERROR_EOF && end_ < 0)
    return "truncated or damaged: " + with_log(ffmpeg::error_text(end_), log_);
  const double base = av_q2d(stream_->time_base), step = 1 / fps();
  // A stream's own duration counts from its first picture, that of a whole file from 0.
  const bool counts = stream_->duration > 0 && stream_->start_time != AV_NOPTS_VALUE;
  const double there =
      static_cast<double>(av_sat_sub64(last_end_, counts ? stream_->start_time : 0)) * base;
  const double promised = this->promised();
  if (there < promised - std::max(0.1, 2 * step))
    return with_log(fmt::format("truncated: it ends after {:.2f} of {:.2f} s", there, promised),
                    log_);
  if (!last_words_.empty()) return "truncated or damaged: " + last_words_;
  if (damaged_ > 0)
    return with_log(fmt::format("damaged in {} place{}", damaged_, damaged_ == 1 ? "" : "s"), log_);
  return doubt_;
}

Orientation StreamDecoder::orientation(const AVFrame& frame) const {
  if (orientation_) return *orientation_;
  const AVFrameSideData* const data = av_frame_get_side_data(&frame, AV_FRAME_DATA_DISPLAYMATRIX);
  if (data == nullptr || data->size < 9 * sizeof(std::int32_t)) return {};
  return orientation_of(reinterpret_cast<const std::int32_t*>(data->data));
}

AVRational StreamDecoder::told_aspect(const AVFrame& frame) const {
  // It asks for a frame that may be written to, and writes nothing.
  return av_guess_sample_aspect_ratio(input_.get(), stream_, const_cast<AVFrame*>(&frame));
}

std::optional<double> StreamDecoder::timestamp(const AVFrame& frame) const {
  if (frame.best_effort_timestamp == AV_NOPTS_VALUE || (live_ && makes_times_up(*input_->iformat)))
    return std::nullopt;
  return static_cast<double>(frame.best_effort_timestamp) * av_q2d(stream_->time_base);
}

bool StreamDecoder::segmented() const {
  const char* const format = input_->iformat->name;
  return av_match_name("hls", format) != 0 || av_match_name("dash", format) != 0;
}

bool StreamDecoder::may_jump() const {
  return live_ || (input_->iformat->flags & AVFMT_TS_DISCONT) != 0;
}

double StreamDecoder::fps() const {
  const double fps = av_q2d(av_guess_frame_rate(input_.get(), stream_, nullptr));
  return fps >= kLeastFps && fps <= kMostFps ? fps : kUsualFps;
}

std::string StreamDecoder::unlike(const VideoSourceOptions& wanted) const {
  if (kind_ != Kind::camera) return "";
  const AVCodecParameters& found = *stream_->codecpar;
  const bool sized = wanted.width > 0 && wanted.height > 0, timed = wanted.fps > 0;
  const bool size = sized && (found.width != wanted.width || found.height != wanted.height);
  const bool rate = timed && std::abs(fps() - wanted.fps) > kSameFps * wanted.fps;
  if (!size && !rate) return "";
  const auto told = [&](int width, int height, double fps) {
    const std::string frames = fmt::format("{:.4g} frames a second", fps);
    if (!sized) return frames;
    return fmt::format("{}x{}", width, height) + (timed ? " at " + frames : "");
  };
  return fmt::format("the camera was asked for {} and gives {}",
                     told(wanted.width, wanted.height, wanted.fps),
                     told(found.width, found.height, fps()));
}

std::string StreamDecoder::description() const {
  return fmt::format("{}, {}", codec_->codec->long_name, input_->iformat->long_name);
}

}  // namespace maskwatch::vision
