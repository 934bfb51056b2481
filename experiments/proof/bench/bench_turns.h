#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TURNS_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TURNS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/known_words.h"
#include "common/collective/executor.h"

namespace ringmaster {

// What benchmarks whose contenders take turns have in common.

using BenchClock = std::chrono::steady_clock;

inline double SecondsSince(BenchClock::time_point begin) {
  return std::chrono::duration<double>(BenchClock::now() - begin).count();
}

// How often each of `contenders` is timed when nobody says: for about half a second each, 10 to
// 2000 times, given that one round of all of them took `round_seconds`. Pure.
int64_t BenchIterations(double round_seconds, size_t contenders);

// Replaces each of `seconds`, as many on every rank, by the largest of all ranks, so that all go on
// with the same. A collective call: every rank makes it with the same `step`, which no other
// message of the executor has. Errors as CollectiveExecutor::AllGather.
absl::Status TakeSlowest(CollectiveExecutor& executor, int64_t step, std::vector<double>* seconds);

// InvalidArgument where `names`, what `flag` was given, has one that is not among `known` (which
// have a `name` each), or one twice. Pure.
template <typename Infos>
absl::Status CheckBenchNames(absl::string_view flag, const std::vector<std::string>& names,
                             const Infos& known) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    const bool found = std::any_of(known.begin(), known.end(),
                                   [&](const auto& info) { return name == info.name; });
    if (!found) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " \"", name, "\" is unknown; ",
                                                     KnownWordsText(name, RegistryNames(known))));
    }
    if (!seen.insert(name).second)
      return absl::InvalidArgumentError(absl::StrCat(flag, " names \"", name, "\" twice"));
  }
  return absl::OkStatus();
}

// As CheckBenchNames for --transport, which also refuses one that does not leave its process.
absl::Status CheckBenchTransports(const std::vector<std::string>& names);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_TURNS_H_
