#!/usr/bin/env bash
# Debian 12's abseil (libabsl-dev 20220623.1) looks for deadlocks in release programs: a program
# that is compiled with NDEBUG still pays for a graph of all nested locks, which the whole process
# keeps under one lock.
#
# Guess before the run: absl::Mutex looks for deadlocks in debug builds only, so in a program with
# -DNDEBUG switching it off changes nothing (a ratio of about 1.0).
# Seen (Zen 4, other work beside it): a pair of nested locks takes 3 to 11 times as long as with the
# search switched off, on one thread and, through the shared graph, on two. The default is decided
# where the *library* is compiled, and Debian compiles it without NDEBUG. gRPC takes absl locks, so
# every program that uses Debian's gRPC is concerned.
# What follows: call absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore) at the
# start of main.
#
# Needs root or the packages g++, pkg-config and libabsl-dev. Fails when the ratio falls below 2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for package in g++ pkg-config libabsl-dev; do
  dpkg -s "$package" >/dev/null 2>&1 ||
    apt-get -qq install -y --no-install-recommends "$package" >/dev/null
done
cat >"$folder/nested.cc" <<'C'
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"

// Nanoseconds for each pair of nested locks, `threads` at once, each with locks of its own.
double Measure(int threads) {
  constexpr int kPairs = 300'000;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([] {
      absl::Mutex outer, inner;
      for (int pair = 0; pair < kPairs; ++pair) {
        absl::MutexLock a(&outer);
        absl::MutexLock b(&inner);
      }
    });
  }
  for (std::thread& thread : all) thread.join();
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  return taken.count() / kPairs;
}

int main(int argc, char** argv) {
  if (argc > 1) absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  Measure(1);
  std::printf("%.1f %.1f\n", Measure(1), Measure(2));
}
C
g++ -std=c++17 -O2 -DNDEBUG "$folder/nested.cc" -o "$folder/nested" \
  $(pkg-config --cflags --libs absl_synchronization) -pthread
echo "libabsl-dev $(dpkg-query -W -f='${Version}' libabsl-dev);" \
  "nanoseconds a pair of nested locks, one thread and two:"
best=
for _ in 1 2 3; do
  read -r one two < <("$folder/nested")
  read -r one_off two_off < <("$folder/nested" off)
  ratio=$(awk -v a="$one" -v b="$one_off" 'BEGIN { printf "%.2f", a / b }')
  echo "default $one and $two, search switched off $one_off and $two_off:" \
    "$ratio times as long on one thread"
  best=$(awk -v a="${best:-0}" -v b="$ratio" 'BEGIN { print (a > b) ? a : b }')
done
awk -v ratio="$best" 'BEGIN { exit !(ratio >= 2) }' ||
  { echo "changed: at most $best times as long, 2 or more were seen"; exit 1; }
