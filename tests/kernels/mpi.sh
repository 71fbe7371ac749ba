#!/bin/sh
# mpi.sh MPI_RANKS: the cases of communicators on 1, 2 and 3 ranks, and a rank that reports a fault.
command -v mpirun >/dev/null || { echo "SKIPPED, NOT TESTED: mpirun is not there" >&2; exit 77; }
ranks() { mpirun --quiet --allow-run-as-root --oversubscribe -n "$@"; }
for n in 1 2 3; do
  ranks $n "$1" || { code=$?; [ $code = 77 ] && echo "SKIPPED, NOT TESTED: built without MPI" >&2; exit $code; }
done
said=$(ranks 3 "$1" fault 2>/dev/null)
code=$?
[ "$said" = heard ] && [ $code = 3 ] || { echo "a fault of rank 1: rank 0 said '$said', exit code $code"; exit 1; }
