#include "common/engine/engines.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/engine/engine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kWaitLimit = absl::Seconds(20);

// How ranks that are threads of one process meet.
class Meeting {
 public:
  explicit Meeting(int ranks) : messages_(ranks) {}

  std::vector<std::string> Gather(int rank, absl::string_view own) {
    absl::MutexLock lock(&mutex_);
    messages_[rank] = std::string(own);
    ++arrived_;
    const size_t until = (arrived_ + messages_.size() - 1) / messages_.size() * messages_.size();
    const auto all = [&] { return arrived_ >= until; };
    mutex_.Await(absl::Condition(&all));
    return messages_;
  }

 private:
  absl::Mutex mutex_;
  size_t arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> messages_ ABSL_GUARDED_BY(mutex_);
};

// Runs `rank` on a thread for each of `ranks`, each with an engine of its own.
void RunRanks(int ranks, const std::function<void(int rank, Engine& engine)>& work) {
  Meeting meeting(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      EngineSeat seat;
      seat.rank = rank;
      seat.ranks = ranks;
      seat.wait_limit = kWaitLimit;
      seat.all_gather = [&](absl::string_view own) { return meeting.Gather(rank, own); };
      auto engine = CreateEngine("gloo", seat);
      ASSERT_TRUE(engine.ok()) << engine.status();
      work(rank, **engine);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

#define SKIP_WITHOUT(engine) \
  if (!CheckEngine(engine).ok()) GTEST_SKIP() << CheckEngine(engine).message()

TEST(Engines, AnUnknownOneIsRefusedWithTheKnownOnes) {
  EXPECT_FALSE(IsEngine("ring"));
  EXPECT_TRUE(IsEngine("mpi"));
  EXPECT_TRUE(absl::IsNotFound(CheckEngine("ring")));
  EXPECT_THAT(std::string(CheckEngine("ring").message()), HasSubstr("known: mpi, gloo, nccl"));
}

TEST(Engines, EveryAlgorithmOfGlooSumsWithAnyNumberOfRanksAndElements) {
  SKIP_WITHOUT("gloo");
  for (const int ranks : {1, 2, 3, 4}) {
    RunRanks(ranks, [&](int rank, Engine& engine) {
      EXPECT_EQ(engine.algorithms().size(), 5u);
      for (size_t algorithm = 0; algorithm < engine.algorithms().size(); ++algorithm) {
        for (const size_t count : {size_t{1000}, size_t{100001}}) {
          std::vector<float> data(count);
          for (int repetition = 0; repetition < 2; ++repetition) {
            for (size_t i = 0; i < count; ++i) data[i] = static_cast<float>(i % 97 + 100 * rank + repetition);
            const absl::Status status = engine.AllReduce(static_cast<int32_t>(algorithm), absl::MakeSpan(data));
            ASSERT_TRUE(status.ok()) << engine.algorithms()[algorithm] << ": " << status;
            size_t wrong = 0;
            for (size_t i = 0; i < count; ++i) {
              wrong += data[i] != static_cast<float>(ranks * (i % 97 + repetition) + 100 * ranks * (ranks - 1) / 2);
            }
            EXPECT_EQ(wrong, 0u) << engine.algorithms()[algorithm] << " of " << count << " with " << ranks << " ranks";
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
  RunRanks(2, [&](int rank, Engine& engine) {
    std::vector<float> data(1000);
    const absl::Time begin = absl::Now();
    if (rank == 1) engine.Abort(absl::CancelledError("enough"));
    EXPECT_FALSE(engine.AllReduce(0, absl::MakeSpan(data)).ok());
    EXPECT_LT(absl::Now() - begin, kWaitLimit / 2) << "rank " << rank << " waited for its limit";
    // Neither leaves before the other is done: the end of its connections would do what the abort should.
    if (both->Block()) delete both;
  });
}

TEST(Engines, NcclWithoutAGpuSaysSo) {
  SKIP_WITHOUT("nccl");
  EngineSeat seat;
  seat.ranks = 1;
  seat.all_gather = [](absl::string_view own) { return std::vector<std::string>{std::string(own)}; };
  const auto engine = CreateEngine("nccl", seat);
  if (engine.ok()) GTEST_SKIP() << "there is a GPU";
  EXPECT_TRUE(absl::IsUnavailable(engine.status()));
  EXPECT_THAT(std::string(engine.status().message()), HasSubstr("no GPU here"));
}

}  // namespace
}  // namespace ringmaster
