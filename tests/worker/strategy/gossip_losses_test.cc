// Gossip without lost workers. Cores of collectives joined by queues, one run under each seed: a
// worker is lost at any event, and those left hear of it one after the other. And real strategies
// on every transport.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "common/base/random.h"
#include "common/collective/collective_core.h"
#include "common/collective/gossip.h"
#include "common/collective/plan.h"
#include "common/config/resolve.h"
#include "common/transport/metered.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"
#include "tests/support/transports.h"
#include "tests/worker/strategy/strategy_group.h"
#include "worker/strategy/neighbour_weights.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kSteps = 6;
constexpr int64_t kCount = 75;
constexpr int64_t kBucketElements = 37;  // buckets of 37, 37 and 1
constexpr int64_t kPieceBytes = 64;      // three pieces of a large bucket

ParamLayout Layout() { return GroupLayout(GroupSpec(2, 0.1f), kCount, kBucketElements); }

// All workers of a run of gossip: their cores, and the messages between them.
class Cluster {
 public:
  Cluster(GossipGraph graph, int32_t workers, uint64_t seed)
      : graph_(graph),
        workers_(workers),
        layout_(Layout()),
        random_(seed),
        dies_at_(static_cast<int64_t>(random_.Below(60 * workers))),
        victim_(static_cast<int32_t>(random_.Below(workers))) {
    nodes_.reserve(workers);
    for (int32_t rank = 0; rank < workers; ++rank) {
      Node& node = nodes_.emplace_back(workers, NeighbourSeat{graph, workers, rank}, layout_);
      for (float& weight : node.weights = Floats(kCount)) weight = random_.Normal();
    }
    for (int32_t rank = 0; rank < workers; ++rank) Begin(rank);
  }

  // Until nothing can go on; the first thing that was wrong.
  std::string Run() {
    for (int64_t event = 0; failure_.empty() && Move(); ++event) {
      if (event == dies_at_ && nodes_[victim_].step < kSteps) is_dead_ = true;
    }
    for (int32_t rank = 0; rank < workers_ && failure_.empty(); ++rank) {
      if (!IsDead(rank) && nodes_[rank].step < kSteps)
        failure_ = absl::StrCat("worker/", rank, " stands still in step ", nodes_[rank].step);
    }
    if (failure_.empty()) CheckSums();
    return failure_;
  }

  bool has_lost() const { return is_dead_; }
  // Averages before which some of the lost worker's weights had come, and not all.
  int64_t cut() const { return cut_; }

 private:
  struct Message {
    int32_t from = 0;
    int32_t to = 0;
    int32_t bucket = 0;
    int64_t step = 0;
    int32_t piece = 0;
    std::vector<std::byte> bytes;
  };
  using Name = std::tuple<int32_t, int32_t, int64_t, int32_t>;  // from, bucket, step, piece
  struct Node {
    Node(int32_t workers, const NeighbourSeat& seat, const ParamLayout& layout)
        : neighbours(seat, layout), core(workers, CollectiveLimits()) {}

    NeighbourWeights neighbours;
    CollectiveCore core;
    std::vector<CollectiveAction> actions;
    Floats weights;
    int64_t step = 0;
    std::map<int32_t, int32_t> flights;  // buckets, by flight
    std::map<Name, OpRef> expected;
    std::map<int64_t, int64_t> arrived;  // of the victim's elements, by step
    bool has_heard = false;
  };

  bool IsDead(int32_t rank) const { return is_dead_ && rank == victim_; }
  int32_t RoundOf(int64_t step) const {
    return static_cast<int32_t>(step % GossipRounds(graph_, workers_));
  }

  const Plan& PlanOf(int32_t rank, int32_t bucket, int64_t step) {
    const int32_t round = RoundOf(step);
    auto found = plans_.find({rank, bucket, round});
    if (found == plans_.end()) {
      const auto schedule = CreateGossipSchedule(graph_, round, GossipArrival::kApart);
      const int64_t count = layout_.buckets()[bucket].count * schedule->chunks(workers_);
      found = plans_
                  .emplace(std::make_tuple(rank, bucket, round),
                           MakePlan(*schedule, {rank, workers_, count, sizeof(float), kPieceBytes}))
                  .first;
    }
    return found->second;
  }

  absl::Span<std::byte> BytesOf(Node& node, OpRef ref) {
    const Bucket& bucket = layout_.buckets()[node.flights[ref.flight]];
    const absl::Span<float> data = node.neighbours.DataOf(bucket);
    const PlanOp& op = node.core.OpOf(ref);
    return absl::MakeSpan(reinterpret_cast<std::byte*>(data.data()) + op.to, op.bytes);
  }

  void Begin(int32_t rank) {
    Node& node = nodes_[rank];
    if (node.step == kSteps) return;
    began_[{rank, node.step}] = node.weights;
    for (const Bucket& bucket : layout_.buckets()) {
      const absl::Span<float> data = node.neighbours.DataOf(bucket);
      std::fill(data.begin(), data.end(), NAN);
    }
    node.neighbours.Begin(node.weights);
    for (const Bucket& bucket : layout_.buckets()) {
      const Plan& plan = PlanOf(rank, bucket.id, node.step);
      const auto started = node.core.Start({&plan, bucket.count * 4}, &node.actions);
      node.flights[started.flight] = bucket.id;
      Act(rank);
    }
  }

  void Act(int32_t rank) {
    Node& node = nodes_[rank];
    const std::vector<CollectiveAction> actions = std::exchange(node.actions, {});
    for (const CollectiveAction& action : actions) {
      if (action.kind == CollectiveAction::Kind::kFinished) continue;
      const PlanOp op = node.core.OpOf(action.op);
      const int32_t bucket = node.flights[action.op.flight];
      const bool is_gone = node.has_heard && op.peer == victim_;
      if (action.kind == CollectiveAction::Kind::kReceive) {
        node.expected[{op.peer, bucket, node.step, op.piece}] = action.op;
        if (is_gone) EndExpected(rank);
      } else if (action.kind == CollectiveAction::Kind::kSend) {
        const absl::Span<std::byte> bytes = BytesOf(node, action.op);
        if (!is_gone) {
          messages_.push_back({rank, op.peer, bucket, node.step, op.piece,
                               std::vector<std::byte>(bytes.begin(), bytes.end())});
        }
        node.core.MessageDone(action.op, false, &node.actions);
        Act(rank);
      } else {
        failure_ = "nothing is added on arrival";
      }
    }
  }

  // What is expected of the lost worker is over.
  void EndExpected(int32_t rank) {
    Node& node = nodes_[rank];
    std::vector<OpRef> its;
    for (auto it = node.expected.begin(); it != node.expected.end();) {
      if (std::get<0>(it->first) != victim_) {
        ++it;
        continue;
      }
      its.push_back(it->second);
      it = node.expected.erase(it);
    }
    if (!its.empty()) node.neighbours.Lose(victim_);
    for (const OpRef ref : its) node.core.MessageDone(ref, false, &node.actions);
    Act(rank);
  }

  // A message that may arrive, an exchange that is over, or the news: any of them.
  bool Move() {
    std::vector<int64_t> possible;
    for (size_t i = 0; i < messages_.size(); ++i) {
      const Message& message = messages_[i];
      const Name name{message.from, message.bucket, message.step, message.piece};
      if (!IsDead(message.to) && nodes_[message.to].expected.count(name) > 0)
        possible.push_back(static_cast<int64_t>(i));
    }
    for (int32_t rank = 0; rank < workers_; ++rank) {
      const Node& node = nodes_[rank];
      if (IsDead(rank)) continue;
      if (node.step < kSteps && node.core.in_flight() == 0) possible.push_back(-1 - rank);
      if (is_dead_ && !node.has_heard) possible.push_back(-1 - workers_ - rank);
    }
    if (possible.empty()) return false;
    const int64_t choice = possible[random_.Below(possible.size())];
    if (choice >= 0) {
      const Message message = std::move(messages_[choice]);
      messages_.erase(messages_.begin() + choice);
      Arrive(message);
    } else if (choice >= -workers_) {
      End(static_cast<int32_t>(-1 - choice));
    } else {
      const auto rank = static_cast<int32_t>(-1 - workers_ - choice);
      const auto is_its = [&](const Message& m) { return m.from == victim_ && m.to == rank; };
      messages_.erase(std::remove_if(messages_.begin(), messages_.end(), is_its), messages_.end());
      nodes_[rank].has_heard = true;
      EndExpected(rank);
    }
    return true;
  }

  void Arrive(const Message& message) {
    Node& node = nodes_[message.to];
    const auto found =
        node.expected.find({message.from, message.bucket, message.step, message.piece});
    const OpRef ref = found->second;
    node.expected.erase(found);
    const absl::Span<std::byte> out = BytesOf(node, ref);
    if (out.size() != message.bytes.size()) failure_ = "a message of another size";
    std::memcpy(out.data(), message.bytes.data(), out.size());
    if (message.from == victim_) node.arrived[message.step] += out.size() / sizeof(float);
    node.core.MessageDone(ref, false, &node.actions);
    Act(message.to);
  }

  void End(int32_t rank) {
    Node& node = nodes_[rank];
    Floats sum(kCount);
    node.neighbours.Sum(RoundOf(node.step), &sum);
    const auto sources = GossipSources(graph_, workers_, RoundOf(node.step), rank);
    Divide(static_cast<float>(sources.size()), absl::MakeSpan(sum));
    averages_[{rank, node.step}] = sum;
    // And its own gradient.
    for (float& weight : sum) weight += random_.Normal();
    node.weights = sum;
    ++node.step;
    Begin(rank);
  }

  // Every average of those left is of whole weights: of all others who are left, and of the lost
  // worker where all of its own had come.
  void CheckSums() {
    for (int32_t rank = 0; rank < workers_; ++rank) {
      if (IsDead(rank)) continue;
      for (int64_t step = 0; step < kSteps; ++step) CheckSum(rank, step);
    }
    if (!is_dead_ || graph_ != GossipGraph::kRing) return;
    // Once nobody has the lost worker's weights any more, averaging moves no mean.
    double before = 0, after = 0;
    for (int32_t rank = 0; rank < workers_; ++rank) {
      if (rank == victim_) continue;
      if (nodes_[rank].arrived[kSteps - 1] == kCount) return;
      before += began_[{rank, kSteps - 1}][3];
      after += averages_[{rank, kSteps - 1}][3];
    }
    if (std::fabs(before - after) > 1e-5 * workers_) failure_ = "the mean of those left has moved";
  }

  void CheckSum(int32_t rank, int64_t step) {
    Floats expected;
    int32_t sources = 0;
    for (const int32_t source : GossipSources(graph_, workers_, RoundOf(step), rank)) {
      const int64_t arrived = nodes_[rank].arrived[step];
      const bool is_whole = !IsDead(source) || arrived == kCount;
      if (!is_whole && arrived > 0) ++cut_;
      const Floats& values = began_[{is_whole ? source : rank, step}];
      if (sources++ == 0) {
        expected = values;
      } else {
        Add(values, absl::MakeSpan(expected));
      }
    }
    Divide(static_cast<float>(sources), absl::MakeSpan(expected));
    const std::pair<int32_t, int64_t> place{rank, step};
    if (averages_[place] != expected)
      failure_ = absl::StrCat("worker/", rank, " step ", step, ": another average");
  }

  const GossipGraph graph_;
  const int32_t workers_;
  const ParamLayout layout_;
  Random random_;
  const int64_t dies_at_;  // after which event
  const int32_t victim_;
  bool is_dead_ = false;
  std::map<std::tuple<int32_t, int32_t, int32_t>, Plan> plans_;
  std::vector<Node> nodes_;
  std::vector<Message> messages_;
  std::map<std::pair<int32_t, int64_t>, Floats> began_;     // weights, by rank and step
  std::map<std::pair<int32_t, int64_t>, Floats> averages_;  // of those
  int64_t cut_ = 0;
  std::string failure_;
};

TEST(GossipThatLosesAWorker, AveragesWholeWeightsAloneAndStandsStillNowhere) {
  for (const GossipGraph graph : {GossipGraph::kRing, GossipGraph::kOnePeerExponential}) {
    int64_t lost = 0, cut = 0;
    for (uint64_t seed = 0; seed < 400; ++seed) {
      const auto workers = static_cast<int32_t>(2 + seed % 5);
      SCOPED_TRACE(absl::StrCat("graph ", static_cast<int>(graph), " N=", workers, " seed ", seed));
      Cluster cluster(graph, workers, seed);
      ASSERT_EQ(cluster.Run(), "");
      lost += cluster.has_lost() ? 1 : 0;
      cut += cluster.cut();
    }
    EXPECT_GT(lost, 150);
    EXPECT_GT(cut, 50);
  }
}

constexpr int32_t kWorkers = 4, kVictim = 1;
constexpr int64_t kLast = 3, kAll = 7, kMarked = 2;

RunSpec RingThatGoesOn() {
  RunSpec spec = GroupSpec(kWorkers, 1.0f);
  spec.mutable_training()->set_steps(kAll);
  spec.mutable_training()->set_batch_per_worker(1);
  spec.mutable_training()->set_evaluate_every_samples(kMarked * kWorkers);
  spec.mutable_strategy()->mutable_gossip()->set_graph(GossipSpec::RING);
  spec.mutable_strategy()->set_on_failure(StrategySpec::CONTINUE);
  return *Resolve(spec, {});
}

// Of all elements: pushes workers apart by their ranks.
float GradientOf(int32_t rank, int64_t step) { return static_cast<float>(rank + step); }

// Four workers in a ring, in a process each, of which the second ends behind its step kLast - 1.
class EveryTransport : public testing::TestWithParam<std::string> {
 protected:
  void Join() {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    options.credentials.token = "of this test";
    options.outlives_peers = true;
    absl::StatusOr<FabricGroup> group = JoinFabrics(options, {1, 1, 1, 1});
    ASSERT_OK(group.status());
    group_ = *std::move(group);
    GroupOptions made;
    made.create_strategy = [](const WorkerLink& link) {
      WorkerLink own = link;
      own.lost_workers = [] { return std::vector<int32_t>{kVictim}; };
      return CreateStrategy(own);
    };
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      Fabric& fabric = *group_.fabrics[rank];
      auto transport =
          CreateMeteredTransport(group_.worker(rank), fabric, [](NodeId) { return false; });
      workers_.push_back(std::make_unique<GroupWorker>(spec_, layout_, Floats(kCount, 1.0f), rank,
                                                       fabric, std::move(transport), made));
    }
  }

  // Nobody waits any more, whatever has failed.
  void Abort(const absl::Status& why) {
    for (const auto& fabric : group_.fabrics) fabric->Abort(why);
  }
  void TearDown() override {
    Abort(absl::CancelledError("it is over"));
    for (const auto& worker : workers_) worker->strategy().Finish();
  }

  absl::Status Train(int32_t rank) {
    GroupWorker& worker = *workers_[rank];
    const GradientSource source = [](int32_t rank, int64_t step, const Bucket&,
                                     absl::Span<float> out) {
      std::fill(out.begin(), out.end(), GradientOf(rank, step));
    };
    absl::Status status = worker.Steps(0, kLast, source);
    have_all_.DecrementCount();
    if (rank == kVictim || !status.ok()) return status;
    status = worker.Steps(kLast, kAll, source);
    if (status.ok()) status = worker.strategy().Drain();
    if (!status.ok()) return status;
    const auto model = worker.strategy().ModelWeights().host();
    models_[rank].assign(model.begin(), model.end());
    const absl::StatusOr<MarkedModel> mark = worker.strategy().Recall(0);
    if (!mark.ok()) return mark.status();
    marked_[rank].assign(mark->weights.host().begin(), mark->weights.host().end());
    return absl::OkStatus();
  }

  const RunSpec spec_ = RingThatGoesOn();
  const ParamLayout layout_ = GroupLayout(spec_, kCount, kBucketElements);
  absl::BlockingCounter have_all_{kWorkers};  // of what the victim has sent
  std::vector<Floats> models_{kWorkers}, marked_{kWorkers};
  std::vector<std::unique_ptr<GroupWorker>> workers_;
  FabricGroup group_;  // last: what is on its way may lie in the workers' memory
};
INSTANTIATE_TEST_SUITE_P(GossipThatLosesAWorker, EveryTransport,
                         testing::ValuesIn(ProcessTransports()),
                         [](const auto& info) { return info.param; });

TEST_P(EveryTransport, GoesOnAndTheModelIsTheAverageOfThoseThatAreLeft) {
  Join();
  std::vector<absl::Status> statuses(kWorkers);
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < kWorkers; ++rank) {
    threads.emplace_back([this, rank, &statuses] {
      statuses[rank] = Train(rank);
      if (!statuses[rank].ok()) Abort(statuses[rank]);
    });
  }
  have_all_.Wait();
  for (const int32_t rank : {0, 2, 3}) group_.fabrics[rank]->Forget(kVictim);
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) ASSERT_OK(status);

  // In double precision, as written: who has no neighbour takes itself once more.
  std::vector<double> x(kWorkers, 1.0), at_mark;
  for (int64_t step = 0; step < kAll; ++step) {
    std::vector<double> next(kWorkers);
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      next[rank] = x[rank] / 3 - GradientOf(rank, step);
      for (const int32_t other : {(rank + 1) % kWorkers, (rank + kWorkers - 1) % kWorkers})
        next[rank] += x[step >= kLast && other == kVictim ? rank : other] / 3;
    }
    x = next;
    if (step + 1 == kMarked) at_mark = x;
  }
  for (const int32_t rank : {0, 2, 3}) {
    EXPECT_NEAR(workers_[rank]->front()[kCount - 1], x[rank], 1e-4) << rank;
    EXPECT_EQ(models_[rank], models_[0]) << rank;
    EXPECT_NEAR(models_[rank][7], (x[0] + x[2] + x[3]) / 3, 1e-4) << rank;
    EXPECT_EQ(marked_[rank], marked_[0]) << rank;
    EXPECT_NEAR(marked_[rank][7], (at_mark[0] + at_mark[2] + at_mark[3]) / 3, 1e-4) << rank;
  }
}

}  // namespace
}  // namespace ringmaster
