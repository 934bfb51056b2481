#include "worker/kernels/segments.h"

#include <cstdint>
#include <cstring>
#include <new>

#include "gtest/gtest.h"
#include "worker/kernels/calls.h"

namespace ringmaster {
namespace {

template <typename Call>
uint64_t DigestOf(const Call& call) {
  CallDigest digest;
  digest.Add(call);
  return digest.value();
}

// A call made where every byte, padding too, was `byte` before.
uint64_t DigestOver(int byte) {
  alignas(GemmCall) unsigned char memory[sizeof(GemmCall)];
  std::memset(memory, byte, sizeof(memory));
  auto* call = new (memory) GemmCall;
  call->m = 3;
  call->beta = 1.0f;
  return DigestOf(*call);
}

TEST(CallDigest, EveryArgumentCountsAndPaddingDoesNot) {
  GemmCall call;
  call.m = 3;
  call.beta = 1.0f;
  EXPECT_EQ(DigestOver(0x00), DigestOf(call));
  EXPECT_EQ(DigestOver(0xff), DigestOf(call));
  const uint64_t plain = DigestOf(call);
  for (const auto& change : {+[](GemmCall* c) { c->transpose_b = true; }, +[](GemmCall* c) { c->beta = 0.5f; },
                             +[](GemmCall* c) { c->ldc = 7; }, +[](GemmCall* c) { c->c = &c->alpha; },
                             +[](GemmCall* c) { c->alpha = 0.25f; }}) {
    GemmCall other = call;
    change(&other);
    EXPECT_NE(DigestOf(other), plain);
  }
}

TEST(CallDigest, OperationsOfTheSameBytesAndOtherOrdersDiffer) {
  float value = 0;
  EXPECT_NE(DigestOf(ReluCall{&value, 1}), DigestOf(DropoutCall{&value, 1, 0, 0}));
  struct Alike {
    float* data;
    int64_t count;
  };
  EXPECT_NE(DigestOf(ReluCall{&value, 1}), DigestOf(Alike{&value, 1}));
  CallDigest one, other;
  one.Add(ReluCall{&value, 1});
  one.Add(ReluCall{&value, 2});
  other.Add(ReluCall{&value, 2});
  other.Add(ReluCall{&value, 1});
  EXPECT_NE(one.value(), other.value());
  EXPECT_EQ(one.calls(), 2);
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
