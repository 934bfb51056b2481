# shellcheck shell=bash disable=SC2034 # launched_test.sh reads it
# MPICH's mpiexec.hydra.
readonly RANK_VARIABLE=PMI_RANK SIZE_VARIABLE=PMI_SIZE
prepare() { need mpiexec.hydra mpich; }
leader() { echo "127.0.0.1:$(port)"; }
launch() {
  local ranks=$1
  shift
  mpiexec.hydra -n "$ranks" "$@" </dev/null
}
