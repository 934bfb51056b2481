#!/usr/bin/env bash
# Other collective libraries across hosts (network namespaces of this machine), under their own
# launchers, which reach the second host by an agent in place of ssh: engines_test.sh PROGRAM.
set -euo pipefail
HERE=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
readonly HERE
source "$HERE/lab.sh"
open_lab "$1" fail 2
cat >"$OUT/agent" <<A
#!/usr/bin/env bash
source "$HERE/lab.sh"
LAB=$LAB LAB_FOLDER=$OUT
while [[ \$1 = -* ]]; do shift; done
host=\$1
shift
on_host "\${host#host-}" bash -c "\$*"
A
chmod +x "$OUT/agent"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 RINGMASTER_TOKEN="of this test"
export OMPI_MCA_orte_execute_quiet=1 # -q is refused by version 5

mpirun() {
  on_host 0 "$(command -v mpirun.openmpi || command -v mpirun)" --host host-0:2,host-1:2 \
    --mca plm_rsh_agent "$OUT/agent" --bind-to none -x RINGMASTER_TOKEN -n 4 "$@" </dev/null
}
hydra() {
  on_host 0 mpiexec.hydra -launcher ssh -launcher-exec "$OUT/agent" -hosts host-0:2,host-1:2 \
    -genvlist RINGMASTER_TOKEN -n 4 "$@" </dev/null
}

# trained NAME LAUNCHER ARM: two ranks on each host.
trained() {
  local name=$1 launcher=$2 arm=$3
  "$launcher" "$PROGRAM" node --arm "$arm" --coordinator 10.78.0.1:29500 --insecure \
    --set transport.listen_address=0.0.0.0 \
    --data synthetic --model mlp --batch 8 --steps 20 --set training.kernels=cpu \
    --set data.synthetic.train_samples=256 --set data.synthetic.test_samples=16 \
    --set training.deterministic=true --out "$OUT/$name" >"$OUT/$name.log" 2>&1 ||
    fail "$name: the launcher ended with $?"
}
# says NAME EXPRESSION: of the run's record, as Python has it in `run`; settings(NAME) is a list of
# what the engine says, by rank.
says() {
  python3 - "$OUT/$1/results.jsonl" "$2" <<'P' || fail "$1: $2"
import json, sys
run = json.loads(open(sys.argv[1]).readlines()[-1])
def settings(name):
    return [series["engine_settings"].get(name) for series in run["series"]]
assert run["status"] == "ok", run["status"]
assert eval(sys.argv[2]), [run["transport"]] + [s.get("engine_settings") for s in run["series"]]
P
}
readonly ADDRESSES='settings("address") == ["10.78.0.1", "10.78.0.1", "10.78.0.2", "10.78.0.2"]'
sha() {
  python3 -c 'import json, sys
print(json.loads(open(sys.argv[1]).readlines()[-1])["weights_sha256"])' "$OUT/$1/results.jsonl"
}

trained ring mpirun ring
for engine in mpi gloo; do
  trained "$engine" mpirun "all-reduce-$engine"
  says "$engine" "$ADDRESSES"
  [ "$(sha "$engine")" = "$(sha ring)" ] || fail "$engine: other bits than the ring's"
done
# The card of each rank's own address, and no other.
says mpi 'settings("btl_tcp_if_include") == ["eth0"] * 4'
says mpi 'run["transport"].startswith("Open MPI")'
if command -v mpiexec.hydra >/dev/null; then
  for engine in mpich gloo; do
    trained "$engine-hydra" hydra "all-reduce-$engine"
    says "$engine-hydra" "$ADDRESSES"
    [ "$(sha "$engine-hydra")" = "$(sha ring)" ] || fail "$engine-hydra: other bits than the ring's"
  done
  says mpich-hydra 'settings("UCX_NET_DEVICES") == ["eth0"] * 4'
  says mpich-hydra 'run["transport"].startswith("MPICH")'
else
  echo "mpiexec.hydra is not installed (apt-get install mpich): MPICH is left out"
fi
