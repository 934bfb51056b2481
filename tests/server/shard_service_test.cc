#include "common/base/monotonic.h"
#include "server/shard_service.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/resolve.h"
#include "common/transport/fabric.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kLimit = Patience(40);
constexpr int64_t kCount = 250;
constexpr int64_t kBucketElements = 100;  // buckets of 100, 100 and 50 elements

RunSpec SpecOf(ParameterServerSpec::Consistency consistency, const std::string& codec) {
  RunSpec spec;
  spec.mutable_training()->set_workers(2);
  spec.mutable_training()->set_steps(4);
  spec.mutable_optimizer()->set_learning_rate(1.0f);
  spec.mutable_strategy()->mutable_parameter_server()->set_consistency(consistency);
  spec.mutable_codec()->set_name(codec);
  if (codec == "topk") spec.mutable_codec()->set_density(0.1);
  absl::StatusOr<RunSpec> resolved = Resolve(spec, {});
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

// One server, on a thread of its own, and two workers whose messages the test writes by hand.
class ServedShard {
 public:
  explicit ServedShard(const RunSpec& spec)
      : spec_(spec), layout_({{"weights", {kCount}}}, kBucketElements) {
    FabricOptions options;
    options.name = "inproc";
    fabric_ = *CreateFabric(options);
    const std::vector<NodeId> nodes = {{Role::kWorker, 0}, {Role::kWorker, 1}, {Role::kServer, 0}};
    EXPECT_TRUE(fabric_->Connect({{"", nodes}}, 0, MonotonicNow() + kLimit).ok());
    service_ = *ShardService::Create(spec_, layout_, std::vector<float>(kCount, 0.0f), 0,
                                     fabric_->transport({Role::kServer, 0}));
    thread_ = std::thread([this] { result_ = service_->Run(); });
  }
  ~ServedShard() {
    if (thread_.joinable()) {
      fabric_->Abort(absl::CancelledError("the test is over"));
      thread_.join();
    }
    fabric_.reset();  // before the memory that an aborted receive may touch
  }

  // What Run returned.
  absl::Status Result() {
    thread_.join();
    return result_;
  }

  // What is being sent.
  struct Sent {
    int32_t worker = 0;
    OpId op = 0;
    std::vector<std::byte> payload;
  };
  // Starts to send; the server may read the payload where it is.
  Sent& Send(int32_t worker, MessageKind kind, int32_t bucket, int64_t step, int64_t note,
             std::vector<std::byte> payload) {
    Tag tag{kind, 0, bucket, step};
    tag.note = note;
    Sent& sent = sent_.emplace_back(Sent{worker, 0, std::move(payload)});
    Transport& transport = fabric_->transport({Role::kWorker, worker});
    const absl::StatusOr<OpId> op = transport.Send({{Role::kServer, 0}, tag, sent.payload});
    EXPECT_TRUE(op.ok()) << op.status();
    if (op.ok()) sent.op = *op;
    return sent;
  }
  Sent& Push(int32_t worker, int32_t bucket, int64_t step, std::vector<std::byte> payload) {
    return Send(worker, MessageKind::kPush, bucket, step, 0, std::move(payload));
  }
  // Whether the server needs the payload no more, by `deadline`.
  absl::Status HasLeft(const Sent& sent, MonotonicTime deadline) {
    return fabric_->transport({Role::kWorker, sent.worker}).Wait(sent.op, deadline);
  }
  void Abort(const absl::Status& why) { fabric_->Abort(why); }
  void Farewell(int32_t worker, int64_t request) {
    Send(worker, MessageKind::kPull, 0, request, EncodePullNote({0, false, true}), {});
  }

  // Sends the worker's pull number `request` at `clock`; Weights waits for the answer.
  void AskForWeights(int32_t worker, int64_t request, int64_t clock) {
    for (const Bucket& bucket : layout_.buckets()) ExpectPart(worker, bucket.id, request);
    Send(worker, MessageKind::kPull, 0, request, EncodePullNote({clock, false, false}), {});
  }
  // Posts the receive of what is sent of `bucket` after `step`; Weights waits for it.
  void ExpectPart(int32_t worker, int32_t bucket, int64_t step) {
    const Bucket& part = layout_.buckets()[bucket];
    auto* out = reinterpret_cast<std::byte*>(weights_[worker].data() + part.begin);
    ops_[worker].push_back(*fabric_->transport({Role::kWorker, worker})
                                .Receive({{Role::kServer, 0},
                                          {MessageKind::kWeights, 0, bucket, step},
                                          {out, static_cast<size_t>(part.count) * 4}}));
  }
  std::vector<float> Weights(int32_t worker) {
    for (const OpId op : ops_[worker]) {
      const absl::Status status =
          fabric_->transport({Role::kWorker, worker}).Wait(op, MonotonicNow() + kLimit);
      EXPECT_TRUE(status.ok()) << status;
    }
    ops_[worker].clear();
    return weights_[worker];
  }

 private:
  const RunSpec spec_;
  const ParamLayout layout_;
  // by worker
  std::vector<float> weights_[2] = {std::vector<float>(kCount), std::vector<float>(kCount)};
  std::vector<OpId> ops_[2];
  std::deque<Sent> sent_;  // references stay
  std::unique_ptr<ShardService> service_;
  std::unique_ptr<Fabric> fabric_;
  absl::Status result_;
  std::thread thread_;
};

std::vector<std::byte> FloatBytes(int64_t count, float value) {
  std::vector<std::byte> bytes(count * 4);
  for (int64_t i = 0; i < count; ++i) std::memcpy(bytes.data() + 4 * i, &value, 4);
  return bytes;
}

void ExpectNames(const absl::Status& status, const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  for (const std::string& part : parts) {
    EXPECT_NE(status.message().find(part), absl::string_view::npos)
        << status << " lacks \"" << part << "\"";
  }
}

TEST(ShardService, RefusesAPushOfTooFewOrTooManyBytesByWorkerBucketAndStep) {
  for (const int64_t bytes :
       {int64_t{0}, int64_t{396}, int64_t{399}, int64_t{401}, int64_t{4000}}) {
    SCOPED_TRACE(absl::StrCat(bytes, " bytes"));
    ServedShard shard(SpecOf(ParameterServerSpec::SSP, "none"));
    shard.Push(1, 1, 0, FloatBytes(100, 1.0f));
    shard.Push(1, 1, 1, std::vector<std::byte>(bytes));
    ExpectNames(shard.Result(), {"worker/1", "bucket=1", "step=1"});
  }
}

TEST(ShardService, RefusesBytesThatTheCodecDoesNotWrite) {
  struct Hostile {
    const char* codec;
    std::vector<std::byte> payload;
  };
  const std::vector<Hostile> payloads = {
      {"topk", std::vector<std::byte>(80, std::byte{0xff})},  // indices of -1
      {"topk", std::vector<std::byte>(80, std::byte{0})},     // one index ten times
      {"topk", std::vector<std::byte>(79)},
      {"topk", {}},
      {"onebit", std::vector<std::byte>(3)},
      {"fp16", std::vector<std::byte>(200, std::byte{0xff})},  // not numbers
      {"fp16", std::vector<std::byte>(198)},
  };
  for (const Hostile& hostile : payloads) {
    for (const auto consistency : {ParameterServerSpec::BSP, ParameterServerSpec::ASYNCHRONOUS}) {
      SCOPED_TRACE(absl::StrCat(hostile.codec, " ", hostile.payload.size(), " bytes"));
      ServedShard shard(SpecOf(consistency, hostile.codec));
      shard.Push(0, 1, 0, hostile.payload);
      ExpectNames(shard.Result(), {"worker/0", "bucket=1", "step=0"});
    }
  }
}

TEST(ShardService, RefusesAGradientFromAVersionThatDoesNotExistYet) {
  for (const int64_t version : {int64_t{-1}, int64_t{1}}) {
    ServedShard shard(SpecOf(ParameterServerSpec::ASYNCHRONOUS, "none"));
    shard.Send(0, MessageKind::kPush, 2, 0, version, FloatBytes(50, 1.0f));
    ExpectNames(shard.Result(),
                {"worker/0", "bucket=2", "step=0", absl::StrCat("version ", version)});
  }
}

TEST(ShardService, RefusesAStepWhoseUpdateCannotHaveBeenRead) {
  ServedShard shard(SpecOf(ParameterServerSpec::BSP, "none"));
  shard.Push(0, 0, 0, FloatBytes(100, 1.0f));
  shard.Push(0, 0, 1, FloatBytes(100, 1.0f));
  ExpectNames(shard.Result(), {"worker/0", "bucket=0", "step=1"});
}

TEST(ShardService, EndsOnceEveryWorkerHasSaidFarewellAndNotBefore) {
  ServedShard shard(SpecOf(ParameterServerSpec::ASYNCHRONOUS, "none"));
  shard.Farewell(0, 0);
  // The other one is still served.
  shard.Push(1, 0, 0, FloatBytes(100, -2.0f));
  shard.Push(1, 1, 0, FloatBytes(100, -3.0f));
  shard.Push(1, 2, 0, FloatBytes(50, -4.0f));
  shard.AskForWeights(1, 0, 1);
  const std::vector<float> weights = shard.Weights(1);
  EXPECT_EQ(weights.front(), 2.0f);
  EXPECT_EQ(weights.back(), 4.0f);
  shard.Farewell(1, 1);
  EXPECT_TRUE(shard.Result().ok());
}

TEST(ShardService, AWorkersPullSeesItsOwnPushesEvenWhenItOvertakesThem) {
  for (const auto consistency : {ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    SCOPED_TRACE(absl::StrCat("consistency=", consistency));
    ServedShard shard(SpecOf(consistency, "none"));
    shard.AskForWeights(1, 0, 1);
    shard.Push(1, 0, 0, FloatBytes(100, -2.0f));
    shard.Push(1, 1, 0, FloatBytes(100, -3.0f));
    shard.Push(1, 2, 0, FloatBytes(50, -4.0f));
    const std::vector<float> weights = shard.Weights(1);
    EXPECT_EQ(weights[0], 2.0f);
    EXPECT_EQ(weights[100], 3.0f);
    EXPECT_EQ(weights[200], 4.0f);
    shard.Farewell(0, 0);
    shard.Farewell(1, 1);
    EXPECT_TRUE(shard.Result().ok());
  }
}

TEST(ShardService, UnderBspAPartsWeightsComeToAllWithoutBeingAskedForAsSoonAsAllHavePushedIt) {
  ServedShard shard(SpecOf(ParameterServerSpec::BSP, "none"));
  for (int32_t worker = 0; worker < 2; ++worker) shard.ExpectPart(worker, 1, 0);
  shard.Push(1, 1, 0, FloatBytes(100, -1.0f));
  shard.Push(0, 1, 0, FloatBytes(100, -3.0f));
  // Nobody has pushed another part yet.
  EXPECT_EQ(shard.Weights(0)[100], 4.0f);
  EXPECT_EQ(shard.Weights(1)[199], 4.0f);
  shard.AskForWeights(0, 0, 1);
  ExpectNames(shard.Result(), {"pull from worker/0 at clock 1", "come by themselves"});
}

TEST(ShardService, UnderBspAGradientIsReadWhereItLiesAndGivenBackWithItsUpdateAndNotBefore) {
  ServedShard shard(SpecOf(ParameterServerSpec::BSP, "none"));
  const auto step_of = [&](int32_t bucket, int64_t step) {
    for (int32_t worker = 0; worker < 2; ++worker) {
      shard.ExpectPart(worker, bucket, step);
      shard.Push(worker, bucket, step, FloatBytes(bucket == 2 ? 50 : 100, 0.0f));
    }
    for (int32_t worker = 0; worker < 2; ++worker) shard.Weights(worker);
  };
  // From here on the server expects the next pushes of these.
  step_of(1, 0);
  step_of(2, 0);
  ServedShard::Sent& first = shard.Push(0, 1, 1, FloatBytes(100, -1.0f));
  // The server takes pushes in the order in which they come, so it has this one when it has updated
  // the other part.
  step_of(2, 1);
  EXPECT_EQ(shard.HasLeft(first, MonotonicTime::InfinitePast()).code(),
            absl::StatusCode::kDeadlineExceeded);
  // As no worker may: it shows where the sum is read from.
  const std::vector<std::byte> other = FloatBytes(100, -5.0f);
  std::copy(other.begin(), other.end(), first.payload.begin());
  for (int32_t worker = 0; worker < 2; ++worker) shard.ExpectPart(worker, 1, 1);
  ServedShard::Sent& second = shard.Push(1, 1, 1, FloatBytes(100, -2.0f));
  EXPECT_EQ(shard.Weights(0)[100], 7.0f);
  EXPECT_EQ(shard.Weights(1)[199], 7.0f);
  EXPECT_EQ(shard.HasLeft(first, MonotonicNow() + kLimit), absl::OkStatus());
  EXPECT_EQ(shard.HasLeft(second, MonotonicNow() + kLimit), absl::OkStatus());
}

TEST(ShardService, WithoutASumAGradientIsGivenBackAtOnce) {
  for (const auto consistency : {ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    SCOPED_TRACE(absl::StrCat("consistency=", consistency));
    ServedShard shard(SpecOf(consistency, "none"));
    for (int64_t step = 0; step < 3; ++step) {
      ServedShard::Sent& sent = shard.Push(0, 1, step, FloatBytes(100, -1.0f));
      EXPECT_EQ(shard.HasLeft(sent, MonotonicNow() + kLimit), absl::OkStatus());
    }
  }
}

TEST(ShardService, EndsWithTheStatusOfAnAbortedTransport) {
  ServedShard shard(SpecOf(ParameterServerSpec::BSP, "none"));
  shard.Abort(absl::UnavailableError("worker/1 is gone"));
  EXPECT_EQ(shard.Result(), absl::UnavailableError("worker/1 is gone"));
}

}  // namespace
}  // namespace ringmaster
