#include "experiments/study/predict/simulated_servers.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/exchange/parts.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "experiments/program/run/placement.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

absl::StatusOr<PartsPlan> PlanParts(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                    const Costs& costs) {
  RM_ASSIGN_OR_RETURN(const auto codec, CreateCodec(spec.codec()));
  std::unique_ptr<Codec> down;
  if (const CodecSpec* const down_spec = DownCodecOf(spec); down_spec != nullptr) {
    RM_ASSIGN_OR_RETURN(down, CreateCodec(*down_spec));
  }
  const SchemeTraits traits = TraitsOf(spec);
  const bool exact = codec->traits().exact;
  const bool sums = traits.updates == Updates::kTogether;
  int64_t elements = 0;
  for (const Bucket& bucket : buckets) elements += bucket.count;
  const double touch = costs.compute.update / static_cast<double>(std::max<int64_t>(1, elements));
  PartsPlan plan;
  plan.sizes = costs.codec.sizes;
  plan.parts.resize(traits.servers);
  for (int32_t server = 0; server < traits.servers; ++server) {
    for (const Bucket& bucket : buckets) {
      PartCosts& part = plan.parts[server].emplace_back();
      const int64_t count = PartOnServer(bucket, traits.servers, server).count;
      part.weight_bytes = count * static_cast<int64_t>(sizeof(float));
      part.answer_bytes =
          down == nullptr || count == 0 ? part.weight_bytes : down->MaxEncodedBytes(count);
      part.push_bytes = exact || count == 0 ? part.weight_bytes : codec->MaxEncodedBytes(count);
      part.encode = static_cast<double>(count) * costs.codec.encode;
      part.add = static_cast<double>(count) * (costs.codec.decode + (sums ? touch : 0));
      part.update = static_cast<double>(count) * touch;
    }
  }
  for (int32_t rank = 0; rank < traits.workers; ++rank) {
    std::vector<bool>& of_rank = plan.colocated.emplace_back();
    for (int32_t server = 0; server < traits.servers; ++server)
      of_rank.push_back(AreColocated(traits, {Role::kWorker, rank}, {Role::kServer, server}));
  }
  plan.worker_process.resize(traits.workers);
  plan.server_process.resize(traits.servers);
  const std::vector<std::vector<NodeId>> processes = PlaceNodes(spec);
  for (size_t process = 0; process < processes.size(); ++process) {
    for (const NodeId& node : processes[process]) {
      auto& process_of = node.role == Role::kWorker ? plan.worker_process : plan.server_process;
      process_of[node.index] = static_cast<int32_t>(process);
    }
  }
  return plan;
}

int64_t PartsPlan::PushBytes(const EncodingName& name) const {
  return sizes != nullptr ? sizes->Up(name) : parts[name.server][name.bucket].push_bytes;
}

int64_t PartsPlan::AnswerBytes(const EncodingName& name) const {
  return sizes != nullptr ? sizes->Down(name) : parts[name.server][name.bucket].answer_bytes;
}

SimulatedServer::SimulatedServer(ServingPlan serving, std::unique_ptr<UpdateRule> update,
                                 const PartsPlan* plan,
                                 const std::vector<SimulatedPsWorker*>* workers,
                                 SimulatedNetwork* network, EventQueue* queue, ServerData* data)
    : index_(serving.index),
      plan_(*plan),
      workers_(*workers),
      network_(network),
      queue_(queue),
      data_(data),
      core_(std::move(serving), std::move(update),
            data != nullptr ? data->weights() : absl::Span<float>()),
      steps_(core_.plan().shard.workers, -1),
      asked_at_(core_.plan().shard.workers) {
  core_.Start(&actions_);  // nothing needs to be told what to expect here
}

void SimulatedServer::OnMessage(const Message& message) {
  inbox_.push_back(message);
  Serve();
}

void SimulatedServer::Spend(double seconds, EventQueue::Action action) {
  if (seconds == 0) return action();
  busy_ = true;
  queue_->After(seconds, [this, action = std::move(action)] {
    busy_ = false;
    action();
    Serve();
  });
}

void SimulatedServer::Serve() {
  while (!busy_ && !inbox_.empty()) {
    const Message message = std::move(inbox_.front());
    inbox_.pop_front();
    serving_since_ = queue_->time();
    const double seconds =
        message.tag.kind == MessageKind::kPush ? plan_.parts[index_][message.tag.bucket].add : 0;
    Spend(seconds, [this, message] { Handle(message); });
  }
}

void SimulatedServer::Handle(const Message& message) {
  actions_.clear();
  if (message.is_lost) {
    core_.OnLost(message.worker, &actions_);
    return Perform();
  }
  const absl::Status status = Tell(message);
  if (!status.ok()) {
    return network_->Abort(
        Annotate(status, absl::StrCat("server/", index_, ": from worker/", message.worker,
                                      " step=", message.tag.step, " bucket=", message.tag.bucket)));
  }
  double seconds = 0;
  if (message.tag.kind == MessageKind::kPush) {
    for (const int32_t part : core_.shard().updated()) seconds += plan_.parts[index_][part].update;
    if (!core_.shard().updated().empty()) updated_at_ = queue_->now();
    const std::optional<int32_t> mark = core_.shard().passed_mark();
    if (passed_ && mark.has_value() && core_.shard().HasCopy(*mark)) passed_(*mark);
  }
  steps_[message.worker] = message.step;
  if (!trace_.Wants(message.step)) return Spend(seconds, [this] { Perform(); });
  if (message.tag.kind == MessageKind::kPull) asked_at_[message.worker] = serving_since_;
  Spend(seconds, [this, message] {
    TraceServed(message);
    Perform();
  });
}

void SimulatedServer::Trace(const TraceExtent& extent) {
  trace_ = SimulatedTrace(extent, queue_);
  // All workers' pulls together have the room of one thread, and each has some.
  const auto workers = static_cast<int64_t>(steps_.size());
  parked_extent_ = {extent.steps, CeilDiv(extent.events_max, workers)};
}

void SimulatedServer::TraceServed(const Message& message) {
  const bool is_push = message.tag.kind == MessageKind::kPush;
  const MessageEnd end = {
      {Role::kWorker, message.worker}, message.tag, message.step, message.bytes};
  trace_.ReceivedAt(end, serving_since_);
  const int32_t bucket = is_push ? message.tag.bucket : -1;
  trace_.AddSpan(KindName(message.tag.kind), message.step, bucket, serving_since_);
  if (!is_push) return;
  trace_.AddSpan(core_.shard().updated().empty() ? "add" : "update", message.step, bucket,
                 serving_since_);
}

void SimulatedServer::TraceParked(int32_t worker) {
  if (!trace_.Wants(steps_[worker]) || asked_at_[worker] == serving_since_) return;
  SimulatedTrace& parked = parked_.try_emplace(worker, parked_extent_, queue_).first->second;
  parked.AddSpan("parked", steps_[worker], -1, asked_at_[worker]);
}

std::vector<ThreadEvents> SimulatedServer::Traces() const {
  const std::string node = ToString(NodeId{Role::kServer, index_});
  std::vector<ThreadEvents> threads = {trace_.Events(node, "shard")};
  for (const auto& [worker, trace] : parked_) {
    threads.push_back(
        trace.Events(node, absl::StrCat("parked ", ToString(NodeId{Role::kWorker, worker}))));
  }
  return threads;
}

absl::Status SimulatedServer::Tell(const Message& message) {
  const Tag& tag = message.tag;
  if (tag.kind != MessageKind::kPush)
    return core_.OnRequest(message.worker, DecodePullNote(tag.note), &actions_);
  absl::Span<const float> gradient;
  if (data_ != nullptr)
    gradient = data_->Decode(message.worker, tag.bucket, tag.step, message.payload);
  return core_.OnPush(PushOf(message.worker, tag, gradient), &actions_);
}

void SimulatedServer::Perform() {
  for (const ServerAction& action : actions_) {
    switch (action.kind) {
      case ServerAction::Kind::kExpect:
        break;
      case ServerAction::Kind::kReturn:
        if (data_ != nullptr) data_->Return(action.worker, action.tag.bucket);
        break;
      case ServerAction::Kind::kCopy:
        if (action.tag.kind == MessageKind::kPull) TraceParked(action.worker);
        if (data_ != nullptr) data_->Copy(action.worker, action.tag);
        break;
      case ServerAction::Kind::kSend:
        RM_CHECK(action.mark < 0);  // nobody asks: a simulated run ends with its last step
        Send(action.worker, action.tag);
        break;
    }
  }
  if (served_) served_();
}

void SimulatedServer::Send(int32_t worker, const Tag& tag) {
  const bool has_weights = tag.kind != MessageKind::kPull;
  const Payload payload = data_ != nullptr && has_weights ? data_->Send(worker, tag) : nullptr;
  const int64_t planned = tag.kind == MessageKind::kWeights
                              ? plan_.AnswerBytes({tag.step, worker, index_, tag.bucket})
                              : plan_.parts[index_][tag.bucket].weight_bytes;
  const int64_t bytes = has_weights ? BytesOf(payload, planned) : 0;
  if (const int64_t step = steps_[worker]; trace_.Wants(step))
    trace_.Sent({{Role::kWorker, worker}, tag, step, bytes});
  network_->Send(
      plan_.server_process[index_], plan_.worker_process[worker], bytes,
      [this, worker, part = tag.bucket, payload] {
        CheckUnchanged(payload);
        core_.OnSent(worker, part);
      },
      [to = workers_[worker], index = index_, tag, payload, bytes] {
        to->OnMessage(index, tag, payload, bytes);
      });
}

SimulatedPsWorker::SimulatedPsWorker(const WorkerPlan& worker, const PartsPlan* plan,
                                     const std::vector<SimulatedServer*>* servers,
                                     SimulatedNetwork* network, EventQueue* queue,
                                     PsWorkerData* data)
    : rank_(worker.rank),
      plan_(*plan),
      servers_(*servers),
      network_(network),
      queue_(queue),
      data_(data),
      core_(worker) {}

void SimulatedPsWorker::BeginStep(int64_t step, EventQueue::Action go) {
  waiting_ = std::move(go);
  core_.StepBegins(step, &actions_);
  Perform();
}

void SimulatedPsWorker::GradReady(const Gradient& gradient) {
  if (core_.plan().local_steps > 0) return;
  reported_ = gradient.step;
  core_.GradientReady(gradient.step, gradient.bucket, &actions_, gradient.lot);
  Perform();
}

void SimulatedPsWorker::EndStep(int64_t step, EventQueue::Action go) {
  if (data_ != nullptr && core_.plan().local_steps > 0) data_->MeasureDistance();
  reported_ = step;
  core_.StepEnds(step, &actions_);
  Perform();
  go();
}

void SimulatedPsWorker::Drain(EventQueue::Action done) {
  waiting_ = std::move(done);
  reported_ = -1;
  core_.DrainAsked(&actions_);
  Perform();
}

void SimulatedPsWorker::TakeLeave() {
  reported_ = -1;
  core_.FarewellAsked(&actions_);
  Perform();
}

void SimulatedPsWorker::OnMessage(int32_t server, const Tag& tag, const Payload& payload,
                                  int64_t bytes) {
  Had(server, tag, /*is_send=*/false);
  // What a drain brings is no part of any step.
  const bool is_of_a_step = tag.kind != MessageKind::kDrain;
  if (IsRemote(server) && is_of_a_step) traffic_.down += bytes;
  if (is_of_a_step && trace_.Wants(step_))
    trace_.Received({{Role::kServer, server}, tag, step_, bytes});
  if (data_ != nullptr && tag.kind != MessageKind::kPull) data_->Receive(server, tag, payload);
  core_.MessageArrived(server, tag, &actions_);
  Perform();
}

void SimulatedPsWorker::Perform() {
  bool may_go = false;
  for (const WorkerAction& action : actions_) {
    switch (action.kind) {
      case WorkerAction::Kind::kExpect:
        Await(action.server, action.tag, /*is_send=*/false);
        break;
      case WorkerAction::Kind::kSend:
        unsent_.push_back(action);
        break;
      case WorkerAction::Kind::kDeliver:
        if (data_ != nullptr) data_->Deliver();
        break;
      case WorkerAction::Kind::kSwap:
        if (data_ != nullptr) data_->Swap(action.tag.kind);
        break;
      case WorkerAction::Kind::kLetStepBegin:
        begun_ = action.tag.step;
        may_go = true;
        break;
      case WorkerAction::Kind::kDrained:
      case WorkerAction::Kind::kRecalled:
      case WorkerAction::Kind::kKept:
        may_go = true;
        break;
    }
  }
  actions_.clear();
  SendNext();
  if (may_go) std::exchange(waiting_, nullptr)();
}

void SimulatedPsWorker::Await(int32_t server, const Tag& tag, bool is_send) {
  if (watches_waits_) awaited_.push_back({{Role::kServer, server}, tag, is_send});
}

void SimulatedPsWorker::Had(int32_t server, const Tag& tag, bool is_send) {
  if (!watches_waits_) return;
  const auto is_it = [&](const Awaited& awaited) {
    return awaited.peer.index == server && awaited.tag == tag && awaited.is_send == is_send;
  };
  awaited_.erase(std::find_if(awaited_.begin(), awaited_.end(), is_it));
}

void SimulatedPsWorker::SendNext() {
  while (!busy_ && !unsent_.empty()) {
    const WorkerAction action = unsent_.front();
    unsent_.pop_front();
    const double encode = action.tag.kind == MessageKind::kPush
                              ? plan_.parts[action.server][action.tag.bucket].encode
                              : 0;
    if (encode == 0) {
      Send(action);
      continue;
    }
    busy_ = true;
    queue_->After(encode, [this, action] {
      busy_ = false;
      Send(action);
      SendNext();
    });
  }
}

// What the step thread told of while a pull was under way waits, and is then sent as of the step
// that its exchange is numbered by: where steps overlap, every step has one.
int64_t SimulatedPsWorker::StepOf(const WorkerAction& action) const {
  if (core_.plan().steps_in_flight_max == 1) return reported_;
  if (action.tag.kind == MessageKind::kPush) return action.tag.step;
  const PullNote note = DecodePullNote(action.tag.note);
  return note.drain || note.farewell ? -1 : note.clock - 1;
}

void SimulatedPsWorker::Send(const WorkerAction& action) {
  const bool is_push = action.tag.kind == MessageKind::kPush;
  const Payload payload = data_ != nullptr && is_push
                              ? data_->Push(action.server, action.tag.step, action.tag.bucket)
                              : nullptr;
  const EncodingName name = {action.tag.step, rank_, action.server, action.tag.bucket};
  const int64_t bytes = is_push ? BytesOf(payload, plan_.PushBytes(name)) : 0;
  if (IsRemote(action.server)) traffic_.up += bytes;
  step_ = StepOf(action);
  if (trace_.Wants(step_)) {
    trace_.BeginExchange(step_, is_push ? action.tag.bucket : -1);
    trace_.Sent({{Role::kServer, action.server}, action.tag, step_, bytes});
  }
  Await(action.server, action.tag, /*is_send=*/true);
  network_->Send(
      plan_.worker_process[rank_], plan_.server_process[action.server], bytes,
      [this, payload, server = action.server, tag = action.tag] {
        CheckUnchanged(payload);
        Had(server, tag, /*is_send=*/true);
        if (trace_.Wants(step_)) trace_.Left();
        core_.MessageLeft(&actions_);
        Perform();
      },
      [this, server = servers_[action.server], tag = action.tag, payload, bytes, step = step_] {
        server->OnMessage({rank_, tag, payload, bytes, step});
      });
}

}  // namespace ringmaster
