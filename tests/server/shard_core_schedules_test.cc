#include "server/shard_core.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/update/update_rule.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// Random interleavings of whole runs against an oracle that knows nothing of clock tables: with plain SGD at rate 1 and
// gradients that are 1 at one element of the part, an element for each (worker, step), the weights say for every single
// contribution how often it was applied.
struct Case {
  uint64_t seed = 0;
  int32_t workers = 0;
  int32_t parts = 0;
  int64_t steps = 0;
  bool bsp = false;
  std::optional<int64_t> bound;
};

class Run {
 public:
  explicit Run(const Case& c) : case_(c), random_(c.seed), core_(MakeCore(c)) {
    delivered_.assign(c.workers, std::vector<int64_t>(c.parts, 0));
    workers_.resize(c.workers);
    versions_.assign(c.parts, 0);
    for (Worker& worker : workers_) {
      worker.pushes.resize(c.parts);
      worker.read_versions.assign(c.parts, 0);
    }
  }

  // Everybody to the end, then everybody drains. Fails the test at the first wrong move.
  void Execute() {
    while (!::testing::Test::HasFailure()) {
      std::vector<std::pair<int32_t, int32_t>> moves;  // (worker, part to deliver); parts: the pull; parts + 1: compute
      for (int32_t w = 0; w < case_.workers; ++w) {
        const Worker& worker = workers_[w];
        for (int32_t p = 0; p < case_.parts; ++p) {
          if (!worker.pushes[p].empty()) moves.push_back({w, p});
        }
        if (worker.pull.has_value()) moves.push_back({w, case_.parts});
        if (worker.may_compute && !worker.done) moves.push_back({w, case_.parts + 1});
      }
      if (moves.empty()) break;
      const auto [w, what] = moves[random_.Below(moves.size())];
      if (what < case_.parts) {
        DeliverPush(w, what);
      } else if (what == case_.parts) {
        DeliverPull(w);
      } else {
        Compute(w);
      }
    }
    for (int32_t w = 0; w < case_.workers; ++w) {
      ASSERT_TRUE(workers_[w].drained) << "worker " << w << " never got its last weights: " << core_.DescribeParked();
    }
    for (const float weight : core_.weights()) ASSERT_EQ(weight, -1.0f) << "lost, or applied twice";
    for (size_t s = 0; s < std::max(core_.staleness_histogram().size(), histogram_.size()); ++s) {
      const int64_t counted = s < core_.staleness_histogram().size() ? core_.staleness_histogram()[s] : 0;
      ASSERT_EQ(counted, histogram_[static_cast<int64_t>(s)]) << "staleness " << s;
    }
  }

  int64_t parked() const { return parked_; }

 private:
  struct Flight {
    int64_t step = 0;
    int64_t read_version = 0;
    std::vector<float> gradient;
  };
  struct Worker {
    int64_t clock = 0;
    bool may_compute = true;
    bool done = false;
    bool drained = false;
    std::vector<std::deque<Flight>> pushes;  // in flight, by part; parts and the pull overtake each other
    std::optional<Pull> pull;                // in flight
    std::optional<Pull> unanswered;          // delivered
    std::vector<int64_t> read_versions;
  };

  static ShardCore MakeCore(const Case& c) {
    OptimizerSpec spec;
    spec.set_name("sgd");
    spec.set_learning_rate(1.0f);
    const int64_t count = c.workers * c.steps;
    ShardPlan plan{c.workers, c.bsp ? c.workers : 1, c.bound, c.workers, std::vector<int64_t>(c.parts, count)};
    auto update = CreateUpdateRule(spec, c.parts * count);
    EXPECT_TRUE(update.ok()) << update.status();
    return ShardCore(plan, *std::move(update), std::vector<float>(c.parts * count, 0.0f));
  }

  float Weight(int32_t part, int32_t worker, int64_t step) const {
    return core_.weights()[(part * case_.workers + worker) * case_.steps + step];
  }

  // The worker finishes a step: its pushes and its next pull are under way, in any order.
  void Compute(int32_t w) {
    Worker& worker = workers_[w];
    for (int32_t p = 0; p < case_.parts; ++p) {
      std::vector<float> gradient(case_.workers * case_.steps, 0.0f);
      gradient[w * case_.steps + worker.clock] = 1.0f;
      worker.pushes[p].push_back({worker.clock, worker.read_versions[p], gradient});
    }
    ++worker.clock;
    worker.done = worker.clock == case_.steps;
    worker.pull = Pull{w, worker.clock, worker.done};
    worker.may_compute = false;
  }

  void DeliverPush(int32_t w, int32_t p) {
    Flight flight = std::move(workers_[w].pushes[p].front());
    workers_[w].pushes[p].pop_front();
    // Under BSP the core borrows the gradient until the update.
    kept_.push_back(std::move(flight.gradient));
    std::vector<Reply> ready;
    const absl::Status status = core_.OnPush({w, p, flight.step, flight.read_version, kept_.back()}, &ready);
    ASSERT_TRUE(status.ok()) << status;
    ++delivered_[w][p];
    ++histogram_[case_.bsp ? 0 : versions_[p] - flight.read_version];
    if (!case_.bsp) {
      ++versions_[p];
    } else {
      versions_[p] = delivered_[0][p];
      for (const auto& row : delivered_) versions_[p] = std::min(versions_[p], row[p]);
    }
    ASSERT_EQ(core_.versions()[p], versions_[p]);
    Answered(ready);
  }

  void DeliverPull(int32_t w) {
    Worker& worker = workers_[w];
    const Pull pull = *worker.pull;
    worker.pull.reset();
    worker.unanswered = pull;
    std::vector<Reply> ready;
    const absl::Status status = core_.OnPull(pull, &ready);
    ASSERT_TRUE(status.ok()) << status;
    if (ready.empty()) ++parked_;
    Answered(ready);
  }

  // Exactly the pulls that may be answered are: no later, no earlier.
  void Answered(const std::vector<Reply>& ready) {
    int64_t slowest = case_.steps;
    for (const auto& row : delivered_) slowest = std::min(slowest, *std::min_element(row.begin(), row.end()));
    std::vector<int32_t> expected;
    for (int32_t w = 0; w < case_.workers; ++w) {
      const std::optional<Pull>& pull = workers_[w].unanswered;
      if (!pull.has_value()) continue;
      const bool waits = pull->drain ? slowest < pull->clock
                                     : case_.bound.has_value() && slowest < pull->clock - *case_.bound;
      if (!waits) expected.push_back(w);
    }
    std::vector<int32_t> answered;
    for (const Reply& reply : ready) answered.push_back(reply.worker);
    ASSERT_EQ(answered, expected);
    for (const Reply& reply : ready) Receive(reply);
  }

  void Receive(const Reply& reply) {
    Worker& worker = workers_[reply.worker];
    ASSERT_EQ(reply.clock, worker.clock);
    ASSERT_EQ(reply.drain, worker.unanswered->drain);
    worker.unanswered.reset();
    for (int32_t p = 0; p < case_.parts; ++p) {
      worker.read_versions[p] = core_.versions()[p];
      for (int32_t other = 0; other < case_.workers; ++other) {
        const int64_t seen = case_.bsp ? versions_[p] : delivered_[other][p];
        for (int64_t step = 0; step < case_.steps; ++step) {
          const float weight = Weight(p, other, step);
          ASSERT_EQ(weight, step < seen ? -1.0f : 0.0f) << "part " << p << " worker " << other << " step " << step;
          const int64_t bound = reply.drain ? 0 : case_.bound.value_or(case_.steps);
          if (step <= reply.clock - bound - 1) {
            ASSERT_EQ(weight, -1.0f) << "a read at clock " << reply.clock << " misses clock " << step;
          }
        }
      }
    }
    if (reply.drain) {
      worker.drained = true;
    } else {
      worker.may_compute = true;
    }
  }

  const Case case_;
  Random random_;
  ShardCore core_;
  std::vector<Worker> workers_;
  std::vector<std::vector<int64_t>> delivered_;  // [workers][parts]
  std::vector<int64_t> versions_;
  std::map<int64_t, int64_t> histogram_;
  std::deque<std::vector<float>> kept_;
  int64_t parked_ = 0;
};

Case RandomCase(uint64_t seed) {
  Random random(MixSeed(seed, 1));
  Case c;
  c.seed = seed;
  c.workers = 1 + static_cast<int32_t>(random.Below(4));
  c.parts = 1 + static_cast<int32_t>(random.Below(3));
  c.steps = 1 + static_cast<int64_t>(random.Below(6));
  return c;
}

void Execute(const Case& c, int64_t* parked) {
  SCOPED_TRACE(absl::StrCat("seed ", c.seed, " workers ", c.workers, " parts ", c.parts, " steps ", c.steps, " bound ",
                            c.bound.value_or(-1)));
  Run run(c);
  run.Execute();
  *parked += run.parked();
}

TEST(ShardCoreSchedules, SspBoundHoldsAndNothingIsLostOrAppliedTwice) {
  int64_t parked = 0;
  for (uint64_t seed = 0; seed < 20000 && !HasFailure(); ++seed) {
    Case c = RandomCase(seed);
    c.bound = static_cast<int64_t>(Random(MixSeed(seed, 2)).Below(4));
    Execute(c, &parked);
  }
  EXPECT_GT(parked, 1000) << "schedules in which nobody waits prove nothing";
}

TEST(ShardCoreSchedules, BspReadsSeeEveryUpdateOfTheStepsBeforeAndNothingElse) {
  int64_t parked = 0;
  for (uint64_t seed = 0; seed < 5000 && !HasFailure(); ++seed) {
    Case c = RandomCase(seed);
    c.bsp = true;
    c.bound = 0;
    Execute(c, &parked);
  }
  EXPECT_GT(parked, 1000);
}

TEST(ShardCoreSchedules, AsynchronousPullsAreAnsweredAtOnceAndDrainSeesEverything) {
  for (uint64_t seed = 0; seed < 5000 && !HasFailure(); ++seed) {
    int64_t parked = 0;
    const Case c = RandomCase(seed);
    Execute(c, &parked);
    ASSERT_LE(parked, c.workers) << "only drains may wait";
  }
}

}  // namespace
}  // namespace ringmaster
