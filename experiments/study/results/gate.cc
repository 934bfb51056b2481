#include "experiments/study/results/gate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/trace/timed_steps.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {
namespace {

constexpr double kBlockMs = 5000;
constexpr int64_t kLeastSteps = 10, kMostSteps = 100;
constexpr size_t kLeastTimedSteps = 5;

// Of worker 0 so many steps are timed in this turn; `*all` gets those of all workers.
size_t AddTimed(const google::protobuf::RepeatedPtrField<ProcessReport>& reports,
                const ArmTurn& turn, int32_t ranks, std::vector<double>* all) {
  size_t of_first = 0;
  for (const ProcessReport& process : reports) {
    for (const WorkerReport& worker : process.workers()) {
      for (const int32_t place : TimedSteps(worker)) {
        int64_t step = place;
        // Where work is claimed, turns are told in steps of N lots.
        if (!worker.lots().empty()) {
          if (place >= worker.lots_size()) break;
          step = worker.lots(place) / ranks;
        }
        if (step < turn.begin_step() || step >= turn.end_step()) continue;
        all->push_back(worker.step_ms(place));
        if (worker.rank() == 0) ++of_first;
      }
    }
  }
  return of_first;
}

std::string StepsText(const GateBlock& block) {
  return absl::StrCat(block.begin, " to ", block.end - 1);
}

}  // namespace

double MedianStepMs(const StepMs& step_ms, int64_t begin, int64_t end) {
  std::vector<double> steps;
  for (const absl::Span<const float> of_worker : step_ms) {
    const int64_t size = static_cast<int64_t>(of_worker.size());
    for (int64_t step = begin; step < std::min(end, size); ++step) steps.push_back(of_worker[step]);
  }
  return steps.empty() ? 0 : Median(std::move(steps));
}

GateBlock FirstBlock(const StepMs& step_ms, int64_t begin) {
  if (step_ms.empty()) return {};
  const int64_t end = std::min(begin + kMostSteps, static_cast<int64_t>(step_ms.front().size()));
  if (begin >= end) return {};
  double ms = 0;
  int64_t last = begin;
  while (last < end && (ms < kBlockMs || last - begin < kLeastSteps)) ms += step_ms.front()[last++];
  return {begin, last, MedianStepMs(step_ms, begin, last)};
}

std::optional<GateBlocks> BlocksOfTurns(
    const google::protobuf::RepeatedPtrField<ProcessReport>& reports,
    const google::protobuf::RepeatedPtrField<ArmTurn>& turns, int32_t ranks) {
  std::vector<GateBlock> blocks;
  for (const ArmTurn& turn : turns) {
    std::vector<double> steps;
    if (AddTimed(reports, turn, ranks, &steps) < kLeastTimedSteps) continue;
    blocks.push_back({turn.begin_step(), turn.end_step(), Median(std::move(steps))});
  }
  if (blocks.size() < 2) return std::nullopt;
  return GateBlocks{blocks.front(), blocks.back()};
}

GateResult JudgeGate(const std::string& arm, const GateBlocks& blocks, double percent) {
  GateResult result;
  const GateBlock &begin = blocks.begin, &end = blocks.end;
  const double apart = 100 * (end.step_ms / begin.step_ms - 1);
  result.passes = begin.step_ms > 0 && end.step_ms > 0 && std::abs(apart) <= percent;
  const bool same_steps = begin.begin == end.begin && begin.end == end.end;
  result.text = absl::StrFormat(
      "%s: a step of %s took %.3g ms at the beginning and %.3g ms at the end (median of steps %s), "
      "%+.1f %%, allowed %.3g %%",
      result.passes ? "gate passed" : "not quotable", arm, begin.step_ms, end.step_ms,
      same_steps ? StepsText(begin) : absl::StrCat(StepsText(begin), " and of ", StepsText(end)),
      apart, percent);
  return result;
}

}  // namespace ringmaster
