// Buckets of one step are exchanged at once: a bucket starts when it is ready, whatever the others wait for.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/support/forwarding_transport.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr int32_t kBuckets = 4;

// The buckets of which worker/0 has sent something.
class Started {
 public:
  void Add(int32_t bucket) {
    absl::MutexLock lock(&mutex_);
    buckets_.insert(bucket);
  }
  // Whether all buckets have come within the deadline.
  bool AwaitAll() {
    absl::MutexLock lock(&mutex_);
    const auto all = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return buckets_.size() == kBuckets; };
    return mutex_.AwaitWithTimeout(absl::Condition(&all), absl::Seconds(20));
  }

 private:
  absl::Mutex mutex_;
  std::set<int32_t> buckets_ ABSL_GUARDED_BY(mutex_);
};

class StartRecorder : public ForwardingTransport {
 public:
  StartRecorder(Transport& real, Started* started) : ForwardingTransport(real), started_(started) {}
  absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) override {
    if (self().index == 0 && tag.kind == MessageKind::kCollective) started_->Add(tag.bucket);
    return real_.StartSend(to, tag, payload);
  }

 private:
  Started* const started_;
};

TEST(AllReduceStrategy, StartsEveryBucketWhenItIsReadyThoughNoneIsFinished) {
  for (const char* codec : {"none", "fp16", "topk"}) {
    SCOPED_TRACE(codec);
    Started started;
    GroupOptions options;
    options.above_meter = [&](Transport& inner) { return std::make_unique<StartRecorder>(inner, &started); };
    RunSpec spec = GroupSpec(2, 0.1f);
    spec.mutable_strategy()->mutable_all_reduce()->set_collective("ring");
    spec.mutable_codec()->set_name(codec);
    if (spec.codec().name() == "topk") spec.mutable_codec()->set_density(0.5);
    StrategyGroup group(spec, std::vector<float>(kBuckets * 10, 1.0f), 10, options);
    const absl::Status status = group.Run([&](GroupWorker& worker) {
      // Nothing of worker/1 until worker/0 has sent of every bucket: so none of them is finished.
      if (worker.rank() == 1 && !started.AwaitAll()) {
        return absl::DeadlineExceededError("worker/0 waits for the end of a bucket before it starts the next");
      }
      return worker.Steps(0, 3, [](int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
        for (float& value : out) value = rank + 1;
      });
    });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(group.worker(0).front(), group.worker(1).front());
  }
}

}  // namespace
}  // namespace ringmaster
