#include "experiments/program/run/resolve_spec.h"

#include <string>

#include "common/config/load.h"
#include "common/config/resolve.h"
#include "experiments/program/run/worker_parts.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

RunSpec Given() {
  RunSpec spec;
  spec.mutable_strategy()->mutable_all_reduce();
  spec.mutable_model()->set_name("mlp");
  spec.mutable_data()->set_name("synthetic");
  spec.mutable_training()->set_steps(3);
  return spec;
}

TEST(ResolveSpec, WhatALauncherHandsOnIsTakenByItsFingerprint) {
  const RunSpec resolved = *ResolveAndValidate(Given(), "/data");
  const std::string fingerprint = FingerprintText(resolved);
  EXPECT_EQ(fingerprint.size(), 16u);
  const auto handed_on = ParseRunSpec(SerializeRunSpec(resolved), "the launcher");
  ASSERT_TRUE(handed_on.ok()) << handed_on.status();
  EXPECT_EQ(CheckFingerprint(*handed_on, fingerprint), absl::OkStatus());
  // Resolving it again would change nothing.
  EXPECT_EQ(FingerprintText(*ResolveAndValidate(resolved, "/elsewhere")), fingerprint);
}

TEST(ResolveSpec, AnotherSpecIsRefusedWithBothFingerprints) {
  const RunSpec resolved = *ResolveAndValidate(Given(), "/data");
  RunSpec other = resolved;
  other.mutable_training()->set_steps(4);
  const absl::Status status = CheckFingerprint(other, FingerprintText(resolved));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(FingerprintText(resolved)));
  EXPECT_THAT(std::string(status.message()), HasSubstr(FingerprintText(other)));
  EXPECT_FALSE(CheckFingerprint(Given(), FingerprintText(resolved)).ok());
}

TEST(ResolveSpec, MoreCopiesAtMarksThanTheLimitHoldsAreRefusedBeforeAnythingStarts) {
  RunSpec spec = Given();
  spec.mutable_training()->set_evaluate_every_samples(1);
  EXPECT_TRUE(ResolveAndValidate(spec, "/data").ok());
  spec.mutable_limits()->set_mark_copies_bytes(1000);
  const absl::Status refused = ResolveAndValidate(spec, "/data").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("at 2 marks"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--set limits.mark_copies_bytes="));
  spec.mutable_limits()->set_mark_copies_bytes(-1);
  EXPECT_THAT(std::string(ResolveAndValidate(spec, "/data").status().message()),
              HasSubstr("limits.mark_copies_bytes"));
}

TEST(WorkerParts, TheWorkersModelHasTheHostModelsLayoutAlsoWhenItIsEmulated) {
  RunSpec given = Given();
  for (const bool emulated : {false, true}) {
    if (emulated) given.mutable_training()->mutable_emulated_compute()->set_milliseconds(1);
    const RunSpec spec = *ResolveAndValidate(given, "/data");
    int64_t train = 0, test = 0;
    const SampleShape shape = *InspectDataset(spec.data(), &train, &test);
    const auto parts = CreateWorkerParts(spec, shape, {});
    const auto host = CreateHostModel(spec, shape);
    ASSERT_TRUE(parts.ok() && host.ok()) << parts.status() << host.status();
    EXPECT_EQ(parts->model->layout().fingerprint(), host->model->layout().fingerprint());
    EXPECT_EQ(host->kernels->target(), "reference");
    EXPECT_GT(parts->model->layout().buckets().size(), 0u);
  }
}

}  // namespace
}  // namespace ringmaster
