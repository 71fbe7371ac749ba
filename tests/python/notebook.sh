#!/usr/bin/env bash
# Runs the notebooks of python/examples in a virtual environment (see ../peers.sh).
#   tests/python/notebook.sh PYTHON BUILD_FOLDER
# PYTHON is the one that the package was built for. Exit code 77 (meson: skipped) where the environment cannot be made,
# which it says loudly.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$2" && pwd)
source "$here/../peers.sh"
python3() { "$python" "$@"; }
python=$1
peers=$(environment_of notebook "$here/notebook_requirements.txt")

if ! make_environment "$peers" "$here/notebook_requirements.txt"; then
  echo "SKIPPED: what runs notebooks could not be installed (see $peers.log)" >&2
  exit 77
fi
export PATH=$build/apps:$PATH PYTHONPATH=$build/python PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
exec "$peers/bin/python" "$here/notebook_test.py" "$here"/../../python/examples/*.ipynb
