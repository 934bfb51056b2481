# shellcheck shell=bash disable=SC2034 # launched_test.sh reads it
# Open MPI's mpirun.
readonly RANK_VARIABLE=OMPI_COMM_WORLD_RANK SIZE_VARIABLE=OMPI_COMM_WORLD_SIZE
prepare() {
  need mpirun openmpi-bin
  mpirun=mpirun
  ! command -v mpirun.openmpi >/dev/null || mpirun=mpirun.openmpi # MPICH's is beside it
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export OMPI_MCA_orte_execute_quiet=1 # -q is refused by version 5
}
leader() { echo "127.0.0.1:$(port)"; }
launch() {
  local ranks=$1
  shift
  "$mpirun" --oversubscribe --bind-to none -n "$ranks" "$@" </dev/null
}
