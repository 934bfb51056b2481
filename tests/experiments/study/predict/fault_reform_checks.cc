// What must hold of a run with faults whose group may be formed anew.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/describe.h"
#include "common/exchange/parts.h"
#include "experiments/program/run/placement.h"
#include "gtest/gtest.h"
#include "server/shard_core.h"
#include "tests/experiments/study/predict/fault_run.h"
#include "worker/loop/conductor.h"

namespace ringmaster {

// All who are welcomed have offered the step, and no later one that all have.
void FaultRun::CheckWelcome(const Welcome& welcome, absl::Span<const int32_t> members) const {
  for (int64_t step = welcome.step(); step <= kSeededSteps; ++step) {
    const auto has_it = [&](int32_t member) { return processes_[member].offered.count(step) > 0; };
    EXPECT_EQ(std::all_of(members.begin(), members.end(), has_it), step == welcome.step())
        << "step " << step << " of " << welcome.ShortDebugString();
  }
}

// The coordinator opens the barrier: all whom it is for have come to it, in one formation.
void FaultRun::CheckRelease(const std::string& barrier) {
  last().released.insert(barrier);
  for (const int32_t member : last().members()) {
    const Process& process = processes_[member];
    if (process.is_forgotten || !process.has_workers) continue;
    EXPECT_EQ(process.formation, &last()) << process.name << " at " << barrier;
    EXPECT_TRUE(process.has_begun) << process.name << " at " << barrier;
    if (barrier == last_barrier()) {
      EXPECT_EQ(process.running, 0) << process.name;
    }
  }
}

int32_t FaultRun::lost_meanwhile() const {
  int32_t epoch = 0;
  for (const Process& process : processes_) epoch = std::max(epoch, process.client.epoch());
  return epoch - reformed();
}

bool FaultRun::MayGoOnWithout(int32_t index) const {
  if (Has(index, Role::kServer)) return false;
  const int32_t left = WorkersLeft() - (processes_[index].is_forgotten ? 0 : 1);
  return left > 0 && GlobalBatch(spec_) % left == 0;
}

// The coordinator says who was lost, in order, and what followed.
void FaultRun::CheckLosses() {
  const std::vector<Loss> losses = control_.core().Losses();
  const auto forgotten = std::count_if(processes_.begin(), processes_.end(),
                                       [](const Process& process) { return process.is_forgotten; });
  EXPECT_EQ(losses.size(), static_cast<size_t>(forgotten));
  int64_t step = 0;
  for (const Loss& loss : losses) {
    int32_t index = 0;
    while (index < world_->processes() &&
           absl::StrJoin(loss.nodes(), "+") != NamesOf(PlaceNodes(spec_)[index])) {
      ++index;
    }
    ASSERT_LT(index, world_->processes()) << loss.ShortDebugString();
    EXPECT_TRUE(processes_[index].is_forgotten) << loss.ShortDebugString();
    EXPECT_EQ(suspects_.count(index), 1u) << loss.ShortDebugString();
    EXPECT_FALSE(loss.how().empty()) << loss.ShortDebugString();
    if (!loss.reformed()) continue;  // the run was over before its group was formed
    EXPECT_LE(loss.resumed_step(), loss.step()) << loss.ShortDebugString();
    EXPECT_EQ(loss.undone_steps(), loss.step() - loss.resumed_step() + 1);
    // No two nodes are further apart than one step, and nobody goes back behind a step from which
    // all went on.
    EXPECT_LE(loss.undone_steps(), 2) << loss.ShortDebugString();
    EXPECT_GE(loss.resumed_step(), step) << loss.ShortDebugString();
    step = loss.resumed_step();
  }
  const std::string text(failure_.message());
  EXPECT_FALSE(absl::StrContains(text, "no step that all others")) << failure_;
  EXPECT_FALSE(absl::StrContains(text, "not ready for a new formation")) << failure_;
  if (!absl::StrContains(text, "cannot go on without it")) return;
  bool is_so = false;
  for (const int32_t suspect : suspects_) is_so = is_so || !MayGoOnWithout(suspect);
  EXPECT_TRUE(is_so) << failure_;
}

const std::vector<float>& FaultRun::WeightsBefore(int64_t step) const {
  auto formation = formations_.rbegin();
  while (formation->second->weights.count(step) == 0) ++formation;
  return formation->second->weights.at(step);
}

// Each mark is there, with the model that a run without faults has after so many updates.
void FaultRun::CheckMarks() {
  const std::vector<SampleMark> marks = SampleMarks(spec_);
  int64_t resumed = kSeededSteps;
  for (const Loss& loss : control_.core().Losses()) {
    EXPECT_TRUE(loss.reformed());
    EXPECT_GT(loss.recovery_seconds(), 0);
    resumed = std::min(resumed, loss.resumed_step());
  }
  ASSERT_GT(MarkCopies(spec_), 0);
  for (int32_t index = 0; index < MarkCopies(spec_); ++index) {
    const SampleMark& mark = marks[index];
    const bool is_as_ever = expected_ != nullptr && (is_exact_ || mark.update <= resumed);
    for (int32_t server = 0; server < traits_.servers; ++server)
      CheckCopies(server, mark, index, is_as_ever);
    if (traits_.weights != WeightHolder::kWorkers) continue;
    // The weights that the step behind the mark's update is computed with.
    const std::vector<float>& model =
        is_as_ever ? expected_->weights.at({0, mark.update}) : WeightsBefore(mark.update);
    for (int32_t rank = 0; rank < last().workers(); ++rank) {
      const Process& process = processes_[last().home(rank)];
      if (process.is_forgotten) continue;
      EXPECT_EQ(process.kept.front().marks.copies.at(index), absl::MakeConstSpan(model))
          << process.name << " mark " << index;
    }
  }
}

void FaultRun::CheckCopies(int32_t server, const SampleMark& mark, int32_t index, bool is_as_ever) {
  const std::string where = absl::StrCat("server/", server, " mark ", index);
  const ShardCore& shard = last().cluster().server(server).core().shard();
  ASSERT_TRUE(shard.HasCopy(index)) << where;
  const absl::Span<const float> copy = shard.copies().at(index);
  if (expected_ == nullptr) {
    trajectory_.copies[{server, index}] = {copy.begin(), copy.end()};
  } else if (is_as_ever) {
    EXPECT_EQ(copy, absl::MakeConstSpan(expected_->copies.at({server, index}))) << where;
  }
  // Workers may hold less than servers know.
  if (traits_.weights_encoded) return;
  const std::vector<float> held =
      GatherShard(ShardParts(layout_, traits_.servers, server), WeightsBefore(mark.update));
  EXPECT_EQ(copy, absl::MakeConstSpan(held)) << where;
}

}  // namespace ringmaster
