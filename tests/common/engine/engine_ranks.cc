#include "tests/common/engine/engine_ranks.h"

#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/engine/engines.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// How ranks that are threads of one process meet.
class Meeting {
 public:
  explicit Meeting(int ranks) : messages_(ranks) {}

  std::vector<std::string> Gather(int rank, absl::string_view own) {
    absl::MutexLock lock(&mutex_);
    messages_[rank] = std::string(own);
    ++arrived_;
    const size_t until = (arrived_ + messages_.size() - 1) / messages_.size() * messages_.size();
    const auto all = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return arrived_ >= until; };
    mutex_.Await(absl::Condition(&all));
    return messages_;
  }

 private:
  absl::Mutex mutex_;
  size_t arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> messages_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void RunEngineRanks(const std::string& name, int ranks,
                    const std::function<void(int rank, Engine& engine)>& work) {
  Meeting meeting(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      EngineSeat seat;
      seat.rank = rank;
      seat.ranks = ranks;
      seat.wait_limit = kEngineWaitLimit;
      seat.all_gather = [&](absl::string_view own) { return meeting.Gather(rank, own); };
      auto engine = CreateEngine(name, seat);
      ASSERT_TRUE(engine.ok()) << engine.status();
      work(rank, **engine);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace ringmaster
