#!/usr/bin/env bash
# Transport "auto" with two ranks on each of two hosts, which are network namespaces joined by a
# cable: shared memory within a host and sockets between, in clear and by TLS; and the bytes of each
# wire. Needs root, iproute2 and the right to make namespaces; says so and passes where something is
# missing.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
open_lab "$1" skip 2
# Seconds after which a rank hangs: ten times what it takes where nothing else runs, as in
# tests/support/patience.h.
readonly PATIENCE=600
failed=0

# NAME ARM TRANSPORT FLAG...: four ranks, 0 and 1 on the first host, 2 and 3 on the second. The
# worst exit code.
run_on_hosts() {
  local name="$1" arm="$2" transport="$3" worst=0 pids=()
  shift 3
  for rank in 0 1 2 3; do
    local host=$((rank / 2))
    RINGMASTER_TOKEN="of this test" on_host "$host" timeout "$PATIENCE" "$PROGRAM" node \
      --arm "$arm" --rank "$rank" --world-size 4 --coordinator 10.78.0.1:29500 \
      --transport "$transport" --workers 4 --data synthetic --model mlp --steps 5 \
      --set limits.join_seconds=200 --set "transport.listen_address=$(v4 "$host")" \
      --set data.synthetic.train_samples=512 --set data.synthetic.test_samples=16 \
      --out "$OUT/$name" "$@" > "$OUT/$name-$rank.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || worst=$?; done
  return "$worst"
}

# NAME SHARE: whether the record says both wires, the ranks' wires carried what the table says, and
# that share of it stayed within hosts.
check() {
  python3 - "$OUT/$1/results.jsonl" "$2" << 'END'
import json
import sys

record = json.loads(open(sys.argv[1]).read().splitlines()[-1])
near = float(sys.argv[2])
assert record["transport"] == "shm+tcp", record["transport"]
steps = len(record["series"][0]["step_ms"])
total = 0
for rank in record["series"]:
    wires = {wire["wire"]: wire for wire in rank["wires"]}
    assert sorted(wires) in (["shm", "tcp"], ["shm"], ["tcp"]), wires
    total += sum(wire["payload_bytes_up"] for wire in wires.values())
mean = total / len(record["series"]) / steps
assert abs(mean - record["bytes_up_per_step"]) < 1, (mean, record["bytes_up_per_step"])
shm = sum(wire["payload_bytes_up"] for rank in record["series"] for wire in rank["wires"]
          if wire["wire"] == "shm")
assert abs(shm / total - near) < 0.01, (shm, total)
END
}

"$PROGRAM" keygen "$OUT/keys" --host 10.78.0.1 --host 10.78.0.2 > "$OUT/keygen.log"

# Every other hop of a ring leaves its host; of a sharded server's three remote shards, one is near.
while read -r name arm near flags; do
  # shellcheck disable=SC2086
  if ! run_on_hosts "$name" "$arm" auto $flags; then
    echo "FAILED: $name: $(tail -n 3 "$OUT/$name"-?.log)"
    failed=1
  elif ! check "$name" "$near" || ! grep -q "wires: $arm: shm .*, tcp .* a step up" \
    "$OUT/$name-0.log"; then
    echo "FAILED: $name: $(cat "$OUT/$name-0.log")"
    failed=1
  fi
done << END
clear ring 0.5 --insecure
sharded ps-sharded 0.3333 --insecure
tls ring 0.5 --tls $OUT/keys
END

# By its own name shared memory is for one host.
if run_on_hosts forced ring shm --insecure; then
  echo "FAILED: forced: shm between two network namespaces"
  failed=1
fi
grep -q 'network namespace.*use transport "tcp"' "$OUT/forced-0.log" || {
  echo "FAILED: forced: $(cat "$OUT/forced-0.log")"
  failed=1
}
exit "$failed"
