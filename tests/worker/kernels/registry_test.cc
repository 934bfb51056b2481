#include "worker/kernels/registry.h"

#include <chrono>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(KernelRegistry, EveryListedLibraryIsMadeOrSaysWhatIsMissing) {
  for (const KernelLibraryInfo& info : KernelLibraries()) {
    const auto kernels = CreateKernelLibrary(info.name, 0);
    if (absl::StartsWith(info.name, "cublas")) {
      EXPECT_TRUE(kernels.ok() || !kernels.status().message().empty()) << info.name;
      EXPECT_NE(kernels.status().code(), absl::StatusCode::kNotFound);
      continue;
    }
    ASSERT_TRUE(kernels.ok()) << info.name << ": " << kernels.status();
    if (absl::string_view(info.name) != "auto") {
      EXPECT_EQ((*kernels)->name(), info.name);
    }
  }
}

TEST(KernelRegistry, AutoIsCublasExactlyWhereThatCanRun) {
  const bool has_gpu = CreateKernelLibrary("cublas", 0).ok();
  const auto kernels = CreateKernelLibrary("auto", 0);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  EXPECT_EQ((*kernels)->name(), has_gpu ? "cublas" : "cpu");
}

TEST(KernelRegistry, AnUnknownNameGetsTheKnownOnes) {
  const auto kernels = CreateKernelLibrary("gpu", 0);
  EXPECT_EQ(kernels.status().code(), absl::StatusCode::kNotFound);
  for (const KernelLibraryInfo& info : KernelLibraries()) {
    EXPECT_NE(kernels.status().message().find(info.name), absl::string_view::npos)
        << kernels.status();
  }
}

TEST(KernelRegistry, DescribesTheCpuBlasAsItsTarget) {
  const auto kernels = CreateKernelLibrary("cpu", 0);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  EXPECT_EQ(DescribeCpuBlas(), (*kernels)->target());
}

TEST(KernelRegistry, ADeviceCountIsThereExactlyWhereCublasFindsADevice) {
  const auto count = CudaDeviceCount();
  EXPECT_EQ(count.ok(), DescribeCuda().ok()) << count.status();
  EXPECT_GE(count.value_or(1), 1);
}

TEST(KernelRegistry, TimingIsOfTheWorkAloneAndHandsItsErrorsOn) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kWork = std::chrono::milliseconds(5);
  const auto kernels = CreateKernelLibrary("cpu", 0);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  const Clock::time_point before = Clock::now();
  const auto seconds = TimeCalls(**kernels, [&] {
    for (const Clock::time_point begin = Clock::now(); Clock::now() - begin < kWork;) {
    }
    return absl::OkStatus();
  });
  const double outside = std::chrono::duration<double>(Clock::now() - before).count();
  ASSERT_TRUE(seconds.ok()) << seconds.status();
  EXPECT_GE(*seconds, 0.005);
  EXPECT_LE(*seconds, outside);
  EXPECT_EQ(TimeCalls(**kernels, [] { return absl::InternalError("broken"); }).status(),
            absl::InternalError("broken"));
}

}  // namespace
}  // namespace ringmaster
