#!/bin/sh
# cuda/check.sh [BUILD]: everything that only a GPU can show, in at most 8 minutes once it is built, tables last. Needs
# nvcc, meson, a C++ compiler and a GPU with its driver; uses compute-sanitizer where it is found.
#
# BUILD: a build folder (default: build-gpu, which is set up for this machine's GPU). A build that was made elsewhere
# with -Dgpu_architectures for this GPU serves too: then nothing is compiled here.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:-build-gpu}
failed=
say() { printf '\n== %s\n' "$*"; }
# check NAME SECONDS COMMAND...: runs it, prints how it ended, and goes on.
check() {
  name=$1 limit=$2
  shift 2
  say "$name"
  begin=$(date +%s)
  timeout "$limit" "$@"
  status=$?
  took=$(($(date +%s) - begin))
  if [ $status = 0 ]; then
    echo "ok: $name ($took s)"
  else
    [ $status = 124 ] && echo "error: $name: not done after $limit s"
    echo "FAILED: $name (exit code $status, $took s)"
    failed="$failed; $name"
  fi
}

command -v nvidia-smi > /dev/null || { echo "error: no nvidia-smi: this machine has no NVIDIA driver" >&2; exit 2; }
nvidia-smi --query-gpu=name,compute_cap,memory.total,driver_version --format=csv,noheader || exit 2
if [ ! -x "$build/tests/cuda/test_cuda" ]; then
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
  [ "$capability" = 90 ] && capability=90a
  if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" -Dcuda=enabled -Dgpu_architectures="$capability" || exit 1
  fi
  ninja -C "$build" tests/cuda/test_cuda tests/cuda/test_networks bench/cuda/bench_operations || exit 1
fi
test=$build/tests/cuda/test_cuda
export MASKWATCH_REQUIRE_GPU=1  # without a GPU the tests would pass on the executor alone

check "Every operation's cases on the GPU, twice, same bytes" 120 "$test" --test-case-exclude='executor*,simt*'
check "Products without tensor cores" 50 env MASKWATCH_TF32=0 "$test" --test-case='*gemm*,*conv2d*,pointwise*,inverted*'
check "Networks: inference and training as on the CPU" 60 "$build/tests/cuda/test_networks"
if command -v compute-sanitizer > /dev/null; then
  # A few cases of each family: these tools are some hundred times slower.
  for tool in memcheck racecheck initcheck; do
    check "compute-sanitizer $tool" 40 compute-sanitizer --tool $tool --error-exitcode 9 "$test" \
      --test-case='softmax_backward*,add_bias_backward*,batch_norm_statistics*,global_average_pool:*'
  done
else
  echo "SKIPPED: compute-sanitizer (part of NVIDIA's toolkit) is not installed"
fi

say "Registers and memory of the kernels"
ls "$build"/cuda/*.ptxas > /dev/null 2>&1 && cuda/report.py --by-source "$build"/cuda/*.ptxas
check "Time of every operation" 110 "$build/bench/cuda/bench_operations" --seconds 0.1

say "Result"
if [ -n "$failed" ]; then
  echo "FAILED:${failed#;}"
  exit 1
fi
echo "All checks passed."
