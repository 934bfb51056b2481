#include "experiments/program/session/handover.h"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Tensors of 3, 2 and 4 elements, in buckets of 4, 4 and 1.
ParamLayout Layout() {
  std::vector<Param> params;
  for (const auto& [name, size] : {std::pair{"c", 3}, {"b", 2}, {"a", 4}}) {
    Param param;
    param.name = name;
    param.shape = {size};
    params.push_back(param);
  }
  return ParamLayout(params, 4);
}

// A loop that asks for one step on a thread of its own.
class LoopOfOneStep {
 public:
  explicit LoopOfOneStep(Handover* handover) : thread_([this, handover] { Run(handover); }) {}
  ~LoopOfOneStep() { Join().IgnoreError(); }
  absl::Status Join() {
    if (thread_.joinable()) thread_.join();
    return status_;
  }
  const std::vector<int32_t>& buckets() const { return buckets_; }

 private:
  void Run(Handover* handover) {
    ringmaster_moment moment = {};
    moment.kind = RINGMASTER_STEP;
    status_ = handover->Offer(moment);
    if (status_.ok()) {
      status_ = handover->AwaitGradients(gradients_, [this](const Bucket& bucket) {
        buckets_.push_back(bucket.id);
        return absl::OkStatus();
      });
    }
    handover->Finish(status_);
  }

  float gradients_[9] = {};
  std::vector<int32_t> buckets_;
  absl::Status status_;
  std::thread thread_;
};

TEST(Handover, ABucketIsHandedOnWhenItsLastTensorIsReadyAndInOrder) {
  const ParamLayout layout = Layout();
  Handover handover(layout);
  LoopOfOneStep loop(&handover);
  ASSERT_EQ(handover.Next(absl::InfiniteDuration())->kind, RINGMASTER_STEP);
  ASSERT_TRUE(handover.Backward().ok());
  ASSERT_TRUE(handover.Ready(1, 1).ok());  // "b" before "c", in which the first bucket begins
  EXPECT_THAT(loop.buckets(), ElementsAre());
  ASSERT_TRUE(handover.Ready(0, 1).ok());
  EXPECT_THAT(loop.buckets(), ElementsAre(0));
  ASSERT_TRUE(handover.Ready(2, 1).ok());
  EXPECT_THAT(loop.buckets(), ElementsAre(0, 1, 2));
  ASSERT_TRUE(handover.EndStep(0.5).ok());
  EXPECT_TRUE(loop.Join().ok());
  EXPECT_EQ(handover.score().loss_sum, 0.5);
}

TEST(Handover, MistakesAreNamedAndEndTheLoop) {
  const ParamLayout layout = Layout();
  Handover handover(layout);
  LoopOfOneStep loop(&handover);
  ASSERT_TRUE(handover.Next(absl::InfiniteDuration()).ok());
  ASSERT_TRUE(handover.Backward().ok());
  ASSERT_TRUE(handover.Ready(0, 2).ok());
  const absl::Status forgot = handover.EndStep(1);
  EXPECT_THAT(std::string(forgot.message()), HasSubstr("without the gradient of \"a\""));
  EXPECT_EQ(loop.Join(), forgot);
  // The first failure stays.
  EXPECT_EQ(handover.Ready(0, 1), forgot);
  EXPECT_EQ(handover.Next(absl::InfiniteDuration()).status(), forgot);
}

TEST(Handover, CallsOutOfTheirMomentSayWhichIsUnderWay) {
  const ParamLayout layout = Layout();
  {
    Handover handover(layout);
    LoopOfOneStep loop(&handover);
    ASSERT_TRUE(handover.Next(absl::InfiniteDuration()).ok());
    EXPECT_THAT(std::string(handover.Score({1, 0, 1}).message()),
                HasSubstr("ringmaster_score out of its moment: a step waits for its "
                          "ringmaster_backward"));
  }
  Handover handover(layout);
  EXPECT_THAT(std::string(handover.Ready(0, 1).message()), HasSubstr("no moment is the program's"));
}

TEST(Handover, WithoutAMomentNextComesBackAfterItsTime) {
  const ParamLayout layout = Layout();
  Handover handover(layout);
  EXPECT_EQ(handover.Next(absl::Milliseconds(1))->kind, RINGMASTER_WAITING);
}

TEST(Handover, AFailureFromAnywhereWakesALoopThatWaitsForTheProgram) {
  const ParamLayout layout = Layout();
  Handover handover(layout);
  LoopOfOneStep loop(&handover);
  ASSERT_TRUE(handover.Next(absl::InfiniteDuration()).ok());
  EXPECT_EQ(handover.Fail(absl::AbortedError("because")), Handover::Heard::kNow);
  EXPECT_EQ(loop.Join(), absl::AbortedError("because"));
  EXPECT_EQ(handover.Fail(absl::AbortedError("again")), Handover::Heard::kNever);
}

}  // namespace
}  // namespace ringmaster
