#!/bin/sh
# Writes the manual page of a program from what its --help says. Usage: manpage.sh HELP2MAN PROGRAM OUTPUT
set -eu
what=$("$2" --help | sed -n '2s/\.$//p')
first=$(printf %.1s "$what" | tr '[:upper:]' '[:lower:]')
exec "$1" --no-info --name="$first${what#?}" --output="$3" "$2"
