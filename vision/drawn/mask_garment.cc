#include "vision/drawn/mask_garment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/random.h"

namespace maskwatch::vision {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;
constexpr float kChinEdge = .90f;  // below, cloth leaves the face and goes under the chin or down

float bump(float x, float y, float centre_y, float width, float height) {
  const float dx = x / width, dy = (y - centre_y) / height;
  return std::exp(-dx * dx - dy * dy);
}

float line(float distance, float half_width) {
  return 1 - step_between(half_width * .5f, half_width * 1.5f, std::abs(distance));
}

float from_whole(float x) { return std::abs(x - std::round(x)); }

bool is_tube(MaskCut cut) { return cut == MaskCut::bandana || cut == MaskCut::gaiter; }

}  // namespace

MaskGarment::MaskGarment(const MaskDesign& design, const FaceShape& shape)
    : d_(design), shape_(shape), cut_(cut_of(design)) {}

MaskGarment::Cut MaskGarment::cut_of(const MaskDesign& d) {
  Cut cut{};
  switch (d.cut) {
    case MaskCut::surgical:
      cut = {1.04f, .14f, .30f, 1.09f, .87f, .75f};
      break;
    case MaskCut::cup:
      cut = {.94f, .12f, .40f, 1.06f, .80f, .95f};
      break;
    case MaskCut::fold:
      cut = {1.05f, .13f, .35f, 1.08f, .78f, .85f};
      break;
    case MaskCut::cloth:
      cut = {1.06f, .15f, .32f, 1.09f, .82f, .85f};
      break;
    case MaskCut::bandana:
      cut = {1.45f, .16f, .24f, 1.62f, .86f, .8f};
      break;
    case MaskCut::gaiter:
      cut = {1.50f, .16f, .28f, 1.75f, 1.62f, .8f};
      break;
  }
  if (d.wear == MaskWear::under_nose) {
    cut.top_middle = .53f;
    cut.top_side = .47f;
  }
  if (d.wear == MaskWear::on_chin) {
    cut.top_middle = .865f;
    cut.top_side = .72f;
    cut.bottom_middle = std::max(cut.bottom_middle, 1.22f);
    cut.bottom_side = std::max(cut.bottom_side, .95f);
  }
  const float lift = d.wear == MaskWear::proper ? .055f : .03f;
  cut.top_middle -= lift * d.lift;
  cut.top_side -= (d.wear == MaskWear::proper ? .05f : .03f) * d.lift;
  cut.side += .09f * d.breadth;
  cut.bottom_middle += .05f * d.looseness;
  return cut;
}

MaskGarment::Place MaskGarment::place(float u, float v) const {
  const float s = 2 * u - 1, away = std::min(std::abs(s), 1.2f);
  const float bend = std::pow(away, 2 * cut_.curve);
  const float top = cut_.top_middle + (cut_.top_side - cut_.top_middle) * bend + .03f * d_.tilt * s;
  const float square = away * away;
  const float bottom_bend = d_.cut == MaskCut::bandana    ? away
                            : d_.cut == MaskCut::surgical ? square * square
                                                          : square * std::sqrt(away);
  const float bottom = cut_.bottom_middle + (cut_.bottom_side - cut_.bottom_middle) * bottom_bend;
  // Loops gather the sides of what is not stiff.
  const float gather = is_tube(d_.cut) ? 0 : .06f * std::sin(kPi * std::clamp(v, 0.f, 1.f));
  return {s * cut_.side * (1 - gather), top + (bottom - top) * v};
}

// How far the cloth stands off the bare egg of the head.
float MaskGarment::dome(float x, float y) const {
  const bool low = d_.wear != MaskWear::proper;
  const float nose = low ? 0 : .21f * bump(x, y, .37f, .27f, .30f);
  float lift = nose + (low ? .07f : .10f) * bump(x, y, .72f, .32f, .30f);
  if (d_.cut == MaskCut::cup) lift += .17f * bump(x, y, low ? .78f : .52f, .36f, .32f);
  if (d_.cut == MaskCut::fold)
    lift += (low ? .10f : .19f) * std::exp(-std::abs(x) / .22f) * bump(0, y, .58f, 1, .34f);
  if (d_.cut == MaskCut::surgical) lift += .04f * bump(x, y, .62f, .40f, .3f);
  return lift + d_.looseness * .07f * bump(x, y, .6f, .4f, .35f);
}

// Below the chin: towards the neck, or straight down for what hangs.
Vec3 MaskGarment::hanging(float angle, float y) const {
  const float s = std::sin(angle), c = std::cos(angle);
  const Vec3 edge = shape_.skin(angle, kChinEdge, 0, 0);
  const float below = y - kChinEdge;
  if (d_.cut == MaskCut::bandana)
    return {edge.x() * (1 - .3f * below), y, edge.z() + .03f - .28f * below};
  if (d_.cut == MaskCut::gaiter) {
    const float t = step_between(0, .30f, below);
    const Vec3 neck((.50f + .05f * below) * s, y, .48f * c - .10f);
    return edge + t * (neck - edge) + Vec3(0, (1 - t) * below, 0);
  }
  // Pushed down on the chin, the cloth stands before it.
  const float held = d_.wear == MaskWear::on_chin ? .14f : 0;
  const float under = std::clamp((below - held) / .24f, 0.f, 1.4f);
  return {edge.x() * (1 - .22f * under * under), y, edge.z() - .38f * under * under};
}

Vec3 MaskGarment::surface(float u, float v) const {
  const Place at = place(u, v);
  const float in_front = std::clamp(std::cos(at.angle) * 1.6f, 0.f, 1.f);
  const float held = std::min(at.y, kChinEdge);
  const Vec3 egg = shape_.skin(at.angle, held, 0, 0);
  const float bare = shape_.skin(at.angle, held).z() - egg.z();
  const float off = in_front * std::max(dome(egg.x(), at.y), 0.f);
  Vec3 point = at.y > kChinEdge ? hanging(at.angle, at.y) : egg;
  point.z() += std::max(off, bare + .012f);
  const Vec3 away(std::sin(at.angle), 0, std::cos(at.angle));
  const float slack = d_.looseness * .035f * (1 - std::abs(2 * u - 1));
  return point + (.03f + slack) * away;
}

Rgb MaskGarment::edge_color() const {
  if (d_.contrast_edge) return to_rgb(d_.second_color);
  return to_rgb(d_.color) * .96f;
}

// Distance to the nearest edge in about model units.
float MaskGarment::hem(float u, float v) const {
  const Place top = place(u, 0), bottom = place(u, 1);
  const float height = bottom.y - top.y;
  return std::min({v * height, (1 - v) * height, std::min(u, 1 - u) * 1.5f * cut_.side});
}

Rgb MaskGarment::printed(float x, float y) const {
  const Rgb plain = to_rgb(d_.color);
  Rgb other = to_rgb(d_.second_color);
  const float repeat = .11f * d_.print_size;
  x /= repeat;
  y /= repeat;
  float mark = 0;
  switch (d_.print) {
    case MaskPrint::plain:
      return plain;
    case MaskPrint::stripes: {
      const float slant = static_cast<float>(d_.seed % 3);
      const float across = slant == 0 ? y : slant == 1 ? x : .7f * (x + y);
      mark = line(from_whole(across), .25f);
      break;
    }
    case MaskPrint::checks:
      mark = (line(from_whole(x), .25f) + line(from_whole(y), .25f)) / 2;
      break;
    case MaskPrint::dots:
    case MaskPrint::flowers: {
      const float row = std::floor(y), shift = .5f * (row - 2 * std::floor(row / 2));
      const float dx = x + shift - std::round(x + shift), dy = y - row - .5f;
      const float petals =
          d_.print == MaskPrint::dots ? 1 : .8f + .4f * std::cos(5 * std::atan2(dy, dx));
      // Half of such cloths have marks of several colours, no two alike.
      const bool motley = (d_.seed & 4) != 0;
      const auto column = static_cast<std::int64_t>(std::round(x + shift));
      const std::uint64_t draw =
          mix_bits(d_.seed ^ (static_cast<std::uint64_t>(column) << 32) ^
                   static_cast<std::uint64_t>(static_cast<std::int64_t>(row)));
      if (motley && draw % 3 != 0)
        other =
            draw % 3 == 1 ? Rgb(other[1], other[2], other[0]) : Rgb(other[2], other[0], other[1]);
      const float size = motley ? .24f + .16f * static_cast<float>(draw >> 40) * 0x1p-24f : .24f;
      mark = line(std::hypot(dx, dy) / petals, size) * (std::hypot(dx, dy) < .5f ? 1.f : 0.f);
      break;
    }
    case MaskPrint::blots: {
      const float first = wave_noise(x * .7f, y * .7f, d_.seed + 31);
      const float second = wave_noise(x * .9f + 7, y * .9f, d_.seed + 32);
      const Rgb third = (plain + other) * .35f;
      return blend(blend(plain, other, step_between(.05f, .15f, first)), third,
                   step_between(.2f, .3f, second));
    }
    case MaskPrint::paisley: {
      const float swirl = wave_noise(x * .6f, y * .6f, d_.seed + 33) * 3;
      mark = line(from_whole(swirl + .35f * wave_noise(x * 2, y * 2, d_.seed + 34)), .16f);
      break;
    }
    case MaskPrint::panels: {  // sewn together along two bent seams
      const float seam = 2.2f + .5f * std::sin(.45f * y + static_cast<float>(d_.seed % 7));
      mark = step_between(-.06f, .06f, std::abs(x) * d_.print_size - seam);
      break;
    }
    case MaskPrint::logo: {
      const float cx = (d_.seed >> 8 & 1) != 0 ? 2.6f : 0, cy = 5.2f / d_.print_size;
      const float dx = x - cx / d_.print_size, dy = y - cy;
      const float wide = 1.1f / d_.print_size, high = .5f / d_.print_size;
      const bool inside = std::abs(dx) < wide && std::abs(dy) < high;
      const float strokes =
          wave_noise(dx * 3.5f * d_.print_size, dy * 2.2f * d_.print_size, d_.seed + 35);
      mark = inside ? step_between(-.05f, .1f, strokes) : 0;
      break;
    }
  }
  return blend(plain, other, mark);
}

Rgb MaskGarment::cloth(float u, float v) const {
  const Place at = place(u, v);
  const float x = at.angle * .72f;
  Rgb color = printed(x, at.y);
  const float edge = hem(u, v);
  const bool hemmed = d_.cut == MaskCut::surgical || d_.cut == MaskCut::cloth;
  if (hemmed && d_.contrast_edge)
    color = blend(color, edge_color(), 1 - step_between(.03f, .045f, edge));
  if (d_.cut == MaskCut::cup && d_.wear == MaskWear::proper) {
    const float clip = std::hypot(x / .22f, (v - .055f) / .030f);
    color = blend(color, Rgb(.60f, .61f, .63f), 1 - step_between(.8f, 1.1f, clip));
  }
  if (d_.valve) {
    const float away = std::hypot(x - (d_.seed & 1 ? .17f : -.17f), at.y - .62f);
    const Rgb shell = to_rgb(d_.second_color);
    const float slits = .85f + .15f * std::cos(at.y * 110);
    color = blend(color, shell * slits, 1 - step_between(.085f, .10f, away));
  }
  return color * (1 + .02f * wave_noise(x * 60, at.y * 60, d_.seed + 10));
}

Eigen::Vector2f MaskGarment::relief(float u, float v) const {
  const Place at = place(u, v);
  const float x = at.angle * .72f, soft = d_.cut == MaskCut::cup ? .25f : 1.f;
  Eigen::Vector2f tilt(.16f * wave_noise(x * 4 + at.y * 2, at.y * 5, d_.seed + 11),
                       .16f * wave_noise(x * 3, at.y * 6 - x * 2, d_.seed + 12));
  // Tension: folds that run from the loops' corners towards the middle.
  const float out = std::abs(2 * u - 1);
  const float fan = wave_noise(v * 9 + out * 2, (u > .5f ? 3.f : 9.f) + out, d_.seed + 13);
  tilt.y() += .30f * out * out * fan;
  if (is_tube(d_.cut))
    tilt.y() += .45f * wave_noise(x * 1.5f, at.y * 9 - std::abs(x) * 3, d_.seed + 14) *
                step_between(.5f, .9f, at.y);
  tilt *= soft;
  if (d_.cut == MaskCut::surgical && v > .14f && v < .90f) {
    const float phase = v * static_cast<float>(d_.pleats + 1);
    const float middle = 1 - step_between(.70f, .95f, out) * .6f;
    tilt.y() += .42f * middle * (phase - std::floor(phase) - .5f);
  }
  return tilt;
}

float MaskGarment::crease(float u, float v) const {
  const Place at = place(u, v);
  const float x = at.angle * .72f, edge = hem(u, v);
  float shade = 0;
  if (d_.cut == MaskCut::surgical && v > .14f && v < .90f) {
    const float phase = v * static_cast<float>(d_.pleats + 1);
    const float into = phase - std::floor(phase);
    const float middle = 1 - step_between(.75f, 1.f, std::abs(2 * u - 1)) * .7f;
    shade += .22f * middle * std::exp(-into * into / .01f);
  }
  if (d_.cut == MaskCut::cloth && d_.seed % 3 != 0) shade += .22f * line(x, .008f);
  if (d_.cut == MaskCut::fold) shade += .16f * line(x, .012f);
  if (d_.cut == MaskCut::cup) shade += .12f * line(edge - .05f, .015f);
  if (d_.cut == MaskCut::surgical || d_.cut == MaskCut::cloth || d_.cut == MaskCut::fold)
    shade += .13f * line(edge - .035f, .007f);
  // The cloth turns in at its edges.
  return std::min(.5f, shade + .16f * (1 - step_between(0, .05f, edge)));
}

std::vector<MaskGarment::Band> MaskGarment::bands() const {
  std::vector<Band> out;
  if (!d_.loops || is_tube(d_.cut)) return out;
  const bool around_head = d_.cut == MaskCut::cup;
  const Rgb white(.93f, .93f, .92f);
  const bool dark = d_.color.r + d_.color.g + d_.color.b < 240;
  const Rgb color = d_.contrast_edge ? to_rgb(d_.second_color)
                    : around_head    ? Rgb(.88f, .80f, .55f)
                    : dark           ? Rgb(.12f, .12f, .12f)
                                     : white;
  for (const float u : {0.f, 1.f}) {
    const float side = u > .5f ? 1.f : -1.f;
    const Place high = place(u, .06f), low = place(u, around_head ? .6f : .93f);
    // Ends behind the ear; headbands go on to the crown and the nape.
    const Place high_end = around_head ? Place{1.62f, -.38f} : Place{1.60f, -.02f};
    const Place low_end = around_head ? Place{1.62f, .40f} : Place{1.60f, .24f};
    for (const auto& [from, to] : {std::pair(high, high_end), std::pair(low, low_end)}) {
      Band band{{}, around_head ? .016f : .012f, color};
      constexpr int pieces = 6;
      for (int i = 0; i <= pieces; ++i) {
        const float t = static_cast<float>(i) / pieces;
        const float angle = std::abs(from.angle) + (to.angle - std::abs(from.angle)) * t;
        const float sag = .02f * std::sin(kPi * t) * d_.looseness;
        band.points.emplace_back(side * angle, from.y + (to.y - from.y) * t + sag, .035f);
      }
      out.push_back(std::move(band));
    }
  }
  return out;
}

}  // namespace maskwatch::vision
