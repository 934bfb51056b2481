#include "common/collective/executor.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/collective/binomial_tree.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

constexpr absl::string_view kAllGather = "all_gather";
// Plans kept: more than a run has sizes of buckets and schedules.
constexpr size_t kPlansMax = 64;

NodeId Worker(int32_t rank) { return {Role::kWorker, rank}; }

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

// one = other = one + other
void AddBytesToBoth(ElementType type, absl::Span<std::byte> one, absl::Span<std::byte> other) {
  if (type == ElementType::kFloat32) {
    AddToBoth(absl::MakeSpan(reinterpret_cast<float*>(one.data()), one.size() / 4),
              absl::MakeSpan(reinterpret_cast<float*>(other.data()), other.size() / 4));
  } else {
    AddFloat16ToBoth(absl::MakeSpan(reinterpret_cast<uint16_t*>(one.data()), one.size() / 2),
                     absl::MakeSpan(reinterpret_cast<uint16_t*>(other.data()), other.size() / 2));
  }
}

bool IsSend(const PlanOp& op) { return op.kind == PlanOp::Kind::kSend || op.kind == PlanOp::Kind::kGatherSend; }

ExecutorOptions WithLimit(absl::Duration wait_limit) {
  ExecutorOptions options;
  options.wait_limit = wait_limit;
  return options;
}

}  // namespace

CollectiveExecutor::CollectiveExecutor(Transport& transport, int32_t rank, int32_t ranks,
                                       const ExecutorOptions& options)
    : transport_(transport),
      rank_(rank),
      ranks_(ranks),
      options_(options),
      barrier_(CreateBinomialTree()),
      flights_(options.in_flight_max),
      peers_(ranks),
      ids_(1, 0),
      refs_(1) {
  RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
  RM_CHECK(options.in_flight_max > 0 && options.ahead_bytes > 0);
  gather_.plan = MakeGatherPlan(rank, ranks);
  for (Flight& flight : flights_) flight.sizes.resize(ranks);
}

CollectiveExecutor::CollectiveExecutor(Transport& transport, int32_t rank, int32_t ranks, absl::Duration wait_limit)
    : CollectiveExecutor(transport, rank, ranks, WithLimit(wait_limit)) {}

CollectiveExecutor::CachedPlan* CollectiveExecutor::PlanOf(const Schedule& schedule, int64_t count, ElementType type) {
  const int64_t element_bytes = ElementBytes(type);
  for (const auto& plan : plans_) {
    if (plan->count == count && plan->element_bytes == element_bytes && plan->schedule == schedule.name()) {
      return plan.get();
    }
  }
  if (plans_.size() == kPlansMax) {
    // Those in flight are fewer.
    plans_.erase(std::find_if(plans_.begin(), plans_.end(), [](const auto& plan) { return plan->uses == 0; }));
  }
  auto plan = std::make_unique<CachedPlan>();
  plan->schedule = std::string(schedule.name());
  plan->count = count;
  plan->element_bytes = element_bytes;
  plan->plan = MakePlan(schedule, {rank_, ranks_, count, element_bytes, options_.piece_bytes});
  plans_.push_back(std::move(plan));
  return plans_.back().get();
}

// A place for a collective that holds `bytes`, once there is room for it.
absl::StatusOr<CollectiveExecutor::Flight*> CollectiveExecutor::TakeOff(CachedPlan* plan, int64_t step, int32_t bucket,
                                                                        int64_t bytes) {
  const int64_t limit = kAheadBytesMax / (ranks_ - 1);
  ++plan->uses;  // stays while this waits
  while (in_flight_ == options_.in_flight_max || (in_flight_ > 0 && bytes_in_flight_ + bytes > limit)) {
    RM_RETURN_IF_ERROR(Advance(0).status());
  }
  bytes_in_flight_ += bytes;
  // Of the free places the one whose scratch needs least to be grown.
  Flight* chosen = nullptr;
  for (Flight& flight : flights_) {
    if (flight.ticket == 0 && (chosen == nullptr || flight.scratch.size() > chosen->scratch.size())) chosen = &flight;
  }
  ++in_flight_;
  chosen->ticket = ++last_ticket_;
  chosen->plan = plan;
  chosen->bytes = bytes;
  chosen->step = step;
  chosen->bucket = bucket;
  if (static_cast<int64_t>(chosen->scratch.size()) < plan->plan.scratch_bytes) {
    chosen->scratch.resize(plan->plan.scratch_bytes);
  }
  return chosen;
}

absl::StatusOr<CollectiveExecutor::Ticket> CollectiveExecutor::Launch(Flight* flight) {
  const std::vector<PlanOp>& ops = flight->plan->plan.ops;
  const int32_t place = static_cast<int32_t>(flight - flights_.data());
  const Ticket ticket = flight->ticket;
  flight->left = static_cast<int32_t>(ops.size());
  flight->waits_for.clear();
  for (const PlanOp& op : ops) flight->waits_for.push_back(op.waits_for);
  flight->lendings.assign(ops.size(), {});
  if (ops.empty()) Land(flight);
  // Receives first: the peers may have begun. The last one pushed is started first.
  for (const bool sends : {true, false}) {
    for (int32_t i = static_cast<int32_t>(ops.size()) - 1; i >= 0; --i) {
      if (ops[i].waits_for == 0 && IsSend(ops[i]) == sends) ready_.push_back({place, i});
    }
  }
  const absl::Status status = RunReady();
  if (!status.ok()) return Abandon(status);
  return ticket;
}

absl::StatusOr<CollectiveExecutor::Ticket> CollectiveExecutor::Start(const Schedule& schedule, int64_t step,
                                                                     int32_t bucket, ElementType type,
                                                                     absl::Span<std::byte> data) {
  const int64_t element_bytes = ElementBytes(type);
  RM_CHECK(static_cast<int64_t>(data.size()) % element_bytes == 0);
  RM_CHECK(reinterpret_cast<uintptr_t>(data.data()) % element_bytes == 0);
  RM_RETURN_IF_ERROR(failed_);
  if (ranks_ == 1) return 0;
  CachedPlan* plan = PlanOf(schedule, ExactDiv(static_cast<int64_t>(data.size()), element_bytes), type);
  RM_ASSIGN_OR_RETURN(Flight* const flight, TakeOff(plan, step, bucket, data.size() + plan->plan.scratch_bytes));
  flight->name = plan->schedule;
  flight->type = type;
  flight->data = data;
  return Launch(flight);
}

absl::StatusOr<CollectiveExecutor::Ticket> CollectiveExecutor::StartGather(int64_t step, int32_t bucket,
                                                                           absl::Span<const std::byte> own,
                                                                           absl::Span<absl::Span<std::byte>> received) {
  RM_CHECK(static_cast<int32_t>(received.size()) == ranks_);
  RM_RETURN_IF_ERROR(failed_);
  if (ranks_ == 1) return 0;
  RM_ASSIGN_OR_RETURN(Flight* const flight, TakeOff(&gather_, step, bucket, own.size()));
  flight->name = kAllGather;
  flight->own = own;
  flight->received = received;
  return Launch(flight);
}

bool CollectiveExecutor::InFlight(Ticket ticket) const {
  if (ticket == 0) return false;
  return std::any_of(flights_.begin(), flights_.end(), [=](const Flight& flight) { return flight.ticket == ticket; });
}

absl::Status CollectiveExecutor::RunReady() {
  while (!ready_.empty()) {
    const OpRef ref = ready_.back();
    ready_.pop_back();
    RM_RETURN_IF_ERROR(StartOp(ref));
  }
  return absl::OkStatus();
}

bool CollectiveExecutor::Behind(const WaitingSend& a, const WaitingSend& b) {
  if (a.ticket != b.ticket) return a.ticket > b.ticket;
  if (a.round != b.round) return a.round < b.round;
  return a.ref.op > b.ref.op;
}

absl::Status CollectiveExecutor::StartOp(OpRef ref) {
  const PlanOp& op = OpOf(ref);
  if (op.kind == PlanOp::Kind::kAdd || AnswerInPlace(ref)) {
    if (op.kind == PlanOp::Kind::kAdd) AddFromScratch(ref);
    Done(ref);
    return absl::OkStatus();
  }
  if (!IsSend(op)) return StartReceive(ref);
  Peer& peer = peers_[op.peer];
  peer.waiting.push_back({flights_[ref.flight].ticket, op.round, ref});
  std::push_heap(peer.waiting.begin(), peer.waiting.end(), Behind);
  return SendMore(&peer);
}

bool CollectiveExecutor::AnswerInPlace(OpRef ref) {
  const PlanOp& op = OpOf(ref);
  if (op.question < 0) return false;
  Lending& lending = flights_[ref.flight].lendings[op.question];
  if (!IsSend(op)) return lending.returned;
  if (lending.loan.memory.empty()) return false;
  if (!lending.answered) std::memcpy(lending.loan.memory.data(), PayloadOf(ref).data(), op.bytes);
  transport_.Return(Worker(op.peer), TagOf({ref.flight, op.question}), lending.loan);
  return true;
}

void CollectiveExecutor::TakeLoan(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  const PlanOp& op = OpOf(ref);
  Loan& loan = flight.lendings[ref.op].loan;
  if (loan.memory.empty() || op.kind != PlanOp::Kind::kReceiveAdd) return;
  const std::vector<int32_t>& next = flight.plan->plan.next;
  const auto next_end = next.begin() + op.next_end;
  const bool answer_is_next = std::find(next.begin() + op.next_begin, next_end, op.answer) != next_end;
  if (!answer_is_next || flight.waits_for[op.answer] > 1) {
    AddBytes(flight.type, loan.memory, TargetOf(ref));
    return;
  }
  // Nothing else is to be added: one pass over memory writes the sum here and there, in half the time of a sum and a copy.
  AddBytesToBoth(flight.type, TargetOf(ref), loan.memory);
  flight.lendings[ref.op].answered = true;
}

Tag CollectiveExecutor::TagOf(OpRef ref) const {
  const Flight& flight = flights_[ref.flight];
  const PlanOp& op = OpOf(ref);
  Tag tag;
  tag.kind = MessageKind::kCollective;
  tag.round = op.round;
  tag.bucket = flight.bucket;
  tag.step = flight.step;
  tag.piece = op.piece;
  return tag;
}

absl::Span<const std::byte> CollectiveExecutor::PayloadOf(OpRef ref) const {
  const Flight& flight = flights_[ref.flight];
  const PlanOp& op = OpOf(ref);
  return op.kind == PlanOp::Kind::kGatherSend ? flight.own : flight.data.subspan(op.to, op.bytes);
}

absl::Span<std::byte> CollectiveExecutor::TargetOf(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  const PlanOp& op = OpOf(ref);
  if (op.kind == PlanOp::Kind::kGatherReceive) return flight.received[op.peer];
  return op.to_scratch ? ScratchOf(flight, op.to_receive) : flight.data.subspan(op.to, op.bytes);
}

absl::Span<std::byte> CollectiveExecutor::ScratchOf(Flight& flight, int32_t op) {
  const PlanOp& receive = flight.plan->plan.ops[op];
  const Loan& loan = flight.lendings[op].loan;
  return loan.memory.empty() ? absl::MakeSpan(flight.scratch).subspan(receive.to, receive.bytes) : loan.memory;
}

Outgoing CollectiveExecutor::OutgoingOf(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  const PlanOp& op = OpOf(ref);
  if (op.answer < 0) return {Worker(op.peer), TagOf(ref), PayloadOf(ref)};
  return {Worker(op.peer), TagOf(ref), flight.data.subspan(op.to, op.bytes), &flight.lendings[ref.op].returned};
}

Incoming CollectiveExecutor::IncomingOf(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  const PlanOp& op = OpOf(ref);
  const NodeId peer = Worker(op.peer);
  const Tag tag = TagOf(ref);
  const absl::Span<std::byte> target = TargetOf(ref);
  if (op.kind == PlanOp::Kind::kGatherReceive) return {peer, tag, target, &flight.sizes[op.peer]};
  const ReceiveMode mode = op.kind == PlanOp::Kind::kReceiveAdd ? AddMode(flight.type) : ReceiveMode::kStore;
  if (op.answer >= 0) return {peer, tag, target, mode, &flight.lendings[ref.op].loan};
  return {peer, tag, target, mode};
}

absl::Status CollectiveExecutor::StartReceive(OpRef ref) {
  const absl::StatusOr<OpId> id = transport_.Receive(IncomingOf(ref));
  if (!id.ok()) return Annotated(id.status(), ref);
  ids_.push_back(*id);
  refs_.push_back(ref);
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::SendMore(Peer* peer) {
  while (!peer->waiting.empty()) {
    const OpRef ref = peer->waiting.front().ref;
    const int64_t bytes = PayloadOf(ref).size();
    if (peer->ahead_bytes > 0 && peer->ahead_bytes + bytes > options_.ahead_bytes) break;
    std::pop_heap(peer->waiting.begin(), peer->waiting.end(), Behind);
    peer->waiting.pop_back();
    const absl::StatusOr<OpId> id = transport_.Send(OutgoingOf(ref));
    if (!id.ok()) return Annotated(id.status(), ref);
    peer->ahead_bytes += bytes;
    ids_.push_back(*id);
    refs_.push_back(ref);
  }
  return absl::OkStatus();
}

void CollectiveExecutor::AddFromScratch(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  AddBytes(flight.type, ScratchOf(flight, OpOf(ref).from_receive), TargetOf(ref));
}

absl::Status CollectiveExecutor::MessageDone(OpRef ref) {
  const PlanOp& op = OpOf(ref);
  if (!IsSend(op)) {
    TakeLoan(ref);
    Done(ref);
    return absl::OkStatus();
  }
  Peer& peer = peers_[op.peer];
  peer.ahead_bytes -= PayloadOf(ref).size();
  Done(ref);
  return SendMore(&peer);
}

void CollectiveExecutor::Done(OpRef ref) {
  Flight& flight = flights_[ref.flight];
  const Plan& plan = flight.plan->plan;
  const PlanOp& op = plan.ops[ref.op];
  for (int32_t i = op.next_begin; i < op.next_end; ++i) {
    if (--flight.waits_for[plan.next[i]] == 0) ready_.push_back({ref.flight, plan.next[i]});
  }
  if (--flight.left == 0) Land(&flight);
}

void CollectiveExecutor::Land(Flight* flight) {
  for (int32_t peer = 0; peer < static_cast<int32_t>(flight->received.size()); ++peer) {
    if (peer != rank_) flight->received[peer] = flight->received[peer].subspan(0, flight->sizes[peer].bytes);
  }
  flight->received = {};
  --flight->plan->uses;
  --in_flight_;
  bytes_in_flight_ -= flight->bytes;
  flight->ticket = 0;
}

absl::StatusOr<bool> CollectiveExecutor::Advance(OpId also) {
  RM_RETURN_IF_ERROR(failed_);
  RM_CHECK(in_flight_ > 0 && ids_.size() > 1);  // else some operation waits for itself
  const size_t first = also == 0 ? 1 : 0;
  ids_[0] = also;
  const absl::StatusOr<int> done =
      transport_.WaitAny(absl::MakeConstSpan(ids_).subspan(first), MonotonicNow() + options_.wait_limit);
  if (!done.ok()) return Abandon(Blame(done.status()));
  const size_t place = *done + first;
  if (place == 0) return true;
  const OpRef ref = refs_[place];
  Forget(place);
  absl::Status status = MessageDone(ref);
  if (status.ok()) status = RunReady();
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

absl::Status CollectiveExecutor::FinishAll() {
  RM_RETURN_IF_ERROR(failed_);
  while (in_flight_ > 0) RM_RETURN_IF_ERROR(Advance(0).status());
  return absl::OkStatus();
}

absl::Status CollectiveExecutor::Annotated(const absl::Status& status, OpRef ref) const {
  const Flight& flight = flights_[ref.flight];
  const PlanOp& op = OpOf(ref);
  std::string where = absl::StrCat(flight.name, " step=", flight.step, " bucket=", flight.bucket, " round=", op.round);
  if (op.piece > 0) absl::StrAppend(&where, " piece=", op.piece);
  return Annotate(status, absl::StrCat(where, " peer=", ToString(Worker(op.peer))));
}

absl::Status CollectiveExecutor::Blame(const absl::Status& status) {
  // Nothing came in time: what the others wait for too is the oldest collective's first round.
  size_t oldest = 1;
  const auto order = [this](size_t place) {
    const PlanOp& op = OpOf(refs_[place]);
    return std::make_tuple(flights_[refs_[place].flight].ticket, op.round, IsSend(op), op.piece);
  };
  for (size_t place = 2; place < ids_.size(); ++place) {
    if (order(place) < order(oldest)) oldest = place;
  }
  const OpRef oldest_ref = refs_[oldest];
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    const absl::Status pending = transport_.Wait(ids_[oldest], MonotonicTime::InfinitePast());
    if (pending.code() != absl::StatusCode::kDeadlineExceeded) Forget(oldest);
    return Annotated(absl::DeadlineExceededError(absl::StrCat(pending.message(), "; nothing moved for ",
                                                              absl::FormatDuration(options_.wait_limit), " with ",
                                                              refs_.size() - 1, " messages awaited")),
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
  for (; ids_.size() > 1; Forget(ids_.size() - 1)) transport_.Wait(ids_.back(), MonotonicTime::InfinitePast()).IgnoreError();
  for (Flight& flight : flights_) flight.ticket = 0;
  for (Peer& peer : peers_) peer = {};
  ready_.clear();
  in_flight_ = 0;
  return why;
}

absl::Status CollectiveExecutor::AllReduce(const Schedule& schedule, int64_t step, int32_t bucket, ElementType type,
                                           absl::Span<std::byte> data) {
  RM_ASSIGN_OR_RETURN(const Ticket ticket, Start(schedule, step, bucket, type, data));
  return Finish(ticket);
}

absl::Status CollectiveExecutor::AllGather(int64_t step, int32_t bucket, absl::Span<const std::byte> own,
                                           absl::Span<absl::Span<std::byte>> received) {
  RM_ASSIGN_OR_RETURN(const Ticket ticket, StartGather(step, bucket, own, received));
  return Finish(ticket);
}

absl::Status CollectiveExecutor::Barrier(int64_t step, int32_t bucket) {
  auto* element = reinterpret_cast<std::byte*>(&barrier_element_);
  return AllReduce(*barrier_, step, bucket, ElementType::kFloat32, absl::MakeSpan(element, sizeof(float)));
}

}  // namespace ringmaster
