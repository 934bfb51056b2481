#ifndef RINGMASTER_COMMON_SCHEME_SERVER_EXCHANGE_H_
#define RINGMASTER_COMMON_SCHEME_SERVER_EXCHANGE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/base/message.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"

namespace ringmaster {

class CodecSpec;

// What the schemes have in common whose weights lie on servers. Pure, thread-safe.

// The most servers that a run may have.
inline constexpr int64_t kServersMax = 4096;

// The codec of the weights' way from servers to workers; null where they go as floats. Lives as
// long as `resolved`.
const CodecSpec* DownCodecOf(const RunSpec& resolved);
// What the spec says of it, right or wrong; null: nothing.
const CodecSpec* GivenDownCodec(const RunSpec& resolved);

// Scheme::traffic of a scheme with `traits`, whose workers exchange after every step, or after
// every traits.local_steps and once more for those that are left. In each exchange every worker
// pushes each server its part of every bucket, encoded, and gets the part's weights back, as floats
// or as DownCodecOf encodes differences.
// What a worker and the server beside it exchange stays in its place. Errors as CreateCodec.
absl::StatusOr<RunTraffic> ServerTraffic(const RunSpec& resolved, const SchemeTraits& traits,
                                         const ParamLayout& layout, NodeId node, int64_t steps);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_SERVER_EXCHANGE_H_
