#!/bin/sh
# thread_safety_test.sh check | covered: the work tree lies where the WORKSPACE file of the
# runfiles really is.
set -eu
[ "$1" = check ] || set -- "$1" "$(dirname "$(readlink -f WORKSPACE)")"
exec python3 tests/lint/thread_safety.py "$@"
