#include "common/collective/executor.h"

#include <algorithm>
#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

constexpr absl::string_view kAllGather = "all_gather";

NodeId Worker(int32_t rank) { return {Role::kWorker, rank}; }

bool Overlap(const Step& a, const Step& b) {
  return a.chunk_begin < b.chunk_begin + b.chunk_count && b.chunk_begin < a.chunk_begin + a.chunk_count;
}

bool SameChunks(const Step& a, const Step& b) {
  return a.chunk_begin == b.chunk_begin && a.chunk_count == b.chunk_count;
}

// The end of the group of receive-and-adds into the same chunks that starts at `begin`.
size_t GroupEnd(absl::Span<const Step> steps, size_t begin) {
  size_t end = begin + 1;
  while (end < steps.size() && steps[end].op == Step::Op::kReceiveAdd && SameChunks(steps[begin], steps[end])) ++end;
  return end;
}

// Whether the receives of `next` may be posted while `current` runs: they touch no chunk that `current` touches, and
// none of them has to wait in scratch for its turn.
bool MayPostEarly(absl::Span<const Step> current, absl::Span<const Step> next) {
  for (size_t i = 0; i < next.size(); ++i) {
    if (next[i].op == Step::Op::kSend) continue;
    if (next[i].op == Step::Op::kReceiveAdd && GroupEnd(next, i) > i + 1) return false;
    for (const Step& step : current) {
      if (Overlap(step, next[i])) return false;
    }
  }
  return true;
}

ReceiveMode AddMode(ElementType type) {
  return type == ElementType::kFloat32 ? ReceiveMode::kAddFloat32 : ReceiveMode::kAddFloat16;
}

// to += from
void AddBytes(ElementType type, absl::Span<const std::byte> from, absl::Span<std::byte> to) {
  if (type == ElementType::kFloat32) {
    Add(absl::MakeConstSpan(reinterpret_cast<const float*>(from.data()), from.size() / 4),
        absl::MakeSpan(reinterpret_cast<float*>(to.data()), to.size() / 4));
  } else {
    AddFloat16(absl::MakeConstSpan(reinterpret_cast<const uint16_t*>(from.data()), from.size() / 2),
               absl::MakeSpan(reinterpret_cast<uint16_t*>(to.data()), to.size() / 2));
  }
}

std::string Where(absl::string_view name, int64_t step, int32_t bucket, int32_t round, int32_t peer) {
  return absl::StrCat(name, " step=", step, " bucket=", bucket, " round=", round, " peer=", ToString(Worker(peer)));
}

}  // namespace

CollectiveExecutor::CollectiveExecutor(Transport& transport, int32_t rank, int32_t ranks, absl::Duration wait_limit)
    : transport_(transport), rank_(rank), ranks_(ranks), wait_limit_(wait_limit) {
  RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
  gathered_.resize(ranks);
}

void CollectiveExecutor::Prepare(const Schedule& schedule) {
  if (planned_ == schedule.name()) return;
  planned_ = std::string(schedule.name());
  steps_ = schedule.StepsOf(rank_, ranks_);
  rounds_.clear();
  for (size_t begin = 0; begin < steps_.size();) {
    size_t end = begin;
    while (end < steps_.size() && steps_[end].round == steps_[begin].round) ++end;
    RM_CHECK(steps_[begin].round >= 0 && steps_[begin].round <= std::numeric_limits<uint16_t>::max());
    Round round{begin, end, false};
    if (!rounds_.empty()) {
      const Round& before = rounds_.back();
      const absl::Span<const Step> steps = steps_;
      round.post_early = MayPostEarly(steps.subspan(before.begin, before.end - before.begin),
                                      steps.subspan(begin, end - begin));
    }
    rounds_.push_back(round);
    begin = end;
  }
}

absl::Span<std::byte> CollectiveExecutor::BytesOf(const Call& call, const Step& step) const {
  const int64_t element_bytes = ElementBytes(call.type);
  const Range range = ElementsOf(step, ranks_, ExactDiv(static_cast<int64_t>(call.data.size()), element_bytes));
  return call.data.subspan(range.begin * element_bytes, range.count * element_bytes);
}

absl::Status CollectiveExecutor::PostOne(const Call& call, const Step& step, ReceiveMode mode, Receive receive) {
  Tag tag;
  tag.kind = MessageKind::kCollective;
  tag.round = static_cast<uint16_t>(step.round);
  tag.bucket = call.bucket;
  tag.step = call.step;
  const absl::StatusOr<OpId> op = transport_.Post(Worker(step.peer), tag, receive.out, mode);
  if (!op.ok()) {
    return Annotate(op.status(), Where(call.name, call.step, call.bucket, step.round, step.peer));
  }
  receive.peer = step.peer;
  receive.op = *op;
  receives_.push_back(receive);
  return absl::OkStatus();
}

// Rank order with this rank's own contribution at its place: (((g0 + g1) + own) + g3) + ... When more than one rank
// stands before this one, they are summed apart, in the first one's scratch, and that sum is added to the own (addition
// of two commutes). Otherwise the first is added on arrival, straight into the data.
absl::Status CollectiveExecutor::PostAdds(const Call& call, absl::Span<const Step> adds) {
  const absl::Span<std::byte> data = BytesOf(call, adds[0]);
  if (data.empty()) return absl::OkStatus();
  size_t lower = 0;
  while (lower < adds.size() && adds[lower].peer < rank_) ++lower;
  const bool sum_apart = lower > 1;
  const size_t in_scratch = adds.size() - (sum_apart ? 0 : 1);
  // Nothing of an earlier round is in scratch any more: rounds that need it are not posted early.
  if (scratch_.size() < in_scratch * data.size()) scratch_.resize(in_scratch * data.size());
  const auto slot = [&](size_t index) { return absl::MakeSpan(scratch_).subspan(index * data.size(), data.size()); };

  for (size_t i = 0; i < adds.size(); ++i) {
    Receive receive;
    ReceiveMode mode = ReceiveMode::kStore;
    if (!sum_apart) {
      receive.out = i == 0 ? data : slot(i - 1);
      if (i == 0) mode = AddMode(call.type);
      if (i > 0) receive.data = data;
    } else {
      receive.out = slot(i);
      if (i > 0 && i < lower) receive.base = slot(0);
      if (i + 1 >= lower) receive.data = data;
    }
    RM_RETURN_IF_ERROR(PostOne(call, adds[i], mode, receive));
  }
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::PostRound(const Call& call, const Round& round) {
  const absl::Span<const Step> steps = absl::MakeConstSpan(steps_).subspan(round.begin, round.end - round.begin);
  int groups = 0;
  for (size_t i = 0; i < steps.size();) {
    size_t next = i + 1;
    if (steps[i].op == Step::Op::kReceiveAdd) {
      next = GroupEnd(steps, i);
      RM_CHECK(next == i + 1 || ++groups == 1);  // one group a round has the scratch to itself
      RM_RETURN_IF_ERROR(PostAdds(call, steps.subspan(i, next - i)));
    } else if (steps[i].op == Step::Op::kReceive) {
      Receive receive;
      receive.out = BytesOf(call, steps[i]);
      if (!receive.out.empty()) RM_RETURN_IF_ERROR(PostOne(call, steps[i], ReceiveMode::kStore, receive));
    }
    i = next;
  }
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::StartSends(const Call& call, const Round& round) {
  for (size_t i = round.begin; i < round.end; ++i) {
    const Step& step = steps_[i];
    if (step.op != Step::Op::kSend) continue;
    const absl::Span<const std::byte> payload = BytesOf(call, step);
    if (payload.empty()) continue;
    Tag tag;
    tag.kind = MessageKind::kCollective;
    tag.round = static_cast<uint16_t>(step.round);
    tag.bucket = call.bucket;
    tag.step = call.step;
    const absl::StatusOr<OpId> op = transport_.StartSend(Worker(step.peer), tag, payload);
    if (!op.ok()) return Annotate(op.status(), Where(call.name, call.step, call.bucket, step.round, step.peer));
    sends_.push_back({step.peer, *op});
  }
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::FinishReceives(const Call& call, size_t end, int32_t round, absl::Time deadline) {
  while (finished_ < end) {
    const Receive receive = receives_[finished_++];
    const absl::Status status = transport_.Wait(receive.op, deadline);
    if (!status.ok()) return Annotate(status, Where(call.name, call.step, call.bucket, round, receive.peer));
    if (!receive.base.empty()) AddBytes(call.type, receive.out, receive.base);
    if (!receive.data.empty()) {
      AddBytes(call.type, receive.base.empty() ? receive.out : receive.base, receive.data);
    }
  }
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::FinishSends(const Call& call, int32_t round, absl::Time deadline) {
  while (!sends_.empty()) {
    const Send send = sends_.back();
    sends_.pop_back();
    const absl::Status status = transport_.Wait(send.op, deadline);
    if (!status.ok()) return Annotate(status, Where(call.name, call.step, call.bucket, round, send.peer));
  }
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::RunRounds(const Call& call) {
  for (size_t k = 0; k < rounds_.size(); ++k) {
    const Round& round = rounds_[k];
    const int32_t number = steps_[round.begin].round;
    if (!round.post_early) RM_RETURN_IF_ERROR(PostRound(call, round));
    const size_t end = receives_.size();
    RM_RETURN_IF_ERROR(StartSends(call, round));
    // The peers may be a round ahead: their bytes should find their receive posted.
    if (k + 1 < rounds_.size() && rounds_[k + 1].post_early) RM_RETURN_IF_ERROR(PostRound(call, rounds_[k + 1]));
    const absl::Time deadline = absl::Now() + wait_limit_;
    RM_RETURN_IF_ERROR(FinishReceives(call, end, number, deadline));
    RM_RETURN_IF_ERROR(FinishSends(call, number, deadline));
  }
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::Abandon(const absl::Status& why) {
  transport_.Abort(why);
  // Aborted, so none of these sleeps; they take the operations back.
  const absl::Time now = absl::Now();
  while (finished_ < receives_.size()) transport_.Wait(receives_[finished_++].op, now).IgnoreError();
  for (const Send& send : sends_) transport_.Wait(send.op, now).IgnoreError();
  sends_.clear();
  return why;
}

absl::Status CollectiveExecutor::AllReduce(const Schedule& schedule, int64_t step, int32_t bucket, ElementType type,
                                           absl::Span<std::byte> data) {
  RM_CHECK(static_cast<int64_t>(data.size()) % ElementBytes(type) == 0);
  RM_CHECK(reinterpret_cast<uintptr_t>(data.data()) % ElementBytes(type) == 0);
  if (ranks_ == 1) return absl::OkStatus();
  Prepare(schedule);
  receives_.clear();
  sends_.clear();
  finished_ = 0;
  const absl::Status status = RunRounds({schedule.name(), step, bucket, type, data});
  return status.ok() ? status : Abandon(status);
}

absl::Status CollectiveExecutor::Gather(const Call& call, absl::Span<const std::byte> own,
                                        absl::Span<absl::Span<std::byte>> received) {
  Tag tag;
  tag.kind = MessageKind::kCollective;
  tag.bucket = call.bucket;
  tag.step = call.step;
  for (int32_t peer = 0; peer < ranks_; ++peer) {
    if (peer == rank_) continue;
    const absl::StatusOr<OpId> op = transport_.PostUpTo(Worker(peer), tag, received[peer], &gathered_[peer]);
    if (!op.ok()) return Annotate(op.status(), Where(call.name, call.step, call.bucket, 0, peer));
    Receive receive;
    receive.peer = peer;
    receive.op = *op;
    receives_.push_back(receive);
  }
  for (int32_t k = 1; k < ranks_; ++k) {
    const int32_t peer = (rank_ + k) % ranks_;
    const absl::StatusOr<OpId> op = transport_.StartSend(Worker(peer), tag, own);
    if (!op.ok()) return Annotate(op.status(), Where(call.name, call.step, call.bucket, 0, peer));
    sends_.push_back({peer, *op});
  }
  const absl::Time deadline = absl::Now() + wait_limit_;
  RM_RETURN_IF_ERROR(FinishReceives(call, receives_.size(), 0, deadline));
  RM_RETURN_IF_ERROR(FinishSends(call, 0, deadline));
  for (int32_t peer = 0; peer < ranks_; ++peer) {
    if (peer != rank_) received[peer] = received[peer].subspan(0, gathered_[peer].bytes);
  }
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::AllGather(int64_t step, int32_t bucket, absl::Span<const std::byte> own,
                                           absl::Span<absl::Span<std::byte>> received) {
  RM_CHECK(static_cast<int32_t>(received.size()) == ranks_);
  receives_.clear();
  sends_.clear();
  finished_ = 0;
  Call call;
  call.name = kAllGather;
  call.step = step;
  call.bucket = bucket;
  const absl::Status status = Gather(call, own, received);
  return status.ok() ? status : Abandon(status);
}

}  // namespace ringmaster
