#!/usr/bin/env bash
# Trains the models that ship, from pictures with boxes, photographs and published weights. The same
# inputs give the same bytes, on any number of threads of the same kind of processor (vectors of
# AVX-512 for those in data/models).
set -euo pipefail

usage() {
  cat <<'EOF'
usage: data/train_models.sh [--build DIR] [--out DIR] BOXES KERAS_FILE LARGE_FILE LANDMARKS PHOTOGRAPHS...

Converts the backbones, trains the face detector, trains it further with itself as the teacher on
photographs without boxes, trains the classifier, and finds the ranges with which both run in int8,
as those in data/models were made.

  BOXES        folder of the pictures with their boxes (docs/model_card.md says what they are), in a
               form that train_face_detector reads
  KERAS_FILE   Keras MobileNetV2 0.35/224 of ImageNet (.h5), such as data/fetch.sh keras-0.35-224 fetches
  LARGE_FILE   MobileNetV2 1.0/224 of ImageNet, such as data/fetch.sh tflite-float fetches
  LANDMARKS    face-api's landmarks, the manifest (.json) that data/fetch.sh face-api-landmarks fetches
  PHOTOGRAPHS  folders with with_mask/ and without_mask/ and no boxes
  --build DIR  where the programs were built (default: build)
  --out DIR    where to write (default: trained): face_detector.safetensors, mask_detector.safetensors,
               below float/ the same as they were trained, what led to them, figures, and pictures of
               curves and mistakes. A run that was cut off there goes on.

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
((${#inputs[@]} >= 5)) ||
  fail "BOXES, KERAS_FILE, LARGE_FILE, LANDMARKS and PHOTOGRAPHS are needed; see --help"
boxes=${inputs[0]} keras=${inputs[1]} large=${inputs[2]} landmarks=${inputs[3]}
photographs=("${inputs[@]:4}")
[[ -d $boxes ]] || fail "$boxes: no such folder"
[[ -f $keras ]] || fail "$keras: is not there (data/fetch.sh keras-0.35-224 fetches it)"
[[ -e $large ]] || fail "$large: is not there (data/fetch.sh tflite-float fetches it)"
[[ -f $landmarks ]] || fail "$landmarks: is not there (data/fetch.sh face-api-landmarks fetches it)"
for folder in "${photographs[@]}"; do
  for class in with_mask without_mask; do
    [[ -d $folder/$class ]] || fail "$folder/$class: no such folder"
  done
done
for program in train_face_detector crop_faces draw_faces make_mask_dataset train_mask_detector \
  quantize_model; do
  [[ -x $build/apps/$program ]] ||
    fail "$build/apps/$program: is not there (ninja -C $build programs builds it)"
done
mkdir -p -- "$out" 2>/dev/null || fail "$out: cannot create the folder"

# A file that is complete is not made again: outputs appear under their names when they are whole.
unless_there() {
  [[ -e $1 ]] || "${@:2}"
}

# convert SOURCE NAME OPTION...
convert() {
  unless_there "$out/$2.safetensors" \
    "${PYTHON:-python3}" "$(dirname "$0")/convert_weights.py" "$1" "$out/$2.safetensors" "${@:3}"
}

convert "$keras" backbone --no-classifier
convert "$large" large_backbone --no-classifier
convert "$landmarks" landmarks

# train_detector NAME OPTION...
train_detector() {
  unless_there "$out/$1.safetensors" \
    "$build/apps/train_face_detector" -d "$boxes" --resume \
    --stretch 1000 --average 0.998 --seed 1 --precision f16 \
    -m "$out/$1.safetensors" --history "$out/$1.json" \
    --plot "$out/$1_curves.png" --precision-plot "$out/$1_precision.png" \
    --misses "$out/$1_misses.png" --false-alarms "$out/$1_false_alarms.png" "${@:2}"
}
mkdir -p -- "$out/float"
train_detector first_detector --weights "$out/backbone.safetensors" --steps 12000
train_detector float/face_detector --steps 16000 --lr 1e-3 \
  --fine-tune "$out/first_detector.safetensors" --teacher "$out/first_detector.safetensors" \
  --without-boxes "${photographs[@]/%//with_mask}" "${photographs[@]/%//without_mask}"

# A folder that a program fills appears under its name when it is whole: fill FOLDER PROGRAM...
fill() {
  [[ ! -e $out/$1 ]] || return 0
  rm -rf -- "$out/$1.part"
  "$build/apps/$2" "${@:3}" -o "$out/$1.part"
  mv -- "$out/$1.part" "$out/$1"
}

# The classifier never sees the pictures that the detector is judged on.
detector=$out/float/face_detector.safetensors
judged=$out/float/face_detector.json
fill faces crop_faces -d "$boxes" --without "$judged" --background "$detector"
fill drawn draw_faces -n 400 --seed 1
fill masked make_mask_dataset -d "${photographs[@]/%//without_mask}" --face "$detector" \
  --landmarks "$out/landmarks.safetensors" --share 0.1 --wrong-share 0.35 --per-face 2 --views 1 --seed 1

# Bare faces come from masked/, which has them all.
masks=()
for i in "${!photographs[@]}"; do
  masks+=("$out/masks/$i")
  mkdir -p -- "$out/masks/$i"
  ln -sfn -- "$(realpath -- "${photographs[i]}/with_mask")" "$out/masks/$i/with_mask"
done
unless_there "$out/float/mask_detector.safetensors" \
  "$build/apps/train_mask_detector" -d "$out/faces" "$out/drawn" "${masks[@]}" "$out/masked" \
  --face "$detector" --weights "$out/large_backbone.safetensors" --resume \
  --size 128 --fine-tune all --schedule cosine --augment light --lr 5e-4 --epochs 8 \
  --label-smoothing 0.05 --validation 0.05 --seed 1 --precision f16 \
  -m "$out/float/mask_detector.safetensors" --history "$out/float/mask_detector.json" \
  --plot "$out/mask_detector_curves.png"

# The detector keeps its weights, so that it can be trained further.
unless_there "$out/face_detector.safetensors" \
  "$build/apps/quantize_model" "$detector" -d "$boxes" --without "$judged" --precision f16 \
  -o "$out/face_detector.safetensors"
unless_there "$out/mask_detector.safetensors" \
  "$build/apps/quantize_model" "$out/float/mask_detector.safetensors" -d "$out/faces" \
  -o "$out/mask_detector.safetensors"
