#!/usr/bin/env bash
# Runs a Python test of this folder with the peers of requirements.txt in a virtual environment (see ../peers.sh).
#   tests/data/run.sh convert_test.py [ARGUMENTS]
# Exit code 77 (meson: skipped) where the environment cannot be made, which it says loudly.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../peers.sh"
peers=$(environment_of data "$here/requirements.txt" "$here/../../data/requirements.txt")

if ! make_environment "$peers" "$here/requirements.txt"; then
  echo "SKIPPED: the peers of tests/data could not be installed (see $peers.log)" >&2
  exit 77
fi
if [[ ! -d $here/../../../shared/published ]]; then
  echo "SKIPPED IN PART: ../shared/published is missing, so no published weights are converted" >&2
fi
export KERAS_BACKEND=torch TF_CPP_MIN_LOG_LEVEL=3 PYTHONWARNINGS=ignore PYTHONDONTWRITEBYTECODE=1
# One thread: on a busy machine BLAS threads that wait for one another cost ten times the work.
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
exec "$peers/bin/python" "$here/$1" "${@:2}"
