#include "worker/kernels/segments.h"

#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <variant>

#include "gtest/gtest.h"
#include "worker/kernels/calls.h"

namespace ringmaster {
namespace {

// A call made where every byte, padding too, was `byte` before.
uint64_t DigestOver(int byte) {
  alignas(Operation) unsigned char memory[sizeof(Operation)];
  std::memset(memory, byte, sizeof(memory));
  auto* operation = new (memory) Operation(std::in_place_type<GemmCall>);
  std::get<GemmCall>(*operation).m = 3;
  std::get<GemmCall>(*operation).beta = 1.0f;
  return DigestOf({operation, 1});
}

TEST(SegmentDigest, EveryArgumentCountsAndPaddingDoesNot) {
  GemmCall call;
  call.m = 3;
  call.beta = 1.0f;
  EXPECT_EQ(DigestOver(0x00), DigestOf({call}));
  EXPECT_EQ(DigestOver(0xff), DigestOf({call}));
  const uint64_t plain = DigestOf({call});
  for (const auto& change :
       {+[](GemmCall* c) { c->transpose_b = true; }, +[](GemmCall* c) { c->beta = 0.5f; },
        +[](GemmCall* c) { c->ldc = 7; }, +[](GemmCall* c) { c->c = &c->alpha; },
        +[](GemmCall* c) { c->alpha = 0.25f; }}) {
    GemmCall other = call;
    change(&other);
    EXPECT_NE(DigestOf({other}), plain);
  }
}

TEST(SegmentDigest, OperationsOfTheSameBytesAndOtherOrdersDiffer) {
  float value = 0;
  const ReluCall one{&value, 1}, two{&value, 2};
  EXPECT_NE(DigestOf({one}), DigestOf({FillZeroCall{&value, 1}}));
  EXPECT_NE(DigestOf({one}), DigestOf({one, one}));
  EXPECT_NE(DigestOf({one, two}), DigestOf({two, one}));
  EXPECT_EQ(DigestOf({one, two}), DigestOf({one, two}));
}

TEST(SegmentTable, KeepsWhatComesAgainAndNotWhatComesOnce) {
  SegmentTable<int> table;
  EXPECT_FALSE(table.IsWorthKeeping(17));
  EXPECT_FALSE(table.IsWorthKeeping(18));
  EXPECT_TRUE(table.IsWorthKeeping(17));
  EXPECT_EQ(table.Find(17), nullptr);
  table.Keep(17, 5);
  ASSERT_NE(table.Find(17), nullptr);
  EXPECT_EQ(*table.Find(17), 5);
  EXPECT_EQ(table.Find(18), nullptr);
}

TEST(SegmentTable, IsOfFixedSizeAndGivesUpWhatItKept) {
  SegmentTable<uint64_t> table;
  uint64_t kept = 0;
  for (uint64_t digest = 1; digest <= 2 * SegmentTable<uint64_t>::kKeptMax; ++digest) {
    table.IsWorthKeeping(digest);
    if (!table.IsWorthKeeping(digest)) continue;
    table.Keep(digest, digest);
    ++kept;
  }
  EXPECT_EQ(kept, SegmentTable<uint64_t>::kKeptMax);
  uint64_t released = 0;
  table.Clear([&](uint64_t) { ++released; });
  EXPECT_EQ(released, kept);
  EXPECT_EQ(table.Find(1), nullptr);
}

}  // namespace
}  // namespace ringmaster
