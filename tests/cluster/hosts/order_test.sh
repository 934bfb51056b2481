#!/usr/bin/env bash
# Ranks on two hosts, which are two network namespaces here: the record and a
# line under the table say who ran where, collectives have those of a host together, whatever ranks
# they were given, and order decides what the cable carries and nothing else. Needs root, iproute2
# and the right to make namespaces; says so and passes where something is missing.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
open_lab "$1" skip 2

# Bytes that host 0 has sent over the cable.
carried() { on_host 0 cat /sys/class/net/eth0/statistics/tx_bytes; }

# NAME HOSTS FLAG...: rank r on the host that the r-th digit of HOSTS says. Leaves what the cable
# has carried in CARRIED.
run_on_hosts() {
  local name="$1" hosts="$2" before pids=()
  shift 2
  before="$(carried)"
  for rank in $(seq 0 $((${#hosts} - 1))); do
    local host="${hosts:$rank:1}"
    RINGMASTER_TOKEN="of this test" on_host "$host" "$PROGRAM" node --rank "$rank" \
      --world-size "${#hosts}" --coordinator 10.78.0.1:29500 --out "$OUT/$name" --insecure \
      --workers "${#hosts}" --transport tcp --set "transport.listen_address=$(v4 "$host")" \
      --data synthetic --model mlp --batch 2 --steps 12 --set training.deterministic=true \
      --set data.synthetic.train_samples=256 --set data.synthetic.test_samples=16 "$@" \
      > "$OUT/$name-$rank.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || { cat "$OUT/$name"-*.log; fail "$name: a rank failed"; }
  done
  CARRIED=$(($(carried) - before))
}

# NAME KEY: of the run's record, as JSON.
record() {
  tail -n 1 "$OUT/$1/results.jsonl" |
    python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)[sys.argv[1]]))' "$2"
}

# NAME TEXT: rank 0 has printed it.
says() { grep -qF "$2" "$OUT/$1-0.log" || { cat "$OUT/$1-0.log"; fail "$1 does not say: $2"; }; }

run_on_hosts by_hosts 0101 --arm ring
carried_by_hosts="$CARRIED"
says by_hosts "hosts: 2: worker/0+worker/2, worker/1+worker/3"
[ "$(record by_hosts hosts)" = "[0, 1, 0, 1]" ] || fail "hosts: $(record by_hosts hosts)"

run_on_hosts by_ranks 0101 --arm ring --set strategy.group_order=ranks
[ "$(record by_ranks weights_sha256)" = "$(record by_hosts weights_sha256)" ] ||
  fail "the order decides what is learned"
echo "the cable carries $carried_by_hosts bytes by hosts, $CARRIED by ranks"
# The ring crosses to the other host once instead of twice.
[ $((CARRIED * 2)) -gt $((carried_by_hosts * 3)) ] || fail "hosts do not stand together"

# Groups of two ranks of a host, where one host has four: by default they would be of three.
run_on_hosts groups 001100 --arm hierarchical
says groups "hosts: 2: worker/0-1+worker/4-5, worker/2-3; groups of 2"
carried_by_groups="$CARRIED"
run_on_hosts torn 001100 --arm hierarchical --set strategy.all_reduce.group_size=3
echo "the cable carries $carried_by_groups bytes with groups of hosts, $CARRIED with others"
[ "$(record torn weights_sha256)" = "$(record groups weights_sha256)" ] ||
  fail "the size of groups decides what is learned"

run_on_hosts one_host 00 --arm ring
grep -q "^hosts:" "$OUT/one_host-0.log" && fail "one host is named"
[ "$(record one_host hosts)" = "[0, 0]" ] || fail "hosts of one: $(record one_host hosts)"
echo "ok"
