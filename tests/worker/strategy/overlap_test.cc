// Buckets of one step are exchanged at once: a bucket starts when it is ready, whatever the others
// wait for.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/transport/forwarding.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr int32_t kBuckets = 4;

// The buckets of which worker/0 has sent something, and whether its exchange thread sleeps in the
// transport since.
class Started {
 public:
  void Add(int32_t bucket) {
    absl::MutexLock lock(&mutex_);
    buckets_.insert(bucket);
  }
  // Receives of a bucket that are posted while worker/1 is silent.
  explicit Started(size_t receives) : receives_(receives) {}
  // The exchange thread waits for `operations`. When only the receives are left of every bucket,
  // and one operation for the step thread to wake it with, it sleeps until one of the workers does
  // something.
  void Wait(size_t operations) {
    absl::MutexLock lock(&mutex_);
    if (operations == receives_ * buckets_.size() + 1) asleep_with_ = buckets_.size();
  }
  // Waits until nothing but worker/1 or another bucket can wake the exchange thread, with `buckets`
  // started.
  bool AwaitAsleep(size_t buckets) {
    absl::MutexLock lock(&mutex_);
    const auto asleep = [&]()
                            ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return asleep_with_ == buckets; };
    return mutex_.AwaitWithTimeout(absl::Condition(&asleep), Patience(20));
  }
  // Whether all buckets have come within the deadline.
  bool AwaitAll() {
    absl::MutexLock lock(&mutex_);
    const auto all = [this]()
                         ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return buckets_.size() == kBuckets; };
    return mutex_.AwaitWithTimeout(absl::Condition(&all), Patience(20));
  }

 private:
  const size_t receives_;
  absl::Mutex mutex_;
  std::set<int32_t> buckets_ ABSL_GUARDED_BY(mutex_);
  size_t asleep_with_ ABSL_GUARDED_BY(mutex_) = 0;
};

class StartRecorder : public ForwardingTransport {
 public:
  StartRecorder(Transport& real, Started* started) : ForwardingTransport(real), started_(started) {}
  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    if (self().index == 0 && message.tag.kind == MessageKind::kCollective)
      started_->Add(message.tag.bucket);
    return below_.Send(message.WithoutLoan());  // what is lent is awaited for longer
  }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    if (self().index == 0) started_->Wait(ops.size());
    return below_.WaitAny(ops, deadline);
  }

 private:
  Started* const started_;
};

TEST(AllReduceStrategy, StartsEveryBucketWhenItIsReadyThoughNoneIsFinished) {
  for (const std::string& codec : AllCodecs()) {
    SCOPED_TRACE(codec);
    // A ring of two posts both rounds' receives as soon as the first message is out; a gather has
    // one.
    Started started(FindCodec(codec)->traits.summable_as.has_value() ? 2 : 1);
    GroupOptions options;
    options.above_meter = [&](Transport& inner) {
      return std::make_unique<StartRecorder>(inner, &started);
    };
    RunSpec spec = GroupSpec(2, 0.1f);
    spec.mutable_strategy()->mutable_all_reduce()->set_collective("ring");
    ChooseCodec(codec, spec.mutable_codec());
    // Of ten elements enough for a chunk of each rank.
    if (spec.codec().has_density()) spec.mutable_codec()->set_density(0.5);
    StrategyGroup group(spec, std::vector<float>(kBuckets * 10, 1.0f), 10, options);
    const absl::Status status = group.Run([&](GroupWorker& worker) {
      // Nothing of worker/1 until worker/0 has sent of every bucket: so none of them is finished.
      if (worker.rank() == 1 && !started.AwaitAll()) {
        return absl::DeadlineExceededError(
            "worker/0 waits for the end of a bucket before it starts the next");
      }
      return worker.Steps(
          0, 3, [&](int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
            // Each bucket finds the exchange thread asleep in what the ones before it wait for.
            if (rank == 0 && step == 0 && bucket.id > 0) {
              EXPECT_TRUE(started.AwaitAsleep(bucket.id));
            }
            for (float& value : out) value = static_cast<float>(rank + 1);
          });
    });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(group.worker(0).front(), group.worker(1).front());
  }
}

}  // namespace
}  // namespace ringmaster
