// The engine "cuda_ipc" on GPU 0: ranks that are threads, which reach each other's memory as it is,
// and ranks that are processes, which open each other's handles.

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/barrier.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "common/engine/engine.h"
#include "common/engine/engines.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/engine/engine_ranks.h"
#include "tests/support/program.h"
#include "tests/worker/kernels/device_array.h"
#include "worker/kernels/cublas/loader.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// The engine's pieces are of 2^21 floats: these are parts of one, its borders, and several with a
// rest.
constexpr size_t kCounts[] = {1, 3, 1000, (2 << 20) - 1, (2 << 20) + 5, 5 * (2 << 20) + 3};

// Numbers whose sum depends on the order in which they are added.
std::vector<float> Values(int rank, uint64_t call, size_t count) {
  Random random(MixSeed(call, rank));
  std::vector<float> values(count);
  for (float& value : values)
    value = (2.0f * random.Uniform() - 1.0f) * static_cast<float>(1 << random.Below(20));
  return values;
}

TEST(CudaIpc, ThreadsGetTheSumInRankOrderToTheLastBit) {
  for (const int ranks : {1, 2, 3, 4}) {
    RunEngineRanks("cuda_ipc", ranks, [&](int rank, Engine& engine) {
      for (uint64_t call = 0; call < 12; ++call) {
        const size_t count = kCounts[call % std::size(kCounts)];
        std::vector<float> data = Values(rank, call, count);
        const absl::Status status = engine.AllReduce(0, data.data(), absl::MakeSpan(data));
        ASSERT_TRUE(status.ok()) << status;
        std::vector<float> expected = Values(0, call, count);
        for (int other = 1; other < ranks; ++other) {
          const std::vector<float> more = Values(other, call, count);
          for (size_t i = 0; i < count; ++i) expected[i] += more[i];
        }
        EXPECT_EQ(std::memcmp(data.data(), expected.data(), count * sizeof(float)), 0)
            << "rank " << rank << " of " << ranks << ", call " << call << " of " << count
            << " floats";
      }
      EXPECT_TRUE(engine.Finish().ok());
    });
  }
}

TEST(CudaIpc, NumbersInDeviceMemoryAreSummedAndLeftAsTheyAreOrTakeTheSum) {
  constexpr size_t kCount = 3 * (2 << 20) + 5;
  RunEngineRanks("cuda_ipc", 2, [](int rank, Engine& engine) {
    auto kernels = LoadCublasLibrary(0);
    ASSERT_TRUE(kernels.ok()) << kernels.status();
    const std::vector<float> own = Values(rank, 7, kCount), other = Values(1 - rank, 7, kCount);
    const DeviceArray<float> on_device(**kernels, own, 3);
    std::vector<float> data(kCount, -1.0f);
    ASSERT_EQ(engine.AllReduce(0, on_device.data(), absl::MakeSpan(data)), absl::OkStatus());
    size_t wrong = 0;
    for (size_t i = 0; i < kCount; ++i) wrong += data[i] != own[i] + other[i];
    EXPECT_EQ(wrong, 0u) << "rank " << rank;
    EXPECT_EQ(on_device.Download(), own);
    // The sum may lie there too, in the numbers' place.
    ASSERT_EQ(engine.AllReduce(0, on_device.data(), absl::MakeSpan(on_device.data(), kCount)),
              absl::OkStatus());
    EXPECT_EQ(on_device.Download(), data);
    EXPECT_TRUE(engine.Finish().ok());
  });
}

TEST(CudaIpc, AnAbortEndsThePeersCall) {
  absl::Barrier* const both = new absl::Barrier(2);
  RunEngineRanks("cuda_ipc", 2, [&](int rank, Engine& engine) {
    std::vector<float> data(1000);
    const MonotonicTime begin = MonotonicNow();
    if (rank == 1) {
      engine.Abort(absl::CancelledError("enough"));
    } else {
      EXPECT_TRUE(absl::IsCancelled(engine.AllReduce(0, data.data(), absl::MakeSpan(data))));
      EXPECT_LT(MonotonicNow() - begin, kEngineWaitLimit / 2);
    }
    if (both->Block()) delete both;
  });
}

// The program compares every element of every result with the exact sum.
TEST(CudaIpc, ProcessesSumRightlyAtEverySize) {
  for (const char* workers : {"2", "3"}) {
    const Finished bench =
        RunProgram({"bench", "allreduce", "--engine", "cuda_ipc", "--workers", workers, "--sizes",
                    "4KiB:64MiB", "--iterations", "3", "--json"});
    ASSERT_EQ(bench.exit_code, 0) << bench.err << bench.out;
    EXPECT_THAT(bench.out, HasSubstr("device memory"));
  }
}

TEST(CudaIpc, TwoWorkersOfATrainingRunEndWithTheRingsBits) {
  const Finished compare =
      RunProgram({"compare", "--arms", "ring,all-reduce-cuda-ipc", "--workers", "2", "--data",
                  "synthetic", "--kernels", "cublas", "--steps", "50", "--evaluate-every", "0",
                  "--json", "--out", NewFolder("out")});
  ASSERT_EQ(compare.exit_code, 0) << compare.err << compare.out;
  const json runs = json::parse(compare.out)["runs"];
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0]["weights_sha256"], runs[1]["weights_sha256"]);
  EXPECT_THAT(runs[1]["transport"].get<std::string>(), HasSubstr("IPC over device memory"));
}

TEST(CudaIpc, ADeviceThatIsNotThereIsNamed) {
  EngineSeat seat;
  seat.ranks = 1;
  seat.device = 1000000;
  seat.all_gather = [](absl::string_view own) {
    return std::vector<std::string>{std::string(own)};
  };
  const auto engine = CreateEngine("cuda_ipc", seat);
  EXPECT_TRUE(absl::IsInvalidArgument(engine.status())) << engine.status();
  EXPECT_THAT(std::string(engine.status().message()), HasSubstr("device 1000000 does not exist"));
}

}  // namespace
}  // namespace ringmaster
