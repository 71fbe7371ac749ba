#!/usr/bin/env bash
# Measures every operation on this machine, on every vector target beside the plain reference; MobileNetV2 layer by
# layer beside the peak of the processor; then the engines that people use instead, in turn with ours (docs/benchmarks.md).
#   run.sh BUILD_FOLDER [--quick] [OPTIONS OF bench_kernels]
# --quick: two minutes, the chief network alone. Tables go to bench-output/.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
shift || true
quick=
if [ "${1:-}" = --quick ]; then
  quick=--quick
  shift
fi
out=bench-output
mkdir -p $out
ninja -C "$build"
if [ -z "$quick" ]; then
  for threads in 1 2; do
    echo "Operations, $threads thread(s)"
    "$build/bench/kernels/bench_kernels" --threads=$threads "$@" | tee "$out/kernels_$threads.txt"
  done
fi
echo "MobileNetV2 1.0/224, block by block"
"$build/bench/kernels/mobilenet_v2_blocks" --threads 1 | tee $out/mobilenet_v2_blocks.txt
echo "Beside other engines, in turn"
bench/peers/setup.sh bench/peers/run.py "$build" --out $out/peers $quick
echo "Tables are in $out/ and $out/peers/table.md"
