#!/usr/bin/env bash
# What grouping by host gains: four ranks on two hosts (network namespaces), two on each, 1 Gbit/s
# between them. Steps of the hierarchical all-reduce beside those of the flat ring, whose order
# follows the hosts; both over the wires that "auto" chooses, and both over tcp alone, so that the
# collective's share is seen; and the ring whose neighbours are never on one host.
#   hierarchy_test.sh PROGRAM [ROUNDS]
# The ceiling is 1.5: of a bucket of S the ring sends 1.5 S from host to host each way, the
# hierarchical all-reduce S. Fails below 1.3.
set -euo pipefail
readonly ROUNDS=${2:-3}
source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
# So much that a payload of 1 Gbit/s fits beside Ethernet's, IP's and TCP's headers.
open_lab "$1" fail 2 $((1000000 * 1514 / 1448))
export RINGMASTER_TOKEN="of this test"

# 4.3 million parameters, 17 MB a step: 0.2 s of the ring's.
readonly RUN=(--workers 4 --world-size 4 --coordinator "$(v4 0):29500" --insecure
  --data synthetic --model mlp --set model.mlp_hidden=2048,1024 --batch 2 --steps 12 --emulate 5
  --evaluate-every 0 --set training.warmup_steps=2 --set data.synthetic.train_samples=256
  --set data.synthetic.test_samples=16)

# step ROUND NAME ARGUMENTS...: its median step goes to a file.
step() {
  local out=$OUT/$2-$1 name=$2 rank pids=() code=0
  shift 2
  for rank in 0 1 2 3; do
    on_host $((rank / 2)) "$PROGRAM" node "${RUN[@]}" --rank "$rank" \
      --set "transport.listen_address=$(v4 $((rank / 2)))" --out "$out" "$@" \
      >"$out-$rank.log" 2>&1 &
    pids+=($!)
  done
  wait "${pids[0]}" || code=$?
  wait
  [ "$code" = 0 ] || fail "$name ended with $code"
  python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).readline())["step_ms_p50"])' \
    "$out/results.jsonl" >>"$OUT/$name.ms"
}

for ((round = 0; round < ROUNDS; ++round)); do
  for wires in auto tcp; do
    step "$round" "ring-$wires" --arm ring --transport "$wires"
    step "$round" "hierarchical-$wires" --arm hierarchical --transport "$wires"
  done
  step "$round" interleaved-auto --arm ring --transport auto --set strategy.group_order=0,2,1,3
done
python3 - "$OUT" <<'P' || fail "grouping by host gains less than 1.3"
import statistics, sys
def steps(name):
    return [float(line) for line in open("%s/%s.ms" % (sys.argv[1], name))]
def ratio(slow, fast):
    return statistics.median(a / b for a, b in zip(steps(slow), steps(fast)))
for name in ("ring-auto", "hierarchical-auto", "ring-tcp", "hierarchical-tcp", "interleaved-auto"):
    print("%-18s %7.1f ms a step" % (name, statistics.median(steps(name))))
gain = ratio("ring-auto", "hierarchical-auto")
print("ring / hierarchical, each pair's own wire: %.2f" % gain)
print("ring / hierarchical, tcp alone:            %.2f" % ratio("ring-tcp", "hierarchical-tcp"))
print("interleaved ring / ring that follows hosts: %.2f" % ratio("interleaved-auto", "ring-auto"))
sys.exit(gain < 1.3)
P
