#!/bin/sh
# path_is_found_test.sh FORBIDDEN REACHED: passes when no_path_test.sh, given the same, fails and
# names a label.
set -u
if said=$("$(dirname "$0")/no_path_test.sh" "$1" "$2" 2>&1); then
  echo "a forbidden dependency was not found" >&2
  exit 1
fi
case $said in
  *forbidden*//worker/model*) ;;
  *) echo "it failed for another reason: $said" >&2; exit 1 ;;
esac
