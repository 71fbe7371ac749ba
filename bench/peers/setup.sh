#!/usr/bin/env bash
# Installs the peers from PyPI into virtual environments (see tests/peers.sh) and runs a Python program there:
#   bench/peers/setup.sh bench/peers/run.py BUILD_FOLDER [OPTIONS]
# The newest that the registry serves; delete the environment for newer ones. PyTorch, ONNX Runtime and LiteRT come
# from the environment of tests/data, so that PyTorch's libraries for a GPU, which PyPI gives to all, are fetched once.
# A peer that cannot be installed is named and left out: its row says that it is not there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$here/../../tests/data
source "$here/../../tests/peers.sh"

base=$(environment_of data "$data/requirements.txt" "$here/../../data/requirements.txt")
make_environment "$base" "$data/requirements.txt" || echo "not all of tests/data's peers could be installed: $base.log" >&2
peers=$(environment_of bench "$here/requirements.txt" "$data/requirements.txt")
if ! make_environment "$peers" "$here/requirements.txt" "$base"; then
  # One by one, for those that can be.
  grep -o '^[a-z][^ #]*' "$here/requirements.txt" | while read -r package; do
    "$peers/bin/pip" install --quiet "$package" >>"$peers.log" 2>&1 || echo "cannot install $package: $peers.log" >&2
  done
  touch "$peers/ready"
fi
older=$(environment_of older "$here/requirements-older.txt")
if make_environment "$older" "$here/requirements-older.txt"; then
  export MASKWATCH_OLDER_PEERS=$older/bin/python
else
  echo "cannot install the older peers: $older.log" >&2
fi
export TF_CPP_MIN_LOG_LEVEL=3 PYTHONWARNINGS=ignore PYTHONDONTWRITEBYTECODE=1
exec "$peers/bin/python" "$@"
