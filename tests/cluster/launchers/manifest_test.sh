#!/usr/bin/env bash
# The Kubernetes manifest against the API's own schemas (npm package kubernetes-models), and whether
# its parts fit together.
set -euo pipefail
MANIFEST=$(realpath "$1")
CHECK=$(realpath "$2")
command -v npm >/dev/null || { echo "npm is not installed: apt-get install npm" >&2 && exit 1; }
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --no-audit --no-fund kubernetes-models@4.5.1 yaml@2.9.1 >npm.log 2>&1 ||
  { cat npm.log && exit 1; }
cp "$CHECK" check.mjs
node check.mjs "$MANIFEST"
# What is wrong is found: a field that is none, a value of another type, parts that do not fit.
for wrong in 's/completionMode:/completionModus:/' 's/completions: 4/completions: "4"/' \
  's/value: "4"/value: "3"/' 's/subdomain: ringmaster/subdomain: other/'; do
  sed "$wrong" "$MANIFEST" >wrong.yaml
  ! node check.mjs wrong.yaml >wrong.log 2>&1 || { echo "not found: $wrong" && exit 1; }
done
