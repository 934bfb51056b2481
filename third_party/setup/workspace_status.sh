#!/bin/sh
# Bazel runs this before every build; the key reaches the programs through common/build_stamp (Bazel
# passes on this key and no other of our making). It is volatile (no STABLE_ prefix): a new commit
# alone neither links a program again nor repeats a test.
command -v git >/dev/null || exit 0
commit=$(git rev-parse HEAD 2>/dev/null) || exit 0
if [ -n "$(git status --porcelain 2>/dev/null | head -n 1)" ]; then
  commit="$commit-dirty"
fi
echo "BUILD_SCM_REVISION $commit"
