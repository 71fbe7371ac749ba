#!/usr/bin/env bash
# The main job on what ships with the project, with no model or data from elsewhere: draws faces with and without masks, trains on them
# from scratch, finds faces and masks in photographs that Debian's opencv-doc holds, and once more when masks were
# laid over the faces. Usage: demo.sh BUILD_FOLDER
set -eu
cd "$(dirname "$0")/.."
programs=${1:-build}/apps
out=demo-output
mkdir -p $out

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. Drawing 2,000 faces, half of them with masks"
rm -rf $out/faces
"$programs/draw_faces" -o $out/faces -n 2000 --size 96 --seed 42 --preview $out/faces.png

say "2. Training MobileNetV2 0.35 on them, from scratch"
"$programs/train_mask_detector" -d $out/faces --scratch --width 0.35 --size 96 --epochs 24 --batch-size 16 --lr 1e-3 \
  --augment none \
  -m $out/drawn_faces.safetensors -p $out/plot.png --history $out/history.json

say "3. Looking for faces and masks in photographs, with the model that ships"
photographs=(data/messi5.jpg data/left14.jpg data/basketball2.png ../opencv4/html/example.jpg
  ../opencv4/html/julia_facedetect_sample.jpg ../opencv4/html/230501201_1.jpg)
doc=/usr/share/doc/opencv-doc/examples
if [ ! -d $doc/data ]; then
  # Small Debian images leave documentation out of what they install; the package still holds it.
  (cd $out && apt-get download -qq opencv-doc && dpkg -x opencv-doc_*.deb package && rm opencv-doc_*.deb)
  doc=$out/package/$doc
fi
rm -rf $out/bare $out/masked
mkdir -p $out/photographs $out/masked_photographs $out/bare
for photograph in "${photographs[@]}"; do
  [ -f "$doc/$photograph" ] && cp "$doc/$photograph" $out/bare
done
"$programs/detect_mask_image" -i $out/bare/* -o $out/photographs

say "4. Laying masks over the bare faces in them, and looking again"
"$programs/make_mask_dataset" -d $out/bare -o $out/masked --share 1 --views 1 --size 1024
"$programs/detect_mask_image" -i $out/masked/with_mask/* -o $out/masked_photographs

say "Done. Look at:"
ls $out/faces.png $out/plot.png $out/photographs/* $out/masked_photographs/*
