#!/bin/sh
# cuda/compile.sh LOG NVCC ARGUMENTS...: compiles, and keeps in LOG what ptxas says of each kernel's registers and
# memory (cuda/report.py reads it). Everything else that the compiler says, it says.
log=$1
shift
"$@" 2> "$log"
status=$?
grep -v '^ptxas info\|bytes stack frame' "$log" >&2
exit $status
