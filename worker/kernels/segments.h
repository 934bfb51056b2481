#ifndef RINGMASTER_WORKER_KERNELS_SEGMENTS_H_
#define RINGMASTER_WORKER_KERNELS_SEGMENTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "common/base/random.h"

namespace ringmaster {

// What tells the calls of one segment from those of another: a digest of every operation and argument, in order.
class CallDigest {
 public:
  template <typename Call>
  void Add(const Call& call) {
    static_assert(std::is_trivially_copyable_v<Call>);
    // Padding holds whatever was there, so it is made the same first.
    Call copy = call;
    __builtin_clear_padding(&copy);
    const char* const operation = __PRETTY_FUNCTION__;  // names Call
    AddBytes(operation, std::strlen(operation));
    AddBytes(&copy, sizeof(copy));
    ++calls_;
  }

  int64_t calls() const { return calls_; }
  uint64_t value() const { return value_; }

 private:
  void AddBytes(const void* data, size_t size_bytes) {
    const auto* bytes = static_cast<const char*>(data);
    value_ = MixSeed(value_, size_bytes);
    for (size_t begin = 0; begin < size_bytes; begin += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes + begin, size_bytes - begin < sizeof(word) ? size_bytes - begin : sizeof(word));
      value_ = MixSeed(value_, word);
    }
  }

  uint64_t value_ = 0;
  int64_t calls_ = 0;
};

// What a device has kept of segments, by the digests of their calls, and which calls it has made before. Of fixed
// size: what finds no room is run as it is called. One thread.
template <typename Kept>
class SegmentTable {
 public:
  static constexpr size_t kKeptMax = 4096;

  // Null: nothing is kept.
  Kept* Find(uint64_t digest) {
    const auto found = kept_.find(digest);
    return found == kept_.end() ? nullptr : &found->second;
  }

  // Whether calls of `digest` have been asked after before, and may be kept: what comes once, as calls with a step's
  // own seed do, is not worth it. A newer digest may take an older one's place.
  bool IsWorthKeeping(uint64_t digest) {
    return std::exchange(seen_[digest % kSeen], digest) == digest && kept_.size() < kKeptMax;
  }

  Kept& Keep(uint64_t digest, Kept kept) { return kept_.emplace(digest, std::move(kept)).first->second; }

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
