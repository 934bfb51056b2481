#include "common/exchange/parts.h"

#include <algorithm>

#include "common/base/check.h"

namespace ringmaster {
namespace {

constexpr int64_t kVersions = int64_t{1} << 40;
constexpr int64_t kMissingSteps = kPushLotsMax;

}  // namespace

std::vector<Range> ShardParts(const ParamLayout& layout, int32_t servers, int32_t server) {
  std::vector<Range> parts;
  parts.reserve(layout.buckets().size());
  for (const Bucket& bucket : layout.buckets())
    parts.push_back(PartOnServer(bucket, servers, server));
  return parts;
}

int64_t ShardCount(absl::Span<const Range> parts) {
  int64_t count = 0;
  for (const Range& part : parts) count += part.count;
  return count;
}

void GatherShard(absl::Span<const Range> parts, absl::Span<const float> arena,
                 absl::Span<float> shard) {
  RM_CHECK(static_cast<int64_t>(shard.size()) == ShardCount(parts));
  auto to = shard.begin();
  for (const Range& part : parts) to = std::copy_n(arena.begin() + part.begin, part.count, to);
}

std::vector<float> GatherShard(absl::Span<const Range> parts, absl::Span<const float> arena) {
  std::vector<float> shard(ShardCount(parts));
  GatherShard(parts, arena, absl::MakeSpan(shard));
  return shard;
}

std::vector<Range> ShardStatistics(absl::Span<const Range> parts,
                                   absl::Span<const Range> statistics) {
  std::vector<Range> found;
  int64_t shard_begin = 0;  // of the part, in the shard's arena
  for (const Range& part : parts) {
    for (const Range& range : statistics) {
      const int64_t begin = std::max(part.begin, range.begin);
      const int64_t end = std::min(part.end(), range.end());
      if (begin < end) found.push_back({shard_begin + begin - part.begin, end - begin});
    }
    shard_begin += part.count;
  }
  return found;
}

int64_t EncodePullNote(const PullNote& note) {
  if (note.mark >= 0) return int64_t{note.mark} * 4 + 3;
  if (note.kept_step >= 0) return (-1 - note.kept_step) * 4 + 3;
  return note.clock * 4 + (note.drain ? 1 : 0) + (note.farewell ? 2 : 0);
}

int64_t EncodePushNote(const PushNote& note) {
  RM_CHECK(note.read_version >= 0 && note.read_version < kVersions);
  RM_CHECK(note.missing_steps == 0 || note.lot == 0);
  const int64_t steps_or_lot = note.missing_steps + note.lot;
  RM_CHECK(steps_or_lot >= 0 && steps_or_lot < kMissingSteps);
  return note.read_version + kVersions * (steps_or_lot + (note.late ? kMissingSteps : 0));
}

PushNote DecodePushNote(int64_t note) {
  PushNote push;
  push.read_version = note % kVersions;
  push.missing_steps = static_cast<int32_t>(note / kVersions % kMissingSteps);
  push.lot = push.missing_steps;
  push.late = note / kVersions / kMissingSteps > 0;
  return push;
}

PullNote DecodePullNote(int64_t note) {
  PullNote pull;
  if ((note & 3) == 3) {
    if (note < 0) {
      pull.kept_step = -1 - (note >> 2);
    } else {
      pull.mark = static_cast<int32_t>(note >> 2);
    }
    return pull;
  }
  pull.clock = note >> 2;
  pull.drain = (note & 1) != 0;
  pull.farewell = (note & 2) != 0;
  return pull;
}

}  // namespace ringmaster
