#include "common/base/monotonic.h"
#include "common/engine/engines.h"

#include <string>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "common/engine/engine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/engine/engine_ranks.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

#define SKIP_WITHOUT(engine) \
  if (!CheckEngine(engine).ok()) GTEST_SKIP() << CheckEngine(engine).message()

TEST(Engines, AnUnknownOneIsRefusedWithTheKnownOnes) {
  EXPECT_FALSE(IsEngine("ring"));
  EXPECT_TRUE(IsEngine("mpi"));
  EXPECT_TRUE(absl::IsNotFound(CheckEngine("ring")));
  EXPECT_THAT(std::string(CheckEngine("ring").message()),
              HasSubstr("known are mpi, mpich, gloo, nccl, cuda_ipc"));
}

TEST(Engines, EveryAlgorithmOfGlooSumsWithAnyNumberOfRanksAndElements) {
  SKIP_WITHOUT("gloo");
  for (const int ranks : {1, 2, 3, 4}) {
    RunEngineRanks("gloo", ranks, [&](int rank, Engine& engine) {
      EXPECT_EQ(engine.algorithms().size(), 5u);
      for (size_t algorithm = 0; algorithm < engine.algorithms().size(); ++algorithm) {
        for (const size_t count : {size_t{1000}, size_t{100001}}) {
          std::vector<float> data(count);
          for (int repetition = 0; repetition < 2; ++repetition) {
            for (size_t i = 0; i < count; ++i)
              data[i] = static_cast<float>(i % 97 + 100 * rank + repetition);
            const absl::Status status = engine.AllReduce(static_cast<int32_t>(algorithm),
                                                         data.data(), absl::MakeSpan(data));
            ASSERT_TRUE(status.ok()) << engine.algorithms()[algorithm] << ": " << status;
            size_t wrong = 0;
            for (size_t i = 0; i < count; ++i) {
              wrong += data[i] != static_cast<float>(ranks * (i % 97 + repetition) +
                                                     100 * ranks * (ranks - 1) / 2);
            }
            EXPECT_EQ(wrong, 0u) << engine.algorithms()[algorithm] << " of " << count << " with "
                                 << ranks << " ranks";
          }
        }
      }
      EXPECT_TRUE(engine.Finish().ok());
    });
  }
}

TEST(Engines, AnAbortFailsThePeersCallAndLaterOnesOfItsOwn) {
  SKIP_WITHOUT("gloo");
  auto* const both = new absl::Barrier(2);
  RunEngineRanks("gloo", 2, [&](int rank, Engine& engine) {
    std::vector<float> data(1000);
    const MonotonicTime begin = MonotonicNow();
    if (rank == 1) engine.Abort(absl::CancelledError("enough"));
    EXPECT_FALSE(engine.AllReduce(0, data.data(), absl::MakeSpan(data)).ok());
    EXPECT_LT(MonotonicNow() - begin, kEngineWaitLimit / 2)
        << "rank " << rank << " waited for its limit";
    // Neither leaves before the other is done: the end of its connections would do what the abort
    // should.
    if (both->Block()) delete both;
  });
}

TEST(Engines, WhichGpusEachSumsOnIsKnownBeforeItIsLoaded) {
  EXPECT_EQ(EngineGpusOf("gloo"), EngineGpus::kNone);
  EXPECT_EQ(EngineGpusOf("ring"), EngineGpus::kNone);
  EXPECT_EQ(EngineGpusOf("nccl"), EngineGpus::kOneEach);
  EXPECT_EQ(EngineGpusOf("cuda_ipc"), EngineGpus::kOneForAll);
}

TEST(Engines, ThoseThatSumOnAGpuSaySoWithoutOne) {
  for (const char* name : {"nccl", "cuda_ipc"}) {
    if (!CheckEngine(name).ok()) GTEST_SKIP() << CheckEngine(name).message();
    EngineSeat seat;
    seat.ranks = 1;
    seat.all_gather = [](absl::string_view own) {
      return std::vector<std::string>{std::string(own)};
    };
    const auto engine = CreateEngine(name, seat);
    if (engine.ok()) GTEST_SKIP() << "there is a GPU";
    EXPECT_TRUE(absl::IsUnavailable(engine.status())) << engine.status();
    EXPECT_THAT(std::string(engine.status().message()), HasSubstr("no GPU here"));
  }
}

}  // namespace
}  // namespace ringmaster
