#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_CODEC_FACTS_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_CODEC_FACTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "experiments/proof/explain/story.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {

// What a codec makes of gradients: its options, what it sends of a gradient and what it leaves out,
// as it encodes a normal one here, what it remembers, and what whoever adds does with it. Nothing
// of an exact codec. `codec` is resolved, and valid with these traits and this layout. Errors are
// the codec's own. Pure.
absl::StatusOr<std::vector<Fact>> CodecFacts(const CodecSpec& codec, const SchemeTraits& traits,
                                             const ParamLayout& layout);

// The first step from which encodings keep their size: warm-up and ramps are over. As CreateCodec.
absl::StatusOr<int64_t> SettledStep(const CodecSpec& codec);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_CODEC_FACTS_H_
