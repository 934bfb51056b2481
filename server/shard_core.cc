#include "server/shard_core.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

// Floats of a sum that are added and applied at once: they stay in the first cache between the two.
constexpr size_t kBlock = 4096;

absl::Status Invalid(const Push& push, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "push from worker/", push.worker, " step=", push.step, " part=", push.part, ": ", what));
}

}  // namespace

ShardCore::ShardCore(ShardPlan plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights)
    : ShardCore(std::move(plan), std::move(update), absl::MakeSpan(weights)) {
  own_weights_ = std::move(weights);  // they stay where they are
}

ShardCore::ShardCore(ShardPlan plan, std::unique_ptr<UpdateRule> update, absl::Span<float> weights)
    : plan_(std::move(plan)),
      update_(std::move(update)),
      sums_(plan_.contributions_per_update > 1 || plan_.drops_late || update_->clips()),
      scale_(plan_.drops_late ? static_cast<float>(plan_.workers) /
                                    static_cast<float>(plan_.contributions_per_update)
                              : 1),
      weights_(weights),
      clocks_(plan_.workers, static_cast<int32_t>(plan_.part_counts.size())) {
  RM_CHECK(
      plan_.drops_late
          ? plan_.contributions_per_update >= 1 && plan_.contributions_per_update <= plan_.workers
          : plan_.contributions_per_update == 1 || plan_.contributions_per_update == plan_.workers);
  RM_CHECK(!plan_.staleness_bound.has_value() || *plan_.staleness_bound >= 0);
  // An update that needs all workers cannot wait for one that runs ahead.
  RM_CHECK(!sums_ || plan_.staleness_bound == int64_t{0});
  // Nor is one behind whose steps are not those of the others.
  RM_CHECK(plan_.equal_steps || !plan_.staleness_bound.has_value());
  const bool is_of_sums = plan_.drops_late || plan_.contributions_per_update == plan_.workers;
  RM_CHECK(!update_->clips() || is_of_sums);
  RM_CHECK(!plan_.votes || (!update_->clips() && is_of_sums));
  RM_CHECK(plan_.global_batch >= 0 && plan_.global_batch % plan_.workers == 0);
  int64_t begin = 0;
  for (const int64_t count : plan_.part_counts) {
    RM_CHECK(count >= 0);
    Part part;
    part.begin = begin;
    part.count = count;
    if (sums_) part.waiting.resize(plan_.workers);
    parts_.push_back(std::move(part));
    begin += count;
  }
  RM_CHECK(begin == static_cast<int64_t>(weights_.size()));
  // The sum of two is never written where it can go straight into an update.
  if (plan_.contributions_per_update > 2 || (update_->clips() && plan_.workers > 1))
    sum_.resize(weights_.size());
  if (plan_.contributions_per_update > 1 || plan_.drops_late) block_.resize(kBlock);
  updated_.reserve(parts_.size());
  versions_.assign(parts_.size(), 0);
  progress_.assign(parts_.size(), 0);
  next_marks_.assign(parts_.size(), 0);
  lacking_.assign(plan_.marks.size(), static_cast<int32_t>(parts_.size()));
  staleness_histogram_.assign(1, 0);
  RM_CHECK(plan_.sent_kept == 0 || !sums_);
  sent_.resize(plan_.sent_kept > 0 ? plan_.workers : 0);
  for (std::vector<Sent>& sent : sent_) {
    for (int32_t kept = 0; kept < plan_.sent_kept; ++kept)
      sent.push_back({{weights_.begin(), weights_.end()}, versions_});
  }
  RM_CHECK(plan_.lots == 0 || (!sums_ && plan_.steps_per_push == 0));
  if (plan_.lots > 0) made_.assign(parts_.size(), std::vector<bool>(plan_.lots));
  left_ = plan_.workers;
  parked_.resize(plan_.workers);
  pulled_clocks_.assign(plan_.workers, 0);
}

SnapshotStore ShardCore::CopiesOf(const ShardPlan& plan) {
  const int64_t count =
      std::accumulate(plan.part_counts.begin(), plan.part_counts.end(), int64_t{0});
  return {std::max<int64_t>(1, plan.marks.size()) - 1, count};
}

bool ShardCore::HasCopy(int32_t mark) const {
  return mark >= freed_ && mark < copies_.marks() && lacking_[mark] == 0;
}

void ShardCore::FreeCopiesBefore(int32_t mark) {
  if (plan_.keeps_copies) return;
  for (; freed_ < std::min(mark, copies_.marks()); ++freed_) copies_.Free(freed_);
}

absl::Status ShardCore::Check(const Push& push) const {
  if (push.worker < 0 || push.worker >= plan_.workers) {
    return Invalid(push, absl::StrCat("no such worker, the run has ", plan_.workers));
  }
  if (push.part < 0 || push.part >= static_cast<int32_t>(parts_.size())) {
    return Invalid(push, absl::StrCat("no such part, the shard has ", parts_.size()));
  }
  const Part& part = parts_[push.part];
  if (static_cast<int64_t>(push.gradient.size()) != part.count) {
    return Invalid(push, absl::StrCat(push.gradient.size(), " floats, the part has ", part.count));
  }
  const int64_t version = versions_[push.part];
  if (push.read_version < 0 || push.read_version > version) {
    return Invalid(push, absl::StrCat("computed from version ", push.read_version,
                                      ", the part is at ", version));
  }
  if (plan_.sent_kept > 0 && FindRead(push) == nullptr) {
    return Invalid(push, absl::StrCat("computed from version ", push.read_version,
                                      ", which is none of those that the worker was last sent"));
  }
  if (plan_.lots > 0) {
    if (push.lot < 0 || push.lot >= plan_.lots) {
      return Invalid(push, absl::StrCat("of lot ", push.lot, ", the run has ", plan_.lots));
    }
  } else if (push.missing_steps < 0 || push.missing_steps >= std::max(1, plan_.steps_per_push)) {
    return Invalid(push, absl::StrCat("it lacks ", push.missing_steps, " steps of ",
                                      std::max(1, plan_.steps_per_push)));
  }
  if (!sums_) {
    const int64_t next = clocks_.applied(push.worker, push.part);
    if (push.step != next) return Invalid(push, absl::StrCat("expected its next step, ", next));
    return absl::OkStatus();
  }
  return CheckToSum(push);
}

absl::Status ShardCore::CheckToSum(const Push& push) const {
  const Part& part = parts_[push.part];
  const int64_t version = versions_[push.part];
  // With backup workers the step is the version that was read: a worker's own count says nothing.
  if (!plan_.drops_late && push.step != version) {
    return Invalid(
        push, absl::StrCat("expected step ", version, ", of which the update is still to be made"));
  }
  if ((!plan_.drops_late && push.worker < part.added) || part.waiting[push.worker].has_value()) {
    return Invalid(push, "it is already here; a worker pushes each part once a step");
  }
  return absl::OkStatus();
}

bool ShardCore::IsTooLate(const Push& push) const {
  if (!plan_.drops_late) return false;
  // A sum that is complete waits for those of other parts, to be clipped.
  const bool is_complete = parts_[push.part].added == plan_.contributions_per_update;
  return push.late || is_complete || push.read_version < versions_[push.part];
}

bool ShardCore::IsRepeated(const Push& push) {
  if (made_.empty()) return false;
  std::vector<bool>& made = made_[push.part];
  const bool is_repeated = made[push.lot];
  made[push.lot] = true;
  if (is_repeated) ++repeated_;
  return is_repeated;
}

void ShardCore::Lose(int32_t worker, std::vector<Reply>* ready) {
  const int64_t slowest = clocks_.slowest();
  clocks_.Lose(worker);
  --left_;
  if (parked_[worker].has_value() && parked_[worker]->drain && !plan_.equal_steps) --drains_;
  parked_[worker].reset();
  if (!plan_.equal_steps) return ReleaseDrains(ready);
  if (clocks_.slowest() > slowest) ReleaseParked(ready);
}

const ShardCore::Sent* ShardCore::FindRead(const Push& push) const {
  for (const Sent& sent : sent_[push.worker]) {
    if (sent.versions[push.part] == push.read_version) return &sent;
  }
  return nullptr;
}

void ShardCore::OnSent(int32_t worker) {
  if (plan_.sent_kept == 0) return;
  std::vector<Sent>& kept = sent_[worker];
  std::rotate(kept.begin(), kept.end() - 1, kept.end());
  std::copy(weights_.begin(), weights_.end(), kept.front().weights.begin());
  kept.front().versions = versions_;
}

absl::Status ShardCore::OnPush(const Push& push, std::vector<Reply>* ready) {
  RM_RETURN_IF_ERROR(Check(push));
  const int64_t slowest = clocks_.slowest();
  updated_.clear();
  passed_mark_.reset();
  was_dropped_ = IsTooLate(push);
  if (was_dropped_) {
    ++dropped_;
    return absl::OkStatus();
  }
  if (!sums_) {
    was_dropped_ = IsRepeated(push);
    if (!was_dropped_) {
      Count(push);
      ApplyOnArrival(push);
      updated_.push_back(push.part);
    }
    clocks_.PartApplied(push.worker, push.part);
  } else {
    parts_[push.part].waiting[push.worker] = push;
    plan_.drops_late ? AddFirst(push.part) : AddPrefix(push.part);
  }
  if (plan_.equal_steps && clocks_.slowest() > slowest) ReleaseParked(ready);
  return absl::OkStatus();
}

void ShardCore::AddPrefix(int32_t part_index) {
  Part& part = parts_[part_index];
  for (; part.added < plan_.workers && part.waiting[part.added].has_value(); ++part.added) {
    const Push push = *part.waiting[part.added];
    part.waiting[part.added].reset();
    Count(push);
    const bool last = part.added + 1 == plan_.workers;
    if (part.added == 0) {
      part.sum = push.gradient;
    } else if (last && !update_->clips()) {
      return UpdateFromSum(part_index, push.gradient, 1);
    } else {
      AddToSum(push.gradient, &part);
    }
  }
  if (part.added == plan_.workers) SumComplete(part_index);
}

void ShardCore::AddFirst(int32_t part_index) {
  Part& part = parts_[part_index];
  const auto is_there = [](const std::optional<Push>& push) { return push.has_value(); };
  const int32_t needed = plan_.contributions_per_update;
  if (std::count_if(part.waiting.begin(), part.waiting.end(), is_there) < needed) return;
  for (std::optional<Push>& waiting : part.waiting) {
    if (!waiting.has_value()) continue;
    const Push push = *std::exchange(waiting, std::nullopt);
    Count(push);
    if (part.added == 0) {
      part.sum = push.gradient;
    } else if (part.added + 1 == needed && !update_->clips()) {
      return UpdateFromSum(part_index, push.gradient, 1);
    } else {
      AddToSum(push.gradient, &part);
    }
    ++part.added;
  }
  SumComplete(part_index);
}

void ShardCore::AddToSum(absl::Span<const float> gradient, Part* part) {
  const absl::Span<float> sum = absl::MakeSpan(sum_).subspan(part->begin, part->count);
  if (part->added == 1) {
    WeightedSum(1, part->sum, 1, gradient, sum);
    part->sum = sum;
  } else {
    Add(gradient, sum);
  }
}

void ShardCore::SumComplete(int32_t part_index) {
  if (!update_->clips()) return UpdateFromSum(part_index, {}, 1);
  Part& complete = parts_[part_index];
  complete.squares = update_->SumOfSquares(complete.begin, complete.sum) * scale_ * scale_;
  if (++complete_ < static_cast<int32_t>(parts_.size())) return;
  complete_ = 0;
  double squares = 0;
  for (const Part& part : parts_) squares += part.squares;
  const float clip = update_->ClipFactor(squares);
  for (int32_t index = 0; index < static_cast<int32_t>(parts_.size()); ++index)
    UpdateFromSum(index, {}, clip);
}

void ShardCore::UpdateFromSum(int32_t part_index, absl::Span<const float> last, float clip) {
  Part& part = parts_[part_index];
  UpdateStep step = NextUpdate(part_index, clip);
  if (last.empty() && scale_ == 1) {
    update_->Apply(step, part.sum, weights_.subspan(part.begin, part.count));
  } else {
    for (size_t begin = 0; begin < part.sum.size(); begin += kBlock) {
      const absl::Span<const float> sum = part.sum.subspan(begin, kBlock);
      const absl::Span<float> block = absl::MakeSpan(block_).first(sum.size());
      if (last.empty()) {
        ScaleInto(scale_, sum, block);
      } else {
        WeightedSum(1, sum, 1, last.subspan(begin, kBlock), block);
        if (scale_ != 1) Scale(scale_, block);
      }
      if (plan_.votes) ReplaceBySigns(block);
      step.begin = part.begin + static_cast<int64_t>(begin);
      update_->Apply(step, block, weights_.subspan(step.begin, block.size()));
    }
  }
  CountUpdate(part_index, 1);
  part.added = 0;
  updated_.push_back(part_index);
  for (int32_t worker = 0; worker < plan_.workers; ++worker)
    clocks_.PartApplied(worker, part_index);
}

UpdateStep ShardCore::NextUpdate(int32_t part_index, float clip) const {
  UpdateStep step;
  step.begin = parts_[part_index].begin;
  const int64_t contributions = plan_.drops_late ? plan_.workers : plan_.contributions_per_update;
  step.samples_seen =
      versions_[part_index] * contributions * ExactDiv(plan_.global_batch, plan_.workers);
  step.update = versions_[part_index];
  step.clip = clip;
  step.share = static_cast<float>(contributions) / static_cast<float>(plan_.workers);
  return step;
}

void ShardCore::ApplyOnArrival(const Push& push) {
  const Part& part = parts_[push.part];
  UpdateStep step = NextUpdate(push.part, 1);
  if (plan_.sent_kept > 0) {
    step.read =
        absl::MakeConstSpan(FindRead(push)->weights).subspan(part.begin, push.gradient.size());
  }
  update_->Apply(step, push.gradient, weights_.subspan(part.begin, part.count));
  CountUpdate(push.part, plan_.steps_per_push == 0 ? 1 : plan_.steps_per_push - push.missing_steps);
}

void ShardCore::CountUpdate(int32_t part_index, int64_t progress) {
  ++versions_[part_index];
  progress_[part_index] += progress;
  int32_t& next = next_marks_[part_index];
  if (next == static_cast<int32_t>(plan_.marks.size()) ||
      progress_[part_index] < plan_.marks[next]) {
    return;
  }
  if (next < copies_.marks())
    copies_.Copy(next, parts_[part_index].begin, part_weights(part_index));
  --lacking_[next];
  passed_mark_ = next++;
}

// The part's version does not move between a contribution's addition and the update that it is in.
void ShardCore::Count(const Push& push) {
  const size_t staleness = static_cast<size_t>(versions_[push.part] - push.read_version);
  if (staleness >= staleness_histogram_.size()) staleness_histogram_.resize(staleness + 1, 0);
  ++staleness_histogram_[staleness];
}

absl::Status ShardCore::OnPull(const Pull& pull, std::vector<Reply>* ready) {
  if (pull.worker < 0 || pull.worker >= plan_.workers) {
    return absl::InvalidArgumentError(
        absl::StrCat("pull from worker/", pull.worker, " clock=", pull.clock,
                     ": no such worker, the run has ", plan_.workers));
  }
  if (parked_[pull.worker].has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "pull from worker/", pull.worker, " clock=", pull.clock, ": its pull at clock ",
        parked_[pull.worker]->clock, " is not answered yet, and a worker has one at a time"));
  }
  if (pull.clock < pulled_clocks_[pull.worker]) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pull from worker/", pull.worker, " clock=", pull.clock,
        ": clocks do not run backwards, its last pull was at ", pulled_clocks_[pull.worker]));
  }
  pulled_clocks_[pull.worker] = pull.clock;
  if (pull.drain && !plan_.equal_steps) {
    parked_[pull.worker] = pull;
    // Each comes after all that its worker has pushed.
    ++drains_;
    ReleaseDrains(ready);
    return absl::OkStatus();
  }
  if (MayAnswer(pull)) {
    ready->push_back({pull.worker, pull.clock, pull.drain});
  } else {
    parked_[pull.worker] = pull;
  }
  return absl::OkStatus();
}

void ShardCore::ReleaseDrains(std::vector<Reply>* ready) {
  if (drains_ < left_) return;
  drains_ = 0;
  for (std::optional<Pull>& drain : parked_) {
    if (!drain.has_value()) continue;
    ready->push_back({drain->worker, drain->clock, true});
    drain.reset();
  }
}

std::optional<int64_t> ShardCore::ClockNeeded(const Pull& pull) const {
  if (pull.drain) return pull.clock;
  if (!plan_.staleness_bound.has_value()) return std::nullopt;
  return pull.clock - *plan_.staleness_bound;
}

bool ShardCore::MayAnswer(const Pull& pull) const {
  const std::optional<int64_t> needed = ClockNeeded(pull);
  return !needed.has_value() || clocks_.slowest() >= *needed;
}

void ShardCore::ReleaseParked(std::vector<Reply>* ready) {
  for (std::optional<Pull>& pull : parked_) {
    if (!pull.has_value() || !MayAnswer(*pull)) continue;
    ready->push_back({pull->worker, pull->clock, pull->drain});
    pull.reset();
  }
}

std::string ShardCore::DescribeParked() const {
  std::string text;
  for (const std::optional<Pull>& pull : parked_) {
    if (!pull.has_value()) continue;
    if (!plan_.equal_steps) {
      absl::StrAppend(&text, text.empty() ? "" : "; ", "worker/", pull->worker, " at clock ",
                      pull->clock, " awaits the drains of");
      for (int32_t worker = 0; worker < plan_.workers; ++worker) {
        if (parked_[worker].has_value() || clocks_.is_lost(worker)) continue;
        absl::StrAppend(&text, " worker/", worker, " (at ", clocks_.clock(worker), ")");
      }
      continue;
    }
    const int64_t needed = *ClockNeeded(*pull);
    absl::StrAppend(&text, text.empty() ? "" : "; ", "worker/", pull->worker, " at clock ",
                    pull->clock, " awaits clock ", needed, " of");
    for (int32_t worker = 0; worker < plan_.workers; ++worker) {
      if (clocks_.clock(worker) < needed && !clocks_.is_lost(worker)) {
        absl::StrAppend(&text, " worker/", worker, " (at ", clocks_.clock(worker), ")");
      }
    }
  }
  return text;
}

}  // namespace ringmaster
