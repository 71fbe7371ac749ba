#!/usr/bin/env bash
# Trains the face detector that ships, from pictures with boxes and published weights. The same
# inputs give the same bytes on any number of threads, where vectors are the same: the model that
# ships was trained with AVX-512 (kernels/README.md).
set -euo pipefail

usage() {
  cat <<'EOF'
usage: data/train_models.sh [--build DIR] [--out DIR] BOXES KERAS_FILE

Converts the backbone and trains the face detector on it, as the one in data/models was trained.

  BOXES        boxes.json of the pictures (docs/model_card.md says what they are), or a folder or file
               in another form that train_face_detector reads
  KERAS_FILE   Keras MobileNetV2 0.35/224 of ImageNet (.h5), such as data/fetch.sh keras-0.35-224 fetches
  --build DIR  where the programs were built (default: build)
  --out DIR    where to write (default: trained): face_detector.safetensors, face_detector.json with the
               figures, and pictures of curves and mistakes. A run that was cut off there goes on.

The converter needs Python with numpy and h5py; PYTHON names another interpreter than python3.
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
((${#inputs[@]} == 2)) || fail "BOXES and KERAS_FILE are needed; see --help"
boxes=${inputs[0]} keras=${inputs[1]}
[[ -e $boxes ]] || fail "$boxes: is not there"
[[ -f $keras ]] || fail "$keras: is not there (data/fetch.sh keras-0.35-224 fetches it)"
train=$build/apps/train_face_detector
[[ -x $train ]] || fail "$train: is not there (ninja -C $build apps/train_face_detector builds it)"
mkdir -p -- "$out" 2>/dev/null || fail "$out: cannot be made"

"${PYTHON:-python3}" "$(dirname "$0")/convert_weights.py" "$keras" "$out/backbone.safetensors"
"$train" -d "$boxes" --weights "$out/backbone.safetensors" --resume \
  --steps 5000 --stretch 500 --seed 1 --precision f16 \
  -m "$out/face_detector.safetensors" --history "$out/face_detector.json" \
  --plot "$out/curves.png" --precision-plot "$out/precision.png" \
  --misses "$out/misses.png" --false-alarms "$out/false_alarms.png"
