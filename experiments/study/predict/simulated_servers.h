#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_SERVERS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_SERVERS_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/exchange/snapshot_store.h"
#include "common/params/param_layout.h"
#include "common/update/update_rule.h"
#include "experiments/study/predict/costs.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/simulated_data.h"
#include "experiments/study/predict/simulated_exchange.h"
#include "experiments/study/predict/simulated_network.h"
#include "server/server_core.h"
#include "worker/strategy/ps/worker_core.h"

namespace ringmaster {

class RunSpec;

// What a part of a bucket on a server takes.
struct PartCosts {
  int64_t push_bytes = 0;
  int64_t answer_bytes = 0;  // of the weights in a step
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

  // Of `worker`: a push, or a request.
  void OnMessage(int32_t worker, const Tag& tag, const Payload& payload);

  const ServerCore& core() const { return core_; }
  // Memory for copies at marks, before the first push (ServerCore::UseCopies). `passed`: told of a
  // mark that every part has passed.
  void KeepMarks(SnapshotStore copies, std::function<void(int32_t mark)> passed) {
    core_.UseCopies(std::move(copies));
    passed_ = std::move(passed);
  }
  // When its last update was made, in seconds.
  double updated_at() const { return updated_at_; }

 private:
  struct Message {
    int32_t worker = 0;
    Tag tag;
    Payload payload;
  };

  void Serve();
  void Handle(const Message& message);
  absl::Status Tell(const Message& message);
  void Perform();
  void Send(int32_t worker, const Tag& tag);
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
  double updated_at_ = 0;
  std::deque<Message> inbox_;
  bool busy_ = false;
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
  void GradReady(int64_t step, int32_t bucket) override;
  void EndStep(int64_t step, EventQueue::Action go) override;
  void Drain(EventQueue::Action done) override;
  void TakeLeave() override;
  int64_t lag() const override {
    return std::max<int64_t>(core_.plan().steps_in_flight_max, core_.plan().local_steps);
  }
  bool updates() const override { return core_.plan().local_steps > 0; }
  bool updates_first() const override { return true; }

  // Of `server`: a part's weights, or the end of a pull's answer.
  void OnMessage(int32_t server, const Tag& tag, const Payload& payload, int64_t bytes);

  const WorkerCore& core() const { return core_; }

 private:
  // Does what the core has asked for.
  void Perform();
  void SendNext();
  void Send(const WorkerAction& action);
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
  int64_t begun_ = 0;           // the step last let begin
  bool busy_ = false;           // the exchange thread encodes
  EventQueue::Action waiting_;  // the step thread in BeginStep or Drain
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_SERVERS_H_
