#!/usr/bin/env bash
# Measures every operation on this machine, on every vector target beside the plain reference, then MobileNetV2 layer by layer
# beside the peak of the processor. Usage: run.sh BUILD_FOLDER [OPTIONS OF bench_kernels]; tables go to bench-output/.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
shift || true
out=bench-output
mkdir -p $out
for threads in 1 2; do
  echo "Operations, $threads thread(s)"
  "$build/bench/kernels/bench_kernels" --threads=$threads "$@" | tee "$out/kernels_$threads.txt"
done
echo "MobileNetV2 1.0/224, block by block"
"$build/bench/kernels/mobilenet_v2_blocks" --threads 1 | tee $out/mobilenet_v2_blocks.txt
echo "Tables are in $out/. Beside other engines: bench/peers/*.py --help"
