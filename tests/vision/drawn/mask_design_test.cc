#include "vision/drawn/mask_design.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <string>

using namespace maskwatch;

using vision::MaskCut;
using vision::MaskDesign;
using vision::MaskWear;

TEST_CASE("random masks are of every cut and print, and only well-worn ones slide") {
  std::set<MaskCut> cuts;
  std::set<vision::MaskPrint> prints;
  std::set<std::string> names;
  int slid = 0;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    const MaskDesign design = vision::random_mask(seed);
    cuts.insert(design.cut);
    prints.insert(design.print);
    names.insert(name_of(design.print));
    slid += design.lift < -1;
    CHECK(design.lift >= -3);
    CHECK(vision::random_mask(seed, MaskWear::under_nose).lift >= -1);
  }
  CHECK(cuts.size() == 6);
  CHECK(prints.size() == 9);
  CHECK(names.size() == 9);
  CHECK(slid > 50);
  CHECK(slid < 140);
}
