#!/usr/bin/env bash
# Runs a Python test of this folder with TensorFlow and both Keras in a virtual environment of their own (see
# ../peers.sh), apart from that of run.sh, whose PyTorch they need not agree with.
#   tests/data/tensorflow.sh whole_models_test.py [ARGUMENTS]
# Exit code 77 (meson: skipped) where the environment cannot be made, which it says loudly.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../peers.sh"
peers=$(environment_of tensorflow "$here/requirements-tensorflow.txt")

if ! make_environment "$peers" "$here/requirements-tensorflow.txt"; then
  echo "SKIPPED: TensorFlow and Keras could not be installed (see $peers.log)" >&2
  exit 77
fi
export KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=0 CUDA_VISIBLE_DEVICES=
export PYTHONWARNINGS=ignore PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
exec "$peers/bin/python" "$here/$1" "${@:2}"
