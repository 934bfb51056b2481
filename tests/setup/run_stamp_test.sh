#!/usr/bin/env bash
# ./run starts the program without Bazel when nothing has changed, and never a stale one. A small
# git tree with the real ./run and the real set-up scripts; `bazel` is a recorder, which "builds" a
# program that prints the source.
set -euo pipefail
real=$(dirname "$(readlink -f WORKSPACE)")
tree=$TEST_TMPDIR/tree
tools=$TEST_TMPDIR/tools
asked=$TEST_TMPDIR/asked
export HOME=$TEST_TMPDIR/home XDG_CACHE_HOME=$TEST_TMPDIR/cache
export DPKG_ADMINDIR=$TEST_TMPDIR/dpkg TMPDIR=$TEST_TMPDIR
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t
export GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
mkdir -p "$tree/third_party" "$tree/common" "$tools" "$HOME" "$DPKG_ADMINDIR" "$XDG_CACHE_HOME"
cp -L "$real/run" "$tree/"
cp -rL "$real/third_party/setup" "$tree/third_party/"
cp "$real/.bazelrc" "$tree/"
echo one >"$tree/common/a.cc"
echo status >"$DPKG_ADMINDIR/status"

cat >"$tools/bazel" <<EOF
#!/usr/bin/env bash
[[ " \$* " == *" build "* ]] || exit 0
echo "\$*" >>"$asked"
[[ ! -e "$TEST_TMPDIR/meanwhile" ]] || { rm "$TEST_TMPDIR/meanwhile"; late=yes; }
mkdir -p "$tree/bazel-bin/experiments"
{
  echo '#!/bin/sh'
  cat "$tree"/common/*.cc | sed 's/^/echo /'
} >"$tree/bazel-bin/experiments/next"
chmod +x "$tree/bazel-bin/experiments/next"
cmp -s "$tree/bazel-bin/experiments/next" "$tree/bazel-bin/experiments/ringmaster" ||
  mv "$tree/bazel-bin/experiments/next" "$tree/bazel-bin/experiments/ringmaster"
[[ -z "\${late:-}" ]] || echo late >"$tree/common/a.cc"
EOF
# Neither packages nor the network are this test's business.
printf '#!/bin/sh\nexit 1\n' >"$tools/npm"
printf '#!/bin/sh\n%s\n' "sed -n 's/^/installed /p' $TEST_TMPDIR/packages" >"$tools/dpkg-query"
bash -c "ROOT=$tree
  source $tree/third_party/setup/setup.sh
  printf '%s\n' \"\${BUILD_PACKAGES[@]}\"" >"$TEST_TMPDIR/packages"
chmod +x "$tools"/*
export PATH="$tools:$PATH" CUDA_HOME=$TEST_TMPDIR/no-cuda

failures=0
# expect WHAT asked|not-asked OUTPUT [NAME=VALUE ...]: one ./run, whether Bazel is asked, and what
# the program says.
expect() {
  local what=$1 wanted=$2 output=$3 got said
  shift 3
  : >"$asked"
  said=$(env "$@" "$tree/run" --help 2>"$TEST_TMPDIR/err" </dev/null) ||
    {
      said="exit status $?"
      cat "$TEST_TMPDIR/err"
    }
  if [[ -s $asked ]]; then got=asked; else got=not-asked; fi
  [[ $got == "$wanted" && ${said//$'\n'/ } == "$output" ]] && return
  echo "$what: Bazel $got, the program said \"${said//$'\n'/ }\"; expected $wanted and \"$output\""
  failures=$((failures + 1))
}
# The same state again needs no Bazel.
settles() { expect "$1, again" not-asked "$2" "${@:3}"; }

expect "first" asked one
settles "first" one
echo two >"$tree/common/a.cc"
expect "an edited file" asked two
settles "an edited file" two
# As large and as old as before: contents alone differ.
touch -r "$tree/common/a.cc" "$TEST_TMPDIR/age"
echo six >"$tree/common/a.cc"
touch -r "$TEST_TMPDIR/age" "$tree/common/a.cc"
expect "an edited file with its old size and date" asked six
echo more >"$tree/common/b.cc"
expect "an added file" asked "six more"
rm "$tree/common/b.cc"
expect "a removed file" asked six
settles "a removed file" six
touch "$tree/common/a.cc"
expect "a touched file" asked six
# A machine may have no git.
if command -v git >/dev/null; then
  git -C "$tree" init -q -b first
  printf '/bazel-*\n' >"$tree/.gitignore"
  git -C "$tree" add -A
  git -C "$tree" commit -qm first
  git -C "$tree" checkout -qb second
  echo branch >"$tree/common/a.cc"
  git -C "$tree" commit -qam second
  expect "another branch" asked branch
  git -C "$tree" checkout -q first
  expect "back on the first branch" asked six
  settles "back on the first branch" six
else
  echo "another branch: not tried, there is no git here"
fi
echo 'build --copt=-O1' >>"$tree/.bazelrc"
expect "other flags in .bazelrc" asked six
echo 'build --copt=-O2' >"$tree/.bazelrc.user"
expect "other flags in .bazelrc.user" asked six
echo 'build --copt=-O3' >"$HOME/.bazelrc"
expect "other flags in the user's .bazelrc" asked six
settles "other flags" six
expect "another compiler" asked six CXX=clang++
expect "the old compiler again" asked six
echo 'one more package' >>"$DPKG_ADMINDIR/status"
expect "a new package" asked six
settles "a new package" six
# Somebody else's build, of an edit that is taken back afterwards.
cp -p "$tree/common/a.cc" "$TEST_TMPDIR/kept"
printf '#!/bin/sh\necho other\n' >"$tree/bazel-bin/experiments/other"
chmod +x "$tree/bazel-bin/experiments/other"
mv "$tree/bazel-bin/experiments/other" "$tree/bazel-bin/experiments/ringmaster"
expect "a program that was built in its place" asked six
rm "$tree/bazel-bin/experiments/ringmaster"
expect "a program that is gone" asked six
# A file that changes while the build runs: the program may have its old contents.
touch "$TEST_TMPDIR/meanwhile" "$tree/common/a.cc"
expect "a file that changes during the build" asked six
expect "after it" asked late
settles "after it" late
# What runs leave behind is no source.
mkdir -p "$tree/ringmaster-out" "$tree/four-workers"
touch "$tree/ringmaster-out/results.jsonl" "$tree/four-workers/results.jsonl"
settles "outputs of runs" late

# Processor time, the least of five: other programs run at the same time. Where nothing else runs it
# is below 0.3 s, and so is the time by the clock; a busy machine's caches make it longer.
least=
TIMEFORMAT='%U %S'
for _ in 1 2 3 4 5; do
  { time settles "timed" late; } 2>"$TEST_TMPDIR/took"
  read -r user system <"$TEST_TMPDIR/took"
  millis=$((10#${user/./} + 10#${system/./}))
  [[ -n $least ]] && ((least <= millis)) || least=$millis
done
echo "$least ms of processor time"
if ((least > 600)); then
  echo "./run took $least ms of processor time with nothing to do, expected at most 600"
  failures=$((failures + 1))
fi
((failures == 0))
