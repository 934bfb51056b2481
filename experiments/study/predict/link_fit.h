#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_LINK_FIT_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_LINK_FIT_H_

#include <cstdint>
#include <limits>

#include "absl/types/span.h"
#include "experiments/proof/bench/bench_link.h"

namespace ringmaster {

// What a message takes: latency + bytes / rate, in seconds.
struct LinkFit {
  double latency = 0;
  double rate = std::numeric_limits<double>::infinity();  // bytes a second of a node, each way
  int64_t samples = 0;                                    // messages behind it
  // Processor time of both ends together, seconds.
  double cpu_message = 0;
  double cpu_byte = 0;
};

// Fits both from what messages of several sizes took. A median here is the smallest of five blocks
// of successive samples, since other processes may have disturbed some.
//   rate         where all nodes send and receive at once: the median of the slopes between the
//                medians of any two sizes; of those of 32 KiB and more alone, where there are two
//                (Theil 1950, Sen 1968). Unlimited where larger messages take no longer.
//   latency      of the smallest message alone, less its bytes at that rate; at least 0
//   cpu_byte     the median of the slopes of processor time, found in the same way; at least 0
//   cpu_message  half of the smallest message's, for the barrier before it is about another one
// Pure, thread-safe. `times` has at least one size, each with samples of both kinds.
LinkFit FitLink(absl::Span<const LinkTimes> times);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_LINK_FIT_H_
