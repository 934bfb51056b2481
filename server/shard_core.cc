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
      sums_(plan_.contributions_per_update > 1 || update_->clips()),
      weights_(weights),
      clocks_(plan_.workers, static_cast<int32_t>(plan_.part_counts.size())) {
  RM_CHECK(plan_.contributions_per_update == 1 || plan_.contributions_per_update == plan_.workers);
  RM_CHECK(!plan_.staleness_bound.has_value() || *plan_.staleness_bound >= 0);
  // An update that needs all workers cannot wait for one that runs ahead.
  RM_CHECK(!sums_ || plan_.staleness_bound == int64_t{0});
  // Nor is one behind whose steps are not those of the others.
  RM_CHECK(plan_.equal_steps || !plan_.staleness_bound.has_value());
  RM_CHECK(!update_->clips() || plan_.contributions_per_update == plan_.workers);
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
  if (plan_.contributions_per_update > 1) block_.resize(kBlock);
  updated_.reserve(parts_.size());
  versions_.assign(parts_.size(), 0);
  next_marks_.assign(parts_.size(), 0);
  lacking_.assign(plan_.marks.size(), static_cast<int32_t>(parts_.size()));
  staleness_histogram_.assign(1, 0);
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
  if (!sums_) {
    const int64_t next = clocks_.applied(push.worker, push.part);
    if (push.step != next) return Invalid(push, absl::StrCat("expected its next step, ", next));
    return absl::OkStatus();
  }
  if (push.step != version) {
    return Invalid(
        push, absl::StrCat("expected step ", version, ", of which the update is still to be made"));
  }
  if (push.worker < part.added || part.waiting[push.worker].has_value()) {
    return Invalid(push, "it is already here; a worker pushes each part once a step");
  }
  return absl::OkStatus();
}

absl::Status ShardCore::OnPush(const Push& push, std::vector<Reply>* ready) {
  RM_RETURN_IF_ERROR(Check(push));
  const int64_t slowest = clocks_.slowest();
  updated_.clear();
  passed_mark_.reset();
  if (!sums_) {
    Count(push);
    ApplyUpdate(push.part, push.gradient, 1);
    updated_.push_back(push.part);
    clocks_.PartApplied(push.worker, push.part);
  } else {
    parts_[push.part].waiting[push.worker] = push;
    AddPrefix(push.part);
  }
  if (plan_.equal_steps && clocks_.slowest() > slowest) ReleaseParked(ready);
  return absl::OkStatus();
}

absl::StatusOr<State> ShardCore::Give() const {
  const auto is_under_way = [](const Part& part) {
    return part.added > 0 ||
           std::any_of(part.waiting.begin(), part.waiting.end(),
                       [](const std::optional<Push>& push) { return push.has_value(); });
  };
  if (std::any_of(parts_.begin(), parts_.end(), is_under_way)) {
    return absl::FailedPreconditionError("the shard's state: an update lacks contributions");
  }
  if (std::any_of(parked_.begin(), parked_.end(),
                  [](const auto& pull) { return pull.has_value(); })) {
    return absl::FailedPreconditionError(
        absl::StrCat("the shard's state: pulls wait, ", DescribeParked()));
  }
  State state;
  state.AddFloats("weights", weights_);
  state.AddIntegers("versions", versions_);
  state.AddIntegers("applied", clocks_.applied());
  state.AddIntegers("pulled_clocks", pulled_clocks_);
  state.AddPart("update", update_->Give());
  return state;
}

absl::Status ShardCore::Take(const State& state) {
  State own = state;
  const State update = own.TakePart("update");
  std::vector<float> weights(weights_.size());
  std::vector<int64_t> versions(versions_.size()), applied(clocks_.applied().size()),
      pulled(pulled_clocks_.size());
  RM_RETURN_IF_ERROR(own.CopyTo({{"weights", absl::MakeSpan(weights)},
                                 {"versions", absl::MakeSpan(versions)},
                                 {"applied", absl::MakeSpan(applied)},
                                 {"pulled_clocks", absl::MakeSpan(pulled)}}));
  for (const std::vector<int64_t>* counts : {&versions, &applied, &pulled}) {
    if (std::all_of(counts->begin(), counts->end(), [](int64_t count) { return count >= 0; }))
      continue;
    return absl::InvalidArgumentError("the shard's state: a count of updates or steps is below 0");
  }
  RM_RETURN_IF_ERROR(update_->Take(update));
  std::copy(weights.begin(), weights.end(), weights_.begin());
  versions_ = std::move(versions);
  pulled_clocks_ = std::move(pulled);
  clocks_ = ClockTable(plan_.workers, static_cast<int32_t>(parts_.size()), applied);
  // Marks passed before are nobody's to ask for.
  for (size_t part = 0; part < parts_.size(); ++part) {
    const auto next = std::upper_bound(plan_.marks.begin(), plan_.marks.end(), versions_[part]);
    next_marks_[part] = static_cast<int32_t>(next - plan_.marks.begin());
  }
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
  complete.squares = update_->SumOfSquares(complete.begin, complete.sum);
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
  if (last.empty()) {
    ApplyUpdate(part_index, part.sum, clip);
  } else {
    UpdateStep step = NextUpdate(part_index, clip);
    for (size_t begin = 0; begin < last.size(); begin += kBlock) {
      const absl::Span<const float> gradient = last.subspan(begin, kBlock);
      const absl::Span<float> block = absl::MakeSpan(block_).first(gradient.size());
      WeightedSum(1, part.sum.subspan(begin, kBlock), 1, gradient, block);
      step.begin = part.begin + static_cast<int64_t>(begin);
      update_->Apply(step, block, weights_.subspan(step.begin, block.size()));
    }
    CountUpdate(part_index);
  }
  part.added = 0;
  updated_.push_back(part_index);
  for (int32_t worker = 0; worker < plan_.workers; ++worker)
    clocks_.PartApplied(worker, part_index);
}

UpdateStep ShardCore::NextUpdate(int32_t part_index, float clip) const {
  UpdateStep step;
  step.begin = parts_[part_index].begin;
  step.samples_seen = versions_[part_index] * plan_.contributions_per_update *
                      ExactDiv(plan_.global_batch, plan_.workers);
  step.update = versions_[part_index];
  step.clip = clip;
  step.share =
      static_cast<float>(plan_.contributions_per_update) / static_cast<float>(plan_.workers);
  return step;
}

void ShardCore::ApplyUpdate(int32_t part_index, absl::Span<const float> gradient, float clip) {
  const Part& part = parts_[part_index];
  update_->Apply(NextUpdate(part_index, clip), gradient, weights_.subspan(part.begin, part.count));
  CountUpdate(part_index);
}

void ShardCore::CountUpdate(int32_t part_index) {
  ++versions_[part_index];
  int32_t& next = next_marks_[part_index];
  if (next == static_cast<int32_t>(plan_.marks.size()) ||
      versions_[part_index] != plan_.marks[next]) {
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
    if (++drains_ < plan_.workers) return absl::OkStatus();
    drains_ = 0;
    for (std::optional<Pull>& drain : parked_) {
      ready->push_back({drain->worker, drain->clock, true});
      drain.reset();
    }
    return absl::OkStatus();
  }
  if (MayAnswer(pull)) {
    ready->push_back({pull.worker, pull.clock, pull.drain});
  } else {
    parked_[pull.worker] = pull;
  }
  return absl::OkStatus();
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
        if (parked_[worker].has_value()) continue;
        absl::StrAppend(&text, " worker/", worker, " (at ", clocks_.clock(worker), ")");
      }
      continue;
    }
    const int64_t needed = *ClockNeeded(*pull);
    absl::StrAppend(&text, text.empty() ? "" : "; ", "worker/", pull->worker, " at clock ",
                    pull->clock, " awaits clock ", needed, " of");
    for (int32_t worker = 0; worker < plan_.workers; ++worker) {
      if (clocks_.clock(worker) < needed) {
        absl::StrAppend(&text, " worker/", worker, " (at ", clocks_.clock(worker), ")");
      }
    }
  }
  return text;
}

}  // namespace ringmaster
