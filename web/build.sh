#!/usr/bin/env bash
# Builds the page: the engine twice with Emscripten (with threads and without), then build-web/site (`make web`).
set -euo pipefail
cd "$(dirname "$0")/.."
# Debian's Emscripten needs Debian's modules for Node, which another Node does not look for.
export NODE_PATH=${NODE_PATH:-/usr/share/nodejs}

build() {  # FOLDER MORE_CROSS_FILES
  local folder=$1 more=("${@:2}")
  [[ -f $folder/build.ninja ]] ||
    meson setup --cross-file web/emscripten/cross.ini "${more[@]/#/--cross-file=}" "$folder" >"$folder.log" 2>&1 ||
    { cat "$folder.log" >&2; exit 1; }
  rm -f "$folder.log"
  ninja -C "$folder"
}

build build-web
build build-web-threads web/emscripten/threads.ini
web/assemble.py build-web/site build-web build-web-threads
