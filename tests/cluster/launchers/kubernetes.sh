# shellcheck shell=bash disable=SC2034 # launched_test.sh reads it
# The variables that pods of an Indexed Job have (job.yaml), given to processes.
readonly RANK_VARIABLE=JOB_COMPLETION_INDEX SIZE_VARIABLE=WORLD_SIZE
prepare() { :; }
leader() { :; }
launch() {
  local ranks=$1 rank code=0 pids=()
  shift
  local port
  port=$(port)
  for ((rank = 0; rank < ranks; ++rank)); do
    JOB_COMPLETION_INDEX=$rank WORLD_SIZE=$ranks MASTER_ADDR=localhost MASTER_PORT=$port "$@" \
      </dev/null &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || code=$?; done
  return "$code"
}
