#!/bin/sh
# Runs the search on the whole work tree, which lies where the WORKSPACE file of the runfiles
# really is.
set -eu
root=$(dirname "$(readlink -f WORKSPACE)")
exec python3 tests/lint/check_includes.py "$root"
