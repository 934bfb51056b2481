#include "server/shard_service.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/codec/small_tensors.h"
#include "common/exchange/parts.h"
#include "common/machine/free_memory.h"
#include "common/machine/short_turns.h"
#include "common/scheme/registry.h"
#include "common/update/update_rule.h"

namespace ringmaster {
namespace {

constexpr int32_t kPull = -1;

// The most events of a server that a record keeps.
constexpr int64_t kArrivalsMax = 1 << 20;

// The step at whose end a worker asks; -1 where it asks for no step: it drains, asks for a mark's
// copy, or takes leave.
int64_t StepOf(const PullNote& request) {
  return request.drain || request.farewell || request.mark >= 0 ? -1 : request.clock - 1;
}

// The worker's step at whose end the exchange of that number is made (worker_core.h), which is what
// it records the exchange under; -1: none. A drain that pushes fewer steps has one that is never
// made.
int64_t TracedStep(int64_t exchange, const ServingPlan& plan) {
  const int64_t steps = std::max(1, plan.shard.steps_per_push);
  return exchange < 0 ? -1 : (exchange + 1) * steps - 1;
}

absl::Span<std::byte> BytesOf(const Buffer& buffer) {
  return {buffer.data(), static_cast<size_t>(buffer.size_bytes())};
}

absl::Span<const float> AsFloats(absl::Span<const std::byte> bytes) {
  return absl::MakeConstSpan(reinterpret_cast<const float*>(bytes.data()),
                             bytes.size() / sizeof(float));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShardService>> ShardService::Create(
    const RunSpec& spec, const ParamLayout& layout, absl::Span<const float> initial_weights,
    int32_t index, Transport& transport, const BufferAllocator& allocate, ServerTraces* traces,
    SnapshotStore* copies) {
  RM_CHECK(static_cast<int64_t>(initial_weights.size()) == layout.count());
  const int32_t servers = TraitsOf(spec).servers;
  RM_ASSIGN_OR_RETURN(auto codec, CreateCodecOf(spec.codec(), layout, servers));
  const std::vector<Range> parts = ShardParts(layout, servers, index);
  RM_ASSIGN_OR_RETURN(auto update, ShardRuleOf(spec, parts, layout.statistics()));
  const int64_t shard_bytes = ShardCount(parts) * static_cast<int64_t>(sizeof(float));
  RM_ASSIGN_OR_RETURN(Buffer weights, allocate(shard_bytes));
  const absl::Span<float> shard = weights.float_span();
  GatherShard(parts, initial_weights, shard);
  std::unique_ptr<ShardService> service(new ShardService(spec, layout, index, transport,
                                                         std::move(codec), std::move(update),
                                                         std::move(weights), traces));
  RM_RETURN_IF_ERROR(service->AllocateInboxes());
  service->core_.UseCopies(copies != nullptr ? std::move(*copies) : CopiesOf(spec, layout, index));
  const ServingPlan& plan = service->core_.plan();
  const bool from_shard = plan.answers_pushes && !plan.copies_answers;
  RM_ASSIGN_OR_RETURN(
      service->down_,
      DownLink::Create(spec, layout, {index, spec.training().seed(), from_shard}, parts, shard));
  if (plan.answers_pushes && !plan.copies_answers) return service;
  for (Peer& peer : service->peers_) {
    RM_ASSIGN_OR_RETURN(peer.reply, allocate(shard_bytes));
  }
  return service;
}

SnapshotStore ShardService::CopiesOf(const RunSpec& spec, const ParamLayout& layout,
                                     int32_t index) {
  const std::vector<Range> parts = ShardParts(layout, TraitsOf(spec).servers, index);
  return ShardCore::CopiesOf(ServingPlanOf(spec, index, parts).shard);
}

ShardService::ShardService(const RunSpec& spec, const ParamLayout& layout, int32_t index,
                           Transport& transport, std::unique_ptr<Codec> codec,
                           std::unique_ptr<UpdateRule> update, Buffer weights, ServerTraces* traces)
    : index_(index),
      servers_(TraitsOf(spec).servers),
      workers_(spec.training().workers()),
      run_seed_(spec.training().seed()),
      parts_(ShardParts(layout, servers_, index)),
      wait_limit_(absl::Seconds(spec.limits().wait_seconds())),
      transport_(transport),
      codec_(std::move(codec)),
      weights_(std::move(weights)),
      core_(ServingPlanOf(spec, index, parts_), std::move(update), weights_.float_span()),
      peers_(workers_),
      traces_(traces) {
  for (Peer& peer : peers_) {
    peer.received.resize(parts_.size());
    peer.arriving.resize(parts_.size());
    peer.borrowed.resize(parts_.size());
    peer.sends.resize(parts_.size() + 1);
    peer.copy_sends.reserve(parts_.size() + 1);
  }
  mark_times_.resize(core_.plan().shard.marks.size());
  const bool on_arrival = TraitsOf(spec).updates == Updates::kOnArrival;
  for (const Range& part : parts_) {
    if (codec_->traits().exact) break;
    if (on_arrival && static_cast<int64_t>(decoded_.size()) < part.count)
      decoded_.resize(part.count);
    for (Peer& peer : peers_)
      if (!on_arrival) peer.decoded.emplace_back(part.count);
  }
  if (on_arrival) {
    // A step's pushes and its pull; drains, of which no step has more than one.
    const int64_t events = (std::min(spec.training().steps(), kArrivalsMax) + 1) * workers_ *
                           static_cast<int64_t>(parts_.size() + 2);
    arrivals_.reserve(static_cast<size_t>(std::min(events, kArrivalsMax)));
  }
  ops_.reserve(workers_ * (parts_.size() + 1));
  expected_.reserve(ops_.capacity());
  actions_.reserve(core_.MaxActions());
}

absl::Status ShardService::AllocateInboxes() {
  const bool exact = codec_->traits().exact;
  for (Peer& peer : peers_) {
    for (const Range& part : parts_) {
      RM_ASSIGN_OR_RETURN(Buffer memory,
                          Buffer::AllocateHost(exact ? part.count * int64_t{sizeof(float)}
                                                     : codec_->MaxEncodedBytes(part.count)));
      peer.inbox.push_back(std::move(memory));
    }
  }
  return absl::OkStatus();
}

absl::Status ShardService::Take(const State& state) {
  State own = state;
  const State down = own.TakePart("down");
  RM_RETURN_IF_ERROR(down_ != nullptr ? down_->Take(down) : down.CopyTo({}));
  return core_.Take(own);
}

absl::StatusOr<State> ShardService::Give() const {
  RM_ASSIGN_OR_RETURN(State state, core_.Give());
  if (down_ != nullptr) state.AddPart("down", down_->Give());
  return state;
}

absl::Status ShardService::Expect(int32_t worker, const Tag& tag) {
  Peer& peer = peers_[worker];
  const NodeId from{Role::kWorker, worker};
  const bool is_pull = tag.kind == MessageKind::kPull;
  const absl::Span<std::byte> inbox =
      is_pull ? absl::Span<std::byte>() : BytesOf(peer.inbox[tag.bucket]);
  Received* received = is_pull ? &peer.pull : &peer.received[tag.bucket];
  // Floats may be read where the worker has them: whatever it writes there meanwhile, they are
  // numbers. Encoded bytes are checked and then used, and must not change in between.
  absl::StatusOr<OpId> op =
      codec_->traits().exact && !is_pull
          ? transport_.Receive({from, tag, inbox, received, &peer.arriving[tag.bucket]})
          : transport_.Receive({from, tag, inbox, received});
  RM_RETURN_IF_ERROR(op.status());
  ops_.push_back(*op);
  expected_.push_back({worker, is_pull ? kPull : tag.bucket});
  return absl::OkStatus();
}

absl::Status ShardService::Run() {
  AskForShortTurns(kExchangeTurn);  // refused, it is late more often
  ReturnFreeMemory();               // what was copied until here
  actions_.clear();
  core_.Start(&actions_);
  RM_RETURN_IF_ERROR(Perform());
  RM_RETURN_IF_ERROR(KeepStep());
  while (!core_.finished()) {
    RM_ASSIGN_OR_RETURN(int index, transport_.WaitAny(ops_, MonotonicTime::InfiniteFuture()));
    arrival_ = Clock::now();
    const Expected what = expected_[index];
    // They stay in the order in which they were posted, and the first that is there is served:
    // nobody waits for ever.
    ops_.erase(ops_.begin() + index);
    expected_.erase(expected_.begin() + index);
    const absl::Status status = Serve(what);
    busy_ += Clock::now() - arrival_;
    RM_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

bool ShardService::IsLost(const Expected& what) const {
  const Peer& peer = peers_[what.worker];
  return what.part == kPull ? peer.pull.lost : peer.received[what.part].lost;
}

absl::Status ShardService::OnLost(int32_t worker) {
  if (std::exchange(peers_[worker].lost, true)) return absl::OkStatus();
  has_lost_ = true;
  // There may be no update any more.
  if (!mark_times_.empty() && mark_times_.back() == Clock::time_point())
    mark_times_.back() = Clock::now();
  core_.OnLost(worker, &actions_);
  return Perform();
}

absl::Status ShardService::Serve(const Expected& what) {
  actions_.clear();
  if (IsLost(what)) return OnLost(what.worker);
  // Perform expects the next message in the same place.
  const int64_t payload_bytes =
      what.part == kPull ? 0 : peers_[what.worker].received[what.part].bytes;
  RM_RETURN_IF_ERROR(what.part == kPull ? OnPull(what.worker) : OnPush(what.worker, what.part));
  RM_RETURN_IF_ERROR(Perform());
  if (what.part != kPull) RM_RETURN_IF_ERROR(KeepStep());
  if (traces_ == nullptr) return absl::OkStatus();
  const Peer& peer = peers_[what.worker];
  MessageEnd message;
  message.peer = {Role::kWorker, what.worker};
  message.tag.kind = what.part == kPull ? MessageKind::kPull : MessageKind::kPush;
  if (what.part == kPull) {
    message.step = StepOf(peer.request);
  } else {
    message.tag.bucket = what.part;
    message.step = core_.push_step(what.worker, what.part) - 1;
    message.payload_bytes = payload_bytes;
  }
  const int64_t exchange = message.step;
  message.step = TracedStep(exchange, core_.plan());
  traces_->shard.AddReceived(message, arrival_);
  AddSpan(KindName(message.tag.kind), exchange, what.part, arrival_);
  return absl::OkStatus();
}

void ShardService::AddSpan(const char* name, int64_t exchange, int32_t part,
                           Clock::time_point begin) {
  if (traces_ == nullptr) return;
  traces_->shard.AddSpan(name, TracedStep(exchange, core_.plan()), part, begin, Clock::now());
}

absl::Status ShardService::OnPush(int32_t worker, int32_t part) {
  Peer& peer = peers_[worker];
  const int64_t step = core_.push_step(worker, part);
  const bool answers_pushes = core_.plan().answers_pushes;
  RM_RETURN_IF_ERROR(answers_pushes ? FinishSend(worker, part) : FinishReply(worker));
  // The end of a drain's answer counts as part 0's.
  if (answers_pushes && part == 0)
    RM_RETURN_IF_ERROR(FinishSend(worker, static_cast<int32_t>(parts_.size())));
  const Loan loan = peer.arriving[part];
  const absl::Span<const std::byte> bytes =
      loan.memory.empty()
          ? absl::Span<const std::byte>(BytesOf(peer.inbox[part])).first(peer.received[part].bytes)
          : loan.memory;
  absl::Span<const float> gradient = AsFloats(bytes);
  absl::Status status;
  Clock::time_point begin = Clock::now();
  if (!codec_->traits().exact && parts_[part].count > 0) {
    const SharedStream stream = SharedPartStream(run_seed_, step, {part, index_, servers_});
    const absl::Span<float> decoded = peer.decoded.empty()
                                          ? absl::MakeSpan(decoded_).first(parts_[part].count)
                                          : absl::MakeSpan(peer.decoded[part]);
    status = codec_->Decode(stream, bytes, decoded);
    gradient = decoded;
    AddSpan("decode", step, part, begin);
    begin = Clock::now();
  }
  if (status.ok())
    status = core_.OnPush(PushOf(worker, PushTag(worker, part), gradient), &actions_);
  AddSpan(core_.shard().updated().empty() ? "add" : "update", step, part, begin);
  if (!status.ok())
    return Annotate(status,
                    absl::StrCat("push from worker/", worker, " bucket=", part, " step=", step));
  if (const std::optional<int32_t> mark = core_.shard().passed_mark(); mark.has_value())
    mark_times_[*mark] = Clock::now();
  // Without a worker that is lost the last mark may be beyond the last update.
  if (has_lost_ && !mark_times_.empty()) mark_times_.back() = Clock::now();
  peer.borrowed[part] = loan;
  if (core_.shard().was_dropped()) return absl::OkStatus();
  Note(worker * static_cast<int32_t>(parts_.size()) + part);
  return absl::OkStatus();
}

Tag ShardService::PushTag(int32_t worker, int32_t part) const {
  Tag tag{MessageKind::kPush, 0, part, core_.push_step(worker, part)};
  tag.note = peers_[worker].received[part].note;
  return tag;
}

size_t ShardService::PartBegin(absl::Span<const float> part) const {
  return part.data() - core_.shard().weights().data();
}

void ShardService::Note(int32_t arrival) {
  if (arrivals_.size() < arrivals_.capacity()) arrivals_.push_back(arrival);
}

absl::Status ShardService::OnPull(int32_t worker) {
  Peer& peer = peers_[worker];
  peer.request = DecodePullNote(peer.pull.note);
  peer.asked_at = Clock::now();
  if (!peer.request.farewell) RM_RETURN_IF_ERROR(FinishReply(worker));
  RM_RETURN_IF_ERROR(FinishCopy(worker));
  if (peer.request.kept_step >= 0) RM_RETURN_IF_ERROR(Keep(peer.request.kept_step));
  return core_.OnRequest(worker, peer.request, &actions_);
}

void ShardService::TakeMarks(KeptMarks marks) {
  if (marks.passed.empty()) return;
  core_.TakeCopies(std::move(marks.copies));
  mark_times_ = std::move(marks.passed);
}

// The last part to come to a version is answered by now, and nobody can have pushed anything of the
// step that begins with it.
absl::Status ShardService::KeepStep() {
  if (kept_steps_ == nullptr) return absl::OkStatus();
  const std::optional<int64_t> step = core_.shard().step();
  if (!step.has_value() || kept_steps_->Has(*step)) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(State state, Give());
  kept_steps_->Keep(*step, std::move(state));
  return absl::OkStatus();
}

absl::Status ShardService::Keep(int64_t step) const {
  if (!keeper_) return absl::OkStatus();
  absl::StatusOr<State> state = Give();
  if (!state.ok()) return Annotate(state.status(), absl::StrCat("checkpoint at step ", step));
  keeper_(step, *std::move(state), Report());
  return absl::OkStatus();
}

absl::Status ShardService::Perform() {
  for (size_t next = 0; next < actions_.size();) {
    const ServerAction& action = actions_[next];
    const Clock::time_point begin = Clock::now();
    switch (action.kind) {
      case ServerAction::Kind::kExpect:
        RM_RETURN_IF_ERROR(Expect(action.worker, action.tag));
        ++next;
        break;
      case ServerAction::Kind::kReturn:
        ReturnGradient(action.worker, action.tag.bucket);
        ++next;
        break;
      case ServerAction::Kind::kCopy:
        CopyWeights(action.worker, action.tag);
        ++next;
        [[fallthrough]];
      case ServerAction::Kind::kSend: {
        RM_ASSIGN_OR_RETURN(next, SendRow(next, begin));
        break;
      }
    }
  }
  return absl::OkStatus();
}

void ShardService::ReturnGradient(int32_t worker, int32_t part) {
  const Loan loan = std::exchange(peers_[worker].borrowed[part], {});
  if (loan.memory.empty()) return;
  transport_.Return({Role::kWorker, worker},
                    {MessageKind::kPush, 0, part, core_.push_step(worker, part) - 1}, loan);
}

void ShardService::CopyWeights(int32_t worker, const Tag& tag) {
  Peer& peer = peers_[worker];
  if (tag.kind == MessageKind::kWeights) {
    if (down_ != nullptr) return;  // the message is encoded from the shard, here and now
    const absl::Span<const float> part = core_.shard().part_weights(tag.bucket);
    std::copy(part.begin(), part.end(), peer.reply.floats() + PartBegin(part));
    return;
  }
  if (traces_ != nullptr && peer.asked_at < arrival_) {
    traces_->parked[worker].AddSpan("parked", TracedStep(StepOf(peer.request), core_.plan()), -1,
                                    peer.asked_at, Clock::now());
  }
  Note(-1 - worker);
  if (down_ != nullptr && !peer.request.drain) return;
  const absl::Span<const float> weights = core_.shard().weights();
  std::copy(weights.begin(), weights.end(), peer.reply.floats());
}

absl::StatusOr<size_t> ShardService::SendRow(size_t first, Clock::time_point begin) {
  const ServerAction& row = actions_[first];
  const bool answers_push = core_.plan().answers_pushes && row.tag.kind == MessageKind::kWeights;
  const int64_t step = answers_push ? row.tag.step : StepOf(peers_[row.worker].request);
  size_t next = first;
  for (; next < actions_.size() && actions_[next].kind == ServerAction::Kind::kSend; ++next) {
    RM_RETURN_IF_ERROR(Send(actions_[next], step));
  }
  AddSpan("send", step, answers_push ? row.tag.bucket : -1, begin);
  return next;
}

absl::Span<const float> ShardService::WeightsFor(const ServerAction& action) const {
  if (action.tag.kind == MessageKind::kPull) return {};
  const int32_t part = action.tag.bucket;
  if (action.mark >= 0) return core_.shard().part_at_mark(action.mark, part);
  const absl::Span<const float> weights = core_.shard().part_weights(part);
  if (core_.plan().answers_pushes && !core_.plan().copies_answers) return weights;
  return absl::Span<const float>(peers_[action.worker].reply.float_span())
      .subspan(PartBegin(weights), weights.size());
}

absl::StatusOr<absl::Span<const std::byte>> ShardService::PayloadFor(const ServerAction& action) {
  const int32_t part = action.tag.bucket;
  if (down_ != nullptr && action.tag.kind == MessageKind::kWeights)
    return down_->Encode(action.worker, action.tag, core_.shard().part_weights(part));
  const absl::Span<const float> weights = WeightsFor(action);
  if (down_ != nullptr && action.tag.kind == MessageKind::kDrain && action.mark < 0)
    down_->Tell(action.worker, part, weights);
  return absl::Span<const std::byte>(reinterpret_cast<const std::byte*>(weights.data()),
                                     weights.size() * sizeof(float));
}

absl::Status ShardService::Send(const ServerAction& action, int64_t step) {
  Peer& peer = peers_[action.worker];
  const NodeId to{Role::kWorker, action.worker};
  Tag tag = action.tag;
  if (tag.kind == MessageKind::kPull) {
    const Clock::time_point since = action.mark >= 0 ? mark_times_[action.mark] : peer.asked_at;
    tag.note = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - since).count();
    if (action.mark >= 0 && !core_.shard().HasCopy(action.mark)) tag.note = -1;
  }
  RM_ASSIGN_OR_RETURN(const absl::Span<const std::byte> bytes, PayloadFor(action));
  const Clock::time_point time = Clock::now();  // the worker may have it before the call returns
  RM_ASSIGN_OR_RETURN(const OpId op, transport_.Send({to, tag, bytes}));
  if (action.mark >= 0) {
    peer.copy_sends.push_back(op);
  } else {
    peer.sends[tag.kind == MessageKind::kPull ? parts_.size() : tag.bucket] = op;
  }
  if (traces_ != nullptr) {
    traces_->shard.AddSent(
        {to, tag, TracedStep(step, core_.plan()), static_cast<int64_t>(bytes.size())}, time);
  }
  return absl::OkStatus();
}

absl::Status ShardService::FinishSend(int32_t worker, int32_t part) {
  const OpId op = std::exchange(peers_[worker].sends[part], 0);
  if (op == 0) return absl::OkStatus();
  RM_RETURN_IF_ERROR(transport_.Wait(op, MonotonicNow() + wait_limit_));
  // The end of a reply has no part.
  core_.OnSent(worker, part < static_cast<int32_t>(parts_.size()) ? part : 0);
  return absl::OkStatus();
}

absl::Status ShardService::FinishReply(int32_t worker) {
  for (size_t part = 0; part <= parts_.size(); ++part) {
    RM_RETURN_IF_ERROR(FinishSend(worker, static_cast<int32_t>(part)));
  }
  return absl::OkStatus();
}

absl::Status ShardService::FinishCopy(int32_t worker) {
  Peer& peer = peers_[worker];
  for (const OpId op : peer.copy_sends)
    RM_RETURN_IF_ERROR(transport_.Wait(op, MonotonicNow() + wait_limit_));
  peer.copy_sends.clear();
  return absl::OkStatus();
}

ServerReport ShardService::Report() const {
  ServerReport report = before_;
  report.set_index(index_);
  const absl::Span<const int64_t> histogram = core_.shard().staleness_histogram();
  for (size_t staleness = 0; staleness < histogram.size(); ++staleness) {
    if (static_cast<int>(staleness) == report.staleness_histogram_size())
      report.add_staleness_histogram(0);
    int64_t& count = (*report.mutable_staleness_histogram())[static_cast<int>(staleness)];
    count += histogram[staleness];
  }
  report.set_updates(std::accumulate(core_.shard().versions().begin(),
                                     core_.shard().versions().end(), int64_t{0}));
  report.clear_mark_ns();
  for (const Clock::time_point time : mark_times_)
    report.add_mark_ns(std::chrono::nanoseconds(time.time_since_epoch()).count());
  report.mutable_arrivals()->Add(arrivals_.begin(), arrivals_.end());
  report.set_dropped_contributions(before_.dropped_contributions() + core_.shard().dropped());
  report.set_repeated_contributions(before_.repeated_contributions() + core_.shard().repeated());
  if (down_ != nullptr) {
    const std::vector<int64_t>& bytes = down_->encoded_bytes();
    for (size_t worker = 0; worker < bytes.size(); ++worker) {
      if (static_cast<int>(worker) == report.encoded_bytes_down_size())
        report.add_encoded_bytes_down(0);
      (*report.mutable_encoded_bytes_down())[static_cast<int>(worker)] += bytes[worker];
    }
  }
  report.set_busy_ms(before_.busy_ms() + std::chrono::duration<double, std::milli>(busy_).count());
  return report;
}

}  // namespace ringmaster
