#!/usr/bin/env bash
# peak_memory.py counts the arenas of an arm's processes: of a million parameters (4 MiB) a worker
# of `solo` has weights and gradients, and a central server's more than one and less than four.
set -euo pipefail
out=$(python3 experiments/proof/bench/peak_memory.py "$1" --arms solo,ps -- --model mlp --set \
  model.mlp_hidden=1000,200 --data synthetic --transport tcp --batch 4 --steps 400)
echo "$out"
awk '
  NR == 1 { next }
  { mib[$1 "/" $2] = $3 }
  END {
    exit !(NR == 4 && mib["solo/worker"] >= 6 && mib["solo/worker"] <= 16 &&
      mib["ps/worker"] >= 6 && mib["ps/server"] >= 4 && mib["ps/server"] <= 16)
  }' <<<"$out"
