#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_ALL_REDUCE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_ALL_REDUCE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/collective/collective_core.h"
#include "common/collective/plan.h"
#include "common/params/param_layout.h"
#include "experiments/study/predict/costs.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/simulated_data.h"
#include "experiments/study/predict/simulated_exchange.h"
#include "experiments/study/predict/simulated_network.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// How the buckets of a run are summed, for all ranks. Buckets of one size share their plans.
struct AllReducePlan {
  struct OfBucket {
    std::shared_ptr<const std::vector<Plan>> plans;  // by rank
    int64_t bytes = 0;  // of what is summed; of a gather, of a rank's own message
    double encode = 0;  // seconds, of a rank
    double decode = 0;
  };
  std::vector<OfBucket> buckets;
  int32_t encoded_max = 0;  // buckets that hold an encoding at once; 0: gradients go as they are
};

// As the strategy plans it (worker/strategy/all_reduce/executor_sum.cc). `spec` is resolved, its
// strategy an all-reduce of ours.
absl::StatusOr<AllReducePlan> PlanAllReduce(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                            const CodecCosts& costs);

// The shell of CollectiveCore in simulated time, with the one thread that has the tasks: it
// encodes, starts, goes on with what messages have brought, and decodes, one after the other.
class SimulatedAllReduce : public SimulatedExchange {
 public:
  // `plan`, `ranks` (those of all workers), `network`, `queue` and `data` outlive this.
  SimulatedAllReduce(int32_t rank, const AllReducePlan* plan,
                     const std::vector<SimulatedAllReduce*>* ranks, SimulatedNetwork* network,
                     EventQueue* queue, RankData* data);

  void BeginStep(int64_t step, EventQueue::Action go) override { go(); }
  void GradReady(int64_t step, int32_t bucket) override;
  void EndStep(int64_t step, EventQueue::Action go) override;
  void Drain(EventQueue::Action done) override { done(); }
  void TakeLeave() override {}
  int64_t lag() const override { return 1; }
  bool updates() const override { return true; }

 private:
  // Of a message between the ranks: its collective's ticket, which is the same on all since they
  // start the same in the same order, the sender, round and piece, 16 bits each.
  using MessageName = uint64_t;
  struct Task {
    int64_t step = 0;
    int32_t bucket = 0;
  };

  void OnMessage(MessageName name, const Payload& payload);
  // Does all that can be done now.
  void Work();
  // Does one thing; false: there is none.
  bool WorkOnce();
  bool StartTask();
  void Launch(const Task& task);
  void Act();
  void Send(OpRef ref);
  void Take(OpRef ref, const Payload& payload);
  void Decode(int32_t flight);
  MessageName NameOf(OpRef ref, int32_t from) const;

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
  EventQueue::Action waiting_;                       // the step thread in EndStep
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_ALL_REDUCE_H_
