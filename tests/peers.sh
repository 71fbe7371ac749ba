# Virtual environments of peers, made once in MASKWATCH_PEERS (default: the user's cache folder) and named after what
# is in them. Sourced by tests/data/run.sh and bench/peers/setup.sh.

peers_root=${MASKWATCH_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/maskwatch/peers}

# environment_of NAME REQUIREMENTS...: the folder of the environment that these files make.
environment_of() {
  echo "$peers_root/$1-$(cat "${@:2}" | sha256sum | cut -c1-12)"
}

# make_environment FOLDER REQUIREMENTS [BASE]: with everything of the environment BASE, unless it holds another
# version. FOLDER.log says what went wrong. Two at once make it once.
make_environment() (
  [[ -e $1/ready ]] && return
  mkdir -p "$(dirname "$1")"
  exec 9>"$1.lock"
  flock 9
  [[ -e $1/ready ]] && return
  rm -rf "$1"
  python3 -m venv "$1" || return
  if [[ -n ${3:-} ]]; then
    site=$("$1/bin/python" -c 'import site; print(site.getsitepackages()[0])')
    "$3/bin/python" -c 'import site; print(site.getsitepackages()[0])' >"$site/base.pth"
  fi
  "$1/bin/pip" install --quiet --disable-pip-version-check -r "$2" >"$1.log" 2>&1 && touch "$1/ready"
)
