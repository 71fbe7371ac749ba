#!/bin/bash
# The build script of an OSS-Fuzz project: run in its image, in the root of this tree, with CC, CXX, CFLAGS, CXXFLAGS,
# LIB_FUZZING_ENGINE, OUT and WORK set. The image needs what packages.txt lists under Build, Engine, Vision and Programs.
set -eux
meson setup "$WORK/build" -Dfuzz=true -Dfuzz_engine="$LIB_FUZZING_ENGINE" -Db_lundef=false -Dtests=enabled \
  -Dviewer=disabled -Dvideo=disabled -Dbenchmarks=disabled --buildtype=plain
ninja -C "$WORK/build" fuzzers
for program in "$WORK"/build/tests/fuzz/fuzz_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  name=$(basename "$program")
  target=${name#fuzz_}
  "$program" --seeds "$WORK/seeds/$target"
  (cd "$WORK/seeds/$target" && zip -q "$OUT/${name}_seed_corpus.zip" ./*)
  cp "$program" "$OUT/"
  dictionary=tests/fuzz/dictionaries/$target.dict
  if [ -f "$dictionary" ]; then cp "$dictionary" "$OUT/$name.dict"; fi
done
