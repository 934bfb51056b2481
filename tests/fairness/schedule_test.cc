// Exact sums give every schedule the same bits, so the bits cannot tell which one ran. The messages
// can.

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/partition.h"
#include "common/transport/forwarding.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/proof/verify/record_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

constexpr int32_t kWorkers = 4;

// One message as its sender sees it: "step 3 bucket 1 round 0 worker/2->server/1 768 bytes".
using Message = std::string;

Message Describe(int64_t step, int32_t bucket, int32_t round, int32_t from, NodeId to,
                 int64_t bytes) {
  return absl::StrCat("step ", step, " bucket ", bucket, " round ", round, " worker/", from, "->",
                      ToString(to), " ", bytes, " bytes");
}

// What workers sent, requests without payload left out.
class Log {
 public:
  void Add(Message message) {
    absl::MutexLock lock(&mutex_);
    messages_.push_back(std::move(message));
  }
  std::vector<Message> Sorted() {
    absl::MutexLock lock(&mutex_);
    std::sort(messages_.begin(), messages_.end());
    return messages_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<Message> messages_ ABSL_GUARDED_BY(mutex_);
};

class Recorder : public ForwardingTransport {
 public:
  Recorder(Transport& real, Log& log) : ForwardingTransport(real), log_(log) {}
  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    const Tag& tag = message.tag;
    if (tag.kind == MessageKind::kCollective || tag.kind == MessageKind::kPush) {
      log_.Add(Describe(tag.step, tag.bucket, tag.round, self().index, message.to,
                        message.payload.size()));
    }
    return below_.Send(message.WithoutLoan());  // the answer to a loan is no message
  }

 private:
  Log& log_;
};

// A message of a tree.
struct Edge {
  int32_t round;
  int32_t from;
  int32_t to;
};

// kWorkers is a power of two: a party is a rank and a block a chunk.
template <typename Chunk, typename Send>
void ExpectHalvingDoubling(int32_t rank, Chunk chunk, Send send) {
  int32_t round = 1;
  for (int32_t half = kWorkers / 2; half >= 1; half /= 2, ++round) {
    int64_t bytes = 0;
    const int32_t peer = rank ^ half;
    for (int32_t k = 0; k < half; ++k) bytes += chunk(peer / half * half + k);
    send(round, {Role::kWorker, peer}, bytes);
  }
  for (int32_t half = 1; half < kWorkers; half *= 2, ++round) {
    int64_t bytes = 0;
    for (int32_t k = 0; k < half; ++k) bytes += chunk(rank / half * half + k);
    send(round, {Role::kWorker, rank ^ half}, bytes);
  }
}

// Groups of two: {0, 1} and {2, 3}. A block is two chunks.
template <typename Chunk, typename Send>
void ExpectHierarchical(int32_t rank, Chunk chunk, Send send) {
  const int32_t place = rank % 2, group = rank / 2;
  const auto block = [&](int32_t index) { return chunk(2 * index) + chunk(2 * index + 1); };
  const NodeId beside{Role::kWorker, rank ^ 1}, across{Role::kWorker, rank ^ 2};
  const int32_t summed = 1 - place;  // the block that it has after the first round
  send(0, beside, block(place));
  send(1, across, chunk(2 * summed + group));
  send(2, across, chunk(2 * summed + 1 - group));
  send(3, beside, block(summed));
}

// What the named scheme sends for one bucket, from its definition.
void ExpectBucket(const RunSpec& spec, int64_t step, const Bucket& bucket, Log* log) {
  const auto chunk = [&](int32_t index) {
    return 4 * Part(bucket.count, kWorkers, (index + kWorkers) % kWorkers).count;
  };
  const std::string collective(TraitsOf(spec).collective);
  for (int32_t rank = 0; rank < kWorkers; ++rank) {
    const auto send = [&](int32_t round, NodeId to, int64_t bytes) {
      if (bytes > 0 || to.role == Role::kServer)
        log->Add(Describe(step, bucket.id, round, rank, to, bytes));
    };
    if (spec.strategy().has_parameter_server()) {
      const int32_t servers = spec.strategy().parameter_server().servers();
      for (int32_t k = 0; k < servers; ++k)
        send(0, {Role::kServer, k}, 4 * Part(bucket.count, servers, k).count);
    } else if (collective == "ring") {
      const NodeId next{Role::kWorker, (rank + 1) % kWorkers};
      for (int32_t k = 0; k < kWorkers - 1; ++k) {
        send(k, next, chunk(rank - k));
        send(kWorkers - 1 + k, next, chunk(rank + 1 - k));
      }
    } else if (collective == "direct") {
      for (int32_t peer = 0; peer < kWorkers; ++peer) {
        if (peer == rank) continue;
        send(0, {Role::kWorker, peer}, chunk(peer));
        send(1, {Role::kWorker, peer}, chunk(rank));
      }
    } else if (collective == "halving_doubling") {
      ExpectHalvingDoubling(rank, chunk, send);
    } else if (collective == "recursive_doubling") {
      send(1, {Role::kWorker, rank ^ 1}, 4 * bucket.count);
      send(2, {Role::kWorker, rank ^ 2}, 4 * bucket.count);
    } else if (collective == "hierarchical") {
      ExpectHierarchical(rank, chunk, send);
    } else if (collective == "binomial_tree") {
      constexpr Edge kEdges[] = {{0, 1, 0}, {0, 3, 2}, {1, 2, 0}, {2, 0, 2}, {3, 0, 1}, {3, 2, 3}};
      for (const Edge& edge : kEdges) {
        if (edge.from == rank) send(edge.round, {Role::kWorker, edge.to}, 4 * bucket.count);
      }
    } else if (collective == "double_binary_tree") {
      // The first tree is 3 - 1 - {0, 2}, the second its mirror image 0 - 2 - {3, 1}.
      constexpr Edge kEdges[] = {{0, 0, 1}, {0, 2, 1}, {1, 1, 3}, {3, 3, 1}, {4, 1, 0}, {4, 1, 2}};
      for (const Edge& edge : kEdges) {
        const int64_t first = 4 * Part(bucket.count, 2, 0).count;
        if (edge.from == rank) send(edge.round, {Role::kWorker, edge.to}, first);
        if (3 - edge.from == rank)
          send(edge.round, {Role::kWorker, 3 - edge.to}, 4 * bucket.count - first);
      }
    } else if (rank > 0) {  // reduce_broadcast
      send(0, {Role::kWorker, 0}, 4 * bucket.count);
    } else {
      for (int32_t peer = 1; peer < kWorkers; ++peer)
        send(1, {Role::kWorker, peer}, 4 * bucket.count);
    }
  }
}

// OK when `sent` is what the scheme of `spec` sends, message by message; else the first message
// that one of them lacks.
absl::Status CheckSchedule(const RunSpec& spec, const std::vector<Message>& sent) {
  const auto layout = LayoutOf(spec);
  if (!layout.ok()) return layout.status();
  Log log;
  for (int64_t step = 0; step < spec.training().steps(); ++step) {
    for (const Bucket& bucket : layout->buckets()) ExpectBucket(spec, step, bucket, &log);
  }
  const std::vector<Message> expected = log.Sorted();
  const auto [found, wanted] =
      std::mismatch(sent.begin(), sent.end(), expected.begin(), expected.end());
  if (found == sent.end() && wanted == expected.end()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("sent ", found == sent.end() ? "nothing more" : *found, ", expected ",
                   wanted == expected.end() ? "nothing more" : *wanted));
}

// Runs `spec`, in which the workers believe `believed`, and returns what they sent.
std::vector<Message> MessagesOf(const RunSpec& spec, const RunSpec& believed, RunRecord* record) {
  Log log;
  RunSeams seams;
  seams.edit = [&](int32_t rank, RunSpec* edited) { *edited = believed; };
  seams.wrap = [&](int32_t rank, Transport& real) { return std::make_unique<Recorder>(real, log); };
  *record = RunInProcess(spec, seams);
  return log.Sorted();
}

// Which schedule "auto" runs is not in its name.
bool NamesWhatRuns(const ArmUnderTest& arm) {
  return ExchangesOnOneTrajectory(arm) && arm.traits.collective != "auto";
}

class Scheme : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, Scheme, testing::ValuesIn(ArmsThat(NamesWhatRuns)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(Scheme, ThatIsNamedIsTheOneThatRanUnderExactSums) {
  RunSpec base = SmallSpec(kWorkers, true);
  base.mutable_strategy()->mutable_parameter_server()->set_servers(3);
  const RunSpec spec = ArmOf(GetParam(), base);
  RunRecord record;
  const absl::Status status = CheckSchedule(spec, MessagesOf(spec, spec, &record));
  EXPECT_EQ(record.status(), "ok");
  EXPECT_TRUE(status.ok()) << status;
  for (const std::string& name : record.reports(0).workers(0).bucket_collectives()) {
    EXPECT_EQ(name, TraitsOf(spec).collective);
  }
}

TEST(AnotherSchedule, UnderTheNameOfTheRingEndsWithItsBitsAndIsFoundOut) {
  const RunSpec base = SmallSpec(kWorkers, true);
  const RunSpec ring = ArmOf("ring", base);
  const auto is_another = [](const ArmUnderTest& arm) {
    return NamesWhatRuns(arm) && !arm.traits.collective.empty() && arm.traits.collective != "ring";
  };
  for (const std::string& other : ArmsThat(is_another)) {
    RunRecord record;
    const std::vector<Message> sent = MessagesOf(ring, ArmOf(other, base), &record);
    const auto weights = CheckSameWeights({RunInProcess(base), record});
    EXPECT_TRUE(weights.ok()) << weights.status();
    const absl::Status status = CheckSchedule(ring, sent);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << other;
    EXPECT_THAT(std::string(status.message()), HasSubstr("expected step 0 bucket 0 round"));
  }
}

}  // namespace
}  // namespace ringmaster
