#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_CLUSTER_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_CLUSTER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/control/dealing.h"
#include "common/params/param_layout.h"
#include "common/trace/event_ring.h"
#include "common/trace/thread_events.h"
#include "common/trace/thread_recorder.h"
#include "experiments/study/predict/all_reduce_plan.h"
#include "experiments/study/predict/costs.h"
#include "experiments/study/predict/encoding_sizes.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/simulated_all_reduce.h"
#include "experiments/study/predict/simulated_data.h"
#include "experiments/study/predict/simulated_exchange.h"
#include "experiments/study/predict/simulated_network.h"
#include "experiments/study/predict/simulated_servers.h"
#include "experiments/study/predict/simulated_trace.h"

namespace ringmaster {

class RunSpec;

// How a run exchanges its buckets, whatever its ranks compute.
struct ClusterPlan {
  AllReducePlan all_reduce;  // where the strategy is one
  PartsPlan parts;           // where servers hold the weights
  double work = 0;           // seconds of codecs and servers in a step, all together
};

// `spec` is resolved and valid, and not `single`, which exchanges nothing. `merged`: as of
// PlanAllReduce; REQUIRES a collective or gossip, and costs that are all workers'.
absl::StatusOr<ClusterPlan> PlanCluster(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                        const Costs& costs, bool merged = false);

// What the resolved run encodes, of parameters that lie so. Borrows both.
EncodedRun EncodedRunOf(const RunSpec& spec, const ParamLayout& layout);

// What the nodes of a cluster compute with; all empty in a prediction. Outlives the cluster.
struct ClusterData {
  EventQueue* queue = nullptr;         // on which it happens; null: one of its own
  std::vector<StepData*> steps;        // by rank
  std::vector<RankData*> ranks;        // by rank, in an all-reduce
  std::vector<PsWorkerData*> workers;  // by rank, with servers
  std::vector<ServerData*> servers;
  std::vector<std::vector<Range>> parts;  // of each server, as ShardParts has them
  std::vector<Range> statistics;          // ParamLayout::statistics
};

// The step thread of one rank in simulated time: the training loop's order of loading, gate,
// computing, exchange and update.
class SimulatedStepThread {
 public:
  // One step, in seconds.
  struct Step {
    double whole = 0;
    double exposed = 0;  // all its waits
    double gated = 0;    // of these, the one before it computes
    double computed = 0;
    double end = 0;   // when
    int64_t lot = 0;  // its first one (common/control/dealing.h)
  };
  struct Seat {
    int32_t rank = 0;
    int32_t ranks = 1;  // N, among whom work is dealt
    // computing takes up to so much less or more of itself, in [0, 1)
    double drift = 0;
  };

  // `data` may be null.
  SimulatedStepThread(const Seat& seat, const Costs& costs, SimulatedExchange* exchange,
                      EventQueue* queue, StepData* data)
      : seat_(seat),
        costs_(costs),
        exchange_(exchange),
        queue_(queue),
        data_(data),
        random_(seat.rank) {}

  // Before Run: the steps before `step` have been made.
  void BeginAt(int64_t step) { step_ = step; }
  // Does steps until `last`, then `done`.
  void Run(int64_t last, EventQueue::Action done);
  // Does steps while `dealer` deals it a lot for each, one ahead, then `done`. The dealer's answer
  // takes no time: it is asked a step early.
  void RunClaimed(ClaimDealer* dealer, EventQueue::Action done);
  // The same where an answer takes time: `ask` asks for one lot, which comes by Claimed, absent
  // where none is left.
  void RunClaimed(std::function<void()> ask, EventQueue::Action done);
  void Claimed(std::optional<int64_t> lot);

  // Between two steps. `done`: the worker's weights hold every update of finished steps.
  void Drain(EventQueue::Action done);

  // Where the thread is, as a real one says it (worker/loop/conductor.h).
  struct Standing {
    int64_t step = 0;
    const char* phase = "start";  // a string literal
    int64_t phases = 0;           // entered so far
  };
  const Standing& standing() const { return standing_; }
  bool awaits_lot() const { return awaits_lot_; }

  // Of finished steps, in order.
  const std::vector<Step>& steps() const { return done_steps_; }
  // What the thread did in these steps, as a real one records it, counted from the beginning of
  // simulated time. `backward_share`: of forward and backward.
  std::vector<SpanEvent> Spans(const TracedSteps& traced, double backward_share) const;
  // When the exchange of step 0 was over; 0: it is not.
  double first_exchange() const { return first_exchange_; }

 private:
  void Begin();
  // Whether there is work for another step; claims that of the step after it.
  bool HasWork();
  void Compute();
  void EndStep();
  void Update(int64_t step);
  void Finish();
  void Enter(const char* phase) { standing_ = {step_, phase, standing_.phases + 1}; }

  const Seat seat_;
  const Costs& costs_;
  SimulatedExchange* const exchange_;
  EventQueue* const queue_;
  StepData* const data_;
  Random random_;
  int64_t step_ = 0;
  int64_t last_ = 0;
  std::function<void()> ask_;    // for a lot; absent: work is dealt
  std::optional<int64_t> next_;  // the lot of its next step, which it has claimed
  bool is_answered_ = false;     // it has been told of that
  bool awaits_lot_ = false;      // the next step cannot begin before
  EventQueue::Action done_;
  double begin_ = 0;
  double wait_begin_ = 0;
  Standing standing_;
  Step current_;
  std::vector<Step> done_steps_;
  double first_exchange_ = 0;
};

// A whole run in simulated time, in one thread: the step threads of all workers, the exchange's
// cores in their shells, the servers and the network.
class SimulatedCluster {
 public:
  // `spec`, `plan` and `costs` outlive this; `costs.network` has a card for every process of the
  // run (experiments/program/run/placement.h). InvalidArgument: the optimizer's.
  static absl::StatusOr<std::unique_ptr<SimulatedCluster>> Create(const RunSpec& spec,
                                                                  const ClusterPlan& plan,
                                                                  const Costs& costs, double drift,
                                                                  const ClusterData& data = {});
  SimulatedCluster(const SimulatedCluster&) = delete;
  SimulatedCluster& operator=(const SimulatedCluster&) = delete;

  EventQueue& queue() { return queue_; }
  SimulatedNetwork& network() { return network_; }
  // That are played.
  int32_t workers() const { return static_cast<int32_t>(threads_.size()); }
  SimulatedStepThread& thread(int32_t rank) { return *threads_[rank]; }
  SimulatedExchange& exchange(int32_t rank) { return *exchanges_[rank]; }
  SimulatedServer& server(int32_t index) { return *servers_[index]; }

  // Keeps what each exchange thread and server does in traced steps. REQUIRES: no time has passed.
  void Trace(const TraceExtent& extent);
  // What the threads of the worker, or of the one that is played for it, did in these steps.
  std::vector<ThreadEvents> Traces(int32_t rank, const TracedSteps& traced,
                                   double backward_share) const;

  // Lets time pass until `stop`, or until nothing happens any more. The network's status.
  absl::Status Run(const std::function<bool()>& stop);

 private:
  SimulatedCluster(const NetworkCosts& costs, EventQueue* queue)
      : queue_(queue != nullptr ? *queue : own_queue_), network_(costs, &queue_) {}
  void AddRanks(const ClusterPlan& plan, int32_t workers, const ClusterData& data);
  absl::Status AddServers(const RunSpec& spec, const ClusterPlan& plan, const ClusterData& data);

  int32_t all_workers_ = 0;  // that are played or stood for
  EventQueue own_queue_;
  EventQueue& queue_;
  SimulatedNetwork network_;
  std::vector<SimulatedAllReduce*> ranks_;
  std::vector<SimulatedServer*> servers_;
  std::vector<SimulatedPsWorker*> ps_workers_;
  std::vector<std::unique_ptr<SimulatedServer>> owned_servers_;
  std::vector<std::unique_ptr<SimulatedExchange>> exchanges_;
  std::vector<std::unique_ptr<SimulatedStepThread>> threads_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_SIMULATED_CLUSTER_H_
