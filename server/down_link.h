#ifndef RINGMASTER_SERVER_DOWN_LINK_H_
#define RINGMASTER_SERVER_DOWN_LINK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/base/partition.h"
#include "common/codec/codec.h"
#include "common/exchange/held_weights.h"
#include "common/params/param_layout.h"
#include "common/scheme/registry.h"
#include "common/state/state.h"

namespace ringmaster {

class RunSpec;

// The weights' way from one server to its workers where differences are sent, encoded
// (DownCodecOf): what the workers hold, and the encodings that are on their way. One array where
// all get the same answers, one of each worker where they do not. Messages are numbered as their
// tags are; a number is encoded once. One thread at a time.
class DownLink {
 public:
  struct Sender {
    int32_t index = 0;       // server/`index`
    uint64_t run_seed = 0;   // training.seed
    bool is_shared = false;  // every answer goes to all workers alike
  };
  // Of a server with `parts` (ShardParts), whose weights begin as `shard`. Null: weights go as
  // floats. Errors as CreateCodecOf.
  static absl::StatusOr<std::unique_ptr<DownLink>> Create(const RunSpec& spec,
                                                          const ParamLayout& layout,
                                                          const Sender& sender,
                                                          absl::Span<const Range> parts,
                                                          absl::Span<const float> shard);

  // What message `tag` tells `worker` of part `tag.bucket`, whose weights are `weights`. Stays
  // until the part's next message to the worker, or to any worker if they are shared.
  // InvalidArgument: weights that are not finite.
  absl::StatusOr<absl::Span<const std::byte>> Encode(int32_t worker, const Tag& tag,
                                                     absl::Span<const float> weights);

  // `worker` is told the part's weights as they are.
  void Tell(int32_t worker, int32_t part, absl::Span<const float> weights);

  // What it holds of the shard.
  absl::Span<const float> held(int32_t worker) const { return held_[Slot(worker)].values(); }

  // By worker: bytes of all that Encode was asked for, a worker that lives beside the server left
  // out (ServerReport.encoded_bytes_down).
  const std::vector<int64_t>& encoded_bytes() const { return encoded_bytes_; }

  // What the workers hold, as "held". Take: before the first message.
  State Give() const;
  absl::Status Take(const State& state);

 private:
  struct Encoding {
    int64_t step = -1;  // of the message
    int64_t bytes = 0;
    std::vector<std::byte> memory;
  };

  DownLink(const SchemeTraits& traits, const Sender& sender, absl::Span<const Range> parts,
           absl::Span<const float> shard, std::unique_ptr<Codec> codec);

  size_t Slot(int32_t worker) const { return sender_.is_shared ? 0 : worker; }

  const SchemeTraits traits_;
  const Sender sender_;
  const std::unique_ptr<Codec> codec_;
  std::vector<int64_t> begins_;                   // of the parts in the shard
  std::vector<HeldWeights> held_;                 // by slot
  std::vector<std::vector<Encoding>> encodings_;  // by slot and part
  std::vector<int64_t> encoded_bytes_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_SERVER_DOWN_LINK_H_
