#!/usr/bin/env bash
# A shaped network's step times beside those of a real one: as many network namespaces as processes,
# joined by a bridge, with token buckets on both ends of every node's cable. Needs root, iproute2
# and the right to make namespaces; says so and passes where something is missing.
set -euo pipefail

readonly PROGRAM="$1"
readonly MEGABITS=100
# A payload rate of so much needs the wire to carry Ethernet, IP and TCP headers besides.
readonly WIRE_KILOBITS=$((MEGABITS * 1000 * 1514 / 1448))
readonly ID="rm$$"
readonly OUT="${TEST_TMPDIR:-$(mktemp -d)}"
readonly MAX_NODES=5

skip() {
  echo "SKIPPED: $1"
  exit 0
}

nodes() { seq 0 $((MAX_NODES - 1)); }

cleanup() {
  for i in $(nodes); do ip netns delete "$ID-$i" 2> /dev/null || true; done
  ip netns delete "$ID-switch" 2> /dev/null || true
}

[ "$(id -u)" = 0 ] || skip "network namespaces need root"
command -v ip > /dev/null && command -v tc > /dev/null ||
  skip "iproute2 is not installed (apt-get install iproute2)"
ip netns add "$ID-switch" 2> "$OUT/netns.err" ||
  skip "no right to make namespaces: $(cat "$OUT/netns.err")"
trap cleanup EXIT

build_network() {
  ip -n "$ID-switch" link add bridge type bridge
  ip -n "$ID-switch" link set bridge up
  for i in $(nodes); do
    ip netns add "$ID-$i"
    ip -n "$ID-switch" link add "port$i" type veth peer name eth0 netns "$ID-$i"
    ip -n "$ID-switch" link set "port$i" master bridge up
    ip -n "$ID-$i" addr add "10.77.0.$((i + 1))/24" dev eth0
    ip -n "$ID-$i" link set eth0 up
    ip -n "$ID-$i" link set lo up
    # Out of the node, and into it.
    tc -n "$ID-$i" qdisc add dev eth0 root tbf rate "${WIRE_KILOBITS}kbit" burst 32kb latency 400ms
    tc -n "$ID-switch" qdisc add dev "port$i" root tbf rate "${WIRE_KILOBITS}kbit" burst 32kb \
      latency 400ms
  done
}

readonly RUN=(--workers 4 --data synthetic --model mlp --batch 2 --transport tcp --steps 14
  --emulate 20 --set training.warmup_steps=4 --set data.synthetic.train_samples=256
  --set data.synthetic.test_samples=16)

# Median step in the last record of a folder.
median() {
  tail -n 1 "$1/results.jsonl" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["step_ms_p50"])'
}

# ARM PROCESSES: each in a namespace.
run_in_namespaces() {
  local pids=()
  for rank in $(seq 0 $(($2 - 1))); do
    RINGMASTER_TOKEN="of this test" ip netns exec "$ID-$rank" "$PROGRAM" node --arm "$1" \
      --rank "$rank" \
      --world-size "$2" --coordinator 10.77.0.1:29500 --out "$OUT/real-$1" "${RUN[@]}" \
      --set "transport.listen_address=10.77.0.$((rank + 1))" --insecure \
      > "$OUT/real-$1-$rank.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || { cat "$OUT"/real-"$1"-*.log; exit 1; }
  done
}

build_network
failed=0
# Real connections of a central server do not share its card as evenly as the fluid does: workers
# that have their weights earlier push while others still receive, and a step of one bucket is
# shorter. Its ratio is shown and not judged.
while read -r arm processes judged; do
  run_in_namespaces "$arm" "$processes"
  "$PROGRAM" compare --arms "$arm" --network "${MEGABITS}mbit,50us" --out "$OUT/shaped-$arm" \
    "${RUN[@]}" \
    > "$OUT/shaped-$arm.log" 2>&1 || { cat "$OUT/shaped-$arm.log"; exit 1; }
  real="$(median "$OUT/real-$arm")"
  shaped="$(median "$OUT/shaped-$arm")"
  verdict="$(awk -v a="$shaped" -v b="$real" 'BEGIN {
    r = a / b
    print (r > 0.9 && r < 1.1 ? "ok" : "FAILED"), r
  }')"
  echo "$arm: shaped $shaped ms, namespaces $real ms, ratio $verdict ($judged)"
  case "$judged $verdict" in "judged FAILED"*) failed=1 ;; esac
done << 'END'
ring 4 judged
ps-sharded 4 judged
ps 5 shown
END
exit "$failed"
