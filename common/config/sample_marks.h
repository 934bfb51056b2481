#ifndef RINGMASTER_COMMON_CONFIG_SAMPLE_MARKS_H_
#define RINGMASTER_COMMON_CONFIG_SAMPLE_MARKS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace ringmaster {

class RunSpec;

// A mark: a number of samples at which the model is scored. It is the model right after update
// `update`, counted from 1: of each part where servers update part by part, else of the whole.
struct SampleMark {
  int64_t update = 0;
  int64_t samples = 0;  // that the weights have learned from by then
};

// The marks of a resolved spec in ascending order, each update once: the first update at which
// every multiple of training.evaluate_every_samples is reached, and the run's last. Empty where
// nothing is scored. An update is made from a global batch, or, where updates are made on arrival,
// from a worker's share of one. Pure.
std::vector<SampleMark> SampleMarks(const RunSpec& resolved);

// How many of the marks are kept in copies of the weights: all but the last, after which the
// weights lie still. Pure, without a list of them.
int64_t MarkCopies(const RunSpec& resolved);

// What limits.mark_copies_bytes is where it is left out: 2 GiB.
inline constexpr int64_t kMarkCopiesBytesDefault = int64_t{2} << 30;

// Whether the copies of all marks, of a model of `parameters`, are within limits.mark_copies_bytes.
// All processes of the run together keep each copy once. ResourceExhausted names how many marks
// fit, and what to set.
absl::Status CheckMarkCopies(const RunSpec& resolved, int64_t parameters);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_SAMPLE_MARKS_H_
