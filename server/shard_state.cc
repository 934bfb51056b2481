// What a ShardCore keeps from step to step, given and taken.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "server/shard_core.h"

namespace ringmaster {

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
  if (plan_.sent_kept > 0) state.AddPart("sent", GiveSent());
  if (plan_.steps_per_push > 0) {
    State steps;
    steps.AddIntegers("progress", progress_);
    state.AddPart("steps", steps);
  }
  return state;
}

std::optional<int64_t> ShardCore::step() const {
  const int64_t step = versions_.front();
  const bool is_whole = std::all_of(versions_.begin(), versions_.end(),
                                    [step](int64_t version) { return version == step; });
  return is_whole ? std::optional<int64_t>(step) : std::nullopt;
}

State ShardCore::GiveSent() const {
  std::vector<float> weights;
  std::vector<int64_t> versions;
  for (const std::vector<Sent>& of_worker : sent_) {
    for (const Sent& sent : of_worker) {
      weights.insert(weights.end(), sent.weights.begin(), sent.weights.end());
      versions.insert(versions.end(), sent.versions.begin(), sent.versions.end());
    }
  }
  State state;
  state.AddFloats("weights", weights);
  state.AddIntegers("versions", versions);
  return state;
}

absl::StatusOr<std::vector<std::vector<ShardCore::Sent>>> ShardCore::ReadSent(
    const State& state) const {
  std::vector<std::vector<Sent>> sent = sent_;
  if (sent.empty()) return sent;
  const size_t copies = sent.size() * plan_.sent_kept;
  std::vector<float> weights(copies * weights_.size());
  std::vector<int64_t> versions(copies * versions_.size());
  RM_RETURN_IF_ERROR(
      state.CopyTo({{"weights", absl::MakeSpan(weights)}, {"versions", absl::MakeSpan(versions)}}));
  auto weight = weights.begin();
  auto version = versions.begin();
  for (std::vector<Sent>& of_worker : sent) {
    for (Sent& one : of_worker) {
      one.weights.assign(weight, weight + static_cast<int64_t>(one.weights.size()));
      weight += static_cast<int64_t>(one.weights.size());
      one.versions.assign(version, version + static_cast<int64_t>(one.versions.size()));
      version += static_cast<int64_t>(one.versions.size());
    }
  }
  return sent;
}

absl::StatusOr<std::vector<int64_t>> ShardCore::ReadProgress(const State& state) const {
  std::vector<int64_t> progress(parts_.size());
  if (plan_.steps_per_push == 0) return progress;
  RM_RETURN_IF_ERROR(state.CopyTo({{"progress", absl::MakeSpan(progress)}}));
  return progress;
}

absl::Status ShardCore::Take(const State& state) {
  State own = state;
  const State update = own.TakePart("update");
  RM_ASSIGN_OR_RETURN(std::vector<std::vector<Sent>> sent, ReadSent(own.TakePart("sent")));
  RM_ASSIGN_OR_RETURN(std::vector<int64_t> progress, ReadProgress(own.TakePart("steps")));
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
  sent_ = std::move(sent);
  progress_ = std::move(progress);
  std::copy(weights.begin(), weights.end(), weights_.begin());
  versions_ = std::move(versions);
  if (plan_.steps_per_push == 0) progress_ = versions_;
  pulled_clocks_ = std::move(pulled);
  clocks_ = ClockTable(plan_.workers, static_cast<int32_t>(parts_.size()), applied);
  // Marks passed before are nobody's to ask for.
  for (size_t part = 0; part < parts_.size(); ++part) {
    const auto next = std::upper_bound(plan_.marks.begin(), plan_.marks.end(), progress_[part]);
    next_marks_[part] = static_cast<int32_t>(next - plan_.marks.begin());
  }
  return absl::OkStatus();
}

void ShardCore::TakeCopies(SnapshotStore copies) {
  copies_ = std::move(copies);
  for (int32_t mark = 0; mark < static_cast<int32_t>(lacking_.size()); ++mark) {
    lacking_[mark] = static_cast<int32_t>(std::count_if(
        next_marks_.begin(), next_marks_.end(), [mark](int32_t next) { return next <= mark; }));
  }
}

absl::StatusOr<State> ShardStateOf(absl::Span<const int32_t> left, int32_t workers, State state) {
  State of_left;
  for (const State::Entry& entry : state.entries()) {
    const bool is_by_worker = entry.name == "applied" || entry.name == "pulled_clocks";
    if (!is_by_worker) {
      if (const auto* floats = std::get_if<std::vector<float>>(&entry.value)) {
        of_left.AddFloats(entry.name, *floats);
      } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&entry.value)) {
        of_left.AddIntegers(entry.name, *integers);
      } else {
        of_left.AddInteger(entry.name, std::get<int64_t>(entry.value));
      }
      continue;
    }
    const auto* rows = std::get_if<std::vector<int64_t>>(&entry.value);
    if (rows == nullptr || workers <= 0 || rows->size() % workers != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the shard's state: \"", entry.name, "\" is not of ", workers, " workers"));
    }
    const size_t width = rows->size() / workers;
    std::vector<int64_t> kept;
    for (const int32_t rank : left)
      kept.insert(kept.end(), rows->begin() + rank * width, rows->begin() + (rank + 1) * width);
    of_left.AddIntegers(entry.name, kept);
  }
  return of_left;
}

}  // namespace ringmaster
