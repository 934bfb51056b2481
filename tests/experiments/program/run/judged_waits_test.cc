// Transports, heartbeats and a coordinator together: a message that never comes.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/monotonic.h"
#include "common/control/control_client.h"
#include "common/control/coordinator.h"
#include "experiments/program/run/activity.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr absl::Duration kWait = absl::Seconds(1);
constexpr absl::Duration kBeat = absl::Milliseconds(50);

// Worker `rank` of a process of its own.
class Rank {
 public:
  Rank(int32_t rank, FabricGroup* group) : rank_(rank), group_(*group) {
    progress_.phase = "exchange";
  }

  absl::Status Join(const HostPort& endpoint) {
    ringmaster::Join join;
    join.set_process(rank_);
    join.set_processes(2);
    join.set_kernel_target("cpu");
    join.add_nodes()->set_index(rank_);
    auto client = ControlClient::Attend(
        endpoint, JobCredentials(), join, MonotonicNow() + Patience(30),
        [this](const absl::Status& why) { group_.fabrics[rank_]->Abort(why); },
        [this] { return Beat(); }, kBeat);
    if (client.ok()) client_ = *std::move(client);
    return client.status();
  }

  // Waits for a message of the other rank under a deadline that is far away.
  absl::Status WaitForOther(int64_t step) {
    progress_.step = step;
    std::byte in[4];
    const auto op =
        group_.worker(rank_).Receive({Worker(1 - rank_), TestTag(step), absl::MakeSpan(in)});
    return op.ok() ? group_.worker(rank_).Wait(*op, Soon()) : op.status();
  }

 private:
  Heartbeat Beat() {
    Heartbeat heartbeat;
    WorkerSight sight;
    sight.rank = rank_;
    sight.progress = &progress_;
    sight.exchange = group_.worker(rank_).activity(moved_);
    moved_ = sight.exchange.moved;
    *heartbeat.add_nodes() = DescribeWorker(sight);
    return heartbeat;
  }

  const int32_t rank_;
  FabricGroup& group_;
  WorkerProgress progress_;
  int64_t moved_ = 0;
  std::unique_ptr<ControlClient> client_;
};

class JudgedWaits : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, JudgedWaits, testing::Values("tcp", "shm"));

TEST_P(JudgedWaits, AMessageThatNeverComesEndsTheRunAfterTheWaitLimitAndTheChainIsTold) {
  FabricOptions fabric;
  SetTransport(GetParam(), &fabric);
  auto group = JoinFabrics(fabric, {1, 1});
  ASSERT_TRUE(group.ok()) << group.status();
  CoordinatorOptions options;
  options.processes = 2;
  options.join_limit = options.silence_limit = Patience(30);
  options.waits.wait = kWait;
  auto coordinator = Coordinator::Start(options);
  ASSERT_TRUE(coordinator.ok()) << coordinator.status();
  Rank ranks[2] = {{0, &*group}, {1, &*group}};
  absl::Status statuses[2];
  const MonotonicTime begin = MonotonicNow();
  std::vector<std::thread> threads;
  for (int32_t rank : {0, 1}) {
    threads.emplace_back([&, rank] {
      statuses[rank] = ranks[rank].Join((*coordinator)->endpoint());
      if (statuses[rank].ok()) statuses[rank] = ranks[rank].WaitForOther(7);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(MonotonicNow() - begin, kWait);
  EXPECT_LT(MonotonicNow() - begin, Patience(20));
  for (const absl::Status& status : statuses) {
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("worker/0"),
                      HasSubstr("at step=7 phase=exchange waits for worker/1 (message step=7"),
                      HasSubstr("waits for worker/0"),
                      HasSubstr("raise limits.wait_seconds to at least 10")));
  }
}

}  // namespace
}  // namespace ringmaster
