// The table of operations: one function pointer for each row of ops.def. A back end is a filled
// table, and everything above the kernels reaches a back end through one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/shapes.h"

namespace maskwatch::kernels {

template <typename T>
struct Table {
#define OP(name, parameters) void(*name) parameters = nullptr;
#include "kernels/ops.def"
#undef OP
};

// The plainest loops: the definition of every operation. T is float or double.
namespace ref {
#define OP(name, parameters) \
  template <typename T>      \
  void name parameters;
#include "kernels/ops.def"
#undef OP

template <typename T>
const Table<T>& table();
}  // namespace ref

// The back end tuned for this machine: the best vector target that the processor has, or the one
// that the environment variable MASKWATCH_TARGET names. std::runtime_error if this machine or build
// lacks that one.
const Table<float>& cpu();

// Vector targets that this build holds and this machine runs, best first: "AVX3", "AVX2", "SSE4",
// ...
std::vector<std::string> targets();
// The table of one of them; std::invalid_argument for a name not in targets().
const Table<float>& cpu(const std::string& target);
// Name of the target behind cpu().
const std::string& target_name();

// kernels::name(...): the operation on cpu().
#define OP(name, parameters)                           \
  template <typename... Arguments>                     \
  void name(Arguments&&... arguments) {                \
    cpu().name(std::forward<Arguments>(arguments)...); \
  }
#include "kernels/ops.def"
#undef OP

}  // namespace maskwatch::kernels
