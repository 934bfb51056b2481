#include "common/transport/shm/layout.h"

#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

FrameHeader Header() {
  FrameHeader header;
  header.from = {Role::kServer, 3};
  header.to = {Role::kWorker, 7};
  header.tag = {MessageKind::kWeights, 65535, 1 << 30, int64_t{1} << 50, -5, 65534, 65533};
  header.total_bytes = 100'000;
  header.offset = 65'536;
  header.length = 100;
  return header;
}

void ExpectSame(const FrameHeader& a, const FrameHeader& b) {
  EXPECT_EQ(a.from, b.from);
  EXPECT_EQ(a.to, b.to);
  EXPECT_EQ(a.tag, b.tag);
  EXPECT_EQ(a.tag.note, b.tag.note);
  EXPECT_EQ(a.total_bytes, b.total_bytes);
  EXPECT_EQ(a.offset, b.offset);
  EXPECT_EQ(a.length, b.length);
}

TEST(ShmLayout, DescriptorComesBackAsItWasWritten) {
  const auto memory = std::make_unique<Descriptor>();  // GCC's sanitized stack does not align it
  Descriptor& descriptor = *memory;
  WriteDescriptor(Header(), PayloadPlace::kPool, 3 * kPoolBytes + 128, 0, &descriptor);
  absl::StatusOr<Arrival> arrival = ReadDescriptor(descriptor);
  ASSERT_TRUE(arrival.ok()) << arrival.status();
  ExpectSame(arrival->header, Header());
  EXPECT_EQ(arrival->payload_place, PayloadPlace::kPool);
  EXPECT_EQ(arrival->begin, 128);
  EXPECT_EQ(arrival->pool_end, 3 * kPoolBytes + 128 + 128u);

  FrameHeader whole = Header();
  whole.offset = 0;
  whole.length = whole.total_bytes;
  for (const PayloadPlace payload_place : {PayloadPlace::kExchange, PayloadPlace::kLent}) {
    WriteDescriptor(whole, payload_place, PlaceOf(kExchangeSegments - 1, 4096), kAckSlots - 1,
                    &descriptor);
    arrival = ReadDescriptor(descriptor);
    ASSERT_TRUE(arrival.ok()) << arrival.status();
    ExpectSame(arrival->header, whole);
    EXPECT_EQ(arrival->payload_place, payload_place);
    EXPECT_EQ(arrival->segment, kExchangeSegments - 1);
    EXPECT_EQ(arrival->begin, 4096);
    EXPECT_EQ(arrival->ack_slot, kAckSlots - 1u);
  }
}

TEST(ShmLayout, EachFieldOutOfRangeIsNamed) {
  const auto error = [](bool in_exchange, auto&& edit) {
    const auto memory = std::make_unique<Descriptor>();
    Descriptor& descriptor = *memory;
    FrameHeader header = Header();
    if (in_exchange) header.offset = 0;
    WriteDescriptor(header, in_exchange ? PayloadPlace::kExchange : PayloadPlace::kPool, 0, 0,
                    &descriptor);
    edit(descriptor);
    return std::string(ReadDescriptor(descriptor).status().message());
  };
  EXPECT_TRUE(absl::StrContains(error(false, [](Descriptor& d) { d.kind = 7; }), "kind is 7"));
  EXPECT_TRUE(absl::StrContains(error(false, [](Descriptor& d) { d.flags = 16; }), "flags is 16"));
  EXPECT_TRUE(absl::StrContains(error(false, [](Descriptor& d) { d.flags = Descriptor::kLent; }),
                                "flags is 8"));
  EXPECT_TRUE(absl::StrContains(
      error(false, [](Descriptor& d) { d.length_or_ack = kPieceBytes + 1; }), "length"));
  EXPECT_TRUE(
      absl::StrContains(error(false, [](Descriptor& d) { d.length_or_ack = 0; }), "length"));
  EXPECT_TRUE(absl::StrContains(error(false, [](Descriptor& d) { d.total_and_channel = 99 << 16; }),
                                "length"));
  EXPECT_TRUE(absl::StrContains(
      error(false, [](Descriptor& d) { d.offset_and_piece = ~uint64_t{0}; }), "offset"));
  EXPECT_TRUE(
      absl::StrContains(error(false, [](Descriptor& d) { d.place = kPoolBytes - 64; }), "place"));
  EXPECT_TRUE(
      absl::StrContains(error(true, [](Descriptor& d) { d.total_and_channel = 7; }), "total size"));
  EXPECT_TRUE(absl::StrContains(error(true, [](Descriptor& d) { d.place = PlaceOf(64, 0); }),
                                "segment is 64"));
  EXPECT_TRUE(
      absl::StrContains(error(true, [](Descriptor& d) { d.place = ~uint64_t{0}; }), "segment"));
  EXPECT_TRUE(
      absl::StrContains(error(true, [](Descriptor& d) { d.length_or_ack = kAckSlots; }), "slot"));
}

TEST(ShmLayout, NoBytesOfNoiseReachBeyondThePoolOrTheTableOfSegments) {
  const uint64_t seed = 5;
  Random random(seed);
  int read = 0;
  for (int i = 0; i < 300'000; ++i) {
    const auto memory = std::make_unique<Descriptor>();
    Descriptor& descriptor = *memory;
    FrameHeader header = Header();
    header.offset = 0;
    WriteDescriptor(header, static_cast<PayloadPlace>(i % 3), 0, 0, &descriptor);
    // A few bytes of noise, anywhere behind the sequence.
    auto* const bytes = reinterpret_cast<unsigned char*>(&descriptor);
    for (uint64_t k = 0; k < 1 + random.Below(6); ++k) {
      bytes[4 + random.Below(sizeof(Descriptor) - 4)] = static_cast<unsigned char>(random.Next());
    }
    const absl::StatusOr<Arrival> arrival = ReadDescriptor(descriptor);
    if (!arrival.ok()) continue;
    ++read;
    ASSERT_TRUE(arrival->begin >= 0 && arrival->header.length >= 0)
        << "seed " << seed << " round " << i;
    if (arrival->payload_place == PayloadPlace::kPool) {
      ASSERT_LE(arrival->begin + arrival->header.length, kPoolBytes)
          << "seed " << seed << " round " << i;
    } else {
      ASSERT_TRUE(arrival->segment >= 0 && arrival->segment < kExchangeSegments)
          << "seed " << seed << " round " << i;
    }
    ASSERT_TRUE(arrival->header.offset >= 0 &&
                arrival->header.offset + arrival->header.length <= arrival->header.total_bytes)
        << "seed " << seed << " round " << i;
    ASSERT_LT(arrival->ack_slot, kAckSlots);
  }
  EXPECT_GT(read, 1000);
}

}  // namespace
}  // namespace ringmaster
