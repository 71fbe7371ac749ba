# Completes Maskwatch's programs in bash: options as --help lists them, and file names.
_maskwatch() {
  local word=${COMP_WORDS[COMP_CWORD]}
  [[ $word == -* ]] || return 0
  local options
  options=$("$1" --help 2>/dev/null | grep -oE '^ +(-[a-zA-Z], +)?--[a-z-]+' | grep -oE -- '--[a-z-]+')
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
