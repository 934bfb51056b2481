#include "common/codec/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

// Of each instruction set that is here, with and without a residual, against sorting.
void ExpectLargest(const Floats& in, size_t kept, const std::string& what) {
  std::vector<int32_t> expected(in.size());
  std::iota(expected.begin(), expected.end(), 0);
  std::stable_sort(expected.begin(), expected.end(),
                   [&](int32_t a, int32_t b) { return MagnitudeOf(in[a]) > MagnitudeOf(in[b]); });
  expected.resize(kept);
  std::sort(expected.begin(), expected.end());

  const size_t room = CandidatesRoom(in.size(), kept);
  std::vector<int32_t> indices(room);
  Floats values(room);
  for (const CodecLoops* loops : {&Avx2Loops(), Avx512Loops()}) {
    if (loops == nullptr) continue;
    for (const bool corrected : {false, true}) {
      // A quarter and the rest, which add up to the value exactly.
      Floats gradient = in, residual;
      if (corrected) {
        residual = in;
        for (float& value : gradient) value *= 0.25f;
        for (size_t i = 0; i < in.size(); ++i)
          residual[i] = std::isfinite(in[i]) ? in[i] - gradient[i] : in[i];
      }
      const Candidates largest = SelectLargest(gradient, absl::MakeSpan(residual), kept,
                                               {indices.data(), values.data(), 0, room}, *loops);
      ASSERT_EQ(largest.count, kept) << what << " " << loops->name;
      for (size_t i = 0; i < kept; ++i) {
        ASSERT_EQ(largest.indices[i], expected[i])
            << what << " " << loops->name << " corrected " << corrected;
        ASSERT_EQ(largest.values[i], in[expected[i]]) << what << " " << loops->name;
      }
      if (corrected) {
        ASSERT_EQ(residual, in) << what;
      }
    }
  }
}

Floats Normals(size_t count, uint64_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Normal();
  return values;
}

TEST(SelectLargest, FindsWhatSortingFinds) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const size_t count = 1 + random.Below(60000);
    const size_t kept =
        std::max<size_t>(1, count * random.Below(1000) / (seed % 2 == 0 ? 1000 : 50000));
    ExpectLargest(Normals(count, seed), kept, "seed " + std::to_string(seed));
  }
}

TEST(SelectLargest, ASampleThatMisleadsCostsTimeAlone) {
  constexpr size_t kCount = 100000;
  for (const size_t kept : {1, 100, 1000, 30000, 100000}) {
    // Ascending: what was collected first is never among the largest. Descending, equal, nearly all
    // zeros: other strange inputs.
    Floats ascending(kCount), equal(kCount, 0.5f), sparse(kCount, 0.0f), few(kCount);
    for (size_t i = 0; i < kCount; ++i) {
      ascending[i] = static_cast<float>(i);
      few[i] = i % 3 == 0 ? -0.25f : 0.25f + static_cast<float>(i % 5);
    }
    for (size_t i = 0; i < kCount; i += 997) sparse[i] = i % 2 == 0 ? 1.0f : -2.0f;
    const std::string what = "keeping " + std::to_string(kept);
    ExpectLargest(ascending, kept, what + " of ascending");
    ExpectLargest(Floats(ascending.rbegin(), ascending.rend()), kept, what + " of descending");
    ExpectLargest(equal, kept, what + " of equal");
    ExpectLargest(sparse, kept, what + " of mostly zeros");
    ExpectLargest(few, kept, what + " of few values");
    // All that is large lies in one place, of which a sample sees little.
    Floats clustered = Normals(kCount, 5);
    for (size_t i = 70000; i < 70900; ++i) clustered[i] *= 1e6f;
    ExpectLargest(clustered, kept, what + " of clustered");
  }
}

TEST(SelectLargest, InfinitiesAreTheLargest) {
  Floats in = Normals(20000, 6);
  in[15000] = -INFINITY;
  in[77] = INFINITY;
  ExpectLargest(in, 2, "two infinities");
}

}  // namespace
}  // namespace ringmaster
