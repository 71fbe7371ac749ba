#!/usr/bin/env bash
# Runs a test of the page in Debian's Chromium or Firefox, with what drives it (requirements.txt) in a virtual environment (see
# ../peers.sh). `make web-test` builds the page first.
#   tests/web/run.sh TEST.py BUILD_FOLDER
# Exit code 77 (meson: skipped) where the page, Chromium or the environment is missing, which it says loudly.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..

skip() {
  echo "SKIPPED, NOT TESTED: $1" >&2
  exit 77
}

command -v chromium >/dev/null || skip "chromium is not installed (make web-test installs it)"
command -v em++ >/dev/null || skip "emscripten is not installed (make web-test installs it)"
for build in build-web build-web-threads; do
  [[ -f $root/$build/build.ninja && -f $root/build-web/site/version.js ]] || skip "the page is not built (make web does it)"
  ninja -C "$root/$build" -n | grep -q 'no work to do' || skip "the page is older than its sources (make web builds it)"
done
for file in "$root"/web/site/*; do
  cmp -s "$file" "$root/build-web/site/${file##*/}" || skip "the page is older than ${file##*/} (make web builds it)"
done
for file in "$root"/build-web/site/models/*; do
  cmp -s "$file" "$root/data/models/${file##*/}" || skip "the page is older than ${file##*/} (make web builds it)"
done
source "$here/../peers.sh"
peers=$(environment_of web "$here/requirements.txt")
make_environment "$peers" "$here/requirements.txt" || skip "what drives Chromium could not be installed (see $peers.log)"
export PYTHONDONTWRITEBYTECODE=1
exec "$peers/bin/python" "$here/$1" "${@:2}"
