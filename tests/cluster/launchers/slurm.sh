# shellcheck shell=bash disable=SC2034 # launched_test.sh reads it
# Slurm's srun, in a cluster of this one machine: munged, slurmctld and slurmd of its own.
readonly RANK_VARIABLE=SLURM_PROCID SIZE_VARIABLE=SLURM_STEP_NUM_TASKS
prepare() {
  [ "$(id -u)" = 0 ] || fail "slurmd needs root"
  need slurmctld "slurmctld slurmd slurm-client munge"
  need slurmd slurmd
  need srun slurm-client
  need munged munge
  local folder=$OUT/slurm host
  host=$(hostname -s)
  mkdir -p "$folder/spool" "$folder/state"
  chmod 755 "$OUT" "$folder"
  dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 2>/dev/null
  chmod 600 "$folder/munge.key"
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.sock" \
    --pid-file="$folder/munged.pid" --seed-file="$folder/seed" --log-file="$OUT/munged.log"
  cat >"$folder/slurm.conf" <<C
ClusterName=ringmaster
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(port)
SlurmdPort=$(port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.sock
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$OUT/slurmctld.log
SlurmdLogFile=$OUT/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES State=UP
C
  export SLURM_CONF=$folder/slurm.conf
  ended+=("scancel -u root; stop_daemons $folder")
  slurmctld
  slurmd
  timeout 60 bash -c 'until sinfo -h -o %T 2>/dev/null | grep -q idle; do :; done' ||
    fail "the machine does not get idle: $(sinfo)"
}
# They write files until they are gone.
stop_daemons() {
  local name pid
  for name in slurmd slurmctld munged; do
    pid=$(cat "$1/$name.pid" 2>/dev/null) || continue
    kill "$pid" && timeout 20 tail --pid="$pid" -f /dev/null
  done
}
leader() { echo "127.0.0.1:$(port)"; }
launch() {
  local ranks=$1
  shift
  srun --quiet --overcommit -n "$ranks" "$@" </dev/null
}

# A batch script, which is no rank itself; an array of them, each task a run with a port of its own;
# and ranks that meet by PMIx, as Open MPI needs it.
more() {
  cat >"$OUT/job.sh" <<J
#!/usr/bin/env bash
srun --quiet --overcommit -n 2 "$PROGRAM" node ${SMALL[*]} --arm ring \
  --coordinator "127.0.0.1:\$((\$1 + \${SLURM_ARRAY_TASK_ID:-0}))" \
  --out "$OUT/batch\${SLURM_ARRAY_TASK_ID-}"
J
  sbatch --quiet --wait --overcommit --ntasks=2 --output="$OUT/batch.log" "$OUT/job.sh" "$(port)" ||
    fail "sbatch ended with $?"
  recorded batch 2 0
  sbatch --quiet --wait --overcommit --ntasks=1 --array=1-2 --output="$OUT/array-%a.log" \
    "$OUT/job.sh" "$(port)" || fail "sbatch --array ended with $?"
  recorded batch1 2 0
  recorded batch2 2 0
  srun --mpi=list 2>&1 | grep -qw pmix || fail "srun has no pmix: $(srun --mpi=list 2>&1)"
  srun --mpi=pmix --quiet --overcommit -n 2 "$PROGRAM" node "${SMALL[@]}" --arm all-reduce-mpi \
    --coordinator "$(leader)" --out "$OUT/pmix" </dev/null >"$OUT/pmix.log" 2>&1 ||
    fail "srun --mpi=pmix ended with $?"
  recorded pmix 2 0
  sweep_by_array
}

# An array job whose tasks share a sweep. One is cancelled at work, as if it was preempted.
sweep_by_array() {
  cat >"$OUT/sweep.textproto" <<S
base {
  data { name: "synthetic" synthetic { train_samples: 500 test_samples: 67 height: 9 width: 7 } }
  model { name: "mlp" mlp_hidden: 31 }
  training { kernels: "cpu" batch_per_worker: 8 steps: 100 bucket_bytes: 3000 }
  transport { name: "tcp" network { latency_ms: 0.05 megabits_per_second: 1000 } }
}
axes { field: "arm" values: "ring" }
axes { field: "training.workers" values: ["2", "4"] }
simulate { compute: "1ms" }
trials: 10
S
  cat >"$OUT/array.sh" <<S
#!/bin/bash
exec "$PROGRAM" sweep "$OUT/sweep.textproto" --shard auto --out "$OUT/array"
S
  local job
  job=$(sbatch --parsable --array=1-3 --output="$OUT/array-%a.log" "$OUT/array.sh")
  # shellcheck disable=SC2016 # the inner shell's
  timeout 60 bash -c 'until grep -qs samples/s "$1"; do :; done' - "$OUT/array-1.log" ||
    fail "array: the first task does nothing"
  scancel "${job}_1"
  # shellcheck disable=SC2016 # the inner shell's
  timeout 120 bash -c 'while squeue -h -j "$1" 2>/dev/null | grep -q .; do :; done' - "$job" ||
    fail "array: its tasks do not end: $(squeue)"
  python3 - "$OUT/array" <<'P' || fail "array: its runs"
import collections, glob, json, sys
runs = [json.loads(line) for path in glob.glob(sys.argv[1] + "/results*.jsonl")
        for line in open(path)]
done = collections.Counter((run["sweep"]["cell"], run["sweep"]["trial"])
                           for run in runs if run["status"] == "ok")
stopped = [run for run in runs if run.get("stopped")]
assert len(done) == 40 and set(done.values()) == {1}, done
assert len(stopped) <= 1 and len(runs) == 40 + len(stopped), [run["status"] for run in runs]
print("array: 40 runs by 3 tasks, of which one was cancelled; %d stopped" % len(stopped))
P
}
