#!/usr/bin/env bash
# Makes docs/report.png, the picture in README.md: runs docs/report_picture.textproto (three
# minutes; better on an idle machine), makes its report, and takes the top of the page in Chromium.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v chromium >/dev/null || {
  echo "error: needs chromium: apt-get install chromium" >&2
  exit 1
}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

./run sweep docs/report_picture.textproto --out "$out/store"
./run report "$out/store" -o "$out/report.html"
# Chromium's sandbox refuses root.
sandbox=()
((EUID != 0)) || sandbox=(--no-sandbox)
chromium --headless "${sandbox[@]}" --user-data-dir="$out/profile" --hide-scrollbars \
  --window-size=1200,840 \
  --virtual-time-budget=15000 --screenshot="$out/report.png" "file://$out/report.html" 2>/dev/null
mv "$out/report.png" docs/report.png
ls -l docs/report.png
