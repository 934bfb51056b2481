# Whether the program that was built last is still what a build would give, told without starting
# Bazel; sourced by ./run. A stamp lies beside the program and holds a digest of all that a build
# depends on. Times of change (ctime) are in it, which nobody can set: a file whose contents change
# has another digest, whatever its size and dates.

# What lies in the repository and decides what the program is.
readonly PROGRAM_SOURCES=(BUILD WORKSPACE .bazelrc .bazelrc.user run proto server worker common
  experiments third_party)

# Prints one line for each thing outside the repository on which a build depends: packages, tools,
# settings.
program_surroundings() {
  local tools
  printf 'set %s\n' "$@" "${BAZEL_STARTUP[*]-}" "${CUDA_HOME:-}" "${CC:-}" "${CXX:-}" \
    "${CFLAGS:-}" "${CXXFLAGS:-}" "${PKG_CONFIG_PATH:-}" "${PKG_CONFIG_LIBDIR:-}" \
    "${BAZEL_CXXOPTS:-}" "${BAZEL_LINKOPTS:-}" "${CPATH:-}" "${LIBRARY_PATH:-}"
  mapfile -t tools < <(type -P bazel gcc g++ ld pkg-config protoc ${CC:+"$CC"} ${CXX:+"$CXX"})
  # Packages come and go with dpkg's status. One call: starting a program takes milliseconds.
  stat -L -c '%n %s %Y %Z %i' "${DPKG_ADMINDIR:-/var/lib/dpkg}/status" /etc/bazel.bazelrc \
    /etc/bazel/bazelrc "${HOME:-/nonexistent}/.bazelrc" "$(vega_dir)" \
    "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" "${tools[@]}" 2>/dev/null || true
}

# Prints the digest. "$@": the targets of the build.
program_state() {
  {
    program_surroundings "$@"
    (cd "$ROOT" &&
      find "${PROGRAM_SOURCES[@]}" \( -type f -o -type l \) \
        -printf '%p %l %s %T@ %C@ %i %m\n' 2>/dev/null || true) |
      LC_ALL=C sort
  } | sha256sum
}

# Prints what tells the program `$1`, and the CUDA library beside it, from those built later in
# their place.
program_identity() {
  stat -L -c '%s %Y %Z %i' "$1" "${1%/*}/libringmaster_cuda.so" 2>/dev/null || true
}

# Whether the program `$1` was stamped in the state `$2`, and nothing has been built in its place
# since.
is_stamped() {
  local stamp=
  [[ -x $1 && -r $1.stamp ]] || return 1
  stamp=$(<"$1.stamp")
  [[ $stamp == "$2 $(program_identity "$1")" ]]
}

# Stamps the program `$1`, which was built from the state `$2`. A stamp that cannot be written costs
# time, no more.
write_stamp() {
  local temporary
  temporary=$(mktemp "$1.stamp.XXXXXX" 2>/dev/null) || return 0
  printf '%s\n' "$2 $(program_identity "$1")" >"$temporary" && mv -f "$temporary" "$1.stamp" ||
    rm -f "$temporary"
}
