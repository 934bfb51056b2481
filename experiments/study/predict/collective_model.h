#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COLLECTIVE_MODEL_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COLLECTIVE_MODEL_H_

#include <cstdint>
#include <deque>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "common/collective/collective_core.h"
#include "common/collective/plan.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/exchange_model.h"
#include "experiments/study/predict/simulated_network.h"

namespace ringmaster {

// How one bucket is summed up by every rank.
struct BucketPlans {
  std::vector<Plan> plans;       // by rank
  std::vector<int64_t> sent_bytes;  // of a gather: a rank's message; empty where the plans say
  double encode = 0;             // seconds before the plan starts
  double decode = 0;             // and after its end
};

// A rank of an all-reduce in a simulation: the exchange thread with its tasks in order, and the executor's rules of which
// message goes when (common/collective/collective_core.h), played on the plans that a run executes. Additions take no
// time.
class CollectiveModel : public ExchangeModel {
 public:
  // `buckets` and `peers`, all ranks' models, outlive this; `encoded_max`: encoded buckets in flight, 0: no bound but the
  // executor's.
  CollectiveModel(int32_t rank, const std::vector<BucketPlans>* buckets, int32_t encoded_max,
                  const std::vector<CollectiveModel*>* peers, SimulatedNetwork* network, EventQueue* queue);

  void BeginStep(int64_t step, EventQueue::Action go) override { go(); }
  void GradReady(int64_t step, int32_t bucket) override;
  void EndStep(int64_t step, EventQueue::Action go) override;
  int64_t lag() const override { return 1; }
  bool updates() const override { return true; }

 private:
  // Names a message at its receiver: sender, step, bucket, round, piece.
  using MessageName = std::tuple<int32_t, int64_t, int32_t, int32_t, int32_t>;

  struct Task {
    int64_t step = 0;
    int32_t bucket = -1;     // -1: the step's end
    EventQueue::Action go;   // likewise
  };
  struct Flight {
    int64_t ticket = 0;
    int64_t step = 0;
    int32_t bucket = 0;
    const Plan* plan = nullptr;
    std::vector<int32_t> waits_for;
    std::vector<bool> posted;  // receives that nothing has come for yet
    int32_t left = 0;
  };
  struct WaitingSend {
    int64_t ticket = 0;
    int32_t op = 0;
  };
  struct Peer {
    int64_t ahead_bytes = 0;
    std::vector<WaitingSend> waiting;
  };

  void RunTasks();
  void Launch(int64_t step, int32_t bucket);
  void RunReady();
  void StartOp(Flight* flight, int32_t op);
  void SendMore(int32_t peer);
  void OnMessage(const MessageName& name);
  // Marks an operation as done; with its last one the flight is gone.
  void Done(Flight* flight, int32_t op);
  void Land(int64_t ticket);
  Flight* Find(int64_t ticket);

  const int32_t rank_;
  const std::vector<BucketPlans>& buckets_;
  const CollectiveLimits limits_;
  const int32_t in_flight_max_;
  const std::vector<CollectiveModel*>& models_;
  SimulatedNetwork* const network_;
  EventQueue* const queue_;

  std::deque<Task> tasks_;
  bool busy_ = false;       // the exchange thread encodes
  int32_t in_flight_ = 0;   // collectives started and not decoded yet
  int64_t last_ticket_ = 0;
  std::deque<Flight> flights_;
  std::vector<std::pair<int64_t, int32_t>> ready_;  // (ticket, operation), the last is started first
  std::vector<Peer> peers_;
  std::set<MessageName> early_;   // come before they were posted
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COLLECTIVE_MODEL_H_
