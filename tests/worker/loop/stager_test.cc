#include "worker/loop/stager.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "gtest/gtest.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

constexpr int64_t kCount = 250;
constexpr int64_t kBucketElements = 100;

// A stager on the host, with a gradient that a test writes.
class Staged {
 public:
  explicit Staged(const StagerOptions& options, int32_t slots = 2,
                  std::vector<Param> params = {{"weights", {kCount}}})
      : layout_(std::move(params), kBucketElements),
        kernels_(*CreateKernelLibrary("reference", 0)) {
    auto stager = Stager::Create(*kernels_, layout_, options, slots);
    EXPECT_TRUE(stager.ok()) << stager.status();
    stager_ = *std::move(stager);
    // Buffers come as they are: elements that a test does not write must not hold another test's
    // leftovers.
    for (int32_t slot = 0; slot < slots; ++slot)
      std::fill_n(stager_->gradients(slot).data, kCount, 0.0f);
  }
  Stager& stager() { return *stager_; }
  absl::StatusOr<absl::Span<float>> Fetch(int32_t slot, int32_t bucket) {
    const absl::Status started = stager_->StartFetch(slot, layout_.buckets()[bucket]);
    if (!started.ok()) return started;
    const auto gradient = stager_->Fetch(slot, layout_.buckets()[bucket]);
    if (!gradient.ok()) return gradient.status();
    return gradient->host();
  }
  float& gradient(int32_t slot, int64_t element) { return stager_->gradients(slot).data[element]; }

  // The whole gradient, staged bucket by bucket.
  std::vector<float> Stage(int32_t slot, const std::vector<float>& gradient) {
    for (int64_t i = 0; i < kCount; ++i) stager_->gradients(slot).data[i] = gradient[i];
    std::vector<float> staged;
    for (const Bucket& bucket : layout_.buckets()) {
      const auto values = Fetch(slot, bucket.id);
      EXPECT_TRUE(values.ok()) << values.status();
      if (values.ok()) staged.insert(staged.end(), values->begin(), values->end());
    }
    return staged;
  }

 private:
  const ParamLayout layout_;
  const std::unique_ptr<KernelLibrary> kernels_;
  std::unique_ptr<Stager> stager_;
};

StagerOptions Deterministic(int32_t workers, int32_t bits) {
  return {1.0f / workers, workers, true, bits};
}

// A worker's share of the mean over `workers`.
std::vector<float> RandomGradient(uint64_t seed, int32_t workers = 1) {
  Random random(seed);
  std::vector<float> gradient(kCount);
  for (float& value : gradient) value = random.Normal() / static_cast<float>(workers);
  return gradient;
}

TEST(Stager, ScalesTheStatisticsOfABucketAndLeavesAllElseAlone) {
  const auto is_statistic = [](int64_t i) { return (i >= 80 && i < 130) || i >= 180; };
  std::vector<Param> params = {{"a", {80}}, {"mean", {50}}, {"b", {50}}, {"variance", {70}}};
  params[1].statistic = params[3].statistic = true;
  Staged staged({0.25f, 4, false, 0}, 2, std::move(params));
  for (int64_t i = 0; i < kCount; ++i) staged.gradient(0, i) = static_cast<float>(i);
  const auto values = staged.Fetch(0, 1);
  ASSERT_TRUE(values.ok()) << values.status();
  ASSERT_EQ(values->size(), 100u);
  for (int64_t i = 100; i < 200; ++i) {
    EXPECT_EQ((*values)[i - 100], (is_statistic(i) ? 0.25f : 1.0f) * static_cast<float>(i));
  }
  EXPECT_EQ(staged.gradient(0, 99), 99.0f);
  EXPECT_EQ(staged.gradient(0, 200), 200.0f);
}

TEST(Stager, SlotsAreArenasOfTheirOwn) {
  Staged staged({1.0f, 1, false, 0}, 3);
  const std::vector<float> first = staged.Stage(0, RandomGradient(1));
  staged.Stage(1, RandomGradient(2));
  staged.Stage(2, RandomGradient(3));
  EXPECT_TRUE(std::equal(first.begin(), first.end(), staged.stager().host_gradients(0).begin()));
}

TEST(DeterministicStager, RoundsToTheNearestMultipleAndMovesNoValueFurtherThanHalfAStep) {
  Staged staged(Deterministic(1, 8));
  const std::vector<float> gradient = RandomGradient(4);
  const std::vector<float> rounded = staged.Stage(0, gradient);
  int changed = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(rounded[i] * 256, std::nearbyint(rounded[i] * 256)) << rounded[i];
    EXPECT_LE(std::fabs(rounded[i] - gradient[i]), 0x1p-9f);
    changed += rounded[i] != gradient[i];
  }
  EXPECT_GT(changed, kCount / 2);
}

// Every order of addition and every bracketing of N workers' gradients has the bits of the exact
// sum.
TEST(DeterministicStager, SumsOfAllWorkersHaveTheSameBitsInAnyOrder) {
  for (const int32_t workers : {2, 3, 5, 8}) {
    SCOPED_TRACE(absl::StrCat("N=", workers));
    std::vector<std::vector<float>> gradients;
    for (int32_t rank = 0; rank < workers; ++rank) {
      Staged staged(Deterministic(workers, 20));
      gradients.push_back(staged.Stage(0, RandomGradient(10 + rank, workers)));
    }
    Random random(workers);
    for (int trial = 0; trial < 50; ++trial) {
      for (int64_t i = 0; i < kCount; ++i) {
        double exact = 0;
        std::vector<float> terms;
        for (const std::vector<float>& gradient : gradients) {
          exact += gradient[i];
          terms.push_back(gradient[i]);
        }
        // Adds two random terms until one is left.
        while (terms.size() > 1) {
          std::swap(terms[random.Below(terms.size())], terms.back());
          const float last = terms.back();
          terms.pop_back();
          terms[random.Below(terms.size())] += last;
        }
        ASSERT_EQ(static_cast<double>(terms[0]), exact) << "element " << i;
      }
    }
  }
}

TEST(DeterministicStager, WithoutRoundingTheOrderWouldShow) {
  int different = 0;
  const std::vector<float> a = RandomGradient(10), b = RandomGradient(11), c = RandomGradient(12);
  for (int64_t i = 0; i < kCount; ++i) different += (a[i] + b[i]) + c[i] != a[i] + (b[i] + c[i]);
  EXPECT_GT(different, 0);
}

TEST(DeterministicStager, TakesTheLargestValueWhoseSumIsExactAndRefusesTheNextByBucketAndValue) {
  for (const int32_t workers : {1, 3, 4}) {
    for (const float sign : {1.0f, -1.0f}) {
      SCOPED_TRACE(absl::StrCat("N=", workers, " sign=", sign));
      constexpr int32_t kBits = 10;
      // Whole steps that N workers may each bring: N * limit <= 2^24.
      const int64_t limit = (int64_t{1} << 24) / workers;
      StagerOptions options = Deterministic(workers, kBits);
      options.statistic_scale = 1.0f;
      Staged staged(options);
      staged.gradient(0, 120) = sign * static_cast<float>(limit) * 0x1p-10f;
      const auto largest = staged.Fetch(0, 1);
      ASSERT_TRUE(largest.ok()) << largest.status();
      EXPECT_EQ((*largest)[20], sign * static_cast<float>(limit) * 0x1p-10f);
      // At and above 2^24 steps float32 has no odd ones.
      const float next = sign * static_cast<float>(limit + (workers == 1 ? 2 : 1)) * 0x1p-10f;
      staged.gradient(0, 120) = next;
      const absl::Status refused = staged.Fetch(0, 1).status();
      EXPECT_EQ(refused.code(), absl::StatusCode::kOutOfRange) << refused;
      for (const std::string& part :
           {absl::StrCat("bucket 1"), absl::StrCat(next), absl::StrCat(workers, " workers"),
            absl::StrCat("deterministic_bits=", kBits)}) {
        EXPECT_NE(refused.message().find(part), absl::string_view::npos)
            << refused << " lacks \"" << part << "\"";
      }
    }
  }
}

TEST(DeterministicStager, CountsTheBatchesOfEveryWorkerAmongTheAddends) {
  StagerOptions options = Deterministic(2, 10);
  options.statistic_scale = 1.0f;
  options.accumulate = 4;
  Staged staged(options);
  const float largest = std::ldexp(1.0f, 24 - 3 - 10);  // eight of them are 2^24 steps
  staged.gradient(0, 0) = largest;
  ASSERT_TRUE(staged.Fetch(0, 0).ok());
  staged.gradient(0, 0) = largest + 0x1p-10f;
  const absl::Status refused = staged.Fetch(0, 0).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(refused.message().find("over 2 workers with 4 batches each"), absl::string_view::npos)
      << refused;
}

TEST(DeterministicStager, RefusesValuesThatAreNotFinite) {
  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Staged staged(Deterministic(2, 20));
    staged.gradient(0, 0) = value;
    EXPECT_EQ(staged.Fetch(0, 0).status().code(), absl::StatusCode::kOutOfRange);
  }
}

}  // namespace
}  // namespace ringmaster
