#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_ALL_REDUCE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_ALL_REDUCE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/collective/collective_core.h"
#include "common/collective/plan.h"
#include "common/params/param_layout.h"
#include "experiments/study/predict/all_reduce_plan.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/simulated_data.h"
#include "experiments/study/predict/simulated_exchange.h"
#include "experiments/study/predict/simulated_network.h"

namespace ringmaster {

// The shell of CollectiveCore in simulated time, with the one thread that has the tasks: it
// encodes, starts, goes on with what messages have brought, and decodes, one after the other.
class SimulatedAllReduce : public SimulatedExchange {
 public:
  // `plan`, `ranks` (of all that are played), `network`, `queue` and `data` outlive this.
  SimulatedAllReduce(int32_t rank, const AllReducePlan* plan,
                     const std::vector<SimulatedAllReduce*>* ranks, SimulatedNetwork* network,
                     EventQueue* queue, RankData* data);

  void BeginStep(int64_t step, EventQueue::Action go) override;
  void GradReady(const Gradient& gradient) override;
  void EndStep(int64_t step, EventQueue::Action go) override;
  void Updated(int64_t step, EventQueue::Action go) override;
  void Drain(EventQueue::Action done) override;
  void TakeLeave() override {}

  // Where the run goes on without lost workers (AllReducePlan::is_apart).

  // `rank` is lost: nothing is sent to it any more, and nothing expected of it is waited for.
  // REQUIRES: WatchWaits.
  void OnLost(int32_t rank);
  // Drains average the weights of so many workers. `averages`: this rank's plans, by bucket, with
  // peers by their ranks in the run.
  void LeaveOut(int32_t workers, std::vector<Plan> averages);

  int64_t lag() const override { return 1 + plan_.scheme.delay; }
  bool updates() const override { return true; }
  double update_share() const override { return plan_.update_share; }
  int64_t delay() const override { return plan_.scheme.delay; }
  std::vector<Awaited> awaited() const override;

 private:
  // Of a message between the ranks: its collective's ticket, which is the same on all since they
  // start the same in the same order, the sender, round and piece, 16 bits each.
  using MessageName = uint64_t;
  enum class Summed : uint8_t {
    kExchanged,  // gradients, or a copy of the weights
    kShares,     // the weights, of which this worker has updated a share
    kAverage,    // a copy of the weights, by all workers
  };
  struct Task {
    int64_t step = 0;  // -1: of none
    int32_t bucket = 0;
    int32_t round = 0;
    Summed summed = Summed::kExchanged;
    int64_t after = 0;  // tasks that must be through before it starts
  };

  void OnMessage(MessageName name, const Payload& payload);
  std::optional<Exchanged> ExchangedIn(int64_t step) const {
    return ringmaster::ExchangedIn(plan_.scheme, step);
  }
  // Hands over all buckets at once.
  void PostAll(int64_t step, Summed summed);
  // Hands over the weights as they are.
  void PostWeights(int64_t step, Summed summed);
  const std::vector<AllReducePlan::Round>& RoundsOf(int64_t step, int32_t bucket) const;
  const AllReducePlan::Round& RoundOf(const Task& task) const {
    return RoundsOf(task.step, task.bucket)[task.round];
  }
  const Plan& PlanOf(const Task& task) const;
  // Does all that can be done now.
  void Work();
  // Does one thing; false: there is none.
  bool WorkOnce();
  bool StartTask();
  bool HasRoom(const Task& task) const;
  // Starts the later rounds whose turn it is; whether it did.
  bool StartLater();
  void Launch(const Task& task);
  void StartData(const Task& task, int32_t flight, const Plan& plan);
  void Post(Task task);
  // Once `tasks` tasks in all are through.
  void Await(int64_t tasks, EventQueue::Action go);
  void Act();
  // Begins to wait for a message, or takes it where it is there.
  void Expect(OpRef ref);
  // The operations with `rank` of a list are over.
  void EndAll(int32_t rank, absl::flat_hash_map<MessageName, OpRef>* operations);
  void Send(OpRef ref);
  // Bytes of a message without data.
  int64_t PlannedBytes(OpRef ref) const;
  void Take(OpRef ref, const Payload& payload);
  void Decode(int32_t flight);
  MessageName NameOf(OpRef ref, int32_t from) const;
  // Of a message that this rank sends or receives, for its trace.
  MessageEnd EndOf(OpRef ref, const Payload& payload) const;

  const int32_t rank_;
  const AllReducePlan& plan_;
  const std::vector<SimulatedAllReduce*>& ranks_;
  SimulatedNetwork* const network_;
  EventQueue* const queue_;
  RankData* const data_;

  CollectiveCore core_;
  std::vector<CollectiveAction> actions_;
  std::vector<Task> flights_;  // what the core's flights work on
  std::deque<Task> tasks_;
  bool is_encoded_ = false;     // the first task's bucket, which waits for room
  bool busy_ = false;           // the thread encodes or decodes
  int32_t encodings_ = 0;       // held
  std::deque<OpRef> done_;      // messages that the thread has yet to see
  std::deque<int32_t> landed_;  // flights that it has yet to decode
  absl::flat_hash_map<MessageName, OpRef> posted_;
  absl::flat_hash_map<MessageName, Payload> early_;  // they came before they were expected
  absl::flat_hash_map<MessageName, OpRef> sending_;  // where waits are watched: not taken yet
  std::vector<bool> lost_;                           // by rank
  int32_t averaged_ = 0;                             // workers, by a drain
  std::vector<Plan> averages_;  // of those that are left, by bucket; empty: nobody is lost
  std::deque<int64_t> ended_;   // tasks posted by the end of the last delay + 1 steps
  bool equal_ = false;          // all workers have the same weights, and a drain averages nothing
  int64_t tasks_posted_ = 0;
  int64_t tasks_done_ = 0;
  EventQueue::Action waiting_;  // the step thread, for
  int64_t awaited_tasks_ = 0;   // so many
  // Of sums in rounds, as ReducerSum has them: buckets of a step whose first round has been
  // started; the first one whose last round has not; and the tasks that wait for their turn.
  int32_t begun_ = 0, later_ = 0;
  int64_t begun_step_ = 0;
  std::vector<Task> next_rounds_;  // by bucket; round 0: none waits
  std::vector<int32_t> started_;   // rounds, by bucket
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_ALL_REDUCE_H_
