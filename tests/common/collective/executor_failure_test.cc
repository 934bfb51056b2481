#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "common/collective/executor.h"
#include "gtest/gtest.h"
#include "tests/common/collective/executor_ranks.h"

namespace ringmaster {
namespace {

TEST(CollectiveExecutor, ADeadlineNamesCollectiveStepBucketRoundAndPeer) {
  const auto fabric = InprocFabric(3);
  CollectiveExecutor executor(fabric->transport({Role::kWorker, 0}), AllWorkers(3),
                              absl::Milliseconds(20));
  Floats data(9, 1.0f);
  const auto ring = Create("ring");
  const absl::Status status = executor.AllReduce(*ring, 12, 3, ElementType::kFloat32, Bytes(data));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(status.message(), "ring step=12 bucket=3 round=0 peer=worker/2: "))
      << status;
  // Half a sum cannot be taken up again: from now on it is this error.
  const absl::Status again = executor.AllReduce(*ring, 13, 3, ElementType::kFloat32, Bytes(data));
  EXPECT_EQ(again.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(again.message(), "ring step=12 bucket=3 round=0 peer=worker/2: "))
      << again;
}

TEST(CollectiveExecutor, AMessageOfAnotherSizeIsRefusedAndNamesItsSender) {
  for (const bool gather : {false, true}) {
    const auto fabric = InprocFabric(2);
    Transport& peer = fabric->transport({Role::kWorker, 1});
    Floats wrong(100, 1.0f);
    Tag tag;
    tag.kind = MessageKind::kCollective;
    tag.step = gather ? 1 : 0;
    ASSERT_TRUE(peer.Send({{Role::kWorker, 0}, tag, Bytes(wrong)}).ok());
    Floats data(10, 1.0f);
    std::vector<absl::Span<std::byte>> received = {{}, Bytes(data)};
    CollectiveExecutor executor(fabric->transport({Role::kWorker, 0}), AllWorkers(2), kLimit);
    const absl::Status status =
        gather ? executor.AllGather(1, 0, Bytes(data), absl::MakeSpan(received))
               : executor.AllReduce(*Create("ring"), 0, 0, ElementType::kFloat32, Bytes(data));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "round=0 peer=worker/1: ")) << status;
  }
}

TEST(CollectiveExecutor, AnAbortEndsACollectiveThatWaits) {
  const auto fabric = InprocFabric(2);
  Floats data(10, 1.0f);
  absl::Status status;
  std::thread thread([&] {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, 0}), AllWorkers(2), kLimit);
    status = executor.AllReduce(*Create("direct"), 4, 2, ElementType::kFloat32, Bytes(data));
  });
  fabric->Abort(absl::UnavailableError("worker/1 is gone"));
  thread.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "worker/1 is gone")) << status;
}

}  // namespace
}  // namespace ringmaster
