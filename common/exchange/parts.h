#ifndef RINGMASTER_COMMON_EXCHANGE_PARTS_H_
#define RINGMASTER_COMMON_EXCHANGE_PARTS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/base/partition.h"
#include "common/params/param_layout.h"

namespace ringmaster {

// How the arena is spread over K servers: every bucket is cut into K parts, part k to server k, so
// that no server idles. Workers and servers both ask here.

// Server `server`'s part of `bucket`, in elements of the arena.
inline Range PartOnServer(const Bucket& bucket, int32_t servers, int32_t server) {
  Range part = Part(bucket.count, servers, server);
  part.begin += bucket.begin;
  return part;
}

// All parts of a server in bucket order; the shard's own arena is their concatenation.
std::vector<Range> ShardParts(const ParamLayout& layout, int32_t servers, int32_t server);

// Elements of the shard's own arena.
int64_t ShardCount(absl::Span<const Range> parts);

// The shard's slices of the arena, gathered: into `shard`, [ShardCount(parts)], or into a vector.
void GatherShard(absl::Span<const Range> parts, absl::Span<const float> arena,
                 absl::Span<float> shard);
std::vector<float> GatherShard(absl::Span<const Range> parts, absl::Span<const float> arena);

// The elements of a shard's own arena that are running statistics, given those of the whole arena:
// in ascending order and not overlapping, as both arguments are.
std::vector<Range> ShardStatistics(absl::Span<const Range> parts,
                                   absl::Span<const Range> statistics);

// What a pull request says in its note: the worker's clock, and whether it waits for all updates of
// earlier clocks (Drain). A worker that asks for the copy of a mark (common/config/describe.h) or
// for a checkpoint, or is done, says so instead.
struct PullNote {
  int64_t clock = 0;
  bool drain = false;
  bool farewell = false;
  int32_t mark = -1;       // 0 or more: it asks for that copy
  int64_t kept_step = -1;  // 0 or more: the server is to keep its state before that step
};
int64_t EncodePullNote(const PullNote& note);
PullNote DecodePullNote(int64_t note);

// As many lots as a push's note can tell apart.
inline constexpr int64_t kPushLotsMax = int64_t{1} << 22;

// What a push says in its note.
struct PushNote {
  // updates of the part in the weights that it was computed from; below 2^40
  int64_t read_version = 0;
  // Where a push is how far its worker has come in several steps: how many steps fewer it has made,
  // since it drained; below 2^22.
  int32_t missing_steps = 0;
  // Where lots of a lost worker may be dealt again: the lot that the gradient is of; below
  // kPushLotsMax. It is where missing_steps are elsewhere: of the two one is 0, and both read the
  // same.
  int32_t lot = 0;
  // It is of a step whose update of this part was in those weights already: it comes too late.
  bool late = false;
};
// The note of a push that is neither late nor lacks steps is its version.
int64_t EncodePushNote(const PushNote& note);
PushNote DecodePushNote(int64_t note);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_EXCHANGE_PARTS_H_
