#include "vision/faces/landmark_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/vision/faces/small_predictor.h"

using namespace maskwatch;

using namespace small_predictor;
using vision::Image;
using vision::LandmarkPredictor;

namespace {

std::string fault_of(const std::string& bytes) {
  try {
    LandmarkPredictor::parse(bytes, "small.dat");
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("landmarks: a file cut off anywhere is refused") {
  const std::string whole = predictor_bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const std::string fault = fault_of(whole.substr(0, size));
    REQUIRE(fault.starts_with("small.dat: "));
  }
  CHECK(fault_of(whole) == "");
  CHECK(fault_of(whole + "x") == "small.dat: has 1 bytes too many");
}

TEST_CASE("landmarks: counts, indices and numbers that cannot be are named") {
  const auto with = [](auto Odd::*field, auto value) {
    Odd odd;
    odd.*field = value;
    return fault_of(predictor_bytes(odd));
  };
  CHECK(with(&Odd::version, 2) == "small.dat: is not a dlib shape predictor (version 1)");
  CHECK(with(&Odd::points, 5) == "small.dat: has shapes of 10x1 numbers; 68 points are 136x1");
  CHECK(with(&Odd::pixel, 2) == "small.dat: pixel 2 of 2");
  CHECK(with(&Odd::pixel, -1).starts_with("small.dat: pixel -1 of "));
  CHECK(with(&Odd::anchor, 68) == "small.dat: anchor 68 of 68");
  CHECK(with(&Odd::anchor, -1) == "small.dat: anchor -1 of 68");
  CHECK(with(&Odd::anchor_lists, 2) == "small.dat: 2 lists of anchors where 1 are expected");
  CHECK(with(&Odd::deltas, 1) == "small.dat: 1 deltas where 2 are expected");
  CHECK(with(&Odd::leaves, 3) == "small.dat: has a tree of 1 splits and 3 leaves");
  CHECK(with(&Odd::delta, 0x1p127f) == "");
  for (const long long trees : {-1LL, 1LL << 20, 1LL << 32, 1LL << 62}) {
    CAPTURE(trees);
    CHECK(with(&Odd::trees, trees).find(std::to_string(trees) + " trees do not fit into the ") !=
          std::string::npos);
  }
}

TEST_CASE("landmarks: random damage is refused or harmless") {
  const std::string whole = predictor_bytes();
  const Image image = flat(64, 64, 3, 77);
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = whole;
    for (unsigned i = 0; i <= round % 4u; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      LandmarkPredictor::parse(bytes, "small.dat").predict(image, {8, 8, 40, 40});
    } catch (const std::runtime_error& error) {
      REQUIRE(std::string(error.what()).starts_with("small.dat: "));
      ++refused;
    }
  }
  CHECK(refused > 500);
}

TEST_CASE("landmarks: numbers at the edge of float move points far away without harm") {
  Odd odd;
  odd.delta = 0x1.fffffep127f;
  const auto predictor = LandmarkPredictor::parse(predictor_bytes(odd), "small.dat");
  CHECK(finite(predictor.predict(flat(64, 64, 3, 77), {8, 8, 40, 40})));
}

TEST_CASE("landmarks: files that are not there or not files") {
  CHECK_THROWS_WITH_AS(LandmarkPredictor::load("no/such.dat"), "no/such.dat: no such file",
                       std::runtime_error);
  CHECK_THROWS_AS(LandmarkPredictor::load("/"), std::runtime_error);
  CHECK_THROWS_AS(LandmarkPredictor::load("meson.build"), std::runtime_error);
}

TEST_CASE("landmarks: dlib's file cut off is refused") {
  const std::string file(vision::kDlibLandmarkFile);
  if (!std::filesystem::exists(file)) {
    MESSAGE("SKIPPED, NOT TESTED: " << file << " is not there (libdlib-data)");
    return;
  }
  std::ifstream stream(file, std::ios::binary);
  std::string bytes(std::filesystem::file_size(file), '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const std::string_view whole(bytes);
  // Everything before the first forest, chunk borders of the reader, the last bytes.
  std::vector<std::size_t> sizes{820, 827, 991, 4096, 1 << 20, (1 << 20) + 1, 3000001};
  for (std::size_t i = 0; i < 190; ++i) sizes.push_back(i * i * 61 + i % 7);  // to 2 MB
  sizes.insert(sizes.end(), {whole.size() - 20000, whole.size() - 1});
  for (const std::size_t size : sizes) {
    CAPTURE(size);
    CHECK_THROWS_AS(LandmarkPredictor::parse(whole.substr(0, size), file), std::runtime_error);
  }
}
