// Gradients that a device's copies bring late: the loop hands on each when it has come, no sooner,
// in order, and training gives the bits that it gives on the host.

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/partition.h"
#include "common/codec/codec.h"
#include "common/params/param_layout.h"
#include "common/vecmath/vecmath.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/proof/verify/record_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/late_device.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A small run with several buckets on the library "reference".
RunSpec Small() {
  RunSpec spec = SmallSpec(2, false);
  spec.mutable_training()->set_kernels("reference");
  spec.mutable_training()->set_bucket_bytes(1024);
  spec.mutable_training()->set_steps(12);
  return spec;
}

RunSeams OnLateDevice(const LateDeviceOptions& options) {
  RunSeams seams;
  seams.create_kernels = [options](int32_t rank) { return std::make_unique<LateDevice>(options); };
  return seams;
}

// Notes what becomes of the first step's buckets, and exchanges nothing.
class NotingStrategy : public SyncStrategy {
 public:
  NotingStrategy(const WorkerLink& link, std::vector<std::string>* notes)
      : link_(link), notes_(*notes) {}

  GradientRequest Gradients() const override { return {}; }
  absl::Status BeginStep(int64_t step) override { return absl::OkStatus(); }
  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    if (step > 0) return absl::OkStatus();
    EXPECT_EQ(FirstNotFinite(gradient.host()), gradient.host().size())
        << "bucket " << bucket.id << " is read before it has come";
    notes_.push_back(absl::StrCat("ready ", bucket.id));
    return absl::OkStatus();
  }
  absl::Status EndStep(int64_t step) override {
    if (step == 0) notes_.push_back("end");
    return absl::OkStatus();
  }
  absl::Status Drain() override { return absl::OkStatus(); }
  WeightsView ModelWeights() const override { return link_.replica->weights(); }
  absl::StatusOr<MarkedModel> Recall(int32_t mark) override {
    return MarkedModel{ModelWeights(), Clock::now()};
  }
  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }
  ExchangeReport Report() override { return {}; }
  ExchangeReport Finish() override { return {}; }

 private:
  const WorkerLink link_;
  std::vector<std::string>& notes_;
};

// The first step of one worker with five buckets: when each copy is started and when its bucket is
// handed on.
std::vector<std::string> FirstStep(std::optional<int64_t> lag) {
  RunSpec spec = SmallSpec(1, false);
  spec.mutable_training()->set_kernels("reference");
  spec.mutable_training()->set_steps(2);
  spec = ArmOf("solo", spec);
  std::vector<std::string> notes;
  int64_t buckets = 0;
  LateDeviceOptions options;
  options.lag = lag;
  options.fetch_started = [&](int64_t fetch) {
    if (fetch < buckets) notes.push_back(absl::StrCat("start ", fetch));
  };
  RunSeams seams = OnLateDevice(options);
  seams.create_strategy =
      [&](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
    buckets = static_cast<int64_t>(link.layout->buckets().size());
    return std::make_unique<NotingStrategy>(link, &notes);
  };
  const auto layout = LayoutOf(spec);
  EXPECT_TRUE(layout.ok()) << layout.status();
  spec.mutable_training()->set_bucket_bytes(4 * CeilDiv(layout->count(), 5));
  const RunRecord record = RunInProcess(spec, seams);
  EXPECT_EQ(record.status(), "ok");
  EXPECT_EQ(buckets, 5);
  return notes;
}

TEST(DeviceCopies, ABucketThatComesWhileBackwardGoesOnIsHandedOnThen) {
  EXPECT_THAT(FirstStep(0),
              ElementsAre("start 0", "ready 0", "start 1", "ready 1", "start 2", "ready 2",
                          "start 3", "ready 3", "start 4", "ready 4", "end"));
}

TEST(DeviceCopies, BucketsAreHandedOnInOrderAsFarAsTheyHaveComeAndTheRestAfterBackward) {
  EXPECT_THAT(FirstStep(3),
              ElementsAre("start 0", "start 1", "start 2", "start 3", "ready 0", "start 4",
                          "ready 1", "ready 2", "ready 3", "ready 4", "end"));
}

TEST(DeviceCopies, WithoutAnyThatComesBackwardWaitsForNone) {
  EXPECT_THAT(FirstStep(std::nullopt),
              ElementsAre("start 0", "start 1", "start 2", "start 3", "start 4", "ready 0",
                          "ready 1", "ready 2", "ready 3", "ready 4", "end"));
}

struct Lateness {
  const char* name;
  std::optional<int64_t> lag;
};

class EveryLateness : public testing::TestWithParam<Lateness> {};
INSTANTIATE_TEST_SUITE_P(DeviceCopies, EveryLateness,
                         testing::Values(Lateness{"AtOnce", 0}, Lateness{"SomeLater", 3},
                                         Lateness{"WhenWaitedFor", std::nullopt}),
                         [](const auto& info) { return info.param.name; });

TEST_P(EveryLateness, TrainingGivesTheBitsOfTheHost) {
  LateDeviceOptions options;
  options.lag = GetParam().lag;
  for (const char* arm : {"single", "ps-sharded", "ring"}) {
    for (const int32_t accumulate : {1, 2}) {
      RunSpec spec = Small();
      spec.mutable_training()->set_accumulate(accumulate);
      spec = ArmOf(arm, spec);
      const RunRecord host = RunInProcess(spec), device = RunInProcess(spec, OnLateDevice(options));
      ASSERT_EQ(device.status(), "ok") << arm;
      const auto same = CheckSameWeights({host, device});
      EXPECT_TRUE(same.ok()) << arm << ", " << accumulate << " batches: " << same.status();
      EXPECT_EQ(host.reports(0).workers(0).final_loss(), device.reports(0).workers(0).final_loss());
    }
  }
}

// Every scheme whose workers hold weights: they stay on the device, with the optimizer's state, and
// come to the host where a scheme exchanges them, is scored, or is kept.
TEST_P(EveryLateness, UpdatesOnTheDeviceGiveTheBitsOfTheHostUnderEveryScheme) {
  LateDeviceOptions options;
  options.lag = GetParam().lag;
  for (const char* arm :
       {"single", "ring", "ring-topk", "ring-powersgd", "sharded-optimizer", "delayed", "local-sgd",
        "diloco", "gossip", "gossip-exponential", "easgd"}) {
    for (const char* optimizer : {"momentum", "adam"}) {
      RunSpec base = Small();
      base.mutable_optimizer()->set_name(optimizer);
      base.mutable_optimizer()->set_learning_rate(0.01f);
      base.mutable_optimizer()->set_momentum(0.9f);
      base.mutable_optimizer()->set_clip_norm(0.5f);
      base.mutable_training()->set_evaluate_every_samples(5 * 2 *
                                                          base.training().batch_per_worker());
      if (absl::string_view(arm) == "ring-powersgd")
        base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
      const RunSpec spec = ArmOf(arm, base);
      const RunRecord host = RunInProcess(spec), device = RunInProcess(spec, OnLateDevice(options));
      ASSERT_EQ(device.status(), "ok") << arm;
      const auto same = CheckSameWeights({host, device});
      EXPECT_TRUE(same.ok()) << arm << " " << optimizer << ": " << same.status();
    }
  }
}

// Workers that update alone and meet at servers: the exchange thread reads and changes weights that
// the step thread has brought to the host. One worker, since the order of several would decide
// bits.
TEST_P(EveryLateness, WorkersThatMeetAtServersHaveTheBitsOfTheHost) {
  LateDeviceOptions options;
  options.lag = GetParam().lag;
  const std::pair<const char*, const char*> arms[] = {
      {"geo", "none"}, {"geo", "topk"}, {"geo", "int8"}, {"easgd-async", "none"}};
  for (const auto& [arm, codec] : arms) {
    RunSpec base = SmallSpec(1, false);
    base.mutable_training()->set_kernels("reference");
    base.mutable_training()->set_bucket_bytes(1024);
    base.mutable_training()->set_steps(25);
    base.mutable_optimizer()->set_name("momentum");
    base.mutable_optimizer()->set_momentum(0.9f);
    RunSpec spec = ArmOf(arm, base);
    spec.mutable_codec()->set_name(codec);
    SetCodecDefaults(spec.mutable_codec());
    const RunRecord host = RunInProcess(spec), device = RunInProcess(spec, OnLateDevice(options));
    ASSERT_EQ(host.status(), "ok") << arm;
    ASSERT_EQ(device.status(), "ok") << arm;
    const auto same = CheckSameWeights({host, device});
    EXPECT_TRUE(same.ok()) << arm << ": " << same.status();
  }
}

// A step brings gradients down and their sums up, and no weights.
TEST(DeviceWeights, StayThereUnderTheRing) {
  const RunSpec spec = ArmOf("ring", Small());
  const auto layout = LayoutOf(spec);
  ASSERT_TRUE(layout.ok());
  std::atomic<int64_t> bytes = 0;
  LateDeviceOptions options;
  options.upload_started = [&](int64_t upload) { bytes += upload; };
  ASSERT_EQ(RunInProcess(spec, OnLateDevice(options)).status(), "ok");
  // Of both workers: the initial weights, and a sum a step.
  EXPECT_EQ(bytes, 2 * (1 + spec.training().steps()) * layout->count() * 4);
}

// Under error feedback too, with parts of every server and with a collective that sums on the wire.
TEST_P(EveryLateness, WhatIsEncodedOnTheDeviceGivesTheBitsOfTheHost) {
  const std::pair<const char*, const char*> arms[] = {
      {"ps", "onebit"}, {"ps", "fp16"},   {"ps-sharded", "topk"}, {"ring", "topk"},
      {"ring", "fp16"}, {"ring", "bf16"}, {"ring", "int8"},       {"ps-sharded", "int4"}};
  for (const auto& [arm, codec] : arms) {
    RunSpec spec = ArmOf(arm, Small());
    spec.mutable_codec()->set_name(codec);
    if (spec.codec().name() == "topk") spec.mutable_codec()->set_density(0.1);
    if (spec.codec().name() != "fp16") spec.mutable_codec()->set_error_feedback(true);
    SetCodecDefaults(spec.mutable_codec());
    std::atomic<int64_t> encodings = 0, with_residual = 0;
    LateDeviceOptions options;
    options.lag = GetParam().lag;
    options.encoding = [&](const EncodeCall& call) {
      ++encodings;
      with_residual += call.residual == nullptr ? 0 : 1;
    };
    const RunRecord host = RunInProcess(spec), device = RunInProcess(spec, OnLateDevice(options));
    ASSERT_EQ(device.status(), "ok") << arm;
    const auto same = CheckSameWeights({host, device});
    EXPECT_TRUE(same.ok()) << arm << "+" << codec << ": " << same.status();
    // Of both workers, of every bucket and step, for each server.
    const auto layout = LayoutOf(spec);
    ASSERT_TRUE(layout.ok());
    const int64_t slices = std::string(arm) == "ps-sharded" ? 2 : 1;
    EXPECT_EQ(encodings,
              2 * slices * spec.training().steps() * static_cast<int64_t>(layout->buckets().size()))
        << arm;
    EXPECT_EQ(with_residual, spec.codec().error_feedback() ? encodings.load() : 0) << arm;
  }
}

// Sends what it reads on the device, as a collective library on a GPU does.
class TakingStrategy : public ForwardingStrategy {
 public:
  using ForwardingStrategy::ForwardingStrategy;

  GradientRequest Gradients() const override { return {GradientForm::kDevice, {}}; }
  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    std::copy_n(gradient.device(), bucket.count, gradient.sum().begin());
    return real_->GradReady(step, bucket, BucketGradient::OnHost(gradient.sum()));
  }
};

TEST(GradientForms, AStrategyMayTakeThemWhereTheyAreAndThenNoneIsCopied) {
  const RunSpec spec = ArmOf("ring", Small());
  std::atomic<int64_t> fetches = 0;
  LateDeviceOptions options;
  options.fetch_started = [&](int64_t) { ++fetches; };
  RunSeams seams = OnLateDevice(options);
  seams.create_strategy =
      [](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
    auto inner = CreateStrategy(link);
    if (!inner.ok()) return inner.status();
    return std::make_unique<TakingStrategy>(*std::move(inner));
  };
  const RunRecord host = RunInProcess(spec), device = RunInProcess(spec, seams);
  ASSERT_EQ(device.status(), "ok");
  const auto same = CheckSameWeights({host, device});
  EXPECT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(fetches, 0);
}

// Updates by what it reads on the device, as with the sums of a collective library on a GPU.
class UpdatingStrategy : public ForwardingStrategy {
 public:
  UpdatingStrategy(const WorkerLink& link, std::unique_ptr<SyncStrategy> real)
      : ForwardingStrategy(std::move(real)),
        link_(link),
        gradients_(link.layout->buckets().size()) {}

  GradientRequest Gradients() const override { return {GradientForm::kDevice, {}}; }
  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    gradients_[bucket.id] = gradient;
    return absl::OkStatus();
  }
  absl::Status EndStep(int64_t step) override { return link_.replica->Apply(step, gradients_); }

 private:
  const WorkerLink link_;
  std::vector<BucketGradient> gradients_;
};

TEST(GradientForms, WhatIsSummedOnTheDeviceIsAppliedThereAndPassesNoHost) {
  for (const bool clips : {false, true}) {
    RunSpec spec = Small();
    spec.mutable_training()->set_workers(1);
    spec.mutable_optimizer()->set_name("momentum");
    spec.mutable_optimizer()->set_momentum(0.9f);
    if (clips) spec.mutable_optimizer()->set_clip_norm(0.1f);
    spec = ArmOf("solo", spec);
    std::atomic<int64_t> fetches = 0, uploads = 0;
    LateDeviceOptions options;
    options.fetch_started = [&](int64_t) { ++fetches; };
    options.upload_started = [&](int64_t) { ++uploads; };
    RunSeams seams = OnLateDevice(options);
    seams.create_strategy =
        [](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
      auto inner = CreateStrategy(link);
      if (!inner.ok()) return inner.status();
      return std::make_unique<UpdatingStrategy>(link, *std::move(inner));
    };
    const RunRecord host = RunInProcess(spec), device = RunInProcess(spec, seams);
    ASSERT_EQ(device.status(), "ok");
    const auto same = CheckSameWeights({host, device});
    EXPECT_TRUE(same.ok()) << same.status();
    EXPECT_EQ(fetches, 0);
    EXPECT_EQ(uploads, 1) << "of the initial weights";
  }
}

// Nobody is offered gradients that the host has yet to change.
TEST(GradientForms, OnTheDeviceAreNotOfferedWhereTheyChangeOnTheHost) {
  for (const bool deterministic : {false, true}) {
    RunSpec spec = Small();
    spec.mutable_training()->set_accumulate(deterministic ? 1 : 2);
    spec.mutable_training()->set_deterministic(deterministic);
    std::atomic<int32_t> offered = 0;
    RunSeams seams = OnLateDevice({});
    seams.create_strategy = [&](const WorkerLink& link) {
      offered += link.offer.device || link.offer.encoded ? 1 : 0;
      return CreateStrategy(link);
    };
    EXPECT_EQ(RunInProcess(ArmOf("ps-onebit", spec), seams).status(), "ok");
    EXPECT_EQ(offered, 0);
  }
}

// Nor sums that are to be written to files.
TEST(GradientForms, OnTheDeviceAreNotOfferedWhereTheirSumsAreDumped) {
  for (const bool dumps : {false, true}) {
    RunSpec spec = Small();
    if (dumps) spec.mutable_output()->set_dump_gradients(testing::TempDir());
    std::atomic<int32_t> offered = 0;
    RunSeams seams = OnLateDevice({});
    seams.create_strategy = [&](const WorkerLink& link) {
      offered += link.offer.device ? 1 : 0;
      return CreateStrategy(link);
    };
    EXPECT_EQ(RunInProcess(ArmOf("ring", spec), seams).status(), "ok");
    EXPECT_EQ(offered, dumps ? 0 : 2);
  }
}

// Where the host has a say in a gradient before it is sent, the host encodes it.
TEST(DeviceEncodings, AreLeftToTheHostWhereGradientsChangeThere) {
  for (const bool deterministic : {false, true}) {
    RunSpec spec = Small();
    spec.mutable_training()->set_accumulate(deterministic ? 1 : 2);
    spec.mutable_training()->set_deterministic(deterministic);
    spec = ArmOf("ps-onebit", spec);
    std::atomic<int64_t> encodings = 0;
    LateDeviceOptions options;
    options.encoding = [&](const EncodeCall&) { ++encodings; };
    const RunRecord host = RunInProcess(spec), device = RunInProcess(spec, OnLateDevice(options));
    const auto same = CheckSameWeights({host, device});
    EXPECT_TRUE(same.ok()) << same.status();
    EXPECT_EQ(encodings, 0);
  }
}

// Segments of one worker's run, and its record.
std::pair<SegmentCounts, RunRecord> RunOnOneDevice(const RunSpec& spec) {
  SegmentCounts counts;
  LateDeviceOptions options;
  options.ended = [&](const SegmentCounts& ended) { counts = ended; };
  RunRecord record = RunInProcess(spec, OnLateDevice(options));
  return {counts, std::move(record)};
}

// Forward and each stretch of backward are run once, kept at the second step, and replayed from
// then on; so are those of evaluations, whose batches are of other sizes.
TEST(DeviceSegments, AreReplayedFromTheThirdStepOnWithTheBitsOfTheHost) {
  RunSpec spec = SmallSpec(1, false);
  spec.mutable_training()->set_kernels("reference");
  spec.mutable_training()->set_bucket_bytes(1024);
  spec.mutable_training()->set_steps(20);
  spec = ArmOf("single", spec);
  const auto [counts, device] = RunOnOneDevice(spec);
  const auto same = CheckSameWeights({RunInProcess(spec), device});
  EXPECT_TRUE(same.ok()) << same.status();
  ASSERT_GE(counts.kept, 3);
  EXPECT_GE(counts.replayed, 18 * 3);
  EXPECT_LE(counts.run, 2 * counts.kept);
}

// A step's own seed is an argument like any other, so masks are never those of another step.
TEST(DeviceSegments, WithDropoutStretchesWithMasksAreRunAsTheyAre) {
  RunSpec spec = SmallSpec(1, false);
  spec.mutable_model()->set_dropout(0.25f);
  spec.mutable_training()->set_kernels("reference");
  spec.mutable_training()->set_bucket_bytes(1024);
  spec.mutable_training()->set_steps(20);
  spec = ArmOf("single", spec);
  const auto [counts, device] = RunOnOneDevice(spec);
  const auto same = CheckSameWeights({RunInProcess(spec), device});
  EXPECT_TRUE(same.ok()) << same.status();
  EXPECT_GE(counts.run, 20 * 2);
  EXPECT_GE(counts.replayed, 18);
}

TEST(DeviceCopies, AFactorThatSlowsARankComesBucketByBucket) {
  RunSpec spec = Small();
  SlowdownSpec* slowdown = spec.mutable_training()->add_slowdowns();
  slowdown->add_ranks(1);
  slowdown->set_factor(2);
  spec = ArmOf("ring", spec);
  const RunRecord host = RunInProcess(spec), device = RunInProcess(spec, OnLateDevice({}));
  const auto same = CheckSameWeights({host, device});
  EXPECT_TRUE(same.ok()) << same.status();
}

TEST(DeviceCopies, ACopyThatFailsEndsTheRunAndNamesItsBucket) {
  LateDeviceOptions options;
  options.failing_fetch = 3;
  const RunRecord record = RunInProcess(ArmOf("ring", Small()), OnLateDevice(options));
  EXPECT_NE(record.status(), "ok");
  EXPECT_THAT(record.status(), HasSubstr("step=0"));
  EXPECT_THAT(record.status(), HasSubstr("bucket 3 from the device: a copy of 1024 bytes is lost"));
}

}  // namespace
}  // namespace ringmaster
