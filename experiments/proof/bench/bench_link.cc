#include "experiments/proof/bench/bench_link.h"

#include <time.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/collective/executor.h"
#include "common/tensor/tensor.h"
#include "experiments/proof/bench/bench_group.h"
#include "experiments/proof/bench/bench_turns.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kWaitLimit = absl::Seconds(60);
constexpr double kIterationsMin = 5;
constexpr double kIterationsMax = 300;
constexpr int kWarmUp = 2;

// What this process has computed so far.
double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// One rank. Calls come from one thread.
class Rank {
 public:
  Rank(const LinkBench& bench, const BenchSeat& seat) : bench_(bench), seat_(seat) {}

  absl::Status Run(const std::function<void(const std::vector<LinkTimes>&)>& sink) {
    RM_ASSIGN_OR_RETURN(group_, BenchGroup::Join(seat_, std::vector<FabricOptions>{bench_.fabric}));
    std::vector<LinkTimes> times;
    const absl::Status measured = Measure(&times);
    if (measured.ok() && seat_.rank == 0) sink(times);
    return group_->Leave(measured);
  }

 private:
  absl::Status Measure(std::vector<LinkTimes>* times) {
    executor_ = std::make_unique<CollectiveExecutor>(group_->transport(0), AllWorkers(seat_.ranks),
                                                     kWaitLimit);
    const int64_t largest = *std::max_element(bench_.sizes.begin(), bench_.sizes.end());
    RM_ASSIGN_OR_RETURN(out_, group_->fabric(0).AllocateExchange(largest));
    RM_ASSIGN_OR_RETURN(in_, group_->fabric(0).AllocateExchange(largest));
    std::fill_n(out_.data(), largest, std::byte{1});
    for (const int64_t size : bench_.sizes) {
      size_ = size;
      LinkTimes& of_size = times->emplace_back();
      of_size.bytes = size;
      RM_RETURN_IF_ERROR(Series(&Rank::ThereAndBack, &of_size.alone));
      const double cpu_begin = CpuSeconds();
      RM_RETURN_IF_ERROR(Series(&Rank::AroundTheRing, &of_size.together));
      of_size.together_cpu =
          (CpuSeconds() - cpu_begin) / static_cast<double>(kWarmUp + of_size.together.size());
    }
    return absl::OkStatus();
  }

  // Times `once` as often as there is time for, the same on all ranks.
  absl::Status Series(absl::StatusOr<double> (Rank::*once)(), std::vector<double>* seconds) {
    std::vector<double> last = {0};
    for (int i = 0; i < kWarmUp; ++i) {
      RM_ASSIGN_OR_RETURN(last[0], (this->*once)());
    }
    RM_RETURN_IF_ERROR(Slowest(&last));
    const auto iterations = static_cast<size_t>(
        std::clamp(bench_.seconds / std::max(last[0], 1e-9), kIterationsMin, kIterationsMax));
    seconds->resize(iterations);
    for (double& taken : *seconds) {
      RM_ASSIGN_OR_RETURN(taken, (this->*once)());
    }
    return Slowest(seconds);
  }

  absl::Status Slowest(std::vector<double>* seconds) {
    return TakeSlowest(*executor_, next_tag_++, seconds);
  }

  // Rank 0's seconds one way; 0 on the others. Receives are posted before anything moves.
  absl::StatusOr<double> ThereAndBack() {
    const int64_t message = next_message_++;
    if (seat_.rank > 1) {
      RM_RETURN_IF_ERROR(executor_->Barrier(next_tag_++, 0));
      return 0;
    }
    const int32_t other = 1 - seat_.rank;
    RM_ASSIGN_OR_RETURN(const OpId receive, Receive(other, message));
    RM_RETURN_IF_ERROR(executor_->Barrier(next_tag_++, 0));
    const BenchClock::time_point begin = BenchClock::now();
    if (seat_.rank == 1) RM_RETURN_IF_ERROR(Wait(receive));
    RM_ASSIGN_OR_RETURN(const OpId send, Send(other, message));
    if (seat_.rank == 0) RM_RETURN_IF_ERROR(Wait(receive));
    const double seconds = SecondsSince(begin) / 2;
    RM_RETURN_IF_ERROR(Wait(send));
    return seat_.rank == 0 ? seconds : 0;
  }

  absl::StatusOr<double> AroundTheRing() {
    const int32_t next = (seat_.rank + 1) % seat_.ranks;
    const int32_t previous = (seat_.rank + seat_.ranks - 1) % seat_.ranks;
    const int64_t message = next_message_++;
    RM_ASSIGN_OR_RETURN(const OpId receive, Receive(previous, message));
    RM_RETURN_IF_ERROR(executor_->Barrier(next_tag_++, 0));
    const BenchClock::time_point begin = BenchClock::now();
    RM_ASSIGN_OR_RETURN(const OpId send, Send(next, message));
    RM_RETURN_IF_ERROR(Wait(receive));
    RM_RETURN_IF_ERROR(Wait(send));
    return SecondsSince(begin);
  }

  absl::StatusOr<OpId> Send(int32_t rank, int64_t message) {
    return group_->transport(0).Send({{Role::kWorker, rank},
                                      {MessageKind::kTest, 0, 0, message},
                                      absl::MakeConstSpan(out_.data(), size_)});
  }
  absl::StatusOr<OpId> Receive(int32_t rank, int64_t message) {
    return group_->transport(0).Receive({{Role::kWorker, rank},
                                         {MessageKind::kTest, 0, 0, message},
                                         absl::MakeSpan(in_.data(), size_)});
  }
  absl::Status Wait(OpId op) { return group_->transport(0).Wait(op, MonotonicNow() + kWaitLimit); }
  const LinkBench& bench_;
  const BenchSeat& seat_;
  int64_t size_ = 0;
  int64_t next_tag_ = 0;  // of barriers and what the ranks agree on
  int64_t next_message_ = 0;

  // After a failure, operations that nobody waited for may touch these until the fabric is gone: it
  // goes first.
  Buffer out_;
  Buffer in_;
  std::unique_ptr<BenchGroup> group_;
  std::unique_ptr<CollectiveExecutor> executor_;
};

}  // namespace

absl::Status RunLinkRank(const LinkBench& bench, const BenchSeat& seat,
                         const std::function<void(const std::vector<LinkTimes>&)>& sink) {
  return Rank(bench, seat).Run(sink);
}

}  // namespace ringmaster
