#include "tests/support/patience.h"

#include <time.h>

#include <algorithm>

#include "common/base/monotonic.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kSample = absl::Milliseconds(20);

absl::Duration ThreadCpuTime() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

}  // namespace

double SlownessNow() {
  const absl::Duration cpu_begin = ThreadCpuTime();
  const MonotonicTime begin = MonotonicNow();
  absl::Duration cpu;
  while (cpu < kSample) cpu = ThreadCpuTime() - cpu_begin;
  return std::max(1.0, absl::FDivDuration(MonotonicNow() - begin, cpu));
}

absl::Duration AtThisLoad(absl::Duration idle) { return SlownessNow() * idle; }

}  // namespace ringmaster
