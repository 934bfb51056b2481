#!/usr/bin/env bash
# Runs and `doctor --launcher` under a real launcher: launched_test.sh PROGRAM LAUNCHER.
# LAUNCHER: openmpi, hydra, slurm, torchrun or kubernetes (whose variables alone are real here).
set -euo pipefail

PROGRAM=$(realpath "$1")
HERE=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
readonly PROGRAM LAUNCHER=$2 HERE
OUT=$(mktemp -d /tmp/ringmaster-launched-XXXXXX) # short: sockets have their paths in it
readonly OUT
ended=()
cleanup() {
  for end in "${ended[@]}"; do eval "$end" || true; done
  rm -rf "$OUT"
}
trap cleanup EXIT
fail() {
  echo "FAILED: $*" >&2
  tail -n 40 "$OUT"/*.log >&2 || true
  exit 1
}
need() {
  command -v "$1" >/dev/null ||
    fail "$1 is not installed: apt-get install --no-install-recommends $2"
}
port() {
  python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# launch RANKS COMMAND...: under the launcher; its exit code. more: what the launcher alone can do.
more() { :; }
source "$HERE/$LAUNCHER.sh"
prepare

readonly SMALL=(--data synthetic --model mlp --batch 8 --steps 20 --set training.kernels=cpu
  --set data.synthetic.train_samples=256 --set data.synthetic.test_samples=16)

# recorded NAME WORKERS SERVERS: what has become of a run its record says.
recorded() {
  python3 - "$OUT/$1/results.jsonl" "$2" "$3" <<'P' || fail "$1: its record"
import json, sys
runs = [json.loads(line) for line in open(sys.argv[1])]
assert len(runs) == 1, "%d records" % len(runs)
run = runs[0]
nodes = run["nodes"]["node"]
assert run["status"] == "ok", run["status"]
assert sum(name.startswith("worker/") for name in nodes) == int(sys.argv[2]), nodes
assert sum(name.startswith("server/") for name in nodes) == int(sys.argv[3]), nodes
P
}

# trained NAME RANKS WORKERS SERVERS ARGUMENTS...: `node` under the launcher.
trained() {
  local name=$1 ranks=$2 workers=$3 servers=$4
  shift 4
  coordinator=$(leader)
  # shellcheck disable=SC2086 # empty where the launcher says who leads
  launch "$ranks" "$PROGRAM" node "${SMALL[@]}" ${coordinator:+--coordinator $coordinator} \
    --out "$OUT/$name" "$@" >"$OUT/$name.log" 2>&1 || fail "$name: the launcher ended with $?"
  recorded "$name" "$workers" "$servers"
}

# What of a spec is right for all ranks alone.
trained ring 4 4 0 --arm ring --set training.warmup_steps=2 --set strategy.group_order=3,1,2,0
# Ranks beyond the workers are servers.
trained servers 4 2 2 --arm ps --workers 2

# Every rank knows itself by the launcher's own variable.
launch 4 "$PROGRAM" doctor --launcher >"$OUT/doctor.log" 2>&1 || fail "doctor --launcher: $?"
says() { [ "$(grep -c "^   $1  *$2  ($3, " "$OUT/doctor.log")" = "$4" ] || fail "doctor: $1 $2"; }
for rank in 0 1 2 3; do says rank "$rank" "$RANK_VARIABLE" 1; done
says "world size" 4 "$SIZE_VARIABLE" 4

# A rank that never comes: the run fails by its record, and nobody is left, whatever the launcher
# does with the others.
coordinator=$(leader)
cat >"$OUT/rank.sh" <<R
[ "\$$RANK_VARIABLE" = 1 ] && exit 3
exec "\$@"
R
# shellcheck disable=SC2086 # empty where the launcher says who leads
launch 2 bash "$OUT/rank.sh" "$PROGRAM" node "${SMALL[@]}" --arm ring \
  ${coordinator:+--coordinator $coordinator} --set limits.join_seconds=3 \
  --out "$OUT/lost" >"$OUT/lost.log" 2>&1 && fail "lost: the launcher ended with 0"
! grep -q '"status":"ok"' "$OUT/lost/results.jsonl" 2>/dev/null || fail "lost: its record says ok"
for process in /proc/[0-9]*; do
  tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep -q "^$PROGRAM node" || continue
  timeout 20 tail --pid="${process#/proc/}" -f /dev/null || fail "lost: $process is left"
done

# Sixteen ranks, from the launcher's start to its end.
begin=$(date +%s%N)
trained sixteen 16 16 0 --arm ring
echo "$LAUNCHER: 16 ranks and 20 steps in $((($(date +%s%N) - begin) / 1000000)) ms"

more
