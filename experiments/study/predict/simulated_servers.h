#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_SERVERS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_SERVERS_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/exchange/snapshot_store.h"
#include "common/network/network_plan.h"
#include "common/params/param_layout.h"
#include "common/state/state.h"
#include "common/trace/thread_events.h"
#include "common/update/update_rule.h"
#include "experiments/study/predict/costs.h"
#include "experiments/study/predict/encoding_sizes.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/simulated_data.h"
#include "experiments/study/predict/simulated_exchange.h"
#include "experiments/study/predict/simulated_network.h"
#include "experiments/study/predict/simulated_trace.h"
#include "server/server_core.h"
#include "worker/strategy/ps/worker_core.h"

namespace ringmaster {

class RunSpec;

// What a part of a bucket on a server takes.
struct PartCosts {
  int64_t push_bytes = 0;    // at most
  int64_t answer_bytes = 0;  // of the weights in a step, at most
  int64_t weight_bytes = 0;  // of the weights as floats, which a drain brings
  double encode = 0;         // seconds: at the worker, before it is pushed
  double add = 0;            // at the server, of one contribution
  double update = 0;
};

// How the buckets of a run lie on servers. Processes as PlaceNodes numbers them.
struct PartsPlan {
  std::vector<std::vector<PartCosts>> parts;  // [server][bucket]
  std::vector<int32_t> worker_process;
  std::vector<int32_t> server_process;
  // [worker][server]: what they say to each other is no traffic
  std::vector<std::vector<bool>> colocated;
  const EncodingSizes* sizes = nullptr;  // CodecCosts::sizes

  // Bytes of a push, and of the weights in a step, that carry no data.
  int64_t PushBytes(const EncodingName& name) const;
  int64_t AnswerBytes(const EncodingName& name) const;
};

// `spec` is resolved, its strategy a parameter server's. `costs.compute.update` is that of all
// weights.
absl::StatusOr<PartsPlan> PlanParts(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                    const Costs& costs);

class SimulatedPsWorker;

// The shell of ServerCore in simulated time: one thread, which handles messages in the order in
// which they come, and for which each contribution and each update takes its time.
class SimulatedServer {
 public:
  // `plan`, `workers` (all of them), `network`, `queue` and `data` outlive this. Without data
  // `serving` has empty parts.
  SimulatedServer(ServingPlan serving, std::unique_ptr<UpdateRule> update, const PartsPlan* plan,
                  const std::vector<SimulatedPsWorker*>* workers, SimulatedNetwork* network,
                  EventQueue* queue, ServerData* data);

  struct Message {
    int32_t worker = 0;
    Tag tag;
    Payload payload;
    int64_t bytes = 0;
    int64_t step = -1;     // of the worker's that it belongs to; -1: to none
    bool is_lost = false;  // none, but that the worker is lost
  };

  // A push, or a request.
  void OnMessage(const Message& message);
  // Nothing comes of `worker` any more. Once.
  void OnLost(int32_t worker) { OnMessage({worker, {}, nullptr, 0, -1, /*is_lost=*/true}); }

  const ServerCore& core() const { return core_; }
  // ServerCore's. Take: before the first message.
  absl::StatusOr<State> Give() const { return core_.Give(); }
  absl::Status Take(const State& state) { return core_.Take(state); }
  SnapshotStore ReleaseCopies() { return core_.ReleaseCopies(); }
  void TakeCopies(SnapshotStore copies) { core_.TakeCopies(std::move(copies)); }
  // `served`: told after each message, when all that follows from it has been sent.
  void ObserveMessages(std::function<void()> served) { served_ = std::move(served); }
  // Memory for copies at marks, before the first push (ServerCore::UseCopies). `passed`: told of a
  // mark that every part has passed.
  void KeepMarks(SnapshotStore copies, std::function<void(int32_t mark)> passed) {
    core_.UseCopies(std::move(copies));
    passed_ = std::move(passed);
  }
  // When its last update was made, in seconds.
  double updated_at() const { return updated_at_; }

  // Keeps what the server does in traced steps. REQUIRES: nothing has been done.
  void Trace(const TraceExtent& extent);
  // As real ones have them: the shard's thread, and of each worker how long its pulls have waited.
  std::vector<ThreadEvents> Traces() const;

 private:
  void Serve();
  void Handle(const Message& message);
  absl::Status Tell(const Message& message);
  void Perform();
  void Send(int32_t worker, const Tag& tag);
  // Keeps that the message has been served, now.
  void TraceServed(const Message& message);
  // Keeps how long the worker's pull has waited at the gate, if it has.
  void TraceParked(int32_t worker);
  // Runs `action` after the thread has worked so long on it.
  void Spend(double seconds, EventQueue::Action action);

  const int32_t index_;
  const PartsPlan& plan_;
  const std::vector<SimulatedPsWorker*>& workers_;
  SimulatedNetwork* const network_;
  EventQueue* const queue_;
  ServerData* const data_;
  ServerCore core_;
  std::vector<ServerAction> actions_;
  std::function<void(int32_t mark)> passed_;
  std::function<void()> served_;
  double updated_at_ = 0;
  std::deque<Message> inbox_;
  bool busy_ = false;
  Nanoseconds serving_since_ = 0;
  std::vector<int64_t> steps_;  // by worker: Message::step of its last one
  SimulatedTrace trace_;
  TraceExtent parked_extent_;
  std::vector<Nanoseconds> asked_at_;         // by worker: its last traced pull
  std::map<int32_t, SimulatedTrace> parked_;  // by worker
};

// The shell of WorkerCore in simulated time. The exchange thread encodes and sends what the core
// asks for, in order.
class SimulatedPsWorker : public SimulatedExchange {
 public:
  // `plan`, `servers` (all of them), `network`, `queue` and `data` outlive this.
  SimulatedPsWorker(const WorkerPlan& worker, const PartsPlan* plan,
                    const std::vector<SimulatedServer*>* servers, SimulatedNetwork* network,
                    EventQueue* queue, PsWorkerData* data);

  void BeginStep(int64_t step, EventQueue::Action go) override;
  int64_t begun_step(int64_t step) const override { return begun_; }
  void GradReady(const Gradient& gradient) override;
  void EndStep(int64_t step, EventQueue::Action go) override;
  void Drain(EventQueue::Action done) override;
  void TakeLeave() override;
  int64_t lag() const override {
    return std::max<int64_t>(core_.plan().steps_in_flight_max, core_.plan().local_steps);
  }
  bool updates() const override { return core_.plan().local_steps > 0; }
  bool updates_first() const override { return true; }
  std::vector<Awaited> awaited() const override { return awaited_; }

  // Of `server`: a part's weights, or the end of a pull's answer.
  void OnMessage(int32_t server, const Tag& tag, const Payload& payload, int64_t bytes);

  const WorkerCore& core() const { return core_; }
  // WorkerCore's.
  void BeginAt(int64_t exchanges, absl::Span<const int64_t> versions) {
    core_.BeginAt(exchanges, versions);
  }

 private:
  // Does what the core has asked for.
  void Perform();
  void SendNext();
  void Send(const WorkerAction& action);
  // To which step the message belongs that is sent now; -1: to none.
  int64_t StepOf(const WorkerAction& action) const;
  // Where waits are watched.
  void Await(int32_t server, const Tag& tag, bool is_send);
  void Had(int32_t server, const Tag& tag, bool is_send);
  bool IsRemote(int32_t server) const { return !plan_.colocated[rank_][server]; }

  const int32_t rank_;
  const PartsPlan& plan_;
  const std::vector<SimulatedServer*>& servers_;
  SimulatedNetwork* const network_;
  EventQueue* const queue_;
  PsWorkerData* const data_;
  WorkerCore core_;
  std::vector<WorkerAction> actions_;
  std::deque<WorkerAction> unsent_;
  std::vector<Awaited> awaited_;  // empty where waits are not watched
  int64_t begun_ = 0;             // the step last let begin
  int64_t reported_ = -1;         // the step of which the step thread told last; -1: it drains
  int64_t step_ = -1;             // of the message last sent
  bool busy_ = false;             // the exchange thread encodes
  EventQueue::Action waiting_;    // the step thread in BeginStep or Drain
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_SERVERS_H_
