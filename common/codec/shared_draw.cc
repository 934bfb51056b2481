#include "common/codec/shared_draw.h"

#include <limits>

#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/random.h"

namespace ringmaster {
namespace {

constexpr int64_t kWordBits = 64;

}  // namespace

void DrawElements(uint64_t seed, int64_t count, int64_t kept, std::vector<int32_t>* indices) {
  RM_CHECK(kept >= 0 && kept <= count && count <= std::numeric_limits<int32_t>::max());
  thread_local std::vector<uint64_t> drawn;
  drawn.assign(CeilDiv(count, kWordBits), 0);
  // Of more than a half, those that are left out are drawn.
  const bool is_rest = kept > count / 2;
  Random random(seed);
  for (int64_t last = count - (is_rest ? count - kept : kept); last < count; ++last) {
    int64_t i = static_cast<int64_t>(random.Below(static_cast<uint64_t>(last + 1)));
    if ((drawn[i / kWordBits] >> (i % kWordBits)) & 1) i = last;
    drawn[i / kWordBits] |= uint64_t{1} << (i % kWordBits);
  }
  indices->resize(kept);
  int32_t* to = indices->data();
  for (int64_t begin = 0; begin < count; begin += kWordBits) {
    uint64_t word = drawn[begin / kWordBits];
    if (is_rest) {
      word = ~word;
      if (count - begin < kWordBits) word &= (uint64_t{1} << (count - begin)) - 1;
    }
    for (; word != 0; word &= word - 1) *to++ = static_cast<int32_t>(begin + __builtin_ctzll(word));
  }
  RM_CHECK(to == indices->data() + kept);
}

}  // namespace ringmaster
