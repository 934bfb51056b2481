#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FORMATION_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FORMATION_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/message.h"
#include "common/base/monotonic.h"
#include "common/control/control_client.h"
#include "common/exchange/kept_marks.h"
#include "common/exchange/snapshot_store.h"
#include "common/params/param_layout.h"
#include "common/params/shared_arena.h"
#include "common/tensor/tensor.h"
#include "common/trace/node_traces.h"
#include "common/transport/fabric.h"
#include "common/transport/metered.h"
#include "experiments/program/run/formations/formation_core.h"
#include "experiments/program/run/last_words_keeper.h"
#include "experiments/program/run/node_checkpoints.h"
#include "experiments/program/run/process_conductor.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/program/run/step_hooks.h"
#include "experiments/program/run/worker_parts.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "server/shard_service.h"
#include "worker/data/dataset.h"
#include "worker/loop/training_loop.h"

namespace ringmaster {

// What a process has read and opened before it joins a run, and what all its nodes use.
struct ProcessInputs {
  Dataset dataset;  // of no process without workers
  std::string kernel_target;
  std::unique_ptr<ParamLayout> layout;
  std::unique_ptr<SharedArena> initial_weights;  // until all nodes have them
  uint64_t weights_fingerprint = 0;
  StepHooks hooks;
  std::unique_ptr<RunCheckpoints> checkpoints;
  int device = 0;
  const OwnProgram* own = nullptr;  // null: models are ours
};

// What a node of this process goes on with in the formation that follows the one it was in.
struct KeptNode : NodeStates {
  KeptMarks marks;
  // A worker's or a server's, so far; absent: it has reported nothing yet.
  std::optional<WorkerReport> worker;
  std::optional<ServerReport> server;
  std::optional<Clock::time_point> clock_begin;  // of the worker's training
};

// One process's part of a run from the moment when its group was formed until it ends, or is formed
// anew: its data plane, workers and servers. Made and run by one thread; End, MakeHeartbeat and
// TellLastWords may be called by any.
class Formation {
 public:
  // `spec`: of so many workers as the formation has. `kept`: by node, in the order of PlaceNodes;
  // null: nobody goes back to a step. All else outlives the formation.
  Formation(const RunSpec& spec, const FormationPlace& place, const ProcessInputs& inputs,
            std::unique_ptr<Fabric> fabric, std::vector<KeptNode>* kept);

  int32_t epoch() const { return place_.epoch; }
  const std::vector<NodeId>& nodes() const { return processes_[place_.process]; }
  const std::string& name() const { return name_; }  // "worker/1+server/1"
  Fabric& fabric() { return *fabric_; }

  // The process was welcomed just now, and its peers were told that it listens at this address.
  void Welcomed(Clock::time_point now, const std::string& own_address);
  // Connects to the processes of `welcome`, and puts workers in order by the hosts that it names.
  absl::Status Connect(const Welcome& welcome, absl::Duration limit);

  // Runs all workers and servers until they end; returns the first failure, which it has reported
  // to `client`.
  absl::Status Run(ControlClient& client);

  // After Run has returned OK: adds what the process's report has of its nodes.
  absl::Status AddTo(ProcessReport* report);
  // After Run has failed: what the nodes go on from comes to lie in what was `kept`.
  void Release();

  // Lets go of whatever waits for other processes, for good.
  void End(const absl::Status& why);
  Heartbeat MakeHeartbeat();
  // Waits at most `limit` for the servers to end.
  LastWords TellLastWords(absl::Duration limit) { return last_words_.Tell(limit); }

 private:
  // What a worker trains with, in the order in which one part uses the others.
  struct Worker {
    WorkerParts parts;
    std::unique_ptr<Transport> traced;
    std::unique_ptr<MeteredTransport> transport;
    WorkerBefore before;
    std::unique_ptr<TrainingLoop> loop;
  };

  // From here on strategy.group_order is a list, with the hosts.
  void FormGroups(const Welcome& welcome);
  absl::Status RunServer(size_t i);
  absl::Status Serve(size_t i);
  absl::Status RunWorker(size_t i, Conductor* conductor);
  // Has the worker go on from what it kept in the formation before.
  void GoOn(KeptNode* kept, WorkerSetup* setup) const;
  KeptNode* KeptOfWorker(size_t i) { return kept_ == nullptr ? nullptr : &(*kept_)[i]; }
  KeptNode* KeptOfServer(size_t i) {
    return kept_ == nullptr ? nullptr : &(*kept_)[workers_.size() + i];
  }
  // Memory that the fabric moves fastest. Its buffers outlive the fabric, its use does not: only to
  // be called while the fabric is there.
  BufferAllocator ExchangeMemory() {
    return [this](int64_t size_bytes) { return fabric_->AllocateExchange(size_bytes); };
  }
  // Keeps the first failure of this process, wakes its other threads with it and reports it at
  // once.
  void Note(const absl::Status& status, ProcessConductor* conductor, ControlClient* client);
  // What all nodes do and wait for; none before they can do anything.
  std::vector<NodeActivity> ActivitiesAtTheEnd();
  NodeActivity WorkerActivity(size_t i, Activity exchange);
  NodeActivity ServerActivity(size_t i, const Activity& exchange);
  Activity ActivityOf(NodeId id);

  // Both are as they were given, but for the address to listen at and the order of groups.
  RunSpec spec_;
  RunSpec judged_spec_;  // for those who wait
  const FormationPlace place_;
  const ProcessInputs& inputs_;
  std::vector<KeptNode>* const kept_;
  const std::vector<std::vector<NodeId>> processes_;
  const std::string name_;
  const TracedSteps traced_;
  std::vector<int32_t> workers_;
  std::vector<int32_t> servers_;

  std::deque<WorkerProgress> progress_;  // by worker; atomics do not move
  std::vector<WorkerReport> reports_;
  std::vector<ServerReport> server_reports_;
  std::vector<std::unique_ptr<WorkerTraces>> worker_traces_;  // by worker
  std::vector<std::unique_ptr<ServerTraces>> server_traces_;  // by server
  LastWordsKeeper last_words_;
  Clock::time_point welcomed_;

  // After a failure, operations that nobody waited for may touch these until the fabric is gone: it
  // goes first.
  std::vector<Worker> worker_parts_;
  std::vector<SnapshotStore> server_copies_;  // until the service has them
  std::vector<std::unique_ptr<ShardService>> services_;

  std::unique_ptr<Fabric> fabric_;
  std::atomic<bool> connected_{false};
  std::deque<std::atomic<bool>> server_done_;   // by server
  absl::flat_hash_map<NodeId, int64_t> moved_;  // the heartbeat's: what each transport said last

  absl::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FORMATION_H_
