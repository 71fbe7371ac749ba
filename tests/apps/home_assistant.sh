#!/usr/bin/env bash
# Runs home_assistant_peer.py with a Home Assistant of PyPI in a virtual environment (see ../peers.sh). By hand: the
# installation takes a minute. Its newest version needs a newer Python than Debian's: PYTHON names another one.
#   tests/apps/home_assistant.sh DETECT_MASK_VIDEO DRAW_VIDEO
# Exit code 77 (meson: skipped) where the environment cannot be made, which it says loudly.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../peers.sh"
list=$here/home_assistant_requirements.txt
peers_python=${PYTHON:-python3}
version=$("$peers_python" -c 'import sys; print(*sys.version_info[:2], sep=".")')
peers=$(environment_of "home-assistant-$version" "$list")

if ! make_environment "$peers" "$list"; then
  echo "SKIPPED: Home Assistant could not be installed (see $peers.log)" >&2
  exit 77
fi
PYTHONDONTWRITEBYTECODE=1 exec "$peers/bin/python" "$here/home_assistant_peer.py" "$@"
