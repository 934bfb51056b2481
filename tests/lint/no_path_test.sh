#!/bin/sh
# no_path_test.sh FORBIDDEN REACHED: files with the labels found below folders that must, and must
# not, be out of reach.
set -eu
if [ ! -s "$2" ]; then
  echo "the query found none of the dependencies that are known to be there: it proves nothing" >&2
  exit 1
fi
if [ -s "$1" ]; then
  echo "these dependencies are forbidden (docs/DESIGN.md, folders and who may see whom):" >&2
  sed 's/^/  /' "$1" >&2
  exit 1
fi
