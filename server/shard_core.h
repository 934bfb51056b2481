#ifndef RINGMASTER_SERVER_SHARD_CORE_H_
#define RINGMASTER_SERVER_SHARD_CORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/update/update_rule.h"
#include "server/clock_table.h"

namespace ringmaster {

// Consistency as data: BSP, SSP and asynchronous are one state machine.
struct ShardPlan {
  int32_t workers = 0;
  // N: one update from the sum of all workers (BSP). 1: an update per arrival (SSP, asynchronous).
  int32_t contributions_per_update = 0;
  // A pull at clock c sees every update of clocks <= c - bound - 1; absent: it never waits. BSP: 0.
  std::optional<int64_t> staleness_bound;
  int64_t global_batch = 0;      // samples of one clock of all workers together, for the learning rate
  // Sizes of the parts of the buckets that this shard holds, in bucket order; the shard's arena is their concatenation.
  std::vector<int64_t> part_counts;
};

// A worker's gradient of one part, already scaled by 1/N and decoded.
struct Push {
  int32_t worker = 0;
  int32_t part = 0;   // bucket
  int64_t step = 0;   // the worker's clock when it computed it
  int64_t read_version = 0;  // updates of this part in the weights it was computed from
  absl::Span<const float> gradient;  // borrowed; under BSP it must stay until the part's update of this step is done
};

// A worker that has finished `clock` steps asks for weights.
struct Pull {
  int32_t worker = 0;
  int64_t clock = 0;
  // For evaluation and Drain: wait for every update of clocks <= clock - 1, whatever the bound.
  bool drain = false;
};

// Tells the caller to send the shard's weights as they are at this moment to `worker`.
struct Reply {
  int32_t worker = 0;
  int64_t clock = 0;     // of the pull it answers
};

// The server as a pure state machine: no threads, no I/O, no clock of its own, so that every interleaving is a unit test.
// Under BSP contributions are added in rank order, the longest prefix present at a time, whatever their arrival; the
// update is applied on the last.
class ShardCore {
 public:
  // `weights`: the shard's part of the initial weights, [sum of part_counts].
  ShardCore(ShardPlan plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights);

  // Takes a contribution; appends to `ready` the parked pulls that may now be answered. InvalidArgument (and no change
  // of state): an unknown worker or part, a step that is not the worker's next for this part, a wrong size.
  absl::Status OnPush(const Push& push, std::vector<Reply>* ready);

  // Answers at once (appends to `ready`) or parks the pull until the clock table allows it. One pull a worker at a time:
  // FailedPrecondition.
  absl::Status OnPull(const Pull& pull, std::vector<Reply>* ready);

  absl::Span<const float> weights() const { return weights_; }
  // Updates applied to each part.
  absl::Span<const int64_t> versions() const { return versions_; }
  // histogram[s]: contributions applied with staleness s (updates of the same part between read and apply).
  absl::Span<const int64_t> staleness_histogram() const { return staleness_histogram_; }
  const ClockTable& clocks() const { return clocks_; }

 private:
  struct PartState {
    int64_t begin = 0, count = 0;            // in the shard's arena
    int32_t added = 0;                       // BSP: ranks 0..added-1 are in the sum
    std::vector<absl::Span<const float>> waiting;  // BSP: [workers], contributions not yet added (empty: absent)
    std::vector<int64_t> next_step;          // [workers]
  };

  absl::Status Check(const Push& push) const;
  void AddPrefix(PartState* part);
  void ApplyUpdate(int32_t part_index, absl::Span<const float> gradient, int64_t samples_seen);
  bool MayAnswer(const Pull& pull) const;
  void ReleaseParked(std::vector<Reply>* ready);

  const ShardPlan plan_;
  const std::unique_ptr<UpdateRule> update_;
  std::vector<float> weights_;
  std::vector<float> sum_;                   // BSP: the sums of the parts
  std::vector<PartState> parts_;
  std::vector<int64_t> versions_;
  std::vector<int64_t> staleness_histogram_;
  ClockTable clocks_;
  std::vector<std::optional<Pull>> parked_;  // [workers]
  int64_t contributions_ = 0;                // of all parts, for samples seen
};

}  // namespace ringmaster

#endif  // RINGMASTER_SERVER_SHARD_CORE_H_
