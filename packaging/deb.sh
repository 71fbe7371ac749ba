#!/usr/bin/env bash
# Builds the Debian packages of what is committed here, in build-deb/, and lets lintian judge them.
set -euo pipefail
cd "$(dirname "$0")/.."
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
for package in debhelper dh-python dpkg-dev help2man lintian; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

rm -rf build-deb
mkdir -p build-deb/maskwatch
git archive HEAD | tar -x -C build-deb/maskwatch
(cd build-deb/maskwatch && dpkg-buildpackage --build=binary --no-sign)
lintian --fail-on error build-deb/*.changes
echo "Built:"
ls -l build-deb/*.deb
