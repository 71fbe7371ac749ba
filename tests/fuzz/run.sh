#!/bin/sh
# Fuzzes each target in turn, with ASan and UBSan: tests/fuzz/run.sh [SECONDS for each] [TARGET...]
# What is found lies in build-fuzz/findings, the corpora that grow in build-fuzz/corpora.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
build=${BUILD_FUZZ:-build-fuzz}
: "${CC:=clang}" "${CXX:=clang++}"
export CC CXX

if ! printf 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
  $CXX -x c++ -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null; then
  echo "SKIPPED, NOT FUZZED: $CXX has no libFuzzer (Debian: clang, libclang-rt-dev)" >&2
  exit 77
fi
if [ ! -f "$build/build.ninja" ]; then
  meson setup "$build" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
    --buildtype=debugoptimized -Doptimization=1
fi
ninja -C "$build" fuzzers
[ $# -gt 0 ] || set -- $(find "$build/tests/fuzz" -maxdepth 1 -type f -name 'fuzz_*' -executable | sed 's/.*fuzz_//' | sort)
mkdir -p "$build/findings"
failed=
for target; do
  program=$build/tests/fuzz/fuzz_$target
  seeds=$build/corpora/$target.seeds
  mkdir -p "$build/corpora/$target"
  "$program" --seeds "$seeds"
  dictionary=tests/fuzz/dictionaries/$target.dict
  echo "== $target: $seconds s"
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1 \
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    $([ ! -f "$dictionary" ] || echo "-dict=$dictionary") \
    -artifact_prefix="$build/findings/$target-" "$build/corpora/$target" "$seeds" \
    2>"$build/findings/$target.log" || failed="$failed $target"
  grep -E '^stat::(number_of_executed_units|new_units_added|peak_rss_mb)' "$build/findings/$target.log" || tail -n 30 "$build/findings/$target.log"
done
if [ -n "$failed" ]; then
  echo "findings:$failed (see $build/findings)" >&2
  exit 1
fi
