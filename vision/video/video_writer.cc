#include "vision/video/video_writer.h"

extern "C" {
#include <libavutil/opt.h>
}

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "base/file.h"
#include "vision/image/picture_kinds.h"
#include "vision/video/ffmpeg.h"
#include "vision/video/output_file.h"

namespace maskwatch::vision {
namespace {

constexpr int kLargestSide = 16384;
constexpr double kMostFps = 1000;
constexpr AVRational kFineTimeBase = {1, 60000};  // MPEG-4 part 2 allows no finer than 1/65535

struct Container {
  const char* extension;
  const char* muxer;
  bool h264;
  bool constant_rate;
};

constexpr Container kContainers[] = {{".mp4", "mp4", true, false},
                                     {".m4v", "mp4", true, false},
                                     {".mov", "mov", true, false},
                                     {".mkv", "matroska", true, false},
                                     {".avi", "avi", false, true}};

const Container& container_of(const std::string& path) {
  const std::string extension = lower_case_extension(path);
  for (const Container& container : kContainers)
    if (extension == container.extension) return container;
  throw std::invalid_argument(
      fmt::format("{}: the name must end in .mp4, .m4v, .mov, .mkv or .avi", path));
}

void check_arguments(int width, int height, const VideoWriterOptions& options) {
  if (width < 1 || height < 1 || width > kLargestSide || height > kLargestSide)
    throw std::invalid_argument(fmt::format("VideoWriter: the size {}x{} is not in 1x1..{}x{}",
                                            width, height, kLargestSide, kLargestSide));
  if (!(options.fps > 0 && options.fps <= kMostFps))
    throw std::invalid_argument(fmt::format("VideoWriter: {} frames a second", options.fps));
  if (options.quality < 0 || options.quality > 51)
    throw std::invalid_argument(
        fmt::format("VideoWriter: the quality {} is not in 0..51", options.quality));
  if (!(options.fragment > 0 && options.fragment <= 60))
    throw std::invalid_argument(
        fmt::format("VideoWriter: fragments of {} s are not of 0 to 60 s", options.fragment));
}

int even(int length) { return std::max(2, length & ~1); }

// As readers guess it: high definition is BT.709.
void set_colours(AVCodecContext& codec) {
  const bool high = codec.width >= 1280 || codec.height > 576;
  codec.color_range = AVCOL_RANGE_MPEG;
  codec.colorspace = high ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
  codec.color_primaries = high ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
  codec.color_trc = high ? AVCOL_TRC_BT709 : AVCOL_TRC_SMPTE170M;
}

// No picture may wait in the encoder: what is there when the program is killed would be lost.
void set_quality(AVCodecContext& codec, int quality) {
  codec.max_b_frames = 0;
  av_opt_set(codec.priv_data, "preset", "superfast", 0);
  av_opt_set(codec.priv_data, "tune", "zerolatency", 0);
  if (av_opt_set_int(codec.priv_data, "crf", quality, 0) >= 0) return;
  constexpr int crf_of_a_step = 6;
  codec.flags |= AV_CODEC_FLAG_QSCALE;
  codec.global_quality = FF_QP2LAMBDA * (1 + quality / crf_of_a_step);
}

ffmpeg::Codec open_encoder(const AVCodec* encoder, int width, int height, AVRational time_base,
                           bool global_header, const VideoWriterOptions& options) {
  ffmpeg::Codec codec(avcodec_alloc_context3(encoder));
  if (!codec) throw std::bad_alloc();
  codec->width = width;
  codec->height = height;
  codec->pix_fmt = AV_PIX_FMT_YUV420P;
  codec->time_base = time_base;
  codec->framerate = av_d2q(options.fps, kFineTimeBase.den);
  codec->gop_size = std::max(1, static_cast<int>(std::lround(2 * options.fragment * options.fps)));
  codec->thread_count = options.threads;
  if (global_header) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  set_colours(*codec);
  set_quality(*codec, options.quality);
  return avcodec_open2(codec.get(), encoder, nullptr) < 0 ? nullptr : std::move(codec);
}

struct Place {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const Place&) const = default;
};

// Where a picture lies in the frame: it fills it, or keeps its shape between black bars.
Place place_of(int width, int height, const AVFrame& frame) {
  const double scale = std::min(static_cast<double>(frame.width) / width,
                                static_cast<double>(frame.height) / height);
  const int w = std::min(frame.width, even(static_cast<int>(std::lround(width * scale))));
  const int h = std::min(frame.height, even(static_cast<int>(std::lround(height * scale))));
  return {(frame.width - w) / 4 * 2, (frame.height - h) / 4 * 2, w, h};
}

void paint_black(AVFrame& frame) {
  for (int plane = 0; plane < 3; ++plane) {
    const int rows = plane == 0 ? frame.height : frame.height / 2;
    std::memset(frame.data[plane], plane == 0 ? 16 : 128,
                static_cast<std::size_t>(frame.linesize[plane]) * rows);
  }
}

void take_memory(AVFrame& frame, int width, int height, AVPixelFormat format) {
  av_frame_unref(&frame);
  frame.width = width;
  frame.height = height;
  frame.format = format;
  if (av_frame_get_buffer(&frame, 0) < 0) throw std::bad_alloc();
}

}  // namespace

struct VideoWriter::State {
  std::string path;
  int width, height;  // of the pictures; the frame's are even
  const Container& container;
  double fps, fragment;
  std::unique_ptr<OutputFile> file;
  ffmpeg::Output output;
  ffmpeg::Codec codec;
  std::string codec_name;
  AVStream* stream = nullptr;
  ffmpeg::Frame frame = ffmpeg::make_frame();   // YUV 4:2:0, as encoded
  ffmpeg::Frame source = ffmpeg::make_frame();  // the picture, with the room that swscale reads
  ffmpeg::Packet packet = ffmpeg::make_packet();
  ffmpeg::ScalerCache scaler;
  Place place;
  double first_time = 0;
  double last_time = 0;
  std::int64_t last = -1;  // time of the latest frame in the codec's time base
  bool open = false, failed = false;

  State(const std::string& path, int width, int height, const VideoWriterOptions& options)
      : path(path),
        width(width),
        height(height),
        container(container_of(path)),
        fps(options.fps),
        fragment(options.fragment) {}

  void choose_encoder(const VideoWriterOptions& options);
  void begin();
  void copy_in(const Image& image);
  void scale(const Image& image);
  void skip_gap(double time);
  std::int64_t slot(double time) const;
  void encode(const AVFrame* picture);
  void end();
  [[noreturn]] void fail(int error, const ffmpeg::LogCapture& log);
};

void VideoWriter::State::choose_encoder(const VideoWriterOptions& options) {
  const bool global_header = (output->oformat->flags & AVFMT_GLOBALHEADER) != 0;
  const AVRational time_base =
      container.constant_rate ? av_inv_q(av_d2q(fps, kFineTimeBase.den)) : kFineTimeBase;
  const ffmpeg::LogCapture log;
  for (const char* name : {"libx264", "libopenh264", "mpeg4"}) {
    const AVCodec* const encoder = avcodec_find_encoder_by_name(name);
    if (encoder == nullptr || (!container.h264 && encoder->id == AV_CODEC_ID_H264)) continue;
    codec = open_encoder(encoder, even(width), even(height), time_base, global_header, options);
    if (!codec) continue;
    codec_name = name;
    return;
  }
  throw std::runtime_error(
      fmt::format("{}: no encoder for pictures of {}x{} pixels can be opened: {}", path, width,
                  height, log.last().empty() ? "FFmpeg has none" : log.last()));
}

void VideoWriter::State::begin() {
  stream = avformat_new_stream(output.get(), nullptr);
  if (stream == nullptr || avcodec_parameters_from_context(stream->codecpar, codec.get()) < 0)
    throw std::bad_alloc();
  stream->time_base = codec->time_base;
  stream->avg_frame_rate = codec->framerate;
  file = std::make_unique<OutputFile>(path);
  output->pb = file->io();
  output->flags |= AVFMT_FLAG_CUSTOM_IO;
  ffmpeg::Dictionary options;
  options.set("movflags", "frag_keyframe+empty_moov+default_base_moof");
  options.set("frag_duration", fmt::format("{}", std::llround(fragment * 1e6)));
  options.set("cluster_time_limit", fmt::format("{}", std::llround(fragment * 1e3)));
  const ffmpeg::LogCapture log;
  const int error = avformat_write_header(output.get(), options.get());
  if (error < 0) fail(error, log);
  file->mark_whole();
  if (file->error() != 0) fail(AVERROR(file->error()), log);
  open = true;
}

void VideoWriter::State::fail(int error, const ffmpeg::LogCapture& log) {
  if (file->error() != 0) error = AVERROR(file->error());
  open = false;
  failed = true;
  file->abandon();
  std::string reason = ffmpeg::error_text(error);
  if (file->error() == 0 && !log.last().empty()) reason += " (" + log.last() + ")";
  throw WriteError(fmt::format("{}: cannot be written: {}", path, reason));
}

void VideoWriter::State::copy_in(const Image& image) {
  const AVPixelFormat format = image.channels == 1 ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24;
  if (source->width != image.width || source->height != image.height || source->format != format)
    take_memory(*source, image.width, image.height, format);
  const std::size_t bytes = static_cast<std::size_t>(image.width) * image.channels;
  for (int y = 0; y < image.height; ++y)
    std::memcpy(source->data[0] + static_cast<std::ptrdiff_t>(y) * source->linesize[0],
                image.row(y), bytes);
}

void VideoWriter::State::scale(const Image& image) {
  copy_in(image);
  if (av_frame_make_writable(frame.get()) < 0) throw std::bad_alloc();
  const bool fits = image.width == width && image.height == height;
  const int w = fits ? std::min(image.width, frame->width) : image.width;
  const int h = fits ? std::min(image.height, frame->height) : image.height;
  const Place now = place_of(w, h, *frame);
  if (now != place) paint_black(*frame);
  place = now;
  const int matrix = codec->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  SwsContext* const context = scaler.get({w, h, static_cast<AVPixelFormat>(source->format), matrix,
                                          false, now.width, now.height, AV_PIX_FMT_YUV420P});
  if (context == nullptr) throw std::bad_alloc();
  std::uint8_t* planes[4] = {};
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane == 0 ? 0 : 1;
    planes[plane] =
        frame->data[plane] + (now.y >> shift) * frame->linesize[plane] + (now.x >> shift);
  }
  sws_scale(context, source->data, source->linesize, 0, h, planes, frame->linesize);
}

// MP4 has 31 bits for how long a frame stands; AVI has empty frames, of which FFmpeg allows 60,000.
void VideoWriter::State::skip_gap(double time) {
  constexpr double longest = 3600, longest_constant_rate = 60;  // s
  const double gap = time - last_time;
  if (gap > (container.constant_rate ? longest_constant_rate : longest))
    first_time += gap - 1 / fps;
  last_time = std::max(last_time, time);
}

std::int64_t VideoWriter::State::slot(double time) const {
  const double ticks = (time - first_time) / av_q2d(codec->time_base);
  constexpr double most = 1e15;
  return std::llround(std::clamp(ticks, 0.0, most));
}

void VideoWriter::State::encode(const AVFrame* picture) {
  const ffmpeg::LogCapture log;
  int error = avcodec_send_frame(codec.get(), picture);
  while (error >= 0) {
    error = avcodec_receive_packet(codec.get(), packet.get());
    if (error == AVERROR(EAGAIN) || error == AVERROR_EOF) return;
    if (error < 0) break;
    if (packet->duration <= 0)
      packet->duration = std::llround(1 / (fps * av_q2d(codec->time_base)));
    av_packet_rescale_ts(packet.get(), codec->time_base, stream->time_base);
    packet->stream_index = stream->index;
    error = av_interleaved_write_frame(output.get(), packet.get());
    file->mark_whole();
    if (error >= 0 && file->error() != 0) error = AVERROR(file->error());
  }
  fail(error, log);
}

void VideoWriter::State::end() {
  if (last >= 0) encode(nullptr);
  const ffmpeg::LogCapture log;
  int error = av_write_trailer(output.get());
  avio_flush(output->pb);
  if (file->error() != 0) error = AVERROR(file->error());
  if (error < 0) fail(error, log);
  open = false;
  file->close();
  if (file->error() != 0) fail(AVERROR(file->error()), log);
}

VideoWriter::VideoWriter(const std::string& path, int width, int height,
                         const VideoWriterOptions& options) {
  check_arguments(width, height, options);
  state_ = std::make_unique<State>(path, width, height, options);
  ffmpeg::prepare();
  AVFormatContext* output = nullptr;
  avformat_alloc_output_context2(&output, nullptr, state_->container.muxer, path.c_str());
  if (output == nullptr)
    throw std::runtime_error(fmt::format("{}: the FFmpeg libraries here cannot write {}", path,
                                         state_->container.muxer));
  state_->output.reset(output);
  state_->choose_encoder(options);
  take_memory(*state_->frame, state_->codec->width, state_->codec->height, AV_PIX_FMT_YUV420P);
  state_->begin();
}

void VideoWriter::check_path(const std::string& path) { container_of(path); }

VideoWriter::~VideoWriter() {
  try {
    close();
  } catch (const std::exception&) {
    // Whoever wants to know calls close().
  }
}

void VideoWriter::write(const Image& image, double time) {
  if (image.empty() || image.width < 1 || image.height < 1 ||
      (image.channels != 1 && image.channels != 3))
    throw std::invalid_argument(fmt::format("VideoWriter: a picture of {}x{}x{}", image.width,
                                            image.height, image.channels));
  if (!std::isfinite(time))
    throw std::invalid_argument(fmt::format("VideoWriter: a picture at {} s", time));
  State& state = *state_;
  if (!state.open) return;
  if (state.last < 0) state.first_time = state.last_time = time;
  state.skip_gap(time);
  std::int64_t slot = state.slot(time);
  if (slot <= state.last) {
    if (state.container.constant_rate) return;
    slot = state.last + 1;
  }
  state.scale(image);
  state.frame->pts = state.last = slot;
  state.encode(state.frame.get());
}

void VideoWriter::close() {
  if (state_->open) state_->end();
}

bool VideoWriter::failed() const { return state_->failed; }
const std::string& VideoWriter::codec() const { return state_->codec_name; }

}  // namespace maskwatch::vision
