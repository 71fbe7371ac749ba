#include "vision/masks/video_panel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <span>

#include "vision/masks/labels.h"

using namespace maskwatch;

namespace {

using vision::Color;
using vision::Image;
using vision::PanelFigures;
using vision::Track;
using vision::TrackState;
using vision::VideoPanel;

const Color kMask = vision::color_of(vision::LabelMeaning::mask);
const Color kNoMask = vision::color_of(vision::LabelMeaning::no_mask);
const Color kWornWrongly = vision::color_of(vision::LabelMeaning::worn_wrongly);
const std::vector<std::string> kLabels{"with_mask", "without_mask", "mask_worn_wrongly"};
const std::vector<vision::LabelMeaning> kMeanings = vision::meanings_of(kLabels);

Image grey(int width, int height) {
  Image image(width, height);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{128});
  return image;
}

bool is(const Image& image, int x, int y, Color color) {
  const std::uint8_t* at = image.at(x, y);
  return at[0] == color.r && at[1] == color.g && at[2] == color.b;
}

int count(const Image& image, Color color) {
  int n = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) n += is(image, x, y, color);
  return n;
}

Track track(std::int64_t number, int label, vision::Box box,
            TrackState state = TrackState::confirmed) {
  Track out;
  out.number = number;
  out.label = label;
  out.confidence = .97f;
  out.box = box;
  out.state = state;
  return out;
}

// Columns and rows that differ from the picture below.
vision::PixelBox drawn_part(const Image& image) {
  int right = 0, bottom = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      if (!is(image, x, y, {128, 128, 128}))
        right = std::max(right, x), bottom = std::max(bottom, y);
  return {0, 0, right + 1, bottom + 1};
}

}  // namespace

TEST_CASE("boxes are green with a mask, red without, thin while a face is only expected") {
  Image image = grey(640, 480);
  vision::draw_tracks(image,
                      {track(1, 0, {100, 100, 80, 90}), track(2, 1, {300, 100, 80, 90}),
                       track(3, 1, {450, 300, 80, 90}, TrackState::lost)},
                      kLabels, kMeanings);
  CHECK(is(image, 100, 150, kMask));
  CHECK(is(image, 300, 150, kNoMask));
  CHECK(is(image, 301, 150, kNoMask));
  CHECK(is(image, 450, 350, kNoMask));
  CHECK(is(image, 451, 350, {128, 128, 128}));
  CHECK(is(image, 140, 140, {128, 128, 128}));
  CHECK(is(image, 102, 90, kMask));             // the tab of the label
  CHECK(is(image, 452, 290, {128, 128, 128}));  // none
  // Other numbers and labels are other letters.
  Image other = grey(640, 480);
  vision::draw_tracks(other, {track(7, 0, {100, 100, 80, 90})}, kLabels, kMeanings);
  CHECK(vision::crop(other, {100, 80, 120, 20}).pixels !=
        vision::crop(image, {100, 80, 120, 20}).pixels);
}

TEST_CASE("no box runs through the label of another") {
  Image alone = grey(640, 480), both = alone;
  const Track behind = track(1, 0, {200, 200, 80, 90});
  vision::draw_tracks(alone, {behind}, kLabels, kMeanings);
  vision::draw_tracks(both, {behind, track(2, 1, {180, 100, 120, 88})}, kLabels, kMeanings);
  CHECK(is(alone, 202, 186, kMask));
  for (int x = 180; x < 300; ++x) CHECK(is(both, x, 187, kNoMask));
  CHECK(is(both, 200, 196, kMask));  // smaller, there is room for it
}

TEST_CASE("people are counted by what their labels mean") {
  PanelFigures figures;
  vision::count_people(
      figures,
      {track(1, 0, {}), track(2, 1, {}), track(3, 1, {}), track(4, 2, {}), track(5, -1, {})},
      kMeanings);
  CHECK(figures.people == 5);
  CHECK(figures.count.masked == 1);
  CHECK(figures.count.unmasked == 2);
  CHECK(figures.count.worn_wrongly == 1);
  CHECK(figures.counts_worn_wrongly);
  vision::count_people(figures, {track(1, 1, {})}, std::span(kMeanings).first(2));
  CHECK(figures.people == 1);
  CHECK(figures.count.masked == 0);
  CHECK(figures.count.unmasked == 1);
  CHECK_FALSE(figures.counts_worn_wrongly);
}

TEST_CASE("a mask that is worn wrongly has a colour and a count of its own") {
  Image image = grey(640, 480);
  vision::draw_tracks(image, {track(1, 2, {100, 200, 200, 90})}, kLabels, kMeanings);
  CHECK(is(image, 100, 250, kWornWrongly));
  PanelFigures figures;
  const auto letters = [&] {
    Image card(640, 480);
    VideoPanel panel;
    panel.draw(card, figures, 0);
    return count(card, kWornWrongly);
  };
  CHECK(letters() == 0);
  figures.counts_worn_wrongly = true;
  CHECK(letters() > 20);
}

TEST_CASE("the panel keeps its share of the picture from 640x480 to 4K") {
  PanelFigures figures;
  figures.people = 3;
  figures.latencies = {{"delay", .021}, {"detect", .005}, {"classify", .003}, {"draw", .001}};
  figures.detector = "haar";
  for (const auto& [width, height] : {std::pair{640, 480}, {1920, 1080}, {3840, 2160}}) {
    Image image = grey(width, height);
    VideoPanel panel;
    panel.draw(image, figures, 0);
    const vision::PixelBox part = drawn_part(image);
    CHECK(part.width < width * .3);
    CHECK(part.height < height * .38);
    CHECK(part.height > height * .25);
    CHECK(count(image, {255, 255, 255}) > width * height / 2000);  // letters
  }
}

TEST_CASE("the graph shows the share of masks over time") {
  PanelFigures figures;
  const auto colors = [&](const vision::PeopleCount& people) {
    VideoPanel panel;
    for (int i = 0; i < 600; ++i) panel.sample(i * .1, people);
    Image image(640, 480);
    panel.draw(image, figures, 0);
    return std::array{count(image, kMask), count(image, kNoMask), count(image, kWornWrongly)};
  };
  const auto [green, red, none] = colors({3, 1, 0});
  CHECK(green / static_cast<double>(green + red) == doctest::Approx(.75).epsilon(.06));
  CHECK(green + red > 4000);
  CHECK(none == 0);
  CHECK(colors({0, 2, 0})[1] > 4000);
  CHECK(colors({0, 0, 0})[1] == 0);
  const auto [masked, unmasked, wrongly] = colors({2, 1, 1});
  const double all = masked + unmasked + wrongly;
  CHECK(masked / all == doctest::Approx(.5).epsilon(.06));
  CHECK(unmasked / all == doctest::Approx(.25).epsilon(.06));
  CHECK(wrongly / all == doctest::Approx(.25).epsilon(.06));
}

TEST_CASE("the panel's letters are drawn anew only from time to time") {
  PanelFigures figures;
  VideoPanel panel;
  Image first = grey(640, 480), soon = first, later = first;
  figures.people = 1;
  panel.draw(first, figures, 10);
  figures.people = 8;
  panel.draw(soon, figures, 10.1);
  panel.draw(later, figures, 10.3);
  CHECK(first.pixels == soon.pixels);
  CHECK(first.pixels != later.pixels);
}

TEST_CASE("messages, help and the red dot; pictures of any size") {
  PanelFigures figures;
  Image plain = grey(640, 480);
  VideoPanel::draw_message(plain, figures);
  CHECK(plain.pixels == grey(640, 480).pixels);
  figures.recording = true;
  VideoPanel::draw_message(plain, figures);
  CHECK(count(plain, kNoMask) > 40);
  figures.message = "the connection is lost; reconnecting in 1 s";
  Image with_message = grey(640, 480);
  VideoPanel::draw_message(with_message, figures);
  CHECK(!is(with_message, 320, 455, {128, 128, 128}));
  for (const auto& [width, height] : {std::pair{1, 1}, {17, 300}, {300, 17}, {2000, 3}}) {
    Image image = grey(width, height);
    VideoPanel panel;
    panel.draw(image, figures, 0);
    figures.paused = true;
    figures.message = std::string(3000, 'm');
    VideoPanel::draw_message(image, figures);
    VideoPanel::draw_help(image);
    vision::draw_tracks(image, {track(1, 0, {-50, -50, 1e5f, 1e5f})}, kLabels, kMeanings);
  }
}
