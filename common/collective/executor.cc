#include "common/collective/executor.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/collective/binomial_tree.h"
#include "common/vecmath/element_bytes.h"

namespace ringmaster {
namespace {

constexpr absl::string_view kAllGather = "all_gather";
// Plans kept: more than a run has sizes of buckets and schedules.
constexpr size_t kPlansMax = 64;

ReceiveMode AddMode(ElementType type) {
  switch (type) {
    case ElementType::kFloat16:
      return ReceiveMode::kAddFloat16;
    case ElementType::kBfloat16:
      return ReceiveMode::kAddBfloat16;
    default:
      return ReceiveMode::kAddFloat32;
  }
}

ExecutorOptions WithLimit(absl::Duration wait_limit) {
  ExecutorOptions options;
  options.wait_limit = wait_limit;
  return options;
}

}  // namespace

CollectiveExecutor::CollectiveExecutor(Transport& transport, Group group,
                                       const ExecutorOptions& options)
    : transport_(transport),
      group_(std::move(group)),
      rank_(group_.RankOf(transport.self())),
      options_(options),
      barrier_(CreateBinomialTree()),
      core_(group_.ranks(), options.limits),
      flights_(options.limits.in_flight_max),
      lost_(group_.ranks()),
      ids_(1, 0),
      refs_(1) {
  gather_.plan = MakeGatherPlan(rank_, ranks());
  for (Flight& flight : flights_) flight.sizes.resize(ranks());
}

CollectiveExecutor::CollectiveExecutor(Transport& transport, Group group, absl::Duration wait_limit)
    : CollectiveExecutor(transport, std::move(group), WithLimit(wait_limit)) {}

CollectiveExecutor::CachedPlan* CollectiveExecutor::PlanOf(const Schedule& schedule, int64_t count,
                                                           ElementType type) {
  const int64_t element_bytes = ElementBytes(type);
  for (const auto& plan : plans_) {
    if (plan->count == count && plan->element_bytes == element_bytes &&
        plan->schedule == schedule.name()) {
      return plan.get();
    }
  }
  if (plans_.size() == kPlansMax) {
    // Those in flight are fewer.
    plans_.erase(std::find_if(plans_.begin(), plans_.end(),
                              [](const auto& plan) { return plan->uses == 0; }));
  }
  auto plan = std::make_unique<CachedPlan>();
  plan->schedule = std::string(schedule.name());
  plan->count = count;
  plan->element_bytes = element_bytes;
  plan->plan = MakePlan(schedule, {rank_, ranks(), count, element_bytes, options_.piece_bytes});
  plans_.push_back(std::move(plan));
  return plans_.back().get();
}

absl::StatusOr<CollectiveExecutor::Ticket> CollectiveExecutor::Launch(const Work& work,
                                                                      int64_t bytes) {
  const PlanView view = {&work.plan->plan, bytes};
  ++work.plan->uses;  // so it stays while this waits
  while (!core_.HasRoom(view)) RM_RETURN_IF_ERROR(Advance(0).status());
  const CollectiveCore::Started started = core_.Start(view, &actions_);
  Flight& flight = flights_[started.flight];
  flight.work = work;
  flight.lendings.assign(work.plan->plan.ops.size(), {});
  if (options_.outlives_ranks) flight.arrivals.assign(work.plan->plan.ops.size(), {});
  if (flight.scratch_bytes < work.plan->plan.scratch_bytes) {
    flight.scratch_bytes = work.plan->plan.scratch_bytes;
    flight.scratch.reset(new std::byte[flight.scratch_bytes]);
  }
  const absl::Status status = Act();
  if (!status.ok()) return Abandon(status);
  return started.ticket;
}

absl::StatusOr<CollectiveExecutor::Ticket> CollectiveExecutor::Start(const Schedule& schedule,
                                                                     int64_t step, int32_t bucket,
                                                                     ElementType type,
                                                                     absl::Span<std::byte> data) {
  return Start(schedule, {step, bucket, group_.channel}, type, data);
}

absl::StatusOr<CollectiveExecutor::Ticket> CollectiveExecutor::Start(const Schedule& schedule,
                                                                     const CollectivePlace& place,
                                                                     ElementType type,
                                                                     absl::Span<std::byte> data) {
  const int64_t element_bytes = ElementBytes(type);
  RM_CHECK(static_cast<int64_t>(data.size()) % element_bytes == 0);
  RM_CHECK(reinterpret_cast<uintptr_t>(data.data()) % element_bytes == 0);
  RM_RETURN_IF_ERROR(failed_);
  if (ranks() == 1) return 0;
  CachedPlan* plan =
      PlanOf(schedule, ExactDiv(static_cast<int64_t>(data.size()), element_bytes), type);
  return Launch({plan, plan->schedule, place, type, data, {}, {}}, data.size());
}

absl::StatusOr<CollectiveExecutor::Ticket> CollectiveExecutor::StartGather(
    int64_t step, int32_t bucket, absl::Span<const std::byte> own,
    absl::Span<absl::Span<std::byte>> received) {
  RM_CHECK(static_cast<int32_t>(received.size()) == ranks());
  RM_RETURN_IF_ERROR(failed_);
  if (ranks() == 1) return 0;
  return Launch({&gather_,
                 kAllGather,
                 {step, bucket, group_.channel},
                 ElementType::kFloat32,
                 {},
                 own,
                 received},
                own.size());
}

Tag CollectiveExecutor::TagOf(OpRef ref) const {
  const Work& work = flights_[ref.flight].work;
  const PlanOp& op = core_.OpOf(ref);
  Tag tag;
  tag.kind = group_.kind;
  tag.round = op.round;
  tag.bucket = work.place.bucket;
  tag.step = work.place.step;
  tag.piece = op.piece;
  tag.channel = work.place.channel;
  return tag;
}

absl::Span<const std::byte> CollectiveExecutor::PayloadOf(OpRef ref) const {
  const Work& work = flights_[ref.flight].work;
  const PlanOp& op = core_.OpOf(ref);
  return op.kind == PlanOp::Kind::kGatherSend ? work.own : work.data.subspan(op.to, op.bytes);
}

absl::Span<std::byte> CollectiveExecutor::TargetOf(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  const PlanOp& op = core_.OpOf(ref);
  if (op.kind == PlanOp::Kind::kGatherReceive) return flight.work.received[op.peer];
  return op.to_scratch ? ScratchOf(flight, op.to_receive)
                       : flight.work.data.subspan(op.to, op.bytes);
}

absl::Span<std::byte> CollectiveExecutor::ScratchOf(Flight& flight, int32_t op) {
  const PlanOp& receive = flight.work.plan->plan.ops[op];
  const Loan& loan = flight.lendings[op].loan;
  return loan.memory.empty() ? absl::MakeSpan(flight.scratch.get() + receive.to, receive.bytes)
                             : loan.memory;
}

absl::Status CollectiveExecutor::Act() {
  for (const CollectiveAction& action : actions_) RM_RETURN_IF_ERROR(Act(action));
  actions_.clear();
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::Act(const CollectiveAction& action) {
  using Kind = CollectiveAction::Kind;
  const OpRef ref = action.op;
  Flight& flight = flights_[ref.flight];
  if (action.kind == Kind::kFinished) {
    Land(&flight);
    return absl::OkStatus();
  }
  const PlanOp& op = core_.OpOf(ref);
  const OpRef question = {ref.flight, op.question};
  switch (action.kind) {
    case Kind::kReceive:
      return Await(transport_.Receive(IncomingOf(ref)), ref);
    case Kind::kSend:
      return Await(transport_.Send(OutgoingOf(ref)), ref);
    case Kind::kAdd:
      AddBytes(flight.work.type, ScratchOf(flight, op.from_receive), TargetOf(ref));
      break;
    case Kind::kAddLent:
      AddBytes(flight.work.type, LentBy(ref), TargetOf(ref));
      break;
    case Kind::kAddBoth:
      AddBytesToBoth(flight.work.type, TargetOf(ref), LentBy(ref));
      break;
    case Kind::kAnswer:
      std::memcpy(LentBy(question).data(), PayloadOf(ref).data(), op.bytes);
      break;
    case Kind::kReturn:
      transport_.Return(group_.nodes[op.peer], TagOf(question), flight.lendings[op.question].loan);
      break;
    case Kind::kFinished:
      break;
  }
  return absl::OkStatus();
}

Outgoing CollectiveExecutor::OutgoingOf(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  const PlanOp& op = core_.OpOf(ref);
  const NodeId& peer = group_.nodes[op.peer];
  if (op.answer < 0) return {peer, TagOf(ref), PayloadOf(ref)};
  return {peer, TagOf(ref), flight.work.data.subspan(op.to, op.bytes),
          &flight.lendings[ref.op].returned};
}

Incoming CollectiveExecutor::IncomingOf(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  const PlanOp& op = core_.OpOf(ref);
  const NodeId& peer = group_.nodes[op.peer];
  const Tag tag = TagOf(ref);
  const absl::Span<std::byte> target = TargetOf(ref);
  if (op.kind == PlanOp::Kind::kGatherReceive) return {peer, tag, target, &flight.sizes[op.peer]};
  if (options_.outlives_ranks) {
    RM_CHECK(op.kind == PlanOp::Kind::kReceive);
    return {peer, tag, target, &flight.arrivals[ref.op]};
  }
  const ReceiveMode mode =
      op.kind == PlanOp::Kind::kReceiveAdd ? AddMode(flight.work.type) : ReceiveMode::kStore;
  if (op.answer >= 0) return {peer, tag, target, mode, &flight.lendings[ref.op].loan};
  return {peer, tag, target, mode};
}

absl::Status CollectiveExecutor::Await(const absl::StatusOr<OpId>& id, OpRef ref) {
  if (!id.ok()) return Annotated(id.status(), ref);
  ids_.push_back(*id);
  refs_.push_back(ref);
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::CheckArrival(OpRef ref) {
  const PlanOp& op = core_.OpOf(ref);
  if (!options_.outlives_ranks || IsSend(op)) return absl::OkStatus();
  const Received& arrival = flights_[ref.flight].arrivals[ref.op];
  if (arrival.lost) {
    lost_[op.peer] = true;
  } else if (arrival.bytes != op.bytes) {
    return Annotated(absl::InvalidArgumentError(
                         absl::StrCat(arrival.bytes, " bytes have come, expected ", op.bytes)),
                     ref);
  }
  return absl::OkStatus();
}

void CollectiveExecutor::Land(Flight* flight) {
  const absl::Span<absl::Span<std::byte>> received = flight->work.received;
  for (int32_t peer = 0; peer < static_cast<int32_t>(received.size()); ++peer) {
    if (peer != rank_) received[peer] = received[peer].subspan(0, flight->sizes[peer].bytes);
  }
  --flight->work.plan->uses;
}

absl::StatusOr<bool> CollectiveExecutor::Advance(OpId also) {
  RM_RETURN_IF_ERROR(failed_);
  RM_CHECK(in_flight() > 0 && ids_.size() > 1);  // else some operation waits for itself
  const size_t first = also == 0 ? 1 : 0;
  ids_[0] = also;
  const absl::StatusOr<int> done = transport_.WaitAny(absl::MakeConstSpan(ids_).subspan(first),
                                                      MonotonicNow() + options_.wait_limit);
  if (!done.ok()) return Abandon(Blame(done.status()));
  const size_t place = *done + first;
  if (place == 0) return true;
  const OpRef ref = refs_[place];
  Forget(place);
  if (const absl::Status status = CheckArrival(ref); !status.ok()) return Abandon(status);
  const Lending& lending = flights_[ref.flight].lendings[ref.op];
  core_.MessageDone(ref, IsSend(core_.OpOf(ref)) ? lending.returned : !lending.loan.memory.empty(),
                    &actions_);
  const absl::Status status = Act();
  if (!status.ok()) return Abandon(status);
  return false;
}

void CollectiveExecutor::Forget(size_t place) {
  ids_[place] = ids_.back();
  refs_[place] = refs_.back();
  ids_.pop_back();
  refs_.pop_back();
}

absl::Status CollectiveExecutor::Finish(Ticket ticket) {
  RM_RETURN_IF_ERROR(failed_);
  while (InFlight(ticket)) RM_RETURN_IF_ERROR(Advance(0).status());
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::Annotated(const absl::Status& status, OpRef ref) const {
  const Work& work = flights_[ref.flight].work;
  const PlanOp& op = core_.OpOf(ref);
  std::string where = absl::StrCat(work.name, " step=", work.place.step,
                                   " bucket=", work.place.bucket, " round=", op.round);
  if (op.piece > 0) absl::StrAppend(&where, " piece=", op.piece);
  if (work.place.channel != 0) absl::StrAppend(&where, " channel=", work.place.channel);
  return Annotate(status, absl::StrCat(where, " peer=", ToString(group_.nodes[op.peer])));
}

absl::Status CollectiveExecutor::Blame(const absl::Status& status) {
  // Nothing came in time: what the others wait for too is the oldest collective's first round.
  size_t oldest = 1;
  const auto order = [this](size_t place) {
    const PlanOp& op = core_.OpOf(refs_[place]);
    return std::make_tuple(core_.TicketOf(refs_[place]), op.round, IsSend(op), op.piece);
  };
  for (size_t place = 2; place < ids_.size(); ++place) {
    if (order(place) < order(oldest)) oldest = place;
  }
  const OpRef oldest_ref = refs_[oldest];
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    const absl::Status pending = transport_.Wait(ids_[oldest], MonotonicTime::InfinitePast());
    if (pending.code() != absl::StatusCode::kDeadlineExceeded) Forget(oldest);
    return Annotated(
        absl::DeadlineExceededError(absl::StrCat(pending.message(), "; nothing moved for ",
                                                 absl::FormatDuration(options_.wait_limit),
                                                 " with ", refs_.size() - 1, " messages awaited")),
        oldest_ref);
  }
  // The operation that failed is waited for already; an abort ends all alike.
  for (size_t place = ids_.size() - 1; place > 0; --place) {
    const absl::Status now = transport_.Wait(ids_[place], MonotonicTime::InfinitePast());
    if (now.code() == absl::StatusCode::kDeadlineExceeded) continue;
    const OpRef ref = now == status ? oldest_ref : refs_[place];
    Forget(place);
    if (!now.ok()) return Annotated(status, ref);
  }
  return Annotated(status, oldest_ref);
}

absl::Status CollectiveExecutor::Abandon(const absl::Status& why) {
  failed_ = why;
  transport_.Abort(why);
  // Aborted, so none of these sleeps; they take the operations back.
  for (; ids_.size() > 1; Forget(ids_.size() - 1))
    transport_.Wait(ids_.back(), MonotonicTime::InfinitePast()).IgnoreError();
  core_.Reset();
  actions_.clear();
  return why;
}

absl::Status CollectiveExecutor::AllReduce(const Schedule& schedule, int64_t step, int32_t bucket,
                                           ElementType type, absl::Span<std::byte> data) {
  RM_ASSIGN_OR_RETURN(const Ticket ticket, Start(schedule, step, bucket, type, data));
  return Finish(ticket);
}

absl::Status CollectiveExecutor::AllGather(int64_t step, int32_t bucket,
                                           absl::Span<const std::byte> own,
                                           absl::Span<absl::Span<std::byte>> received) {
  RM_ASSIGN_OR_RETURN(const Ticket ticket, StartGather(step, bucket, own, received));
  return Finish(ticket);
}

absl::Status CollectiveExecutor::Barrier(int64_t step, int32_t bucket) {
  auto* element = reinterpret_cast<std::byte*>(&barrier_element_);
  return AllReduce(*barrier_, step, bucket, ElementType::kFloat32,
                   absl::MakeSpan(element, sizeof(float)));
}

}  // namespace ringmaster
