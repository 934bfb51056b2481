// What must hold of a run with faults.
#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/experiments/study/predict/fault_run.h"

namespace ringmaster {
namespace {

// Whatever the seed: then a worker has the same weights in the same step of every run.
bool HasOneTrajectory(const SchemeTraits& traits) {
  return traits.updates == Updates::kTogether && traits.backup_workers == 0;
}

}  // namespace

// A step of `task.rank` begins to compute.
void FaultRun::OnCompute(FaultFormation* formation, const GradientTask& task) {
  // Who was suspended and goes on has yet to hear that the others have gone on without it.
  if (IsLost(*formation, task.rank)) return;
  const std::string where = absl::StrCat("formation ", formation->place().epoch, " worker/",
                                         task.rank, " step=", task.step);
  for (const int32_t rank : formation->computed[task.lot]) {
    EXPECT_TRUE(deals_again_ && IsLost(*formation, rank))
        << where << ": lot " << task.lot << " again";
  }
  formation->computed[task.lot].push_back(task.rank);
  for (const float weight : task.weights)
    ASSERT_FALSE(std::isnan(weight)) << where << ": half of the weights";
  // Of those who go on without somebody, what they make of the gap depends on when they hear of it.
  if (HasOneTrajectory(traits_) && (!goes_on_ || WorkersLeft() == setting_.workers))
    CheckWeightsOf(formation, task, where);
  CheckVersions(formation, task, where);
}

void FaultRun::CheckWeightsOf(FaultFormation* formation, const GradientTask& task,
                              const std::string& where) {
  std::vector<float> weights(task.weights.begin(), task.weights.end());
  if (reforms_) {
    const auto [others, is_first] = formation->weights.emplace(task.step, weights);
    ASSERT_EQ(weights, others->second) << where << ": not those of the other workers";
  }
  if (expected_ == nullptr) {
    trajectory_.weights[{task.rank, task.step}] = std::move(weights);
    return;
  }
  const FormationPlace& place = formation->place();
  // Those left go on with what all had; where sums are exact, to the bits of a run without faults.
  const bool is_as_ever =
      place.epoch == 0 || is_exact_ || (place.epoch == 1 && task.step == place.first_step);
  if (is_as_ever) {
    const auto found = expected_->weights.find({task.rank, task.step});
    ASSERT_TRUE(found != expected_->weights.end()) << where;
    ASSERT_EQ(weights, found->second) << where << ": weights of no run without faults";
  }
}

void FaultRun::CheckVersions(FaultFormation* formation, const GradientTask& task,
                             const std::string& where) {
  for (int32_t server = 0; server < traits_.servers; ++server) {
    const auto& shell =
        static_cast<const SimulatedPsWorker&>(formation->cluster().exchange(task.rank));
    for (int32_t bucket = 0; bucket < shell.core().plan().buckets; ++bucket) {
      const int64_t version =
          shell.core().front_versions()[server * shell.core().plan().buckets + bucket];
      if (traits_.backup_workers > 0) {
        ASSERT_GE(version, task.step) << where;
      } else if (traits_.updates == Updates::kTogether) {
        ASSERT_EQ(version, task.step) << where;
      } else if (traits_.staleness_bound.has_value()) {
        // Its own, and those of the others' steps before step - bound.
        const int64_t others = std::max<int64_t>(0, task.step - *traits_.staleness_bound);
        ASSERT_GE(version, task.step + (WorkersLeft() - 1) * others) << where;
      }
    }
  }
}

int32_t FaultRun::WorkersLeft() const {
  int32_t left = 0;
  for (const Process& process : processes_) {
    for (const NodeId& node : process.nodes)
      left += node.role == Role::kWorker && !process.is_forgotten ? 1 : 0;
  }
  return left;
}

std::vector<int> FaultRun::CountLots(const Range& part, absl::Span<const float> weights) const {
  std::vector<int> counts;
  for (int64_t lot = 0; lot < lots_ && part.count > 0; ++lot) {
    const auto sum = static_cast<int64_t>(-weights[lot % part.count]);
    counts.push_back(static_cast<int>(sum >> (2 * (lot / part.count)) & 3));
  }
  return counts;
}

// `all`: every update that the run was to make has been made.
void FaultRun::CheckUpdates(bool all) {
  int64_t steps_left = 0;  // of those that are not lost
  for (int32_t rank = 0; rank < last().workers(); ++rank)
    steps_left += IsLost(last(), rank)
                      ? 0
                      : static_cast<int64_t>(last().cluster().thread(rank).steps().size());
  for (int32_t index = 0; index < traits_.servers; ++index) {
    const ServerCore& core = last().cluster().server(index).core();
    const int64_t updates =
        kSeededSteps * (traits_.updates == Updates::kTogether ? 1 : setting_.workers);
    int64_t begin = 0;
    for (int32_t part = 0; part < static_cast<int32_t>(layout_.buckets().size()); ++part) {
      const std::string where = absl::StrCat("server/", index, " part ", part);
      const int64_t made = core.shard().progress(part);
      const bool are_all_made =
          WorkersLeft() == setting_.workers || traits_.backup_workers > 0 || deals_again_;
      if (all && (are_all_made || reforms_)) {
        EXPECT_EQ(made, updates) << where;
      } else if (all) {
        // All of those left; of the lost ones what they had pushed, and nothing twice.
        EXPECT_GE(made, steps_left) << where;
        EXPECT_LE(made, updates) << where;
      } else if (traits_.local_steps == 0) {
        EXPECT_LE(made, updates) << where;
      }
      const int64_t count = core.plan().shard.part_counts[part];
      if (counts_ && count > 0) {
        int64_t lots = 0;
        for (const int lot : CountLots({0, count}, core.shard().weights().subspan(begin, count))) {
          EXPECT_LE(lot, 1) << where << ": an update is made twice";
          lots += lot;
        }
        EXPECT_EQ(lots, core.shard().versions()[part]) << where << ": an update is lost";
      }
      begin += count;
    }
  }
}

void FaultRun::CheckEnd() {
  failure_ = control_.failure();
  EXPECT_TRUE(control_.core().is_over() || coordinator_lost_) << "the run stands still";
  for (int32_t index = 0; index < world_->processes(); ++index) {
    const Process& process = processes_[index];
    EXPECT_TRUE(process.has_ended || process.is_lost)
        << process.name << " hangs; it said last "
        << control_.core().Processes()[index].last.ShortDebugString();
    EXPECT_LE(control_.Ends(index), 1) << process.name;
  }
  CheckUpdates(/*all=*/false);
  if (reforms_) CheckLosses();
  if (coordinator_lost_ && !control_.core().is_over()) {
    failure_ = absl::UnavailableError("rank 0 was killed, and the coordinator with it");
    for (const Process& process : processes_)
      EXPECT_TRUE(process.is_lost || !process.status.ok()) << process.name;
    return;
  }
  failure_.ok() ? CheckSuccess() : CheckFailure();
}

void FaultRun::CheckFailure() {
  const std::string text(failure_.message());
  EXPECT_TRUE(may_fail_) << failure_;
  const bool is_before_the_run =
      absl::StrContains(text, "did not join") || absl::StrContains(text, "before it joined");
  EXPECT_TRUE(is_before_the_run ||
              (absl::StrContains(text, "step=") && absl::StrContains(text, "phase=")))
      << failure_;
  bool names_one = false;
  for (const int32_t suspect : suspects_) {
    const Process& process = processes_[suspect];
    names_one = names_one || absl::StrContains(text, absl::StrCat("rank ", suspect));
    for (const NodeId& node : process.nodes)
      names_one = names_one || absl::StrContains(text, ToString(node));
    names_one = names_one || absl::StrContains(text, absl::StrCat("(pid ", 1000 + suspect, ")"));
    if (suspects_.size() > 1 || happened_.size() > 1 || is_before_the_run) continue;
    // It is the one that is blamed, and nobody who has only found it gone.
    const std::string where = absl::StrCat(
        process.name, " (pid ", 1000 + suspect, "), last seen at step=", process.beat_step,
        " phase=", process.beat_phase.empty() ? "start" : process.beat_phase);
    EXPECT_TRUE(absl::StartsWith(text, where)) << failure_ << "; expected " << where;
  }
  EXPECT_TRUE(names_one) << failure_;
  // Who can hear of it has heard the same.
  for (int32_t index = 0; index < world_->processes(); ++index) {
    const Process& process = processes_[index];
    if (!process.has_ended) continue;
    EXPECT_FALSE(process.status.ok()) << process.name;
    if (!process.client.admitted() || suspects_.count(index) > 0) continue;
    EXPECT_EQ(process.status, failure_) << process.name;
  }
  if (control_.formed()) {
    EXPECT_EQ(control_.core().GatherLastWords(control_.now()).size(), processes_.size());
  }
  if (!(goes_on_ || reforms_) || is_before_the_run || !control_.formed()) return;
  // A worker that is gone ends no run while others may go on.
  bool may_end = absl::StrContains(text, "cannot go on without it");
  for (const Fault& fault : happened_)
    may_end = may_end || fault.kind == FaultKind::kCut || fault.kind == FaultKind::kBreak;
  EXPECT_TRUE(may_end) << failure_;
}

void FaultRun::CheckSuccess() {
  EXPECT_FALSE(must_fail_) << "the run has ended well";
  for (const Process& process : processes_) {
    if (process.has_ended && !process.is_cut_off && suspects_.empty()) {
      EXPECT_TRUE(process.status.ok()) << process.name << ": " << process.status;
    }
  }
  size_t all_steps = 0;
  const auto own_steps = static_cast<size_t>(kSeededSteps - last().place().first_step);
  for (int32_t rank = 0; rank < last().workers(); ++rank) {
    if (IsLost(last(), rank)) continue;
    const size_t steps = last().cluster().thread(rank).steps().size();
    all_steps += steps;
    if (traits_.backup_workers > 0) {
      EXPECT_LE(steps, own_steps);
    } else if (traits_.work == Work::kDealt) {
      EXPECT_EQ(steps, own_steps);
    }
  }
  const bool are_all_there = WorkersLeft() == setting_.workers;
  if (traits_.backup_workers == 0 && are_all_there) {
    EXPECT_EQ(all_steps, static_cast<size_t>(lots_));
  }
  if (traits_.backup_workers == 0 && (are_all_there || deals_again_)) {
    EXPECT_EQ(last().computed.size(), static_cast<size_t>(lots_));
  }
  for (int32_t index = 0; index < traits_.servers; ++index)
    EXPECT_TRUE(last().cluster().server(index).core().finished()) << "server/" << index;
  CheckUpdates(/*all=*/true);
  CheckWeights();
  if (reforms_) CheckMarks();
}

void FaultRun::CheckWeights() {
  const bool ends_equal = traits_.replicas == Replicas::kEqualAfterStep ||
                          traits_.replicas == Replicas::kEqualAfterDrain;
  int32_t first = 0;
  while (IsLost(last(), first)) ++first;
  const LearningWorker& first_left = last().worker(first);
  for (int32_t rank = first; rank < last().workers(); ++rank) {
    if (IsLost(last(), rank)) continue;
    const LearningWorker& worker = last().worker(rank);
    if (ends_equal) {
      EXPECT_EQ(worker.weights(), first_left.weights()) << "worker/" << rank;
    }
    if (traits_.attraction > 0) {
      EXPECT_EQ(worker.center(), first_left.center()) << "worker/" << rank;
    }
    if (meets_) CheckAverage(rank);
    const bool has_gap = goes_on_ && WorkersLeft() < setting_.workers;
    if (!HasOneTrajectory(traits_) || has_gap) continue;
    if (expected_ == nullptr) {
      trajectory_.last.emplace_back(worker.weights().begin(), worker.weights().end());
    } else if (reformed() == 0 || is_exact_) {
      EXPECT_EQ(worker.weights(), absl::MakeConstSpan(expected_->last[rank])) << "worker/" << rank;
    }
  }
}

// The model at the end is the average of those that are left, and of nobody else.
void FaultRun::CheckAverage(int32_t rank) {
  const absl::Span<const float> model = last().worker(rank).model();
  for (int64_t i = 0; i < layout_.count(); ++i) {
    double sum = 0, most = 0;
    for (int32_t other = 0; other < setting_.workers; ++other) {
      if (IsLost(last(), other)) continue;
      const double weight = last().worker(other).weights()[i];
      sum += weight;
      most = std::max(most, std::fabs(weight));
    }
    // A rounding for each addition, and one for the division.
    ASSERT_NEAR(model[i], sum / WorkersLeft(), most * setting_.workers * 6e-8)
        << "worker/" << rank << " element " << i;
  }
}

Trajectory FaultRun::TakeTrajectory() {
  trajectory_.events = events_;
  return std::move(trajectory_);
}

}  // namespace ringmaster
