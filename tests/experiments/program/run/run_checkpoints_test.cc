#include "experiments/program/run/run_checkpoints.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

RunCheckpoints::Process Leader() {
  RunCheckpoints::Process process;
  process.nodes = {{Role::kWorker, 0}};
  process.leads = true;
  process.token = "a token";
  return process;
}

TEST(RunCheckpoints, OneRunAtATimeHasAFolder) {
  RunSpec spec;
  spec.mutable_strategy()->mutable_single();
  spec.mutable_training()->set_workers(1);
  spec.mutable_output()->set_checkpoints(NewFolder("checkpoints"));
  spec.mutable_output()->set_checkpoints_kept(2);
  absl::StatusOr<std::unique_ptr<RunCheckpoints>> first = RunCheckpoints::Open(spec, Leader());
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = RunCheckpoints::Open(spec, Leader()).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr("another run keeps its checkpoints"));
  // Ranks that do not lead share it.
  RunCheckpoints::Process other = Leader();
  other.leads = false;
  EXPECT_TRUE(RunCheckpoints::Open(spec, other).ok());
  first->reset();
  EXPECT_TRUE(RunCheckpoints::Open(spec, Leader()).ok());
}

}  // namespace
}  // namespace ringmaster
