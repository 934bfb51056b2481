#ifndef RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_FORMATION_H_
#define RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_FORMATION_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/exchange/kept_marks.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "common/state/kept_steps.h"
#include "experiments/program/run/formations/formation_core.h"
#include "experiments/study/predict/costs.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/predict/simulated_cluster.h"
#include "experiments/study/simulate/learning_nodes.h"
#include "experiments/study/simulate/worker_gradients.h"
#include "proto/run_spec.pb.h"
#include "worker/loop/conductor.h"
#include "worker/strategy/replica_marks.h"

namespace ringmaster {

// What a node of a simulated process keeps from one formation to the next.
struct KeptSimulatedNode : NodeStates {
  KeptMarks marks;
};

// One formation of a simulated run: the nodes of all its processes, which learn, on a network of
// their own. Where the run may form its group anew they keep what they may go back to, as in a run
// (worker/loop/training_loop.cc, server/shard_service.cc).
class FaultFormation {
 public:
  // What all formations of a run have in common; it outlives them.
  struct Setting {
    const ParamLayout* layout = nullptr;
    std::vector<float> initial_weights;
    EventQueue* queue = nullptr;
    std::function<void(FaultFormation*, const GradientTask&)> on_compute;
    // How many times as long a process computes.
    std::function<double(int32_t process)> slowness;
  };
  // `members`: the processes, in the order of PlaceNodes(spec). `costs`: of that many.
  FaultFormation(const Setting& setting, const FormationPlace& place, const RunSpec& spec,
                 std::vector<int32_t> members, Costs costs);
  ~FaultFormation();
  FaultFormation(const FaultFormation&) = delete;
  FaultFormation& operator=(const FaultFormation&) = delete;

  const FormationPlace& place() const { return place_; }
  const RunSpec& spec() const { return spec_; }
  const SchemeTraits& traits() const { return traits_; }
  const std::vector<int32_t>& members() const { return members_; }
  // The party of the world that is a member's nodes.
  int32_t party(int32_t process) const;
  SimulatedCluster& cluster() { return *cluster_; }
  int32_t workers() const { return traits_.workers; }
  // The process of a worker.
  int32_t home(int32_t rank) const { return home_[rank]; }
  LearningWorker& worker(int32_t rank) { return *workers_[rank]; }
  WorkerProgress& progress(int32_t rank) { return progress_[rank]; }

  // Before a node begins: what it goes on from, and where it keeps what it may go back to. `kept`
  // outlives this.
  void GoOn(const NodeId& node, KeptSimulatedNode* kept);
  // The node has ended: what it has of marks comes to lie in what was `kept`.
  void Release(const NodeId& node, KeptSimulatedNode* kept);

  std::set<std::string> released;                    // barriers
  std::map<int64_t, std::vector<int32_t>> computed;  // by lot, the ranks that have begun it
  std::map<int64_t, std::vector<float>> weights;     // by step, those that it is computed with

 private:
  class Gradients;
  class KeepingWorker;

  void KeepStep(int32_t server, KeptSteps* steps);

  const FormationPlace place_;
  const RunSpec spec_;
  const SchemeTraits traits_;
  const std::vector<int32_t> members_;
  const Setting& setting_;
  std::vector<int32_t> home_;
  std::unique_ptr<Gradients> gradients_;
  LearningRun run_;
  Costs costs_;
  std::deque<WorkerProgress> progress_;  // by rank
  std::vector<std::unique_ptr<LearningWorker>> workers_;
  std::vector<std::unique_ptr<KeepingWorker>> keepers_;  // by rank
  std::vector<std::unique_ptr<ReplicaMarks>> marks_;     // by rank
  std::vector<std::unique_ptr<LearningServer>> servers_;
  ClusterData data_;
  ClusterPlan plan_;
  std::unique_ptr<SimulatedCluster> cluster_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_FORMATION_H_
