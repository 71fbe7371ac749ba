#include "vision/drawn/mask_design.h"

#include <algorithm>
#include <iterator>

#include "base/random.h"

namespace maskwatch::vision {
namespace {

template <std::size_t N>
Color pick(Random& random, const Color (&colors)[N]) {
  return colors[random.below(static_cast<int>(N))];
}

Color varied(Random& random, Color color, int by) {
  const auto near = [&](int value) {
    return static_cast<std::uint8_t>(std::clamp(value + random.below(2 * by + 1) - by, 0, 255));
  };
  return {near(color.r), near(color.g), near(color.b)};
}

Color any_color(Random& random) {
  constexpr Color usual[] = {{190, 40, 50},   {40, 60, 120},   {230, 190, 60},  {60, 120, 80},
                             {120, 60, 130},  {230, 130, 150}, {90, 150, 190},  {150, 110, 80},
                             {110, 115, 120}, {235, 235, 230}, {25, 45, 80},    {220, 110, 50},
                             {150, 30, 110},  {40, 150, 150},  {205, 165, 135}, {75, 55, 45}};
  return varied(random, pick(random, usual), 25);
}

MaskCut random_cut(Random& random) {
  const double share = random.uniform();
  return share < .50   ? MaskCut::surgical
         : share < .58 ? MaskCut::cup
         : share < .72 ? MaskCut::fold
         : share < .92 ? MaskCut::cloth
         : share < .96 ? MaskCut::bandana
                       : MaskCut::gaiter;
}

Color random_color(Random& random, MaskCut cut) {
  constexpr Color blue[] = {
      {158, 198, 228}, {120, 175, 215}, {100, 160, 215}, {176, 210, 226}, {150, 205, 190}};
  constexpr Color white[] = {{232, 236, 238}, {226, 230, 232}, {238, 240, 240}};
  constexpr Color stiff[] = {{238, 238, 234}, {230, 229, 222}, {240, 241, 240}, {205, 207, 208}};
  constexpr Color black{28, 28, 31};
  const double share = random.uniform();
  switch (cut) {
    case MaskCut::surgical:
      return share < .18   ? varied(random, black, 8)
             : share < .36 ? varied(random, pick(random, white), 9)
             : share < .40 ? varied(random, {235, 190, 205}, 9)
             : share < .50 ? any_color(random)
                           : varied(random, pick(random, blue), 12);
    case MaskCut::cup:
    case MaskCut::fold:
      return share < .28   ? varied(random, black, 8)
             : share < .40 ? varied(random, pick(random, blue), 12)
             : share < .52 ? any_color(random)
                           : varied(random, pick(random, stiff), 8);
    default:
      return share < .36   ? varied(random, black, 12)
             : share < .42 ? varied(random, {228, 228, 226}, 14)
             : share < .58 ? varied(random, {120, 122, 126}, 30)
                           : any_color(random);
  }
}

MaskPrint random_print(Random& random, MaskCut cut) {
  const bool soft = cut == MaskCut::cloth || cut == MaskCut::bandana || cut == MaskCut::gaiter;
  if (!soft) {
    if (random.chance(.05)) return MaskPrint::logo;
    const bool sporty = cut == MaskCut::fold && random.chance(.25);
    return sporty ? MaskPrint::panels : MaskPrint::plain;
  }
  if (random.chance(.42)) return MaskPrint::plain;
  return static_cast<MaskPrint>(1 + random.below(8));
}

float either_way(Random& random) { return static_cast<float>(random.uniform(-1, 1)); }

}  // namespace

MaskDesign random_mask(std::uint64_t seed, MaskWear wear) {
  Random random{seed, 21};
  MaskDesign design;
  design.seed = random.bits();
  design.wear = wear;
  design.cut = random_cut(random);
  design.color = random_color(random, design.cut);
  design.second_color = any_color(random);
  design.print = random_print(random, design.cut);
  const bool slid = random.chance(.15) && wear == MaskWear::proper;  // towards the tip of the nose
  design.lift = static_cast<float>(slid ? random.uniform(-3, -1) : random.uniform(-1, 1.4));
  design.looseness = static_cast<float>(random.uniform());
  design.tilt = either_way(random) * either_way(random);
  design.breadth = either_way(random);
  design.print_size = static_cast<float>(random.uniform(.45, 2.2));
  design.exposure = static_cast<float>(random.uniform(.82, 1.12));
  design.pleats = 2 + random.below(3);
  const bool stiff = design.cut == MaskCut::cup || design.cut == MaskCut::fold;
  design.valve = random.chance(.25) && stiff && wear == MaskWear::proper;
  if (design.valve)
    design.second_color =
        varied(random, random.chance(.5) ? Color{235, 235, 235} : design.color, 12);
  design.loops = random.chance(.85);
  design.contrast_edge =
      random.chance(.2) && (design.cut == MaskCut::surgical || design.cut == MaskCut::cloth);
  return design;
}

std::string name_of(MaskCut cut) {
  constexpr const char* names[] = {"surgical", "cup", "fold", "cloth", "bandana", "gaiter"};
  return names[static_cast<int>(cut)];
}

std::string name_of(MaskPrint print) {
  constexpr const char* names[] = {"plain", "stripes", "checks", "dots",  "flowers",
                                   "blots", "paisley", "logo",   "panels"};
  return names[static_cast<int>(print)];
}

std::string name_of(MaskWear wear) {
  constexpr const char* names[] = {"proper", "under_nose", "on_chin"};
  return names[static_cast<int>(wear)];
}

}  // namespace maskwatch::vision
