#!/usr/bin/env bash
# The comparison with PyTorch's steps, on the CPU: it measures both models, and its exit status is
# that of the ratios.
set -euo pipefail
ringmaster=experiments/ringmaster
script=experiments/proof/bench/step_pytorch_gpu.py
ours=$TEST_TMPDIR/ours.json
"$ringmaster" bench kernels --library cpu --steps-only --width 64 --layers 2 --batch 16 --texts 1 \
  --repetitions 3 --json >"$ours"

failed=0
# expect STATUS PYTHON FLAGS...
expect() {
  local expected=$1 status=0
  shift
  "$1" -B "$script" "${@:2}" >"$TEST_TMPDIR/out" 2>&1 || status=$?
  cat "$TEST_TMPDIR/out"
  ((status == expected)) || { echo "FAILED: exit status $status, expected $expected" && failed=1; }
}
said() {
  grep -q "$1" "$TEST_TMPDIR/out" || {
    echo "FAILED: it does not say \"$1\""
    failed=1
  }
}

python=
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c 'import torch' 2>/dev/null; then python=$candidate && break; fi
done
if [[ -z $python ]]; then
  expect 3 python3 --ours "$ours"
  said 'PyTorch is not here'
  echo "SKIPPED the rest: no python3 here has torch; on Debian: apt-get install python3-torch"
  exit "$failed"
fi

# Steps of ours that take no time, or for ever.
sed 's/"ms":[0-9.e-]*/"ms":1e-6/g' "$ours" >"$TEST_TMPDIR/fast.json"
sed 's/"ms":[0-9.e-]*/"ms":1e9/g' "$ours" >"$TEST_TMPDIR/slow.json"
expect 0 "$python" --device cpu --ours "$TEST_TMPDIR/fast.json" --json "$TEST_TMPDIR/result.json"
said '^mlp, fp32: ours 0.000 ms, PyTorch [0-9.]* ms'
said '^transformer, fp32: .*attention .*ratio [0-9]'
"$python" - "$TEST_TMPDIR/result.json" <<'PYTHON' || failed=1
import json, sys
rows = json.load(open(sys.argv[1]))["rows"]
assert [row["step"] for row in rows] == ["mlp", "transformer"], rows
for row in rows:
    assert abs(row["ratio"] * row["ours_ms"] - row["pytorch_ms"]) < 1e-6 * row["pytorch_ms"], row
    assert row["pytorch_ms"] > 0 and row["pytorch_with_update_ms"] > 0, row
PYTHON
expect 1 "$python" --device cpu --ours "$TEST_TMPDIR/slow.json"
expect 2 "$python" --device cpu --ours /dev/null
if ! compgen -G '/dev/nvidia[0-9]*' >/dev/null; then
  expect 3 "$python" --ours "$ours"
  said 'finds no GPU'
fi
exit "$failed"
