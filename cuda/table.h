// The operations of kernels/ops.def on a GPU, or on the executor (cuda/simt.h): one function for
// each row. Numbers and arrays are in the device's memory; a structure that is passed by pointer
// (BatchNorm<T>* before) is in the host's and holds pointers of the device.
#pragma once

#include "cuda/simt.h"
#include "kernels/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

using kernels::Activation;
using kernels::AdamStep;
using kernels::AdamTensor;
using kernels::BatchNorm;
using kernels::BatchNormGradient;
using kernels::ConvShape;
using kernels::GemmShape;
using kernels::InvertedResidualShape;
using kernels::PoolShape;
using kernels::RowShape;
using kernels::SgdStep;
using kernels::UpsampleShape;

using T = float;
#define OP(name, parameters) void name parameters;
#include "kernels/ops.def"
#undef OP

const kernels::Table<float>& table();

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
