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
  ended+=("scancel -u root; cd $folder; kill \$(cat slurmd.pid slurmctld.pid munged.pid)")
  slurmctld
  slurmd
  timeout 60 bash -c 'until sinfo -h -o %T 2>/dev/null | grep -q idle; do :; done' ||
    fail "the machine does not get idle: $(sinfo)"
}
leader() { echo "127.0.0.1:$(port)"; }
launch() {
  local ranks=$1
  shift
  srun --quiet --overcommit -n "$ranks" "$@" </dev/null
}
