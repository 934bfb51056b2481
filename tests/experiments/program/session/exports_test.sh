#!/usr/bin/env bash
# The library shows the interface's functions and nothing else; the header is C99 and C++ by itself.
set -euo pipefail
library=$1 header=$2

shown=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -v '^_init$\|^_fini$' | sort)
declared=$(grep -o '\bringmaster_[a-z_]*(' "$header" | tr -d '(' | sort -u)
wanted=
for name in $declared; do
  # In the example at the top too, but each is declared behind RINGMASTER_EXPORT.
  declaration="RINGMASTER_EXPORT [a-z0-9_* ]*[ *]$name("
  if tr '\n' ' ' < "$header" | grep -q "$declaration"; then wanted+="$name"$'\n'; fi
done
if [ "$shown" != "$(echo -n "$wanted" | sort)" ]; then
  echo "the library shows:"; echo "$shown"
  echo "the header declares:"; echo "$wanted"
  exit 1
fi
[ "$(echo "$shown" | wc -l)" -ge 15 ]

for language in "c -std=c99" "c -std=c11" "c++ -std=c++11" "c++ -std=c++17"; do
  # shellcheck disable=SC2086
  gcc -x $language -pedantic -Wall -Wextra -Werror -fsyntax-only "$header"
done
