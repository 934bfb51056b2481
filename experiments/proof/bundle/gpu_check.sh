#!/usr/bin/env bash
# Checks the CUDA kernel library of this bundle on a GPU, and says what the machine lacks for it:
#   ./gpu_check.sh                  every check, results in gpu-check-out/
#   ./gpu_check.sh --out DIR        results.json, log.txt and what the checks leave there
#   ./gpu_check.sh --data-dir DIR   a folder with the four MNIST files, instead of the bundle's own
#   ./gpu_check.sh --seed N         repeats the random inputs of a check that printed it, to 99999
#   ./gpu_check.sh --device N       another GPU than the first (by CUDA_VISIBLE_DEVICES)
#   ./gpu_check.sh --only a,b       some checks: kernels, gradients, training, ps_is_ring, cuda_ipc,
#                                   verify, codecs, speed, pytorch, memcheck, racecheck
#   ./gpu_check.sh --kernels cpu    a rehearsal on the CPU, which says nothing about a GPU
# A check passes, fails, or is skipped with the reason; what could not run never counts as passed.
# Exit status: 0 nothing failed, 1 a check failed, 2 a mistake in the arguments, 3 this machine
# lacks something, which is named, 130 interrupted.
set -uo pipefail
HERE=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
readonly HERE DRIVER_MIN=580 ACCURACY_MIN=0.985
readonly CHECKS=(kernels gradients training ps_is_ring cuda_ipc verify codecs speed pytorch
  memcheck racecheck)

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
mistake() {
  echo "error: $*" >&2
  exit 2
}

out=gpu-check-out data=$HERE/data/ringmaster/mnist seed= device= only= kernels=cublas
while (($#)); do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --out | --data-dir | --seed | --device | --only | --kernels)
      (($# > 1)) || mistake "$1 wants a value; see --help"
      case $1 in
        --out) out=$2 ;;
        --data-dir) data=$2 ;;
        --seed) seed=$2 ;;
        --device) device=$2 ;;
        --only) only=$2 ;;
        --kernels) kernels=$2 ;;
      esac
      shift 2
      ;;
    *) mistake "unknown argument \"$1\"; see --help" ;;
  esac
done
[[ $kernels == cublas || $kernels == cpu ]] || mistake "--kernels $kernels: expected cublas or cpu"
[[ -n $seed ]] || seed=$(((RANDOM << 15 | RANDOM) % 99999 + 1))
[[ $seed =~ ^[0-9]{1,5}$ ]] || mistake "--seed \"$seed\": expected 0 to 99999"
[[ -z $device || $device =~ ^[0-9]{1,3}$ ]] || mistake "--device \"$device\": expected a number"
[[ -z $device ]] || export CUDA_VISIBLE_DEVICES=$device
for name in ${only//,/ }; do
  [[ " ${CHECKS[*]} " == *" $name "* ]] || mistake "--only \"$name\": known are ${CHECKS[*]}"
done
mkdir -p "$out" && out=$(cd "$out" && pwd) || mistake "--out \"$out\" cannot be made"
log=$out/log.txt
: >"$log" || mistake "$log cannot be written"

say() { printf '%s\n' "$*" | tee -a "$log"; }

# Prints "$1" as a string of JSON.
json_string() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/ }
  printf '"%s"' "$(tr -d '\000-\037' <<<"$text")"
}

json_list() {
  local separator='' item
  for item in "$@"; do
    printf '%s%s' "$separator" "$(json_string "$item")"
    separator=', '
  done
}

passed=0 failed=0 skipped=0 results=()
# note CHECK STATUS FIGURE [SECONDS]
note() {
  local seconds=${4:-0}
  case $2 in
    passed) passed=$((passed + 1)) ;;
    failed) failed=$((failed + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
  esac
  results+=("$(printf '{"check": "%s", "status": "%s", "seconds": %s, "figure": %s}' \
    "$1" "$2" "$seconds" "$(json_string "$3")")")
  say "$(printf '%-8s %-10s %s' "$2" "$1" "$3")"
}

# Each notes the check that runs, and the seconds of its last command: passed FIGURE, and so on.
passed() { note "$check" passed "$1" "$SECONDS"; }
failed() { note "$check" failed "$1" "$SECONDS"; }
skipped() { note "$check" skipped "$1" "$SECONDS"; }

wanted() { [[ -z $only || ",$only," == *",$1,"* ]]; }

# Runs "$@" for at most $limit seconds; its output goes to $out/$check.txt, in the end to the log.
run() {
  local status=0
  printf '\n$ %s\n' "$*" >>"$log"
  SECONDS=0
  local said=$out/$check
  timeout --foreground -k 10 "$limit" "$@" >"$said.txt" 2>"$said.err" </dev/null || status=$?
  cat "$said.txt" "$said.err" >>"$log"
  ((status != 124)) || echo "not done within $limit s" >>"$out/$check.err"
  return "$status"
}
# The last words of the check, for a failure's figure.
last_words() {
  tail -n 5 "$out/$check.err" "$out/$check.txt" 2>/dev/null |
    grep -v '^==>' | grep . | tail -n 3 | tr '\n' ' '
}

# ---- what the machine has ------------------------------------------------------------------------

missing=()

# The shared objects that the CUDA library needs and the dynamic linker does not find, a line each.
unresolved() {
  local linker
  linker=$(readlink -f /lib64/ld-linux-x86-64.so.2)
  LD_TRACE_LOADED_OBJECTS=1 "$linker" --library-path "$HERE/lib:${LD_LIBRARY_PATH:-}" \
    "$HERE/bin/libringmaster_cuda.so" 2>&1 | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p'
}

# A toolkit that the dynamic linker does not know: CUDA_HOME, the usual folders, Python's packages.
find_toolkit() {
  local folder
  for folder in ${CUDA_HOME:+"$CUDA_HOME/lib64"} /usr/local/cuda/lib64 /usr/local/cuda-13*/lib64 \
    /usr/local/cuda-13*/targets/x86_64-linux/lib \
    {/usr,/usr/local}/lib/python3*/{dist,site}-packages/nvidia/cu13/lib; do
    [[ -e $folder/libcublas.so.13 && -e $folder/libcudart.so.13 ]] || continue
    export LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    say "the CUDA toolkit's libraries are taken from $folder"
    return
  done
}

driver_version() {
  { cat /proc/driver/nvidia/version ||
    nvidia-smi --query-gpu=driver_version --format=csv,noheader; } 2>/dev/null |
    grep -oE '\b[0-9]{3}\.[0-9]+(\.[0-9]+)?\b' | head -n 1
}

look_at_machine() {
  local version library feature
  for feature in avx2 fma bmi2 f16c; do
    grep -qw "$feature" /proc/cpuinfo ||
      missing+=("processor: it lacks $feature, which everything here is compiled for")
  done
  version=$(getconf GNU_LIBC_VERSION 2>/dev/null | grep -oE '[0-9]+\.[0-9]+')
  if [[ -n $version ]] &&
    [[ $(printf '2.36\n%s\n' "$version" | sort -V | head -n 1) != 2.36 ]]; then
    missing+=("glibc: it is $version, needed is 2.36 or newer (Debian 12, Ubuntu 23.04, Fedora 37)")
  fi
  [[ $kernels == cublas ]] || return
  if [[ ! -e $HERE/bin/libringmaster_cuda.so ]]; then
    missing+=("CUDA library: this bundle is CPU-only: $(cat "$HERE"/*.left_out.txt 2>/dev/null)")
    return
  fi
  [[ -z $(unresolved) ]] || find_toolkit
  for library in $(unresolved); do
    missing+=("library: $library is not found; install CUDA 13's cuBLAS and runtime, or add their \
folder to LD_LIBRARY_PATH")
  done
  driver=$(driver_version)
  if [[ -z $driver ]]; then
    missing+=("driver: NVIDIA's is not loaded; needed is $DRIVER_MIN or newer")
  elif ((${driver%%.*} < DRIVER_MIN)); then
    missing+=("driver: it is $driver, needed is $DRIVER_MIN or newer")
  fi
  compgen -G '/dev/nvidia[0-9]*' >/dev/null || [[ -e /dev/dxg ]] ||
    missing+=("device: there is no /dev/nvidia0; in a container, is the GPU passed on \
(--gpus all)?")
}

# What the program says of the devices: after "CUDA", and "ok" or not.
look_at_devices() {
  local lines state
  lines=$("$HERE/ringmaster" doctor 2>&1 | tee -a "$log" |
    sed -n '/^\(  \|--\) CUDA /,/^\(  \|--\) transport/p' | sed '$d')
  state=${lines:0:2}
  gpu=$(sed '1s/^.. CUDA *//' <<<"$lines")
  if [[ $state != "  " ]]; then
    ((${#missing[@]})) || missing+=("CUDA: $gpu")
  elif grep '^device 0:' <<<"$gpu" | grep -q 'the kernels cannot run on it'; then
    missing+=("$(grep '^device 0:' <<<"$gpu"); choose another one with --device")
  fi
}

# ---- the checks ----------------------------------------------------------------------------------

suite=Cpu own=
if [[ $kernels == cublas ]]; then
  suite=Cublas own=:CublasLibraryTest.*:Models/CublasSegments.*
fi

# Tests of the suite in "$1"; status 0 when there were some and all passed.
run_tests() {
  run "$HERE/bin/kernels_check" --gtest_filter="$1" --gtest_random_seed="$seed" --gtest_color=no \
    --gtest_output="json:$out/$check.json" || return 1
  tests=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) tests\{0,1\}\.$/\1/p' "$out/$check.txt")
  [[ -n $tests && $tests != 0 ]] && ! grep -q '^\[  SKIPPED \]' "$out/$check.txt"
}

check_kernels() {
  limit=1800
  if run_tests "$suite/KernelOpTest.*$own"; then
    passed "$tests tests of every operation against the reference, seed $seed"
  else
    failed "seed $seed: $(last_words)"
  fi
}

check_gradients() {
  limit=1800
  if run_tests "$suite/ModelTest.*"; then
    passed "$tests tests of every model against the same network in double \
precision, seed $seed"
  else
    failed "seed $seed: $(last_words)"
  fi
}

has_mnist() { [[ -e $data/train-images-idx3-ubyte && -e $data/t10k-images-idx3-ubyte ]]; }

check_training() {
  local accuracies least
  has_mnist || {
    note "$check" skipped "there is no MNIST in $data; give its folder with --data-dir"
    return
  }
  limit=1800
  run "$HERE/ringmaster" compare --arms single,ring --epochs 2 --kernels "$kernels" \
    --data-dir "$data" --transport shm --out "$out/runs" --json || {
    failed "$(last_words)"
    return
  }
  accuracies=$(grep -oE '"test_accuracy": ?[0-9.e-]+' "$out/$check.txt" | grep -oE '[0-9.e-]+$')
  least=$(sort -g <<<"$accuracies" | head -n 1)
  if [[ $(grep -c . <<<"$accuracies") == 2 ]] && awk "BEGIN {exit !($least >= $ACCURACY_MIN)}"; then
    passed "lenet, 2 epochs of $data: single and ring, test accuracy at least $least"
  else
    failed "lenet, 2 epochs of $data: test accuracies $(
      tr '\n' ' ' <<<"$accuracies"), expected $ACCURACY_MIN"
  fi
}

# judge_same_weights RUNS WHAT: passed, saying WHAT, when as many runs of 100 steps have ended with
# the same weights.
judge_same_weights() {
  local hashes
  hashes=$(grep -oE '"weights_sha256": ?"[0-9a-f]+"' "$out/$check.txt")
  if [[ $(grep -c . <<<"$hashes") == "$1" && $(sort -u <<<"$hashes" | grep -c .) == 1 ]]; then
    passed "$2"
  else
    failed "two ranks on one device, 100 steps: weights $(tr '\n' ' ' <<<"$hashes")"
  fi
}

check_ps_is_ring() {
  local samples=(--data synthetic)
  has_mnist && samples=(--data-dir "$data")
  limit=600
  run "$HERE/ringmaster" compare --arms ps,ring --workers 2 --steps 100 --evaluate-every 0 \
    --kernels "$kernels" \
    "${samples[@]}" --out "$out/runs" --json || {
    failed "$(last_words)"
    return
  }
  judge_same_weights 2 "two ranks on one device, 100 steps: the same weights to the last bit"
}

# The ranks' sums pass through the device's memory: of every size, and those of a training run.
check_cuda_ipc() {
  [[ $kernels == cublas ]] || {
    note "$check" skipped "a rehearsal on the CPU has no device memory to share"
    return
  }
  limit=600
  run "$HERE/ringmaster" bench allreduce --engine ringmaster,cuda_ipc --transport shm \
    --workers 2 || {
    failed "$(last_words)"
    return
  }
  run "$HERE/ringmaster" compare --arms ps,ring,all-reduce-cuda-ipc --workers 2 --steps 100 \
    --evaluate-every 0 --kernels cublas --data synthetic --out "$out/runs" --json || {
    failed "$(last_words)"
    return
  }
  judge_same_weights 3 \
    "two ranks on one device: exact sums of every size, 100 steps with ps's and ring's bits"
}

check_verify() {
  limit=1800
  has_mnist && set -- --data-dir "$data"
  if run "$HERE/ringmaster" verify --kernels "$kernels" "$@" --json &&
    grep -q '^{"passed": \{0,1\}true' "$out/$check.txt"; then
    passed "$(grep -oE '"topic"' "$out/$check.txt" | grep -c .) checks, $(
      grep -oE '"runs": ?[0-9]+' "$out/$check.txt" | grep -oE '[0-9]+') runs"
  else
    failed "$(grep -oE '"what":"[^"]*","passed":false' "$out/$check.txt" |
      head -n 3) $(last_words)"
  fi
}

# The encoders' bytes beside the codecs' own, and runs that send them.
check_codecs() {
  limit=600
  run_tests "$suite/KernelOpTest.Encode*" || {
    failed "seed $seed: $(last_words)"
    return
  }
  local encodings=$tests
  run "$HERE/ringmaster" compare --workers 2 --steps 50 --evaluate-every 0 --arms \
    ps-fp16,ps-onebit,ring-fp16,ring-topk,ring+bf16,ring+int8,ps-sharded+int4 \
    --kernels "$kernels" --data synthetic --out "$out/runs" --json || {
    failed "$(last_words)"
    return
  }
  passed "$encodings tests of encodings against the codecs, to the last bit; \
7 arms train with them"
}

check_speed() {
  local low
  limit=1800
  run "$HERE/ringmaster" bench kernels --library "$kernels" --json || {
    failed "$(last_words)"
    return
  }
  local number='([0-9.e-]*)'
  local row="^\"name\":\"([^\"]*)\",\"ms\":$number,\"g(b|flop)_per_second\":$number"
  row+=",\"share_of_ceiling\":$number"
  tr '{' '\n' <"$out/$check.txt" | sed -nE "s/$row.*/\1|\2|\4|\5/p" |
    awk -F'|' '{
      printf "         %-32s %10.3f ms  %10.1f G/s  %6.1f %% of its ceiling\n", $1, $2, $3, 100 * $4
    }' | tee -a "$log"
  if [[ $kernels != cublas ]]; then
    skipped "measured, but the goals are a GPU's and this is a rehearsal on the CPU"
    return
  fi
  low=$(tr '{' '\n' <"$out/$check.txt" | grep '"reached":false' |
    sed 's/^"name":"\([^"]*\)".*/\1/' | tr '\n' ';')
  if ! grep -q '"refusal":""' "$out/$check.txt"; then
    failed "no CUDA graph: $(grep -oE '"refusal":"[^"]*' "$out/$check.txt")"
  elif [[ -z $low ]]; then
    passed "memory-bound operations at 80 % of the copy rate or more, the MLP's step at 90 % of \
its products, $(grep -oE '"replayed":[0-9]+' "$out/$check.txt" | grep -oE '[0-9]+') segments \
replayed as CUDA graphs"
  else
    failed "below their goal: $low see $out/$check.txt"
  fi
}

# A python3 that has torch; status 1: none.
find_pytorch() {
  local candidate
  for candidate in python3 /usr/bin/python3; do
    "$candidate" -c 'import torch' >/dev/null 2>&1 && echo "$candidate" && return
  done
  return 1
}

# Prints the milliseconds of a whole training step of the MLP of `bench kernels` with the library
# "$1": copies and the update included.
whole_step() {
  local layers=8 width=4096 height=64 batch=4096 check=pytorch_whole_$1
  [[ $kernels == cublas ]] || layers=4 width=512 height=16 batch=256
  run "$HERE/ringmaster" compare --arms solo --workers 1 --kernels "$1" --model mlp \
    --batch "$batch" --steps 12 \
    --set training.warmup_steps=4 --set model.mlp_hidden="$(printf "%.0s,$width" $(seq "$layers") |
    cut -c 2-)" \
    --data synthetic --set data.synthetic.height="$height" \
    --set data.synthetic.width=$((width / height)) \
    --set data.synthetic.train_samples=$((2 * batch)) --set data.synthetic.test_samples=10 \
    --evaluate-every 0 \
    --out "$out/runs" --json || return
  grep -oE '"step_ms_p50": ?[0-9.]+' "$out/$check.txt" | grep -oE '[0-9]+\.[0-9]{1,3}'
}

check_pytorch() {
  local python library whole wholes='' libraries=(cublas cublas_tf32) device=cuda ours=()
  local ratios status=0
  python=$(find_pytorch) || {
    note "$check" skipped "no python3 here has torch"
    return
  }
  [[ $kernels == cublas ]] || libraries=(cpu) device=cpu
  limit=1200
  for library in "${libraries[@]}"; do
    check=pytorch_$library run "$HERE/ringmaster" bench kernels --library "$library" --steps-only \
      --json || {
      failed "bench kernels --library $library: $(check=pytorch_$library last_words)"
      return
    }
    ours+=(--ours "$out/pytorch_$library.txt")
    whole=$(whole_step "$library") || whole=none
    wholes+="; a whole step of the MLP with $library: $whole ms"
  done
  run "$python" -B "$HERE/bench/step_pytorch_gpu.py" "${ours[@]}" --device "$device" \
    --json "$out/pytorch.json" || status=$?
  if ((status <= 1)); then
    sed 's/^/         /' "$out/$check.txt" | tee -a "$log"
    say "         ${wholes#; }"
  fi
  ratios=$(grep -oE 'ratio [0-9.]+' "$out/$check.txt" | grep -oE '[0-9.]+' | tr '\n' ' ')
  if ((status == 3)); then
    skipped "$(last_words)"
  elif ((status > 1)); then
    failed "$(last_words)"
  elif [[ $kernels != cublas ]]; then
    skipped "measured, but the goals are a GPU's and this is a rehearsal on the CPU$wholes"
  elif ((status == 1)); then
    failed "slower than PyTorch's eager forward and backward: ratios $ratios$wholes"
  else
    passed "forward and backward against PyTorch's, eager, fp32 and TF32: ratios $ratios$wholes"
  fi
}

# "$1": the summary line of a clean run.
check_with_sanitizer() {
  local tool
  [[ $kernels == cublas ]] || {
    note "$check" skipped "a rehearsal on the CPU has no CUDA kernels"
    return
  }
  tool=$(command -v compute-sanitizer || compgen -G '/usr/local/cuda*/bin/compute-sanitizer' |
    head -n 1)
  [[ -n $tool ]] || {
    note "$check" skipped "compute-sanitizer is not on this machine (CUDA toolkit)"
    return
  }
  limit=3600
  run "$tool" --tool "$check" --error-exitcode 97 "$HERE/bin/kernels_check" \
    --gtest_filter="$suite/KernelOpTest.*" \
    --gtest_random_seed="$seed" --gtest_color=no
  if (($? == 0)) && grep -q "$1" "$out/$check.txt"; then
    passed "$(grep -o "$1.*" "$out/$check.txt" | tail -n 1)"
  elif grep -qE '(ERROR|RACECHECK) SUMMARY' "$out/$check.txt"; then
    failed "$(grep -oE '(ERROR|RACECHECK) SUMMARY.*' "$out/$check.txt" | tail -n 1)"
  else
    skipped "compute-sanitizer did not get to its summary here: $(last_words)"
  fi
}
check_memcheck() { check_with_sanitizer 'ERROR SUMMARY: 0 errors'; }
check_racecheck() { check_with_sanitizer 'RACECHECK SUMMARY: 0 hazards'; }

# ---- all of it -----------------------------------------------------------------------------------

write_results() {
  local speed=null pytorch=null
  [[ ! -s $out/speed.txt ]] || speed=$(cat "$out/speed.txt")
  [[ ! -s $out/pytorch.json ]] || pytorch=$(cat "$out/pytorch.json")
  {
    printf '{"kernels": "%s", "seed": %s, "exit": %s,\n' "$kernels" "$seed" "$1"
    printf ' "build": %s,\n "date": "%s",\n' "$(json_string "$build")" \
      "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    printf ' "driver": %s,\n' "$(json_string "${driver:-none}")"
    printf ' "gpu": %s,\n' "$(json_string "${gpu:-}")"
    printf ' "missing": [%s' "$(json_list "${missing[@]}")"
    printf '],\n "passed": %s, "failed": %s, "skipped": %s,\n' "$passed" "$failed" "$skipped"
    printf ' "checks": [\n'
    (IFS=$'\n' && printf '%s' "${results[*]}" | sed '$!s/$/,/')
    printf '\n ],\n "speed": %s,\n "pytorch": %s}\n' "$speed" "$pytorch"
  } >"$out/results.json"
}

say "ringmaster GPU check, $(date -u +%Y-%m-%dT%H:%M:%SZ), kernels $kernels, seed $seed"
[[ $kernels == cublas ]] || say "A rehearsal on the CPU: it says nothing about a GPU."
rm -f "$out"/speed.txt "$out"/pytorch.json
driver='' gpu=''
look_at_machine
build=$("$HERE/ringmaster" doctor 2>>"$log" | sed -n 's/^ *build *//p')
[[ -n $build ]] || missing+=("program: ./ringmaster doctor does not run here; see $log")
[[ $kernels != cublas || ! -e $HERE/bin/libringmaster_cuda.so ]] || look_at_devices
for line in "${missing[@]}"; do say "missing  $line"; done
more=$((${#missing[@]} - 1))
((more > 0)) || more=

trap 'say "interrupted"; exit 130' INT
code=0
for check in "${CHECKS[@]}"; do
  wanted "$check" || continue
  if ((${#missing[@]})); then
    note "$check" skipped "this machine lacks: ${missing[0]}${more:+; and $more more}"
  else
    "check_$check"
  fi
done
((failed == 0)) || code=1
((${#missing[@]} == 0)) || code=3
write_results "$code"
say ""
say "$passed passed, $failed failed, $skipped skipped; results in $out/results.json, everything" \
  "said in $log"
((code != 3)) || say "Nothing ran on a GPU: this machine lacks what is named above."
exit "$code"
