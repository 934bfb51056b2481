#!/usr/bin/env bash
# Runs a test of the Python package, $1, with Debian's Python; $2: a module that it needs, and $3
# the package that has it.
/usr/bin/python3 -c "import $2" 2>/dev/null || {
  echo "$2 is not installed: apt-get install --no-install-recommends $3" >&2
  exit 1
}
exec /usr/bin/python3 -B "$1" -v
