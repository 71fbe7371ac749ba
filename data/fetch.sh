#!/usr/bin/env bash
# Fetches published weights and data sets from where their authors publish them.
# Resumes what was cut off, checks SHA-256 sums where the authors give them or where they were
# computed from a copy that the tests use, and says in one line what went wrong (exit code 2).
set -euo pipefail

usage() {
  cat <<'EOF'
usage: data/fetch.sh [--to DIR] NAME...
       data/fetch.sh --list | --help

Fetches the named files into DIR (default: downloads). An archive is unpacked into DIR/NAME.
A download that was cut off is resumed by the same command.

  --to DIR      where to put the files
  --list        names, files and addresses
  --table FILE  use another table (lines: name file sum address; sum may be a prefix, or -)
  --help        this text

Then, for example:
  data/fetch.sh keras-0.35-224
  data/convert_weights.py downloads/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5 \
      backbone.safetensors
EOF
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

# name file sum address
table() {
  local keras=https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2
  local stem=mobilenet_v2_weights_tf_dim_ordering_tf_kernels width size
  for width in 0.35 0.5 0.75 1.0 1.3 1.4; do
    for size in 96 128 160 192 224; do
      case $width-$size in 1.3-224 | 1.4-224) ;; 1.3-* | 1.4-*) continue ;; esac
      echo "keras-$width-$size ${stem}_${width}_${size}_no_top.h5 - $keras/${stem}_${width}_${size}_no_top.h5"
      echo "keras-$width-$size-top ${stem}_${width}_$size.h5 - $keras/${stem}_${width}_$size.h5"
    done
  done
  cat <<'EOF'
torchvision mobilenet_v2-b0353104.pth b0353104 https://download.pytorch.org/models/mobilenet_v2-b0353104.pth
onnx-zoo mobilenetv2-7.onnx - https://github.com/onnx/models/raw/main/validated/vision/classification/mobilenet/model/mobilenetv2-7.onnx
tflite-float mobilenet_v2_1.0_224.tgz - https://storage.googleapis.com/download.tensorflow.org/models/tflite_11_05_08/mobilenet_v2_1.0_224.tgz
tflite-quant mobilenet_v2_1.0_224_quant.tflite 7aad0c74c5e3c06e5eb3c827e13304fdd68a83da6087d92ee169c24ff9fd4776 https://github.com/google-coral/test_data/raw/master/mobilenet_v2_1.0_224_quant.tflite
imagenet-labels imagenet_labels.txt b8aaeb5630c62626a7d124a05c0e14230a7ffdd2136a31d0190a4fb71c1d82f1 https://github.com/google-coral/test_data/raw/master/imagenet_labels.txt
rfb-320-onnx version-RFB-320.onnx 34cd7e60aeff28744c657de7a3dc64e872d506741de66987f3426f2b79f88017 https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB/raw/master/models/onnx/version-RFB-320.onnx
rfb-320-pth version-RFB-320.pth c722b4427cc71642768baef6e15c659931b56f07425e5d2b0ec033ad41b145b3 https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB/raw/master/models/pretrained/version-RFB-320.pth
face-api-ssd ssd_mobilenetv1_model-weights_manifest.json 888f744dffbc84f5f060d1f8427d9742341943a2dfaaf9205d10029b7e7a2955 https://github.com/vladmandic/face-api/raw/master/model/ssd_mobilenetv1_model-weights_manifest.json
face-api-ssd ssd_mobilenetv1_model.bin 2835640602d53718aa6ae9a42896327eaa21beefed056c218d32ca7d79e1e2f8 https://github.com/vladmandic/face-api/raw/master/model/ssd_mobilenetv1_model.bin
face-api-landmarks face_landmark_68_model-weights_manifest.json ca4886639f86e99b39fed0c155f81b63317225773bd9616716e887b0153389c9 https://github.com/vladmandic/face-api/raw/master/model/face_landmark_68_model-weights_manifest.json
face-api-landmarks face_landmark_68_model.bin 4611ef65c87d836d03d684b30eec4d195d8b219fa1dd58fc58945831c6b9299b https://github.com/vladmandic/face-api/raw/master/model/face_landmark_68_model.bin
mask1376 observations.tar.gz - https://github.com/prajnasb/observations/archive/refs/heads/master.tar.gz
masks-real Face-Mask-Detection.tar.gz - https://github.com/chandrikadeb7/Face-Mask-Detection/archive/refs/heads/master.tar.gz
EOF
}

# check FILE SUM WHAT: fails unless the file's SHA-256 begins with SUM; without one it prints what it has.
check() {
  local found
  found=$(sha256sum "$1" | cut -d' ' -f1)
  if [[ $2 == - ]]; then
    echo "$1: no sum is published; its SHA-256 is $found"
  elif [[ $found != "$2"* ]]; then
    [[ $3 == fetched ]] && rm -f "$1"
    fail "$1: its SHA-256 is $found, expected $2; fetch it again, or see whether its authors changed it"
  fi
}

# download FILE.part ADDRESS: curl, resuming; starts over where the server does not resume.
download() {
  local part=$1 address=$2 code message
  for attempt in resumed whole; do
    code=0
    message=$(curl --location --fail --silent --show-error --retry 2 --connect-timeout 20 \
      --continue-at - --output "$part" "$address" 2>&1 | tail -n 1) || code=$?
    [[ $code == 0 ]] && return
    [[ $attempt == resumed && -s $part && $code =~ ^(22|33|36)$ ]] || break
    rm -f "$part"
  done
  local reason="cannot be fetched from $address"
  case $code in
    5 | 6 | 7 | 28 | 35 | 52 | 56) reason+=": the network or the server cannot be reached; try again, or fetch it elsewhere and put it there" ;;
    22) reason+=": the server does not have it" ;;
    23) reason+=": it cannot be written; is the disk full?" ;;
  esac
  fail "${part%.part}: $reason (${message:-curl exit code $code})"
}

# unpack ARCHIVE FOLDER: whole or not at all.
unpack() {
  local new=$2.new
  rm -rf "$new"
  mkdir -p "$new"
  tar -xzf "$1" -C "$new" --no-same-owner 2>/dev/null || {
    rm -rf "$new"
    fail "$1: is not a readable archive; delete it and fetch it again"
  }
  rm -rf "$2"
  mv "$new" "$2"
  echo "$2: unpacked"
}

fetch() {
  local name=$1 file=$2 sum=$3 address=$4 target=$directory/$2
  if [[ -e $target ]]; then
    check "$target" "$sum" present
  else
    download "$target.part" "$address"
    check "$target.part" "$sum" fetched
    mv "$target.part" "$target"
  fi
  echo "$target: there"
  case $file in *.tgz | *.tar.gz) [[ -d $directory/$name ]] || unpack "$target" "$directory/$name" ;; esac
}

directory=downloads table_file='' names=()
while (($#)); do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --list) list=yes ;;
    --to | --table)
      (($# > 1)) || fail "$1 needs a value; see --help"
      [[ $1 == --to ]] && directory=$2 || table_file=$2
      shift
      ;;
    -*) fail "unknown option $1; see --help" ;;
    *) names+=("$1") ;;
  esac
  shift
done

if [[ -n $table_file ]]; then
  rows=$(cat -- "$table_file" 2>/dev/null) || fail "$table_file: cannot be read"
else
  rows=$(table)
fi
if [[ ${list:-} == yes ]]; then
  awk '{ printf "%-22s %s\n%-22s %s\n", $1, $2, "", $4 }' <<<"$rows"
  exit 0
fi
((${#names[@]})) || fail "nothing to fetch; name something, or see --list"
for name in "${names[@]}"; do
  awk -v name="$name" '$1 == name { found = 1 } END { exit !found }' <<<"$rows" ||
    fail "$name: is not known; see --list"
done
command -v curl >/dev/null || fail "curl is missing; install it with: apt-get install curl"
mkdir -p -- "$directory" 2>/dev/null || fail "$directory: cannot create the folder"
for name in "${names[@]}"; do
  while read -r _ file sum address; do
    fetch "$name" "$file" "$sum" "$address"
  done < <(awk -v name="$name" '$1 == name' <<<"$rows")
done
