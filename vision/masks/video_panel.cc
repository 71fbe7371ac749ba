#include "vision/masks/video_panel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vision/masks/labels.h"

namespace maskwatch::vision {
namespace {

constexpr double kGraphSeconds = 60, kMoment = .5;
constexpr double kGap = 2;       // seconds without a frame that leave a gap in the graph
constexpr double kRefresh = .2;  // seconds
constexpr int kBehind = 56;      // of 256: how much of the video shines through
constexpr Color kWhite{255, 255, 255}, kGrey{170, 178, 186}, kAmber{255, 190, 60};
constexpr Color kBrightRed{255, 90, 90};  // letters on a dark ground

const Color kMask = color_of(LabelMeaning::mask), kNoMask = color_of(LabelMeaning::no_mask),
            kWornWrongly = color_of(LabelMeaning::worn_wrongly);

// Letters of 12 pixels at 480 rows.
float letters_for(const Image& picture) {
  return std::max(9.f, static_cast<float>(std::min(picture.width, picture.height)) / 40);
}

// The picture darkened inside `area`, and `card` added.
void lay_over(Image& picture, const Image& card, int left, int top) {
  const int width = std::min(card.width, picture.width - left);
  const int height = std::min(card.height, picture.height - top);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* const from = card.row(y);
    std::uint8_t* const to = picture.at(left, top + y);
    for (int i = 0; i < 3 * width; ++i)
      to[i] = static_cast<std::uint8_t>(std::min(255, (to[i] * kBehind >> 8) + from[i]));
  }
}

std::string milliseconds(double seconds) {
  return seconds < .01 ? fmt::format("{:.1f}", 1000 * seconds)
                       : fmt::format("{:.0f}", 1000 * seconds);
}

// Lines of text from the top of a card.
class Writer {
 public:
  Writer(Image& card, float letters) : card_(card), letters_(letters), y_(letters * .5f) {}

  // Pieces side by side.
  void line(const std::vector<std::pair<std::string, Color>>& pieces, float size = 1) {
    float x = letters_ * .6f;
    for (const auto& [text, color] : pieces) {
      draw_text(card_, {x, y_}, text, letters_ * size, color);
      x += text_size(text, letters_ * size).width + letters_ * .6f;
    }
    y_ += letters_ * size * 1.18f;
  }
  void skip(float lines) { y_ += letters_ * lines; }
  float y() const { return y_; }

 private:
  Image& card_;
  float letters_, y_;
};

std::vector<std::string> help_lines() {
  return {"q  quit",        "space  pause", "s  screenshot",  "r  record", "d  next detector",
          "+ -  threshold", "p  panel",     "f  full screen", "h  help"};
}

// A box with lines of text on it, in the middle of `picture` or at its lower edge.
void draw_notice(Image& picture, const std::vector<std::string>& lines, float letters, Color color,
                 bool low) {
  float widest = 0;
  for (const std::string& line : lines) widest = std::max(widest, text_size(line, letters).width);
  if (const float room = std::max(1.f, static_cast<float>(picture.width) - letters);
      widest > room) {
    letters = std::max(6.f, letters * room / widest);
    widest = room;
  }
  Image card(static_cast<int>(widest + 1.2f * letters),
             static_cast<int>((1.25f * static_cast<float>(lines.size()) + .5f) * letters));
  float y = .35f * letters;
  for (const std::string& line : lines) {
    draw_text(card, {.6f * letters, y}, line, letters, color);
    y += 1.25f * letters;
  }
  const int left = std::max(0, (picture.width - card.width) / 2);
  const int top = low ? picture.height - card.height - static_cast<int>(letters)
                      : (picture.height - card.height) / 2;
  lay_over(picture, card, left, std::max(0, top));
}

}  // namespace

// No box runs through the label of another.
void draw_tracks(Image& picture, const std::vector<Track>& tracks,
                 std::span<const std::string> labels, std::span<const LabelMeaning> meanings) {
  const int line = line_width_for(picture);
  const auto color_for = [&](const Track& track) {
    return color_of(track.label < 0 ? LabelMeaning::other
                                    : meanings[static_cast<std::size_t>(track.label)]);
  };
  for (const Track& track : tracks)
    draw_rectangle(picture, track.box,
                   track.state == TrackState::lost ? std::max(1, line / 2) : line,
                   color_for(track));
  std::vector<Label> tabs;
  for (const Track& track : tracks) {
    if (track.state == TrackState::lost) continue;
    std::string text = fmt::format("#{}", track.number);
    if (const auto label = static_cast<std::size_t>(track.label); track.label >= 0)
      text += fmt::format(" {} {:.0f}%", display_name(labels[label], meanings[label]),
                          100 * track.confidence);
    tabs.push_back({track.box, std::move(text), color_for(track)});
  }
  draw_tabs(picture, tabs);
}

void count_people(PanelFigures& figures, const std::vector<Track>& tracks,
                  std::span<const LabelMeaning> meanings) {
  figures.people = static_cast<int>(tracks.size());
  figures.count = {};
  figures.counts_worn_wrongly = knows(meanings, LabelMeaning::worn_wrongly);
  for (const Track& track : tracks) {
    if (track.label < 0) continue;
    const LabelMeaning meaning = meanings[static_cast<std::size_t>(track.label)];
    figures.count.masked += meaning == LabelMeaning::mask;
    figures.count.unmasked += meaning == LabelMeaning::no_mask;
    figures.count.worn_wrongly += meaning == LabelMeaning::worn_wrongly;
  }
}

void VideoPanel::sample(double time, const PeopleCount& count) {
  if (samples_.empty() || time >= samples_.back().time + kMoment || time < samples_.back().time)
    samples_.push_back({time, 0, 0, 0, 0});
  Sample& now = samples_.back();
  ++now.count;
  const auto average = [&](float& mean, int people) {
    mean += (static_cast<float>(people) - mean) / static_cast<float>(now.count);
  };
  average(now.masked, count.masked);
  average(now.unmasked, count.unmasked);
  average(now.worn_wrongly, count.worn_wrongly);
  while (time - samples_.front().time > kGraphSeconds || samples_.size() > 1000)
    samples_.pop_front();
}

// The share of masked people in green, above them those who wear a mask wrongly in amber, and the
// others in red; nothing where there are no people.
void VideoPanel::draw_graph(Image& card, const Box& area) const {
  fill_rectangle(card, area, {40, 44, 50});
  if (samples_.empty()) return;
  const double end = samples_.back().time + kMoment;
  const auto across = [&](double time) {
    const double share = 1 - (end - time) / kGraphSeconds;
    return area.x + area.width * static_cast<float>(std::clamp(share, 0., 1.));
  };
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    const Sample& sample = samples_[i];
    const double next = i + 1 < samples_.size() ? samples_[i + 1].time : end;
    const double until = next - sample.time < kGap ? next : sample.time + kMoment;
    const float all = sample.masked + sample.unmasked + sample.worn_wrongly;
    if (all < .05f) continue;
    const float left = std::floor(across(sample.time));
    const float width = std::max(1.f, std::ceil(across(until)) - left);
    const float masked = std::round(area.height * sample.masked / all);
    const float with_any = std::round(area.height * (sample.masked + sample.worn_wrongly) / all);
    const float bottom = area.y + area.height;
    fill_rectangle(card, {left, area.y, width, area.height - with_any}, kNoMask);
    fill_rectangle(card, {left, bottom - with_any, width, with_any - masked}, kWornWrongly);
    fill_rectangle(card, {left, bottom - masked, width, masked}, kMask);
  }
}

Image VideoPanel::draw_card(const Image& picture, const PanelFigures& figures) const {
  const float letters = letters_for(picture);
  Image card(static_cast<int>(letters * 15), static_cast<int>(letters * 15));
  Writer write(card, letters);
  write.line(
      {{fmt::format("{} {}", figures.people, figures.people == 1 ? "person" : "people"), kWhite}},
      1.5f);
  std::vector<std::pair<std::string, Color>> counts{
      {fmt::format("{} masked", figures.count.masked), kMask},
      {fmt::format("{} not", figures.count.unmasked), kBrightRed}};
  if (figures.counts_worn_wrongly)
    counts.insert(counts.begin() + 1,
                  {fmt::format("{} wrongly", figures.count.worn_wrongly), kWornWrongly});
  write.line(counts);
  write.skip(.25f);
  draw_graph(card, {letters * .6f, std::round(write.y()), letters * 13.8f, letters * 2.4f});
  write.skip(2.55f);
  write.line({{"masked, last minute", kGrey}}, .8f);
  write.line({{fmt::format("{:.1f} fps", figures.frames_a_second), kWhite},
              {fmt::format("{} dropped", figures.dropped), figures.dropped ? kAmber : kGrey}});
  for (std::size_t i = 0; i < figures.latencies.size(); i += 2) {
    std::string line;
    for (std::size_t j = i; j < std::min(i + 2, figures.latencies.size()); ++j)
      line += fmt::format("{}{} {} ms", j > i ? "  " : "", figures.latencies[j].first,
                          milliseconds(figures.latencies[j].second));
    write.line({{line, kGrey}}, .85f);
  }
  const std::string every =
      figures.detect_every > 1 ? fmt::format(", every {}.", figures.detect_every) : "";
  write.line({{figures.detector + every, kGrey}}, .85f);
  write.line(
      {{fmt::format("mask from {:.0f}%", 100 * figures.threshold), kGrey}, {"h: help", kGrey}},
      .85f);
  card.height = std::min(card.height, static_cast<int>(write.y() + letters * .4f));
  card.pixels.resize(static_cast<std::size_t>(card.width) * card.height * 3);
  return card;
}

void VideoPanel::draw(Image& picture, const PanelFigures& figures, double now) {
  if (std::abs(now - drawn_at_) >= kRefresh || for_width_ != picture.width ||
      for_height_ != picture.height) {
    card_ = draw_card(picture, figures);
    drawn_at_ = now;
    for_width_ = picture.width;
    for_height_ = picture.height;
  }
  lay_over(picture, card_, 0, 0);
}

void VideoPanel::draw_message(Image& picture, const PanelFigures& figures) {
  const float letters = letters_for(picture);
  const float right = static_cast<float>(picture.width) - letters, radius = .45f * letters;
  if (figures.recording) {
    const float width = text_size("REC", letters * 1.2f).width;
    draw_text(picture, {right - width, letters * .5f}, "REC", letters * 1.2f, kNoMask);
    fill_ellipse(picture, {right - width - letters, letters * 1.1f}, radius, radius, kNoMask);
  }
  if (figures.paused) draw_notice(picture, {"paused"}, letters * 1.5f, kWhite, false);
  if (!figures.message.empty())
    draw_notice(picture, {figures.message}, letters * 1.2f, figures.alarming ? kAmber : kWhite,
                true);
}

void VideoPanel::draw_help(Image& picture) {
  draw_notice(picture, help_lines(), letters_for(picture) * 1.3f, kWhite, false);
}

}  // namespace maskwatch::vision
