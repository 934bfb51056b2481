#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SERVER_MODEL_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SERVER_MODEL_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/exchange_model.h"
#include "experiments/study/predict/simulated_network.h"
#include "server/clock_table.h"

namespace ringmaster {

// How the buckets lie on servers, and what their parts take.
struct ServerPlan {
  int32_t workers = 0;
  // BSP: one update from the sum of all workers, sent to all of them. Else an update per arrival, and workers pull.
  bool bsp = true;
  std::optional<int64_t> staleness_bound;  // of pulls; absent: they never wait
  int64_t lag = 1;                         // of a worker (ExchangeModel); 2: asynchronous
  bool updates_together = false;           // gradients are clipped: no part is updated before all sums are there
  // [server][bucket], bytes.
  std::vector<std::vector<int64_t>> push_bytes;
  std::vector<std::vector<int64_t>> weight_bytes;
  // Seconds: at the worker for a part before it is sent; at the server for a contribution, and for an update.
  std::vector<std::vector<double>> encode;
  std::vector<std::vector<double>> add;
  std::vector<std::vector<double>> update;
  std::vector<int> worker_process;
  std::vector<int> server_process;
};

class ServerExchangeModel;

// A server in a simulation: one thread, which handles messages in the order in which they come (server/shard_service.h).
class ServerModel {
 public:
  // `plan` and `workers`, the models of all, outlive this.
  ServerModel(int32_t index, const ServerPlan* plan, const std::vector<ServerExchangeModel*>* workers,
              SimulatedNetwork* network, EventQueue* queue);

  void OnPush(int32_t worker, int32_t bucket);
  // A worker that has finished `clock` steps asks for weights.
  void OnPull(int32_t worker, int64_t clock);

 private:
  void ApplySum(int32_t bucket);
  void SendPart(int32_t bucket);
  // Answers the pulls that may be answered.
  void AnswerPulls();
  void Answer(int32_t worker);
  bool MayAnswer(int32_t worker) const;
  // Runs `action` once the thread has worked so long on it, behind what it has to do already.
  void Work(double seconds, EventQueue::Action action);

  const int32_t index_;
  const ServerPlan& plan_;
  const std::vector<ServerExchangeModel*>& workers_;
  SimulatedNetwork* const network_;
  EventQueue* const queue_;
  double free_ = 0;                          // when the thread has done what waits
  std::vector<int32_t> contributions_;       // by bucket, of the next update
  int32_t complete_ = 0;                     // buckets whose sum is there, with updates_together
  ClockTable clocks_;
  std::vector<std::optional<int64_t>> pulls_;  // by worker, the clock of one that waits
};

// A worker of parameter servers in a simulation: the exchange thread with its tasks in order
// (worker/strategy/ps/parameter_server_strategy.cc).
class ServerExchangeModel : public ExchangeModel {
 public:
  // `plan` and `servers` outlive this.
  ServerExchangeModel(int32_t rank, const ServerPlan* plan, const std::vector<ServerModel*>* servers,
                      SimulatedNetwork* network, EventQueue* queue);

  void BeginStep(int64_t step, EventQueue::Action go) override;
  void GradReady(int64_t step, int32_t bucket) override;
  void EndStep(int64_t step, EventQueue::Action go) override;
  int64_t lag() const override { return plan_.lag; }
  bool updates() const override { return false; }

  // A part's weights have come, or the end of a pull's answer.
  void OnWeights();

 private:
  struct Task {
    int64_t step = 0;
    int32_t bucket = -1;  // -1: the step's end
  };

  void RunTasks();
  // Sends the bucket's part for the server that comes as the `turn`-th, then the others'; then goes on with tasks.
  void Push(int32_t bucket, int32_t turn);
  void FinishStep();
  // Runs what waits for steps that have ended.
  void LetGo();

  const int32_t rank_;
  const ServerPlan& plan_;
  const std::vector<ServerModel*>& servers_;
  SimulatedNetwork* const network_;
  EventQueue* const queue_;

  std::deque<Task> tasks_;
  bool busy_ = false;          // with the task that was taken last
  int64_t ended_ = 0;          // steps whose end's task is done
  int64_t messages_ = 0;       // with weights, of the step that ends next
  int64_t awaited_ = 0;        // until the step's end is done; 0: nothing is awaited
  EventQueue::Action waiting_;  // the step thread in BeginStep
  int64_t needs_ended_ = 0;    // for it
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SERVER_MODEL_H_
