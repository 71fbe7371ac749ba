// The numbers themselves: models, splits, drawn faces and augmentation are made of them, and a seed
// must give the same ones for ever.
#include "base/random.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace maskwatch;

TEST_CASE("random_bits are splitmix64's") {
  CHECK(random_bits(0, 0) == 0xE220A8397B1DCDAFu);
  CHECK(random_bits(42, 1000) == 0x5566DBE893F1B4AEu);
  CHECK(random_bits(~std::uint64_t{0}, ~std::uint64_t{0}) == 0xB4D055FCF2CBBD7Bu);
  CHECK(mix_bits(1) == 0x5692161D100B05E5u);
}

TEST_CASE("the numbers of a key") {
  Random random{1, 2, 3};
  CHECK(random.bits() == 0x214D4C07ECFEAAC5u);
  CHECK(random.bits() == 0x6FF419CB83DFE1E6u);
  CHECK(random.bits() == 0xF475FF91157F0556u);
  CHECK(random.uniform() == 0x1.1A67F2BBBB7B8p-2);
  CHECK(random.uniform(-2, 5) == 0x1.1CF30025C22BBp+2);
  CHECK(random.below(10) == 0);
  CHECK(random.chance(.5));
  CHECK(random.bounded_normal() == -0x1.D0FB27BE93131p-2);
  CHECK(Random{7}.bits() == 0xB8B4C2977EABCE45u);
}

TEST_CASE("the numbers of a seed") {
  Random random = Random::of_seed(42);
  for (std::uint64_t i = 0; i < 5; ++i) CHECK(random.bits() == random_bits(42, i));

  Random seven = Random::of_seed(7);
  CHECK(seven.uniform() == 0x1.8F2F879164C82p-2);
  CHECK(seven.gaussian() == doctest::Approx(0x1.31F1AF87ABA17p-3).epsilon(1e-15));
  CHECK(seven.gaussian() == doctest::Approx(-0x1.438E83608827Cp+0).epsilon(1e-15));
}

TEST_CASE("streams of neighbouring keys and seeds differ") {
  CHECK(Random{1, 2}.bits() != Random{2, 1}.bits());
  CHECK(Random{1}.bits() != Random{1, 0}.bits());
  CHECK(Random::of_seed(1).bits() != Random::of_seed(2).bits());
}

TEST_CASE("numbers stay in their range and have the mean and deviation they should") {
  Random random{11};
  const int count = 20000;
  double uniform = 0, normal = 0, normal_square = 0, bounded = 0, bounded_square = 0;
  bool inside = true;
  for (int i = 0; i < count; ++i) {
    const double u = random.uniform(), g = random.gaussian(), b = random.bounded_normal();
    const int below = random.below(3);
    inside = inside && u >= 0 && u < 1 && std::abs(b) <= 3.4642 && below >= 0 && below < 3;
    uniform += u;
    normal += g;
    normal_square += g * g;
    bounded += b;
    bounded_square += b * b;
  }
  CHECK(inside);
  CHECK(std::abs(uniform / count - .5) < .01);
  CHECK(std::abs(normal / count) < .03);
  CHECK(std::abs(normal_square / count - 1) < .04);
  CHECK(std::abs(bounded / count) < .03);
  CHECK(std::abs(bounded_square / count - 1) < .04);
}
