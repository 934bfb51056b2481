#ifndef RINGMASTER_COMMON_EXCHANGE_SNAPSHOT_STORE_H_
#define RINGMASTER_COMMON_EXCHANGE_SNAPSHOT_STORE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/base/check.h"

namespace ringmaster {

// Copies of weights as they were at marks (common/config/describe.h): of a shard, or of a
// replica's share of the arena. All memory is taken, and touched, by the constructor; Copy
// allocates nothing. Not thread-safe.
class SnapshotStore {
 public:
  SnapshotStore() = default;
  // For `marks` copies of `count` floats each.
  SnapshotStore(int64_t marks, int64_t count) : copies_(marks) {
    for (std::vector<float>& copy : copies_) copy.resize(count);
  }

  int32_t marks() const { return static_cast<int32_t>(copies_.size()); }

  // Keeps `values` as elements [begin, begin + values.size()) of copy `mark`. REQUIRES: they are
  // within the copy, which has not been given up.
  void Copy(int32_t mark, int64_t begin, absl::Span<const float> values) {
    std::vector<float>& copy = copies_[mark];
    RM_CHECK(begin >= 0 && begin + values.size() <= copy.size());
    std::copy(values.begin(), values.end(), copy.begin() + begin);
  }

  // The copy; empty once it has been given up. Stays in place until then.
  absl::Span<const float> at(int32_t mark) const { return copies_[mark]; }

  // Gives up the memory of a copy.
  void Free(int32_t mark) { std::vector<float>().swap(copies_[mark]); }

  // Of all copies that have not been given up.
  int64_t bytes() const {
    int64_t bytes = 0;
    for (const std::vector<float>& copy : copies_)
      bytes += static_cast<int64_t>(copy.capacity() * sizeof(float));
    return bytes;
  }

 private:
  std::vector<std::vector<float>> copies_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_EXCHANGE_SNAPSHOT_STORE_H_
