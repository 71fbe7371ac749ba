// Every differentiable operation. Each checks its shapes (std::invalid_argument names the operation
// and the shapes), runs its kernel and, where an input requires a gradient, records how to take it.
#pragma once

#include "nn/ops/batch_norm.h"
#include "nn/ops/concat.h"
#include "nn/ops/conv.h"
#include "nn/ops/conv_batch_norm.h"
#include "nn/ops/detection_loss.h"
#include "nn/ops/dropout.h"
#include "nn/ops/elementwise.h"
#include "nn/ops/linear.h"
#include "nn/ops/loss.h"
#include "nn/ops/pool.h"
#include "nn/ops/recompute.h"
#include "nn/ops/resize.h"
