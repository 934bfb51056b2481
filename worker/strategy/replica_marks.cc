#include "worker/strategy/replica_marks.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/collective/group.h"
#include "common/scheme/registry.h"
#include "worker/strategy/run_group.h"

namespace ringmaster {
namespace {

// Gradients are summed on channel 0, in rounds on 2 and above too.
constexpr uint16_t kChannel = 1;

}  // namespace

ReplicaMarks::ReplicaMarks(const WorkerLink& link, MarkSource source)
    : link_(link),
      source_(std::move(source)),
      ranks_(TraitsOf(*link.spec).workers),
      marks_(SampleMarks(*link.spec)),
      kept_(link.kept_marks != nullptr ? *link.kept_marks : own_),
      equal_(marks_.size()) {
  // Of a run whose group was formed anew the copies of marks that it had passed are there.
  if (!kept_.passed.empty()) return;
  kept_.copies = SnapshotStore(MarkCopies(*link.spec), ShareOf(link.rank).count);
  kept_.passed.resize(marks_.size());
}

void ReplicaMarks::StepEnded(int64_t step, bool equal) {
  while (next_ < marks_.size() && marks_[next_].update <= step) ++next_;
  if (next_ == marks_.size() || marks_[next_].update != step + 1) return;
  // The model is there when its update is. What fails the loop hears of before it goes on.
  link_.replica->AwaitUpdates().IgnoreError();
  // After the last mark the weights lie still.
  if (static_cast<int32_t>(next_) < kept_.copies.marks()) {
    const Range share = ShareOf(link_.rank);
    kept_.copies.Copy(static_cast<int32_t>(next_), 0,
                      ModelOnHost().subspan(share.begin, share.count));
  }
  equal_[next_] = equal;
  kept_.passed[next_++] = Clock::now();
}

absl::Span<const float> ReplicaMarks::ModelOnHost() const {
  if (source_.model) {
    const WeightsView model = source_.model();
    if (model.values.place != Place::kDevice) return model.host();
  }
  return link_.replica->OnHost();
}

absl::StatusOr<MarkedModel> ReplicaMarks::Recall(int32_t mark) {
  RM_CHECK(mark >= 0 && mark < static_cast<int32_t>(marks_.size()));
  if (mark == kept_.copies.marks()) {
    return MarkedModel{source_.model ? source_.model() : link_.replica->weights(),
                       kept_.passed[mark]};
  }
  const Range share = ShareOf(link_.rank);
  const absl::Span<const float> own = kept_.copies.at(mark);
  RM_CHECK(static_cast<int64_t>(own.size()) == share.count);
  recalled_.resize(link_.layout->count());
  std::copy(own.begin(), own.end(), recalled_.begin() + share.begin);
  // Of no step: it comes after them all, and after their drains.
  const absl::Status together =
      equal_[mark] ? absl::OkStatus()
      : source_.average != nullptr
          ? source_.average->Average(marks_.back().update + 1 + mark, absl::MakeSpan(recalled_))
      : ranks_ > 1 && link_.kept_marks == nullptr ? Gather(mark)
                                                  : absl::OkStatus();
  RM_RETURN_IF_ERROR(Annotate(together, absl::StrCat("mark ", mark)));
  // Of a step that is undone it may be asked for again.
  if (link_.kept_marks == nullptr) kept_.copies.Free(mark);
  // Versions of the replica's weights are 0 or more.
  return MarkedModel{WeightsView::OnHost(recalled_, -1 - mark), kept_.passed[mark]};
}

absl::Status ReplicaMarks::Gather(int32_t mark) {
  if (executor_ == nullptr) {
    Group group = RunGroup(*link_.spec, ranks_);
    group.channel = kChannel;
    group.kind = MessageKind::kDrain;  // no traffic of any step
    executor_ = std::make_unique<CollectiveExecutor>(*link_.transport, std::move(group),
                                                     WaitLimit(*link_.spec));
  }
  const auto bytes_of = [this](int32_t rank) {
    const Range share = ShareOf(rank);
    return absl::MakeSpan(reinterpret_cast<std::byte*>(recalled_.data() + share.begin),
                          share.count * sizeof(float));
  };
  const std::vector<NodeId> workers = RunGroup(*link_.spec, ranks_).nodes;  // by place
  std::vector<absl::Span<std::byte>> received;
  for (const NodeId& worker : workers) received.push_back(bytes_of(worker.index));
  // Of no step: it comes after them all.
  RM_RETURN_IF_ERROR(executor_->AllGather(marks_.back().update + mark, 0, bytes_of(link_.rank),
                                          absl::MakeSpan(received)));
  for (int32_t place = 0; place < ranks_; ++place) {
    const int32_t rank = workers[place].index;
    if (received[place].size() == bytes_of(rank).size()) continue;
    return absl::InternalError(absl::StrCat("the share of worker/", rank, " has ",
                                            received[place].size(), " bytes, expected ",
                                            bytes_of(rank).size()));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
