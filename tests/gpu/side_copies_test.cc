// The copies that go on beside the operations of "cublas", on GPU 0, and the points that they are
// waited for by.

#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/gpu/cublas_fixture.h"

namespace ringmaster {
namespace {

// Large enough that the device is still at work when a call for it returns.
constexpr int64_t kCount = int64_t{16} << 20;
constexpr int64_t kBytes = kCount * static_cast<int64_t>(sizeof(float));

struct Points {
  explicit Points(KernelLibrary& kernels) {
    for (std::unique_ptr<WorkPoint>* point : {&begin, &end}) {
      auto created = kernels.CreatePoint();
      if (!created.ok()) ADD_FAILURE() << created.status();
      *point = *std::move(created);
    }
  }
  SideCopy Copy(const void* from, void* to, int64_t size_bytes) const {
    return {from, to, size_bytes, begin.get(), end.get()};
  }
  std::unique_ptr<WorkPoint> begin, end;
};

// Adds `step` to `values` `times` times, which keeps the device busy for a while.
void Add(KernelLibrary& kernels, const Floats& step, Floats& values, int times) {
  for (int i = 0; i < times; ++i) {
    ASSERT_EQ(kernels.Run(AddCall{step.data(), values.data(), kCount}), absl::OkStatus());
  }
}

TEST_F(CublasLibraryTest, ACopyToTheHostHasWhatWasComputedBeforeItAndNothingOfWhatComesAfter) {
  const Floats ones(kernels(), std::vector<float>(kCount, 1.0f));
  Floats source(kernels(), std::vector<float>(kCount, 0.0f)),
      other(kernels(), std::vector<float>(kCount, 0.0f));
  auto host = kernels().AllocateStaging(kBytes);
  ASSERT_TRUE(host.ok()) << host.status();
  const Points points(kernels());
  Add(kernels(), ones, source, 20);
  ASSERT_EQ(kernels().StartCopyToHost(points.Copy(source.data(), host->data(), kBytes)),
            absl::OkStatus());
  Add(kernels(), ones, other, 20);
  ASSERT_EQ(points.begin->Await(), absl::OkStatus());
  ASSERT_EQ(points.end->Await(), absl::OkStatus());
  for (const float value : host->float_span()) ASSERT_EQ(value, 20.0f);
  ASSERT_EQ(kernels().Finish(), absl::OkStatus());
  EXPECT_EQ(other.Download(), std::vector<float>(kCount, 20.0f));
}

TEST_F(CublasLibraryTest, WhatIsOrderedAfterACopyFromTheHostReadsWhatItHasBrought) {
  Floats target = Floats::Poisoned(kernels(), kCount), copied = Floats::Poisoned(kernels(), kCount);
  auto host = kernels().AllocateStaging(kBytes);
  ASSERT_TRUE(host.ok()) << host.status();
  for (int64_t i = 0; i < kCount; ++i) host->floats()[i] = static_cast<float>(i % 1000);
  const Points points(kernels());
  ASSERT_EQ(kernels().StartCopyFromHost(points.Copy(host->data(), target.data(), kBytes)),
            absl::OkStatus());
  ASSERT_EQ(kernels().OrderAfter(*points.end), absl::OkStatus());
  ASSERT_EQ(kernels().Run(CopyFloatsCall{target.data(), copied.data(), kCount}), absl::OkStatus());
  const std::vector<float> values = copied.Download();
  for (int64_t i = 0; i < kCount; ++i)
    ASSERT_EQ(values[i], static_cast<float>(i % 1000)) << "element " << i;
}

TEST_F(CublasLibraryTest, CopiesOfOneLibraryComeInTheirOrder) {
  Floats source(kernels(), std::vector<float>(kCount, 3.0f));
  auto host = kernels().AllocateStaging(2 * kBytes);
  ASSERT_TRUE(host.ok()) << host.status();
  const Points first(kernels()), second(kernels());
  ASSERT_EQ(kernels().StartCopyToHost(first.Copy(source.data(), host->data(), kBytes)),
            absl::OkStatus());
  ASSERT_EQ(kernels().StartCopyToHost(second.Copy(source.data(), host->data() + kBytes, kBytes)),
            absl::OkStatus());
  ASSERT_EQ(second.end->Await(), absl::OkStatus());
  const auto reached = first.end->IsReached();
  ASSERT_TRUE(reached.ok()) << reached.status();
  EXPECT_TRUE(*reached);
}

TEST_F(CublasLibraryTest, APointIsReachedBeforeItIsSetAndWhenTheWorkBeforeItIsDone) {
  const Points points(kernels());
  auto reached = points.begin->IsReached();
  ASSERT_TRUE(reached.ok()) << reached.status();
  EXPECT_TRUE(*reached);
  const Floats ones(kernels(), std::vector<float>(kCount, 1.0f));
  Floats values(kernels(), std::vector<float>(kCount, 0.0f));
  Add(kernels(), ones, values, 100);
  ASSERT_EQ(kernels().Mark(*points.begin), absl::OkStatus());
  reached = points.begin->IsReached();
  ASSERT_TRUE(reached.ok()) << reached.status();
  EXPECT_FALSE(*reached);
  // A look that finds work under way leaves no error for the next launch.
  Add(kernels(), ones, values, 1);
  ASSERT_EQ(points.begin->Await(), absl::OkStatus());
  reached = points.begin->IsReached();
  ASSERT_TRUE(reached.ok()) << reached.status();
  EXPECT_TRUE(*reached);
}

TEST_F(CublasLibraryTest, ACopyOfNoBytesIsDoneAndOneOfLessIsRefused) {
  const Points points(kernels());
  ASSERT_EQ(kernels().StartCopyToHost(points.Copy(nullptr, nullptr, 0)), absl::OkStatus());
  EXPECT_EQ(points.end->Await(), absl::OkStatus());
  EXPECT_EQ(kernels().StartCopyFromHost(points.Copy(nullptr, nullptr, -1)).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ringmaster
