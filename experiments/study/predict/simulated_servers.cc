#include "experiments/study/predict/simulated_servers.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
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
            data != nullptr ? data->weights() : absl::Span<float>()) {
  core_.Start(&actions_);  // nothing needs to be told what to expect here
}

void SimulatedServer::OnMessage(int32_t worker, const Tag& tag, const Payload& payload) {
  inbox_.push_back({worker, tag, payload});
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
    const double seconds =
        message.tag.kind == MessageKind::kPush ? plan_.parts[index_][message.tag.bucket].add : 0;
    Spend(seconds, [this, message] { Handle(message); });
  }
}

void SimulatedServer::Handle(const Message& message) {
  actions_.clear();
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
  Spend(seconds, [this] { Perform(); });
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
        if (data_ != nullptr) data_->Copy(action.worker, action.tag);
        break;
      case ServerAction::Kind::kSend:
        RM_CHECK(action.mark < 0);  // nobody asks: a simulated run ends with its last step
        Send(action.worker, action.tag);
        break;
    }
  }
}

void SimulatedServer::Send(int32_t worker, const Tag& tag) {
  const bool has_weights = tag.kind != MessageKind::kPull;
  const PartCosts& costs = plan_.parts[index_][tag.bucket];
  const Payload payload = data_ != nullptr && has_weights ? data_->Send(worker, tag) : nullptr;
  const int64_t planned =
      tag.kind == MessageKind::kWeights ? costs.answer_bytes : costs.weight_bytes;
  const int64_t bytes = has_weights ? BytesOf(payload, planned) : 0;
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

void SimulatedPsWorker::GradReady(int64_t step, int32_t bucket) {
  if (core_.plan().local_steps > 0) return;
  core_.GradientReady(step, bucket, &actions_);
  Perform();
}

void SimulatedPsWorker::EndStep(int64_t step, EventQueue::Action go) {
  if (data_ != nullptr && core_.plan().local_steps > 0) data_->MeasureDistance();
  core_.StepEnds(step, &actions_);
  Perform();
  go();
}

void SimulatedPsWorker::Drain(EventQueue::Action done) {
  waiting_ = std::move(done);
  core_.DrainAsked(&actions_);
  Perform();
}

void SimulatedPsWorker::TakeLeave() {
  core_.FarewellAsked(&actions_);
  Perform();
}

void SimulatedPsWorker::OnMessage(int32_t server, const Tag& tag, const Payload& payload,
                                  int64_t bytes) {
  // What a drain brings is no part of any step.
  if (IsRemote(server) && tag.kind != MessageKind::kDrain) traffic_.down += bytes;
  if (data_ != nullptr && tag.kind != MessageKind::kPull) data_->Receive(server, tag, payload);
  core_.MessageArrived(server, tag, &actions_);
  Perform();
}

void SimulatedPsWorker::Perform() {
  bool may_go = false;
  for (const WorkerAction& action : actions_) {
    switch (action.kind) {
      case WorkerAction::Kind::kExpect:
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
        may_go = true;
        break;
    }
  }
  actions_.clear();
  SendNext();
  if (may_go) std::exchange(waiting_, nullptr)();
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

void SimulatedPsWorker::Send(const WorkerAction& action) {
  const bool is_push = action.tag.kind == MessageKind::kPush;
  const Payload payload = data_ != nullptr && is_push
                              ? data_->Push(action.server, action.tag.step, action.tag.bucket)
                              : nullptr;
  const int64_t bytes =
      is_push ? BytesOf(payload, plan_.parts[action.server][action.tag.bucket].push_bytes) : 0;
  if (IsRemote(action.server)) traffic_.up += bytes;
  network_->Send(
      plan_.worker_process[rank_], plan_.server_process[action.server], bytes,
      [this, payload] {
        CheckUnchanged(payload);
        core_.MessageLeft(&actions_);
        Perform();
      },
      [this, server = servers_[action.server], tag = action.tag, payload] {
        server->OnMessage(rank_, tag, payload);
      });
}

}  // namespace ringmaster
