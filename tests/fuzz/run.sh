#!/usr/bin/env bash
# Fuzzes parsers and decoders, one after the other, with clang's libFuzzer under AddressSanitizer
# and UndefinedBehaviorSanitizer:
#   tests/fuzz/run.sh [--seconds S] [--keep] [TARGET...]
# TARGET: a name in tests/fuzz/BUILD, such as frame_fuzz [all of them]. --seconds: of each [600].
# What a target has tried stays in ~/.cache/ringmaster/fuzz/TARGET, and the next call goes on from
# it. --keep: the smallest inputs that reach as much of the code go to tests/fuzz/kept/TARGET.txt,
# which ./test replays. Exit code 1: something was found; its input is in the folder's `found`, and
# the last line says how to repeat it.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT"
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/ringmaster/fuzz
KEPT_BYTES_MAX=4096  # of one input
KEPT_MAX=100         # inputs of one target
seconds=600 keep=0 targets=()

while (($#)); do
  case $1 in
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit 0 ;;
    --seconds) seconds=$2 && shift ;;
    --keep) keep=1 ;;
    -*)
      echo "error: unknown argument \"$1\"; expected --seconds S, --keep, --help or targets" >&2
      exit 2
      ;;
    *) targets+=("$1") ;;
  esac
  shift
done
((${#targets[@]})) ||
  mapfile -t targets < <(sed -n 's/^    name = "\(.*_fuzz\)",$/\1/p' tests/fuzz/BUILD)
command -v clang >/dev/null || {
  echo "error: there is no clang; install the packages clang and libclang-rt-14-dev" >&2
  exit 2
}

bazel=(bazel --output_base="$CACHE/bazel")
mkdir -p "$CACHE"
"${bazel[@]}" build --noshow_progress --config=fuzz "${targets[@]/#/\/\/tests\/fuzz:}"
programs=$("${bazel[@]}" info --config=fuzz bazel-bin 2>/dev/null)/tests/fuzz

found=0
for target in "${targets[@]}"; do
  corpus=$CACHE/$target/corpus
  mkdir -p "$corpus" "$CACHE/$target/found"
  RINGMASTER_FUZZ_SEEDS=$corpus "$programs/$target"
  echo "$target: $seconds s"
  if ! "$programs/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 \
    -print_final_stats=1 -artifact_prefix="$CACHE/$target/found/" "$corpus" \
    >"$CACHE/$target/log" 2>&1; then
    found=1
    grep -E "ERROR|SUMMARY|check failed|ALARM" "$CACHE/$target/log" | head -5 || true
    echo "found: $programs/$target $CACHE/$target/found/*"
    continue
  fi
  grep -E "number_of_executed_units|peak_rss" "$CACHE/$target/log"
  ((keep)) || continue
  smallest=$(mktemp -d)
  "$programs/$target" -merge=1 "$smallest" "$corpus" >/dev/null 2>&1
  for input in $(find "$smallest" -type f -size -"$((KEPT_BYTES_MAX + 1))"c -printf '%s %p\n' |
    sort -n | head -n "$KEPT_MAX" | cut -d' ' -f2); do
    od -An -v -tx1 "$input" | tr -d ' \n'
    echo
  done >"tests/fuzz/kept/$target.txt"
  rm -r "$smallest"
done
exit $found
