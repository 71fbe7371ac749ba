// What the lanes of a warp do together (Exchange in cuda/host/executor.h). Each function takes the
// payload of every lane that takes part, and null for the others.
#pragma once

#include <cstdint>

namespace maskwatch::simt {

struct Shuffle {
  std::uint64_t value, result;
  int source;  // lane
};
// A lane that reads from one outside the mask gets NaN, or -1.
void combine_shuffles(void* const* payloads);

struct Ballot {
  bool predicate;
  unsigned result;
};
void combine_ballots(void* const* payloads);

struct Fragments {
  float (&d)[4];
  const std::uint32_t (&a)[4];
  const std::uint32_t (&b)[2];
};
// Bit for bit as MMA-Sim (Xie et al. 2025) has Ampere's tensor cores: four products and the sum so
// far, cut off 24 bits below the largest, rounded toward 0; then the other four. Hopper keeps one
// bit more and takes all eight at once.
void multiply_fragments(void* const* payloads);

}  // namespace maskwatch::simt
