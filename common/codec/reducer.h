#ifndef RINGMASTER_COMMON_CODEC_REDUCER_H_
#define RINGMASTER_COMMON_CODEC_REDUCER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/state/state.h"

namespace ringmaster {

class CodecSpec;

// What a bucket's sum needs next of the ranks.
struct ReducerRound {
  // To become their sum over all ranks; they lie in the gradient or in memory of the reducer's.
  // None: the last round was the last, and the gradient holds the average.
  absl::Span<float> floats;
  bool is_last = false;  // nothing comes after it
};

// Sums buckets' gradients over all ranks where one sum of encodings is not enough: in several
// rounds, each of which sums floats over the ranks, and what the next one sums follows from what
// the last has brought. Pure: it says which floats to sum, is told when they are, and knows neither
// ranks nor messages. Every rank has one of its own, of the same spec, layout and seed, and gives
// it its own gradients; since sums are the same bits on every rank, so is all that follows from
// them, the averaged gradient included. What it keeps between steps (error feedback, where the next
// step begins) is inside. Buckets may be under way at once, in any order. One thread at a time.
class Reducer {
 public:
  virtual ~Reducer() = default;

  // Begins to sum the bucket's gradient of a step.
  //   gradient: [bucket.count], scaled so that the sum over all ranks is the average; borrowed
  //   until
  //             the last round is through, which leaves the average there.
  // Returns the first round, of one float at least. REQUIRES: the bucket is not under way.
  virtual ReducerRound Begin(int64_t step, int32_t bucket, absl::Span<float> gradient) = 0;

  // The floats that were returned last for this bucket have become their sum over all ranks.
  // Returns the next round. InvalidArgument: the sum has a value that is not finite; every rank is
  // told so alike, and the reducer is of no more use.
  virtual absl::StatusOr<ReducerRound> Summed(int32_t bucket) = 0;

  // All that is kept between steps. REQUIRES: no bucket is under way. Taken by another reducer of
  // the same spec, layout and seed, it goes on with the same bits.
  virtual State Give() const = 0;
  // Bytes of that state. Where it is large, no copy is made to count it.
  virtual int64_t state_bytes() const { return Give().bytes(); }
  // InvalidArgument: the state is of another kind or size; what is kept is then unchanged.
  virtual absl::Status Take(const State& state) = 0;
};

// What a reducer promises, worked out anew from its definition: shares no code with it.
struct ReducerOracle {
  // As ReducerDefinition's.
  std::vector<int64_t> (*round_elements)(const CodecSpec& spec, const ParamLayout& layout,
                                         const Bucket& bucket, int64_t step);
};

// What is known of a codec's reducer; pure, thread-safe functions. All take a resolved spec of that
// codec and, but for `check`, a layout of whole tensors.
struct ReducerDefinition {
  absl::StatusOr<std::unique_ptr<Reducer>> (*create)(const CodecSpec& spec,
                                                     const ParamLayout& layout, uint64_t run_seed);
  // The elements that each round of a bucket sums in `step`, in their order.
  std::vector<int64_t> (*round_elements)(const CodecSpec& spec, const ParamLayout& layout,
                                         const Bucket& bucket, int64_t step);
  // Bytes that a rank keeps for it, between steps and while buckets are under way.
  int64_t (*memory_bytes)(const CodecSpec& spec, const ParamLayout& layout);
  // InvalidArgument: buckets cut tensors, or with these tensors the spec makes no sense; names the
  // field and what to set.
  absl::Status (*check)(const CodecSpec& spec, const ParamLayout& layout);
  const ReducerOracle* oracle;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_REDUCER_H_
