#!/usr/bin/env bash
# Runs of several hosts: two network namespaces with two ranks each, by IPv4, IPv6 and names, with
# TLS and without. Passes, and says so, where namespaces cannot be had.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
open_lab "$1" skip 2

readonly SMALL=(--data synthetic --model mlp --batch 8 --steps 20 --set training.kernels=cpu
  --set data.synthetic.train_samples=256 --set data.synthetic.test_samples=16)

# The hosts of the ranks, by rank.
ranks_on=(0 0 1 1)

# ranks NAME COORDINATOR LISTEN ARGUMENTS...: a rank each on the hosts of ranks_on. LISTEN: v4, v6,
# or an address. The exit code of rank 0.
ranks() {
  local name=$1 coordinator=$2 listen=$3 rank host address pids=() code=0
  shift 3
  for ((rank = 0; rank < ${#ranks_on[@]}; ++rank)); do
    host=${ranks_on[rank]}
    case $listen in
      v4) address=$(v4 "$host") ;;
      v6) address=[$(v6 "$host")] ;;
      *) address=$listen ;;
    esac
    on_host "$host" "$PROGRAM" node --rank "$rank" --world-size "${#ranks_on[@]}" \
      --coordinator "$coordinator" --set "transport.listen_address=$address" --out "$OUT/$name" \
      "${SMALL[@]}" "$@" >"$OUT/$name-$rank.log" 2>&1 &
    pids+=($!)
  done
  wait "${pids[0]}" || code=$?
  wait
  return "$code"
}

# says NAME EXPRESSION: of the run's record, as Python has it in `run`.
says() {
  python3 - "$OUT/$1/results.jsonl" "$2" <<'P' || fail "$1: $2"
import json, sys
run = json.loads(open(sys.argv[1]).readlines()[-1])
assert eval(sys.argv[2]), [run.get(name) for name in ("status", "transport", "hosts")]
P
}

export RINGMASTER_TOKEN="of this test"
"$PROGRAM" keygen "$OUT/tls" --host host-0 host-1 "$(v4 0)" "$(v4 1)" "$(v6 0)" "$(v6 1)" \
  >/dev/null
unset RINGMASTER_TOKEN

# By name, found in both families; every address is listened at.
ranks names host-0:29500 :: --arm ring --tls "$OUT/tls" || fail "names ended with $?"
says names 'run["status"] == "ok"'
# A name with addresses of both families, of which certificates name the name.
"$PROGRAM" keygen "$OUT/named" --host host-0 "$(v4 0)" "$(v4 1)" >/dev/null
ranks named host-0:29500 v4 --arm ring --tls "$OUT/named" || fail "named ended with $?"
says named 'run["status"] == "ok"'
ranks v4 "$(v4 0):29500" v4 --arm ps --workers 3 --transport grpc --tls "$OUT/tls" ||
  fail "v4 ended with $?"
says v4 'run["status"] == "ok" and run["servers"] == 1 and run["transport"] == "grpc"'
ranks v6 "[$(v6 0)]:29500" v6 --arm hierarchical --tls "$OUT/tls" || fail "v6 ended with $?"
says v6 'run["status"] == "ok"'
RINGMASTER_TOKEN="of this test" ranks insecure "$(v4 0):29500" 0.0.0.0 --arm ring --insecure ||
  fail "insecure ended with $?"
says insecure 'run["status"] == "ok"'

# Beyond loopback nothing starts without either.
! RINGMASTER_TOKEN="of this test" ranks refused "$(v4 0):29500" v4 --arm ring ||
  fail "a run without TLS and without --insecure has started"
grep -q -- "--insecure" "$OUT/refused-0.log" || fail "refused: it does not say what to do"
