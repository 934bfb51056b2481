#ifndef RINGMASTER_COMMON_CONFIG_DESCRIBE_H_
#define RINGMASTER_COMMON_CONFIG_DESCRIBE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace ringmaster {

class RunSpec;
class StrategySpec;
class TrainingSpec;

// What follows from a resolved spec. Pure, thread-safe.

// The scheme's name (common/scheme), for example "all_reduce"; empty where no strategy is set.
absl::string_view StrategyName(const StrategySpec& strategy);

// Samples of one step of all workers together: N * A * b.
int64_t GlobalBatch(const RunSpec& resolved);
int64_t GlobalBatch(const TrainingSpec& training);

// How many lots (common/control/dealing.h) the workers of the run claim, all together; 0: their
// work is dealt.
int64_t ClaimedLots(const RunSpec& resolved);

// Whether the workers left go on where they are when one is lost (StrategySpec.on_failure).
bool GoesOn(const RunSpec& resolved);

// Whether all processes are started again when one is lost.
bool StartsAgain(const RunSpec& resolved);

// Whether a push says which lot its gradient is of, since the lots of a lost worker are dealt again
// and servers drop what they have made updates of.
bool PushesSayLots(const RunSpec& resolved);

// Whether loss and accuracy are figures of the run: replicas that exchange nothing, and weights
// that nothing has moved, have none worth one.
bool IsScored(const RunSpec& resolved);

// How many steps one worker makes at most: where work is claimed, it may get every lot.
int64_t WorkerStepsMax(const RunSpec& resolved);

// limits.wait_seconds.
absl::Duration WaitLimit(const RunSpec& resolved);

// A mark: a number of samples at which the model is scored. It is the model right after update
// `update`, counted from 1: of each part where servers update part by part, else of the whole.
// Where workers push how far they have come in several steps, `update` counts these steps, and it
// is the model after the first push with so many: a push at the end, of fewer steps, may make it
// fewer than one push's steps more.
struct SampleMark {
  int64_t update = 0;
  int64_t samples = 0;  // that the weights have learned from by then
};

// The marks of a resolved spec in ascending order, each update once: the first update at which
// every multiple of training.evaluate_every_samples is reached, and the run's last. Empty where
// nothing is scored. An update is made from a global batch, of which backup workers' shares are
// left out, or, where updates are made on arrival, from a worker's share of one, or of several.
// Pure.
std::vector<SampleMark> SampleMarks(const RunSpec& resolved);

// How many of the marks are kept in copies of the weights: all but the last, after which the
// weights lie still. Pure, without a list of them.
int64_t MarkCopies(const RunSpec& resolved);

// How many copies of the weights all processes together keep of a mark: one, or one of every worker
// where the model is the average of them all, or one of them may be lost. Pure.
int32_t MarkHolders(const RunSpec& resolved);

// What limits.mark_copies_bytes is where it is left out: 2 GiB.
inline constexpr int64_t kMarkCopiesBytesDefault = int64_t{2} << 30;

// Whether the copies of all marks, of a model of `parameters`, are within limits.mark_copies_bytes.
// All processes of the run together keep each copy MarkHolders times. ResourceExhausted names how
// many marks fit, and what to set.
absl::Status CheckMarkCopies(const RunSpec& resolved, int64_t parameters);

// Whether the run may go on when a process of it is lost (strategy.on_failure REFORM).
bool MayReform(const RunSpec& resolved);

// The resolved spec of a run that goes on with the workers `left` alone, ranks in ascending order,
// which are numbered anew: its global batch, steps, marks and rates stay. A worker's batch grows,
// and with it the time of an emulated one, or, where that is no whole number, the batches that it
// adds up. InvalidArgument: the global batch cannot be shared so. Pure.
absl::StatusOr<RunSpec> ReformedSpec(const RunSpec& resolved, absl::Span<const int32_t> left);

// The resolved spec, which asks for that, once a worker is lost, whichever it is; no further one
// may be (ABORT). InvalidArgument: what it asks for cannot be had; why not, and what else helps.
// Pure.
absl::StatusOr<RunSpec> WithoutOneWorker(const RunSpec& resolved);

// "worker/2" or "server/0", apart.
struct NodeAddress {
  bool is_server = false;
  int32_t index = 0;
};
// Absent: `text` is no such name.
std::optional<NodeAddress> ReadNodeName(absl::string_view text);

// Whether the model takes model.dropout.
bool HasDropout(absl::string_view model_name);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_DESCRIBE_H_
