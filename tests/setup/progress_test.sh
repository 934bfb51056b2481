#!/usr/bin/env bash
# Where no terminal shows a build, a line says how far it is and how long it takes; all else that
# Bazel prints is passed on.
set -euo pipefail
ROOT=$(dirname "$(readlink -f WORKSPACE)")
source <(sed 's/^readonly PROGRESS_SECONDS=.*/PROGRESS_SECONDS=0/' \
  "$ROOT/third_party/setup/setup.sh")

failures=0
# expect WHAT WANTED GOT
expect() {
  [[ $3 == "$2" ]] && return
  printf '%s: "%s"\nexpected: "%s"\n' "$1" "$3" "$2"
  failures=$((failures + 1))
}
expect "too early to tell" \
  "Bazel: 30 of at least 393 steps, 20 s so far" "$(progress_text 30 393 20 393)"
expect "too few seconds" "Bazel: 300 of at least 393 steps, 9 s so far" \
  "$(progress_text 300 393 9 393)"
expect "minutes" \
  "Bazel: 100 of at least 400 steps, 100 s so far, about 5 min left" \
  "$(progress_text 100 400 100 400)"
expect "seconds" \
  "Bazel: 300 of at least 400 steps, 210 s so far, about 70 s left" \
  "$(progress_text 300 400 210 400)"
expect "a few ahead" "Bazel: 395 of at least 400 steps, 280 s so far" \
  "$(progress_text 395 400 280 400)"
expect "a build of which steps are still found" "Bazel: 300 of at least 400 steps, 210 s so far" \
  "$(progress_text 300 400 210 390)"
expect "the output of a build" "\
Bazel: 7 of at least 1393 steps, N s so far
ERROR: something's wrong
Bazel: 1393 of at least 1393 steps, N s so far" \
  "$(tell_progress <<'END' | sed -E 's/[0-9]+ s so far/N s so far/'
Analyzing: target //a:b (3 packages loaded)
[7 / 1,393] Compiling a.cc; 1s processwrapper-sandbox
    currently loading: x
ERROR: something's wrong
[1,393 / 1,393] checking cached actions
END
)"
((failures == 0))
