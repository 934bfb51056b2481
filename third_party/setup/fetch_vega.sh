#!/usr/bin/env bash
# Puts the chart library that reports embed into a folder: the UMD builds of Vega, Vega-Lite and
# Vega-Embed, and their licence, from their npm packages.
#   fetch_vega.sh DIR           fetch them unless they are there; safe to repeat
#   fetch_vega.sh --check DIR   exit status 0 when all are there with their sizes; fetches nothing
# A file appears in DIR only whole and with its SHA-256 checked. Needs npm and a way to its
# registry.
set -euo pipefail

# SHA-256, size in bytes, name in DIR, npm package, name in the package. experiments/study/report
# names the versions too.
readonly FILES="\
463f3db6a40b20e9747b4ed38f37ed0add508838f9141b1cf8366784b07b30c8 515242 vega.min.js \
vega@5.33.1 build/vega.min.js
58c27358e26f2d319cf62f45bc17a4c8362f08645001df2ec8d341eee4097c7f 252198 vega-lite.min.js \
vega-lite@5.23.0 build/vega-lite.min.js
12d02acfbe3ec59ef9a37dd4822a2e04e2961b5bbb671bbe661d2221715b99da 60630 vega-embed.min.js \
vega-embed@6.29.0 build/vega-embed.min.js
32df67148f0fc3db0eb9e263a7b75d07f1eb14c61955005a4a39c6918d10d137 1528 LICENSE \
vega-embed@6.29.0 LICENSE"

fail() {
  echo "error: Vega: $*" >&2
  exit 1
}

is_complete() {
  local sum size name rest
  while read -r sum size name rest; do
    [[ -f "$1/$name" && $(stat -L -c %s "$1/$name") == "$size" ]] || return 1
  done <<<"$FILES"
}

if [[ ${1:-} == --check ]]; then
  is_complete "${2:?fetch_vega.sh --check DIR}"
  exit
fi
readonly DIR=${1:?fetch_vega.sh DIR}
if is_complete "$DIR"; then exit 0; fi

echo "Set-up: fetching Vega, Vega-Lite and Vega-Embed (npm, 6 MB) into $DIR" >&2
mkdir -p "$DIR" ||
  fail "cannot make the folder $DIR; set XDG_CACHE_HOME to a folder that can be written"
# The same file system as DIR, so that the last step is a rename: nobody ever sees half a file.
stage=$(mktemp -d "$DIR/.fetch.XXXXXX")
trap 'rm -rf "$stage"' EXIT

while read -r package; do
  mkdir "$stage/$package"
  (cd "$stage/$package" && npm pack --silent "$package" </dev/null >pack.out 2>pack.err &&
    tar --no-same-owner -xzf ./*.tgz) || {
    sed 's/^/  /' "$stage/$package/pack.err" >&2
    fail "\"npm pack $package\" failed: is the npm registry" \
      "($(npm config get registry 2>/dev/null)) reachable?" \
      "Without it everything works but \"report\" as a page and \"plot\""
  }
done < <(cut -d' ' -f4 <<<"$FILES" | sort -u)
while read -r sum size name package inside; do
  file="$stage/$package/package/$inside"
  [[ -f "$file" ]] || fail "$package does not hold $inside"
  actual=$(sha256sum "$file" | cut -d' ' -f1)
  [[ $actual == "$sum" ]] ||
    fail "$inside of $package has SHA-256 $actual, expected $sum; nothing was stored"
done <<<"$FILES"
while read -r sum size name package inside; do
  mv -f "$stage/$package/package/$inside" "$DIR/$name"
done <<<"$FILES"
echo "Set-up: Vega stored, all SHA-256 sums as expected" >&2
