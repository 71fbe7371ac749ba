#!/usr/bin/env bash
# Measures parallel_for of both thread implementations in turn, on a quiet machine and beside a
# spinning process on each core, and prints one table (docs/threads.md).
set -eu
cd "$(dirname "$0")/../.."
for threads in pool openmp; do
  [ -f build-$threads/build.ninja ] || meson setup build-$threads -Dthreads=$threads > /dev/null
  ninja -C build-$threads bench/base/parallel > /dev/null
done
spinning=()
trap '[ ${#spinning[@]} = 0 ] || kill "${spinning[@]}"' EXIT
row() {
  for round in 1 2 3; do
    for threads in pool openmp; do
      printf '| %-6s | %s | %s |\n' $threads "$1" "$(build-$threads/bench/base/parallel | sed 's/  */ | /g; s/^ | //')"
    done
  done
}
echo '| threads | machine | empty loop, µs | 64 small tasks, µs | 60 loops of a network, µs | their mean, µs |'
echo '|---|---|---|---|---|---|'
row quiet
for _ in $(seq "$(nproc)"); do
  (while :; do :; done) &
  spinning+=($!)
done
row busy
