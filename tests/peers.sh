# Virtual environments of peers, made once in MASKWATCH_PEERS (default: the user's cache folder) and named after what
# is in them. Sourced by tests/data/run.sh and bench/peers/setup.sh.

peers_root=${MASKWATCH_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/maskwatch/peers}

# environment_of NAME REQUIREMENTS...: the folder of the environment that these files make.
environment_of() {
  echo "$peers_root/$1-$(cat "${@:2}" | sha256sum | cut -c1-12)"
}

# make_environment FOLDER REQUIREMENTS [BASE]: with everything of the environment BASE, unless it holds another
# version. FOLDER.log says what went wrong. Two at once make it once. After a failure nothing is tried for ten minutes,
# so that of all the tests of a run without the package index one alone waits for it: FOLDER.failed says so.
make_environment() (
  [[ -e $1/ready ]] && return
  mkdir -p "$(dirname "$1")"
  exec 9>"$1.lock"
  flock 9
  [[ -e $1/ready ]] && return
  if [[ -n $(find "$1.failed" -mmin -10 2>/dev/null) ]]; then
    echo "not tried: it failed within the last ten minutes; remove $1.failed to try at once" >&2
    return 1
  fi
  rm -rf "$1"
  if fill_environment "$@"; then
    rm -f "$1.failed"
    touch "$1/ready"
  else
    touch "$1.failed"
    return 1
  fi
)

fill_environment() {
  "${peers_python:-python3}" -m venv "$1" >"$1.log" 2>&1 || return
  if [[ -n ${3:-} ]]; then
    local site
    site=$("$1/bin/python" -c 'import site; print(site.getsitepackages()[0])')
    "$3/bin/python" -c 'import site; print(site.getsitepackages()[0])' >"$site/base.pth"
  fi
  "$1/bin/pip" install --quiet --disable-pip-version-check -r "$2" >"$1.log" 2>&1
}
