#!/usr/bin/env bash
# Trains the models that ship, from pictures with boxes, photographs and published weights. The same
# inputs give the same bytes, on any number of threads of the same kind of processor (vectors of
# AVX-512 for those in data/models).
set -euo pipefail

usage() {
  cat <<'EOF'
usage: data/train_models.sh [--build DIR] [--out DIR] BOXES KERAS_FILE LARGE_FILE PHOTOGRAPHS...

Converts the backbones, trains the face detector, the classifier, and with this one as its teacher the
small one, and finds the ranges with which they run in int8, as those in data/models were made.

  BOXES        folder of the pictures with their boxes (docs/model_card.md says what they are), in a
               form that train_face_detector reads
  KERAS_FILE   Keras MobileNetV2 0.35/224 of ImageNet (.h5), such as data/fetch.sh keras-0.35-224 fetches
  LARGE_FILE   MobileNetV2 1.0/224 of ImageNet, such as data/fetch.sh tflite-float fetches
  PHOTOGRAPHS  folders with with_mask/ and without_mask/ and no boxes
  --build DIR  where the programs were built (default: build)
  --out DIR    where to write (default: trained): face_detector.safetensors, mask_detector.safetensors,
               mask_detector_small.safetensors, below float/ the same as they were trained, what led to
               them, figures, and pictures of curves and mistakes. A run that was cut off there goes on.

The converter needs Python with numpy, h5py, tflite and safetensors; PYTHON names another interpreter
than python3.
EOF
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

build=build out=trained inputs=()
while (($#)); do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --build | --out)
      (($# > 1)) || fail "$1 needs a value; see --help"
      [[ $1 == --build ]] && build=$2 || out=$2
      shift
      ;;
    -*) fail "unknown option $1; see --help" ;;
    *) inputs+=("$1") ;;
  esac
  shift
done
((${#inputs[@]} >= 4)) ||
  fail "BOXES, KERAS_FILE, LARGE_FILE and PHOTOGRAPHS are needed; see --help"
boxes=${inputs[0]} keras=${inputs[1]} large=${inputs[2]} photographs=("${inputs[@]:3}")
[[ -d $boxes ]] || fail "$boxes: no such folder"
[[ -f $keras ]] || fail "$keras: is not there (data/fetch.sh keras-0.35-224 fetches it)"
[[ -e $large ]] || fail "$large: is not there (data/fetch.sh tflite-float fetches it)"
for folder in "${photographs[@]}"; do
  [[ -d $folder ]] || fail "$folder: no such folder"
done
for program in train_face_detector crop_faces draw_faces train_mask_detector quantize_model; do
  [[ -x $build/apps/$program ]] ||
    fail "$build/apps/$program: is not there (ninja -C $build programs builds it)"
done
mkdir -p -- "$out" 2>/dev/null || fail "$out: cannot create the folder"

# A file that is complete is not made again: outputs appear under their names when they are whole.
unless_there() {
  [[ -e $1 ]] || "${@:2}"
}

# convert SOURCE NAME
convert() {
  unless_there "$out/$2.safetensors" \
    "${PYTHON:-python3}" "$(dirname "$0")/convert_weights.py" "$1" "$out/$2.safetensors" \
    --no-classifier
}

convert "$keras" backbone
convert "$large" large_backbone

mkdir -p -- "$out/float"
detector=$out/float/face_detector.safetensors
judged=$out/float/face_detector.json
unless_there "$detector" \
  "$build/apps/train_face_detector" -d "$boxes" --weights "$out/backbone.safetensors" --resume \
  --steps 12000 --stretch 1000 --average 0.998 --seed 1 --precision f16 \
  -m "$detector" --history "$judged" \
  --plot "$out/curves.png" --precision-plot "$out/precision.png" \
  --misses "$out/misses.png" --false-alarms "$out/false_alarms.png"

# A folder that a program fills appears under its name when it is whole: fill FOLDER PROGRAM...
fill() {
  [[ ! -e $out/$1 ]] || return 0
  rm -rf -- "$out/$1.part"
  "$build/apps/$2" "${@:3}" -o "$out/$1.part"
  mv -- "$out/$1.part" "$out/$1"
}

# The classifier never sees the pictures that the detector is judged on.
fill faces crop_faces -d "$boxes" --without "$judged" --background "$detector"
fill drawn draw_faces -n 400 --seed 1

# train_classifier NAME BACKBONE OPTION...
train_classifier() {
  unless_there "$out/float/$1.safetensors" \
    "$build/apps/train_mask_detector" -d "$out/faces" "$out/drawn" "${photographs[@]}" \
    --face "$detector" --weights "$out/$2.safetensors" --resume \
    --size 128 --fine-tune all --schedule cosine --augment light \
    --label-smoothing 0.05 --validation 0.05 --seed 1 --precision f16 \
    -m "$out/float/$1.safetensors" --history "$out/float/$1.json" --plot "$out/$1_curves.png" "${@:3}"
}
train_classifier mask_detector large_backbone --lr 5e-4 --epochs 8
train_classifier mask_detector_small backbone --lr 1e-3 --epochs 30 \
  --teacher "$out/float/mask_detector.safetensors" --teacher-share 0.7

# quantize NAME OPTION...
quantize() {
  unless_there "$out/$1.safetensors" \
    "$build/apps/quantize_model" "$out/float/$1.safetensors" -o "$out/$1.safetensors" "${@:2}"
}
# The detector keeps its weights, so that it can be trained further.
quantize face_detector -d "$boxes" --without "$judged" --precision f16
quantize mask_detector -d "$out/faces"
quantize mask_detector_small -d "$out/faces"
