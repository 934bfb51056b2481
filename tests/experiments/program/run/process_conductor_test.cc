#include "experiments/program/run/process_conductor.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// The process's line to a coordinator that releases every barrier at once and counts arrivals.
class CountingClient : public ControlClient {
 public:
  const Welcome& welcome() const override { return welcome_; }
  int32_t epoch() override { return 0; }
  absl::StatusOr<bool> AwaitFormation(const Ready&) override { return true; }
  absl::Status Barrier(absl::string_view name) override {
    absl::MutexLock lock(&mutex_);
    arrived_.emplace_back(name);
    return absl::OkStatus();
  }
  void AskForLots(int32_t rank, int32_t count) override {}
  absl::StatusOr<LotClaim> AwaitLots(int32_t rank) override { return LotClaim{rank, 0, 0}; }
  void ForgetLots(int32_t rank) override {}
  void SettleLots(int32_t rank, int64_t count) override {}
  std::vector<int32_t> LostWorkers() override { return {}; }
  void Fail(const absl::Status& why) override {}
  absl::Status Finish(const ProcessReport& report) override { return absl::OkStatus(); }
  absl::Status status() override { return absl::OkStatus(); }
  std::vector<std::string> arrived() {
    absl::MutexLock lock(&mutex_);
    return arrived_;
  }

 private:
  const Welcome welcome_;
  absl::Mutex mutex_;
  std::vector<std::string> arrived_ ABSL_GUARDED_BY(mutex_);
};

TEST(ProcessConductor, TheLastWorkerArrivesForTheProcessOnce) {
  CountingClient client;
  ProcessConductor conductor(client, 3);
  std::vector<std::thread> workers;
  for (int i = 0; i < 3; ++i) {
    workers.emplace_back([&] {
      EXPECT_TRUE(conductor.Barrier("start").ok());
      EXPECT_TRUE(conductor.Barrier("end").ok());
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(client.arrived(), (std::vector<std::string>{"start", "end"}));
}

TEST(ProcessConductor, AFailedWorkerLetsGoOfThoseThatWaitAndThoseThatComeLater) {
  CountingClient client;
  ProcessConductor conductor(client, 3);
  const absl::Status failure = absl::OutOfRangeError("worker/2 is gone");
  // Whether it waits already or comes after the failure, the first worker gets the failure and not
  // a wait without end.
  std::thread first([&] { EXPECT_EQ(conductor.Barrier("start"), failure); });
  conductor.Abort(failure);
  first.join();
  EXPECT_EQ(conductor.Barrier("start"), failure);
  EXPECT_EQ(conductor.Barrier("evaluate"), failure);
  EXPECT_TRUE(client.arrived().empty());
}

}  // namespace
}  // namespace ringmaster
