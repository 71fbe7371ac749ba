#!/usr/bin/env bash
# Cross-compiles the project for aarch64 (NEON) and runs its suites under qemu-user, on an x86-64 Debian:
#
#   tests/aarch64.sh [BUILD_FOLDER [TEST...]]      default: build-aarch64 house kernels nn vision
#
# The target's libraries are Debian's arm64 packages, extracted into a folder beside the build; nothing is installed but the
# cross compiler, qemu-user-static and mmdebstrap.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build-aarch64}
shift || true
[ $# -gt 0 ] || set -- house kernels nn vision
sysroot=$PWD/$build-sysroot

sudo=$([ "$(id -u)" = 0 ] || echo sudo)
missing=()
for package in g++-aarch64-linux-gnu qemu-user-static mmdebstrap; do
  dpkg-query -W -f '${Status}' $package 2>/dev/null | grep -q 'ok installed' || missing+=($package)
done
if [ ${#missing[@]} -gt 0 ]; then
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if [ ! -d "$sysroot" ]; then
  mmdebstrap --variant=extract --architectures=arm64 \
    --include=libc6-dev,libstdc++-12-dev,libhwy-dev,libfmt-dev,libpugixml-dev,libstb-dev,nlohmann-json3-dev \
    --include=libcli11-dev,libeigen3-dev,doctest-dev bookworm "$sysroot.part"
  mv "$sysroot.part" "$sysroot"
fi

mkdir -p "$build"
cat > "$build/aarch64.ini" <<INI
[binaries]
c = ['aarch64-linux-gnu-gcc', '--sysroot=$sysroot']
cpp = ['aarch64-linux-gnu-g++', '--sysroot=$sysroot']
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64-static', '-L', '$sysroot']

[properties]
sys_root = '$sysroot'
pkg_config_libdir = '$sysroot/usr/lib/aarch64-linux-gnu/pkgconfig:$sysroot/usr/share/pkgconfig'

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'armv8-a'
endian = 'little'
INI
[ -f "$build/build.ninja" ] ||
  meson setup "$build" --cross-file "$build/aarch64.ini" -Dviewer=disabled -Dvideo=disabled -Dbenchmarks=disabled
ninja -C "$build"
meson test -C "$build" --timeout-multiplier 20 --print-errorlogs "$@"
