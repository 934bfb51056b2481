#!/usr/bin/env bash
# Puts the King James text, the worked case of the data set "text", into a file: one verse a line,
# without chapter and verse numbers, 4137850 bytes of ASCII.
#   fetch_text.sh [FILE]           fetch it unless it is there; safe to repeat
#   fetch_text.sh --check [FILE]   exit status 0 when it is there with its size; fetches nothing
# FILE is where ringmaster looks for it unless it is given. It appears only whole and with its
# SHA-256 checked. The text is printed by Debian's program `bible` (packages bible-kjv and
# bible-kjv-text): the installed one, else one that is unpacked into a temporary folder. Nothing is
# installed and no root is needed; that way needs apt-get and its archive.
set -euo pipefail

readonly SUM=b5c4940bcfeee072c0935b5200d0f9d88a00a0199cb0961d16133458fcdfae5d
readonly SIZE=4137850
readonly DEFAULT="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ringmaster/text/kjv.txt"

fail() {
  echo "error: King James text: $*" >&2
  exit 1
}

is_there() { [[ -f $1 && $(stat -L -c %s "$1") == "$SIZE" ]]; }

if [[ ${1:-} == --check ]]; then
  is_there "${2:-$DEFAULT}"
  exit
fi
readonly FILE=${1:-$DEFAULT}
if is_there "$FILE"; then exit 0; fi

folder=$(dirname "$FILE")
mkdir -p "$folder" ||
  fail "cannot make the folder $folder; set XDG_CACHE_HOME to a folder that can be written"
# The same file system as FILE, so that the last step is a rename: nobody ever sees half a file.
stage=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$stage"' EXIT

bible=(bible)
if ! command -v bible >/dev/null; then
  echo "Set-up: fetching the King James text (Debian's bible-kjv-text, 2.5 MB) into $FILE" >&2
  command -v apt-get >/dev/null ||
    fail "there is neither the program \"bible\" nor apt-get to fetch it;" \
      "train on a text of yours with --set data.text.file=PATH"
  (cd "$stage" && apt-get -q download bible-kjv bible-kjv-text </dev/null >apt.out 2>&1) || {
    sed 's/^/  /' "$stage/apt.out" >&2
    fail "\"apt-get download bible-kjv bible-kjv-text\" failed:" \
      "is the Debian archive reachable, and are its lists" \
      "there (apt-get update)? Or train on a text of yours with --set data.text.file=PATH"
  }
  for package in "$stage"/*.deb; do dpkg-deb -x "$package" "$stage/packages"; done
  bible=("$stage/packages/usr/bin/bible" -p "$stage/packages/usr/lib")
fi

# -f prints each verse in one line behind its name, such as "1Sm3:10 ".
"${bible[@]}" -f 'Gen1:1-Rev22:21' </dev/null >"$stage/verses" || fail "${bible[0]} failed"
LC_ALL=C sed -E 's/^[0-9A-Za-z]+:[0-9]+ //' "$stage/verses" >"$stage/text"
actual=$(sha256sum "$stage/text" | cut -d' ' -f1)
[[ $actual == "$SUM" ]] ||
  fail "what ${bible[0]} prints has SHA-256 $actual, expected $SUM; nothing was stored"
mv -f "$stage/text" "$FILE"
echo "Set-up: King James text stored, SHA-256 as expected" >&2
