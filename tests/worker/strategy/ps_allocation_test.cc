// What a parameter server and its workers' exchange threads allocate in a step, counted.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/config/resolve.h"
#include "common/transport/fabric.h"
#include "common/transport/forwarding.h"
#include "gtest/gtest.h"
#include "server/shard_service.h"
#include "tests/support/allocations.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

// how far queues grow depends on the order of arrival: the first steps see to it
constexpr int64_t kFirst = 20;
constexpr int64_t kSteps = 60;
constexpr int64_t kCount = 10'000;
constexpr int64_t kBucketElements = 3000;  // over shm, parts of this size are read where they lie

// Counts what the thread that sends messages of `kind` allocates between those of step kFirst and
// of the last one, but for what happens inside the transport: a message that comes before its
// receive is kept there.
class CountingTransport : public ForwardingTransport {
 public:
  CountingTransport(Transport& real, MessageKind kind, std::atomic<int64_t>* counted)
      : ForwardingTransport(real), kind_(kind), counted_(counted) {}

  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    const Tag& tag = message.tag;
    if (tag.kind == kind_ && tag.step == kFirst && begin_ < 0) begin_ = ThreadAllocations();
    if (tag.kind == kind_ && tag.step == kSteps - 1) counted_->store(ThreadAllocations() - begin_);
    return Uncounted([&] { return below_.Send(message); });
  }
  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    return Uncounted([&] { return below_.Receive(message); });
  }
  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    Uncounted([&] {
      below_.Return(from, tag, loan);
      return 0;
    });
  }
  absl::Status Wait(OpId op, MonotonicTime deadline) override {
    return Uncounted([&] { return below_.Wait(op, deadline); });
  }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    return Uncounted([&] { return below_.WaitAny(ops, deadline); });
  }

 private:
  const MessageKind kind_;
  std::atomic<int64_t>* const counted_;
  int64_t begin_ = -1;
};

RunSpec SpecOf(ParameterServerSpec::Consistency consistency, const std::string& codec) {
  RunSpec spec = GroupSpec(2, 0.5f);
  spec.mutable_strategy()->mutable_parameter_server()->set_consistency(consistency);
  ChooseCodec(codec, spec.mutable_codec());
  return spec;
}

void FillOnes(int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
  for (float& value : out) value = static_cast<float>(rank + 1);
}

TEST(ParameterServerStrategy, ItsExchangeThreadAllocatesNothingInAStep) {
  for (const auto consistency :
       {ParameterServerSpec::BSP, ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    for (const std::string& codec : AllCodecs()) {
      for (const char* transport : {"inproc", "shm"}) {
        SCOPED_TRACE(
            absl::StrCat("consistency=", consistency, " codec=", codec, " transport=", transport));
        std::atomic<int64_t> counted{-1};
        GroupOptions options;
        options.transport = transport;
        options.above_meter = [&](Transport& inner) {
          return std::make_unique<CountingTransport>(inner, MessageKind::kPush, &counted);
        };
        StrategyGroup group(SpecOf(consistency, codec), std::vector<float>(kCount, 1.0f),
                            kBucketElements, options);
        const absl::Status status =
            group.Run([](GroupWorker& worker) { return worker.Steps(0, kSteps, FillOnes); });
        ASSERT_TRUE(status.ok()) << status;
        EXPECT_EQ(counted, 0);
      }
    }
  }
}

// One worker's step against a server, by hand: pushes of all buckets, then their weights.
absl::Status StepByHand(Transport& transport, const ParamLayout& layout, int64_t step,
                        std::vector<float>* gradient, std::vector<float>* weights) {
  std::vector<OpId> ops;
  for (const Bucket& bucket : layout.buckets()) {
    const size_t bytes = bucket.count * sizeof(float);
    auto* in = reinterpret_cast<std::byte*>(weights->data() + bucket.begin);
    const auto* out = reinterpret_cast<const std::byte*>(gradient->data() + bucket.begin);
    ops.push_back(*transport.Receive(
        {{Role::kServer, 0}, {MessageKind::kWeights, 0, bucket.id, step}, {in, bytes}}));
    Tag tag{MessageKind::kPush, 0, bucket.id, step};
    tag.note = step;
    ops.push_back(*transport.Send({{Role::kServer, 0}, tag, {out, bytes}}));
  }
  for (const OpId op : ops) {
    const absl::Status status = transport.Wait(op, MonotonicNow() + Patience(30));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

TEST(ShardService, AllocatesNothingInAStep) {
  const RunSpec spec = *Resolve(SpecOf(ParameterServerSpec::BSP, "none"), {});
  const ParamLayout layout({{"weights", {kCount}}}, kBucketElements);
  FabricOptions fabric_options;
  fabric_options.name = "inproc";
  std::atomic<int64_t> counted{-1};
  std::vector<std::vector<float>> weights(2, std::vector<float>(kCount));
  std::vector<std::vector<float>> gradients(2, std::vector<float>(kCount, -1.0f));
  const auto fabric = *CreateFabric(fabric_options);
  const std::vector<NodeId> nodes = {{Role::kWorker, 0}, {Role::kWorker, 1}, {Role::kServer, 0}};
  ASSERT_TRUE(fabric->Connect({{"", nodes}}, 0, MonotonicNow() + Patience(30)).ok());
  CountingTransport transport(fabric->transport({Role::kServer, 0}), MessageKind::kWeights,
                              &counted);
  const auto service =
      *ShardService::Create(spec, layout, std::vector<float>(kCount, 0.0f), 0, transport);
  std::thread server([&] { EXPECT_EQ(service->Run(), absl::CancelledError("the test is over")); });
  std::vector<std::thread> workers;
  for (int32_t rank = 0; rank < 2; ++rank) {
    workers.emplace_back([&, rank] {
      for (int64_t step = 0; step < kSteps; ++step) {
        const absl::Status status = StepByHand(fabric->transport({Role::kWorker, rank}), layout,
                                               step, &gradients[rank], &weights[rank]);
        EXPECT_TRUE(status.ok()) << status;
        if (!status.ok()) return;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  fabric->Abort(absl::CancelledError("the test is over"));
  server.join();
  EXPECT_EQ(counted, 0);
  // Rate 0.5, two workers that push -1.
  EXPECT_EQ(weights[0], std::vector<float>(kCount, static_cast<float>(kSteps)));
}

}  // namespace
}  // namespace ringmaster
