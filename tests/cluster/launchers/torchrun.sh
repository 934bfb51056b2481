# shellcheck shell=bash disable=SC2034 # launched_test.sh reads it
# torchrun, whose agent listens at MASTER_PORT itself. Debian's 1.13.1 ends with an error of its own
# unless -r and -t name a rank.
readonly RANK_VARIABLE=RANK SIZE_VARIABLE=WORLD_SIZE
prepare() {
  python=/usr/bin/python3
  "$python" -c 'import torch' 2>/dev/null ||
    fail "torch is not installed: apt-get install --no-install-recommends python3-torch"
}
leader() { :; } # MASTER_ADDR and MASTER_PORT say it
launch() {
  local ranks=$1
  shift
  "$python" -m torch.distributed.run -r 9:1 -t 9:1 --log_dir "$OUT/torchrun" --nnodes 1 \
    --node_rank 0 --master_addr 127.0.0.1 --master_port "$(port)" --nproc_per_node "$ranks" \
    --no_python "$@" </dev/null
}
