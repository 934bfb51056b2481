#include "common/base/content_fingerprint.h"

#include <set>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// `size` bytes that look random.
std::string Bytes(size_t size) {
  std::string bytes;
  uint32_t state = 7;
  while (bytes.size() < size)
    bytes.push_back(static_cast<char>((state = state * 1664525 + 1013904223) >> 24));
  return bytes;
}

TEST(ContentFingerprint, IsWhatOldRecordsHold) {
  // Another value here makes every data set look replaced since.
  EXPECT_EQ(ContentFingerprint(""), 13763496033093306634u);
  EXPECT_EQ(ContentFingerprint(Bytes(1000)), 16956928231709615150u);
}

TEST(ContentFingerprint, AnyChangedBitChangesIt) {
  const std::string bytes = Bytes(100);  // three blocks and four bytes
  std::set<uint64_t> seen = {ContentFingerprint(bytes)};
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    EXPECT_TRUE(seen.insert(ContentFingerprint(changed)).second) << "bit " << bit;
  }
}

TEST(ContentFingerprint, ItSeesTheOrderOfWordsAndOfBlocks) {
  const std::string bytes = Bytes(96);
  std::set<uint64_t> seen = {ContentFingerprint(bytes)};
  for (size_t a = 0; a < 96; a += 8) {
    for (size_t b = a + 8; b < 96; b += 8) {
      std::string swapped = bytes;
      for (size_t i = 0; i < 8; ++i) std::swap(swapped[a + i], swapped[b + i]);
      EXPECT_TRUE(seen.insert(ContentFingerprint(swapped)).second) << a << " and " << b;
    }
  }
}

TEST(ContentFingerprint, ItSeesTheLengthBehindZeros) {
  std::set<uint64_t> seen;
  for (size_t size = 0; size < 200; ++size)
    EXPECT_TRUE(seen.insert(ContentFingerprint(std::string(size, '\0'))).second) << size;
}

}  // namespace
}  // namespace ringmaster
