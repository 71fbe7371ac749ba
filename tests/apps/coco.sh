#!/usr/bin/env bash
# Runs coco_peer.py with pycocotools in a virtual environment (see ../peers.sh).
#   tests/apps/coco.sh EVALUATE_FACE_DETECTOR
# Exit code 77 (meson: skipped) where the environment cannot be made, which it says loudly.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../peers.sh"
peers=$(environment_of coco "$here/coco_requirements.txt")

if ! make_environment "$peers" "$here/coco_requirements.txt"; then
  echo "SKIPPED: pycocotools could not be installed (see $peers.log)" >&2
  exit 77
fi
PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 exec "$peers/bin/python" "$here/coco_peer.py" "$@"
