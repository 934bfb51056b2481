#ifndef RINGMASTER_WORKER_KERNELS_SEGMENTS_H_
#define RINGMASTER_WORKER_KERNELS_SEGMENTS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <variant>

#include "absl/types/span.h"
#include "common/base/random.h"
#include "worker/kernels/calls.h"

namespace ringmaster {

// What tells one segment from another: a digest of every operation and argument, in order.
inline uint64_t DigestOf(absl::Span<const Operation> operations) {
  uint64_t digest = 0;
  const auto add = [&digest](auto call) {
    // Padding holds whatever was there, so it is made the same first.
    __builtin_clear_padding(&call);
    const auto* bytes = reinterpret_cast<const char*>(&call);
    for (size_t begin = 0; begin < sizeof(call); begin += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes + begin, std::min(sizeof(call) - begin, sizeof(word)));
      digest = MixSeed(digest, word);
    }
  };
  for (const Operation& operation : operations) {
    digest = MixSeed(digest, operation.index());
    std::visit(add, operation);
  }
  return digest;
}

// What a device has kept of segments, by their digests, and which ones it has made before. Of fixed
// size: what finds no room is made operation by operation. One thread.
template <typename Kept>
class SegmentTable {
 public:
  static constexpr size_t kKeptMax = 4096;

  // Null: nothing is kept.
  Kept* Find(uint64_t digest) {
    const auto found = kept_.find(digest);
    return found == kept_.end() ? nullptr : &found->second;
  }

  // Whether `digest` has been asked after before, and its segment may be kept: what comes once, as
  // operations with a step's own seed do, is not worth it. A newer digest may take an older one's
  // place.
  bool IsWorthKeeping(uint64_t digest) {
    return std::exchange(seen_[digest % kSeen], digest) == digest && kept_.size() < kKeptMax;
  }

  Kept& Keep(uint64_t digest, Kept kept) {
    return kept_.emplace(digest, std::move(kept)).first->second;
  }

  template <typename Release>
  void Clear(Release release) {
    for (auto& [digest, kept] : kept_) release(kept);
    kept_.clear();
  }

 private:
  static constexpr size_t kSeen = 4096;

  std::unordered_map<uint64_t, Kept> kept_;
  std::array<uint64_t, kSeen> seen_{};
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_SEGMENTS_H_
