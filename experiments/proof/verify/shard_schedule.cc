#include "experiments/proof/verify/shard_schedule.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/update/update_rule.h"
#include "proto/optimizer_spec.pb.h"

namespace ringmaster {
namespace {

template <typename... Parts>
absl::Status Broken(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

// Every sum of a step has workers * parts ones, so it is always clipped.
constexpr float kClipNorm = 0.5f;

// What one contribution changes its weight by.
float ContributionOf(const ScheduleCase& c) {
  if (!c.clips) return 1;
  return static_cast<float>(kClipNorm /
                            (std::sqrt(static_cast<double>(c.workers * c.parts)) + 1e-6));
}

absl::StatusOr<std::unique_ptr<ShardUnderCheck>> MakeShard(const ScheduleCase& c,
                                                           const ShardFactory& factory) {
  OptimizerSpec spec;
  spec.set_name("sgd");
  spec.set_learning_rate(1.0f);
  if (c.clips) spec.set_clip_norm(kClipNorm);
  const int64_t count = c.workers * c.steps;
  RM_ASSIGN_OR_RETURN(auto update, CreateUpdateRule(spec, {c.parts * count}));
  const ShardPlan plan{c.workers, c.bsp ? c.workers : 1, c.bound, c.workers,
                       std::vector<int64_t>(c.parts, count)};
  return factory(plan, std::move(update), std::vector<float>(c.parts * count, 0.0f));
}

class ScheduleRun {
 public:
  ScheduleRun(const ScheduleCase& c, ShardUnderCheck& shard, ScheduleCounts* counts)
      : case_(c),
        shard_(shard),
        counts_(*counts),
        random_(c.seed),
        workers_(c.workers),
        versions_(c.parts, 0) {
    delivered_.assign(c.workers, std::vector<int64_t>(c.parts, 0));
    for (Worker& worker : workers_) {
      worker.pushes.resize(c.parts);
      worker.read_versions.assign(c.parts, 0);
    }
  }

  absl::Status Execute() {
    for (;;) {
      const std::vector<Move> moves = PossibleMoves();
      if (moves.empty()) break;
      const Move move = moves[random_.Below(moves.size())];
      switch (move.kind) {
        case Move::kPush:
          RM_RETURN_IF_ERROR(DeliverPush(move.worker, move.part));
          break;
        case Move::kPull:
          RM_RETURN_IF_ERROR(DeliverPull(move.worker));
          break;
        case Move::kCompute:
          RM_RETURN_IF_ERROR(Compute(move.worker));
          break;
      }
    }
    return CheckEnd();
  }

 private:
  struct Move {
    enum Kind { kPush, kPull, kCompute };
    Kind kind = kPush;
    int32_t worker = 0;
    int32_t part = 0;
  };
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
    // in flight, by part; parts and the pull overtake each other
    std::vector<std::deque<Flight>> pushes;
    std::optional<Pull> pull;        // in flight
    std::optional<Pull> unanswered;  // delivered
    std::vector<int64_t> read_versions;
  };

  std::vector<Move> PossibleMoves() const {
    std::vector<Move> moves;
    for (int32_t w = 0; w < case_.workers; ++w) {
      const Worker& worker = workers_[w];
      for (int32_t p = 0; p < case_.parts; ++p) {
        if (!worker.pushes[p].empty()) moves.push_back({Move::kPush, w, p});
      }
      if (worker.pull.has_value()) moves.push_back({Move::kPull, w, 0});
      if (worker.may_compute && !worker.done) moves.push_back({Move::kCompute, w, 0});
    }
    return moves;
  }

  float Weight(int32_t part, int32_t worker, int64_t step) const {
    return shard_.weights()[(part * case_.workers + worker) * case_.steps + step];
  }

  int64_t Slowest() const {
    int64_t slowest = case_.steps;
    for (const auto& row : delivered_)
      slowest = std::min(slowest, *std::min_element(row.begin(), row.end()));
    return slowest;
  }

  // The worker finishes a step: its pushes and its next pull are under way, in any order.
  absl::Status Compute(int32_t w) {
    Worker& worker = workers_[w];
    if (case_.bound.has_value() && worker.clock - Slowest() > *case_.bound) {
      return Broken("worker/", w, " starts step ", worker.clock,
                    " while the slowest worker is at clock ", Slowest(), ", more than ",
                    *case_.bound, " behind");
    }
    for (int32_t p = 0; p < case_.parts; ++p) {
      std::vector<float> gradient(case_.workers * case_.steps, 0.0f);
      gradient[w * case_.steps + worker.clock] = 1.0f;
      worker.pushes[p].push_back({worker.clock, worker.read_versions[p], std::move(gradient)});
    }
    ++worker.clock;
    worker.done = worker.clock == case_.steps;
    worker.pull = Pull{w, worker.clock, worker.done};
    worker.may_compute = false;
    return absl::OkStatus();
  }

  absl::Status DeliverPush(int32_t w, int32_t p) {
    Flight flight = std::move(workers_[w].pushes[p].front());
    workers_[w].pushes[p].pop_front();
    // Under BSP the shard borrows the gradient until the update.
    kept_.push_back(std::move(flight.gradient));
    const Push push{w, p, flight.step, flight.read_version, kept_.back()};
    std::vector<Reply> ready;
    RM_RETURN_IF_ERROR(shard_.OnPush(push, &ready));
    ++counts_.pushes;
    ++delivered_[w][p];
    const int64_t staleness = case_.bsp ? 0 : versions_[p] - flight.read_version;
    ++histogram_[staleness];
    if (staleness > 0) ++counts_.stale;
    if (!case_.bsp) {
      ++versions_[p];
    } else if (case_.clips) {
      versions_.assign(case_.parts, Slowest());
    } else {
      versions_[p] = delivered_[0][p];
      for (const auto& row : delivered_) versions_[p] = std::min(versions_[p], row[p]);
    }
    for (int32_t part = 0; part < case_.parts; ++part) {
      if (!case_.clips && part != p) continue;
      if (shard_.versions()[part] != versions_[part]) {
        return Broken("part ", part, " is at version ", shard_.versions()[part], " after ",
                      versions_[part], " updates");
      }
      RM_RETURN_IF_ERROR(CheckWeights(part));
    }
    RM_RETURN_IF_ERROR(Answered(ready));
    return random_.Below(8) == 0 ? Repeat(push) : absl::OkStatus();
  }

  // The network brings the push once more.
  absl::Status Repeat(const Push& push) {
    ++counts_.repeats;
    std::vector<Reply> ready;
    if (shard_.OnPush(push, &ready).code() != absl::StatusCode::kInvalidArgument ||
        !ready.empty()) {
      return Broken("a repeated push of worker/", push.worker, " part ", push.part, " step ",
                    push.step, " is not refused");
    }
    return CheckWeights(push.part);
  }

  absl::Status DeliverPull(int32_t w) {
    Worker& worker = workers_[w];
    const Pull pull = *worker.pull;
    worker.pull.reset();
    worker.unanswered = pull;
    std::vector<Reply> ready;
    RM_RETURN_IF_ERROR(shard_.OnPull(pull, &ready));
    if (ready.empty()) ++counts_.parked;
    return Answered(ready);
  }

  // Exactly the contributions that are applied show in the weights, each once.
  absl::Status CheckWeights(int32_t p) const {
    for (int32_t w = 0; w < case_.workers; ++w) {
      const int64_t applied = case_.bsp ? versions_[p] : delivered_[w][p];
      for (int64_t step = 0; step < case_.steps; ++step) {
        const float expected = step < applied ? -ContributionOf(case_) : 0.0f;
        if (Weight(p, w, step) == expected) continue;
        return Broken("part ", p, ": the push of worker/", w, " step ", step, " counts ",
                      0.0f - Weight(p, w, step), " times, expected ", 0.0f - expected);
      }
    }
    return absl::OkStatus();
  }

  // Exactly the pulls that may be answered are: no later, no earlier.
  absl::Status Answered(const std::vector<Reply>& ready) {
    const int64_t slowest = Slowest();
    std::vector<int32_t> expected;
    for (int32_t w = 0; w < case_.workers; ++w) {
      const std::optional<Pull>& pull = workers_[w].unanswered;
      if (!pull.has_value()) continue;
      const bool waits = pull->drain
                             ? slowest < pull->clock
                             : case_.bound.has_value() && slowest < pull->clock - *case_.bound;
      if (!waits) expected.push_back(w);
    }
    std::vector<int32_t> answered;
    for (const Reply& reply : ready) answered.push_back(reply.worker);
    if (answered != expected) {
      return Broken("answers the pulls of workers {", absl::StrJoin(answered, ","), "}, expected {",
                    absl::StrJoin(expected, ","), "}, with the slowest worker at clock ", slowest);
    }
    for (const Reply& reply : ready) RM_RETURN_IF_ERROR(Receive(reply));
    return absl::OkStatus();
  }

  absl::Status Receive(const Reply& reply) {
    Worker& worker = workers_[reply.worker];
    if (reply.clock != worker.clock || reply.drain != worker.unanswered->drain) {
      return Broken("the answer to worker/", reply.worker, " at clock ", worker.clock,
                    " is for clock ", reply.clock);
    }
    worker.unanswered.reset();
    const int64_t bound = reply.drain ? 0 : case_.bound.value_or(case_.steps);
    for (int32_t p = 0; p < case_.parts; ++p) {
      worker.read_versions[p] = shard_.versions()[p];
      if (case_.bsp && versions_[p] != reply.clock) {
        return Broken("worker/", reply.worker, " reads part ", p, " at version ", versions_[p],
                      " at clock ", reply.clock, ": clocks are mixed");
      }
      RM_RETURN_IF_ERROR(CheckWeights(p));
      for (int32_t other = 0; other < case_.workers; ++other) {
        for (int64_t step = 0; step <= std::min(reply.clock - bound, case_.steps) - 1; ++step) {
          if (Weight(p, other, step) == -ContributionOf(case_)) continue;
          return Broken("the read of worker/", reply.worker, " at clock ", reply.clock,
                        " misses clock ", step, " of worker/", other, " in part ", p);
        }
      }
    }
    (reply.drain ? worker.drained : worker.may_compute) = true;
    return absl::OkStatus();
  }

  absl::Status CheckEnd() {
    for (int32_t w = 0; w < case_.workers; ++w) {
      if (!workers_[w].drained)
        return Broken("worker/", w, " never got an answer to its pull at clock ",
                      workers_[w].clock);
    }
    for (int32_t p = 0; p < case_.parts; ++p) RM_RETURN_IF_ERROR(CheckWeights(p));
    const absl::Span<const int64_t> histogram = shard_.staleness_histogram();
    const int64_t largest = std::max<int64_t>(
        histogram.size(), histogram_.empty() ? 0 : histogram_.rbegin()->first + 1);
    for (int64_t s = 0; s < largest; ++s) {
      const int64_t counted = s < static_cast<int64_t>(histogram.size()) ? histogram[s] : 0;
      if (counted == histogram_[s]) continue;
      return Broken("the histogram has ", counted, " contributions of staleness ", s, ", expected ",
                    histogram_[s]);
    }
    return absl::OkStatus();
  }

  const ScheduleCase case_;
  ShardUnderCheck& shard_;
  ScheduleCounts& counts_;
  Random random_;
  std::vector<Worker> workers_;
  std::vector<std::vector<int64_t>> delivered_;  // [workers][parts]
  std::vector<int64_t> versions_;
  std::map<int64_t, int64_t> histogram_;
  std::deque<std::vector<float>> kept_;
};

}  // namespace

ScheduleCase RandomScheduleCase(uint64_t seed) {
  Random random(MixSeed(seed, 1));
  ScheduleCase c;
  c.seed = seed;
  c.workers = 1 + static_cast<int32_t>(random.Below(6));
  c.parts = 1 + static_cast<int32_t>(random.Below(3));
  c.steps = 1 + static_cast<int64_t>(random.Below(6));
  const uint64_t kind = random.Below(5);
  c.bsp = kind == 0;
  if (c.bsp) c.bound = 0;
  if (kind > 1) c.bound = static_cast<int64_t>(random.Below(4));
  if (c.bsp) c.clips = random.Below(2) == 1;
  return c;
}

std::string ToString(const ScheduleCase& c) {
  return absl::StrCat("seed ", c.seed, ": ", c.workers, " workers, ", c.parts, " parts, ", c.steps,
                      " steps, ",
                      c.clips               ? "BSP, clipping"
                      : c.bsp               ? "BSP"
                      : c.bound.has_value() ? absl::StrCat("SSP(", *c.bound, ")")
                                            : "asynchronous");
}

absl::Status RunSchedule(const ScheduleCase& c, const ShardFactory& factory,
                         ScheduleCounts* counts) {
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<ShardUnderCheck> shard, MakeShard(c, factory));
  return Annotate(ScheduleRun(c, *shard, counts).Execute(), ToString(c));
}

}  // namespace ringmaster
