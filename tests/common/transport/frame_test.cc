#include "common/transport/frame.h"

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr int64_t kSegmentBytes = 1000;

FrameHeader Header() {
  FrameHeader header;
  header.from = {Role::kServer, 3};
  header.to = {Role::kWorker, 70000};
  header.tag = {MessageKind::kWeights, 65535, -5, int64_t{1} << 50, -7, 65534, 65533};
  header.total_bytes = int64_t{5} << 32;
  header.offset = int64_t{4} << 32;
  header.length = kSegmentBytes;
  return header;
}

TEST(FrameHeader, EveryFieldSurvivesTheWire) {
  const FrameHeader in = Header();
  const auto out = DecodeFrameHeader(EncodeFrameHeader(in), kSegmentBytes);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->from, in.from);
  EXPECT_EQ(out->to, in.to);
  EXPECT_EQ(out->tag, in.tag);
  EXPECT_EQ(out->tag.note, in.tag.note);
  EXPECT_EQ(out->total_bytes, in.total_bytes);
  EXPECT_EQ(out->offset, in.offset);
  EXPECT_EQ(out->length, in.length);
}

TEST(FrameHeader, LengthsThatDoNotFitAreRefused) {
  const auto refused = [](int64_t total_bytes, int64_t offset, int64_t length) {
    FrameHeader header = Header();
    header.total_bytes = total_bytes;
    header.offset = offset;
    header.length = length;
    return !DecodeFrameHeader(EncodeFrameHeader(header), kSegmentBytes).ok();
  };
  EXPECT_FALSE(refused(0, 0, 0));
  EXPECT_FALSE(refused(1000, 0, 1000));
  EXPECT_TRUE(refused(2000, 0, 1001));
  EXPECT_TRUE(refused(1000, 1, 1000));
  EXPECT_TRUE(refused(1000, 0, 0));
  EXPECT_TRUE(refused(-1, 0, 0));
  EXPECT_TRUE(refused(1000, -1, 1000));
  EXPECT_TRUE(refused(INT64_MAX, INT64_MAX, 1));
  EXPECT_TRUE(refused(1000, INT64_MAX, 1000));
}

TEST(FrameHeader, RandomBytesNeverPassAsAFrame) {
  const uint64_t seed = 5;
  Random random(seed);
  for (int i = 0; i < 10000; ++i) {
    FrameHeaderBytes bytes;
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Next());
    EXPECT_FALSE(DecodeFrameHeader(bytes, kSegmentBytes).ok()) << "seed " << seed << ", " << i;
  }
}

TEST(FrameHeader, UnknownRoleKindAndVersionAndUnusedBytesAreRefused) {
  for (const int place : {0, 4, 5, 6, 7, 62, 63}) {
    FrameHeaderBytes bytes = EncodeFrameHeader(Header());
    bytes[place] = std::byte{99};
    EXPECT_FALSE(DecodeFrameHeader(bytes, kSegmentBytes).ok()) << "byte " << place;
  }
}

}  // namespace
}  // namespace ringmaster
