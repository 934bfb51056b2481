#include "common/control/missing_ranks.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/machine/processes.h"

namespace ringmaster {
namespace {

// What is said of ranks of which nothing was heard.
std::string Unheard(const HostPort& listens_at) {
  if (IsWildcard(listens_at.host)) {
    return absl::StrCat(
        "nothing was heard; see what it says itself, or whether it was started at all, and with "
        "rank "
        "0's address and port ",
        listens_at.port, " as --coordinator");
  }
  const bool here = IsLoopback(listens_at.host) || listens_at.host == "localhost";
  return absl::StrCat(
      "nothing was heard; see what it says itself, or whether it was started at all, with "
      "--coordinator ",
      listens_at.ToString(),
      here ? ", on this machine: other machines do not reach a loopback address"
           : ", and whether its machine reaches that address; of a certificate that it refuses "
             "nobody else hears");
}

std::string WhatIsKnown(const RankTrace& trace, const HostPort& listens_at) {
  if (!trace.refused.empty())
    return absl::StrCat("a process came and was turned away: ", trace.refused);
  if (trace.pid == 0) return Unheard(listens_at);
  const std::optional<ProcessFacts> facts = LookAtProcess(trace.pid);
  if (!facts || facts->has_ended())
    return absl::StrCat("its process (pid ", trace.pid, ") has ended");
  if (facts->is_suspended()) {
    return absl::StrCat("its process (pid ", trace.pid,
                        ") is suspended; let it go on with kill -CONT ", trace.pid);
  }
  return absl::StrCat("its process (pid ", trace.pid, ") is still starting, and has computed for ",
                      absl::FormatDuration(absl::Trunc(facts->cpu, absl::Milliseconds(10))),
                      "; raise limits.join_seconds, or start fewer ranks on this machine");
}

// "rank 1", "ranks 1, 2, 5".
std::string Ranks(const std::vector<int32_t>& ranks) {
  return absl::StrCat(ranks.size() == 1 ? "rank " : "ranks ", absl::StrJoin(ranks, ", "));
}

}  // namespace

std::string WhyMissing(const std::vector<MissingRank>& missing, const HostPort& listens_at,
                       const std::string& hindrance) {
  // in order of the first rank of each
  std::vector<std::pair<std::string, std::vector<int32_t>>> known;
  for (const MissingRank& rank : missing) {
    const std::string what = WhatIsKnown(rank.trace, listens_at);
    auto found = std::find_if(known.begin(), known.end(),
                              [&](const auto& entry) { return entry.first == what; });
    if (found == known.end()) found = known.insert(known.end(), {what, {}});
    found->second.push_back(rank.rank);
  }
  std::string text = absl::StrJoin(known, "; ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, "of ", Ranks(entry.second), ": ", entry.first);
  });
  if (!hindrance.empty()) absl::StrAppend(&text, "; ", hindrance);
  return text;
}

}  // namespace ringmaster
