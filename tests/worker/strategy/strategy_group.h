#ifndef RINGMASTER_TESTS_WORKER_STRATEGY_STRATEGY_GROUP_H_
#define RINGMASTER_TESTS_WORKER_STRATEGY_STRATEGY_GROUP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/tensor/tensor.h"
#include "common/trace/trace.h"
#include "common/transport/fabric.h"
#include "common/transport/metered.h"
#include "proto/run_spec.pb.h"
#include "server/shard_service.h"
#include "worker/loop/host_replica.h"
#include "worker/loop/worker_setup.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Fills the scaled gradient of one bucket, [bucket.count]. Called by the workers' threads, several
// at once.
using GradientSource =
    std::function<void(int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out)>;

// Puts a transport of its own around another, which outlives it.
using TransportWrap = std::function<std::unique_ptr<Transport>(Transport& inner)>;

struct GroupOptions {
  // "inproc": everybody in one process. All others: every worker and every dedicated server
  // plays a process of its own, joined by real connections on loopback; a co-located server
  // lives with its worker.
  std::string transport = "inproc";
  // Absent: nothing is put there.
  TransportWrap above_meter;  // between a worker's strategy and its meter
  TransportWrap below_meter;  // between a worker's meter and the fabric
  // Absent: the strategies that the spec names.
  StrategyFactory create_strategy;
};

// A worker without model and data: weights, two gradient arenas in exchange memory of `fabric` and
// a strategy. One thread at a time.
class GroupWorker {
 public:
  GroupWorker(const RunSpec& spec, const ParamLayout& layout,
              const std::vector<float>& initial_weights, int32_t rank, Fabric& fabric,
              std::unique_ptr<MeteredTransport> transport, const GroupOptions& options);

  int32_t rank() const { return rank_; }
  SyncStrategy& strategy() { return *strategy_; }
  HostReplica& replica() { return *replica_; }
  absl::Span<const float> front() const { return replica_->weights().host(); }
  Traffic traffic() const { return transport_->traffic(); }
  // Of the optimizer.
  int64_t state_bytes() const { return replica_->state_bytes(); }

  // The three calls of one step, as the training loop makes them.
  absl::Status Step(int64_t step, const GradientSource& source);
  absl::Status Steps(int64_t begin, int64_t end, const GradientSource& source);
  // Of the steps that Steps was to make, those that the strategy has left out.
  int64_t skipped() const { return skipped_; }
  // The calls after BeginStep.
  absl::Status Compute(int64_t step, const GradientSource& source);

 private:
  const int32_t rank_;
  int64_t skipped_ = 0;
  const ParamLayout& layout_;
  const std::unique_ptr<MeteredTransport> transport_;
  const std::unique_ptr<Transport> above_;  // may be null
  PhaseTimes step_times_;
  const std::unique_ptr<HostReplica> replica_;
  Buffer gradients_[2];
  std::unique_ptr<SyncStrategy> strategy_;
};

// All workers and servers of one run in this process: the real strategies and the real servers.
class StrategyGroup {
 public:
  // `spec` may leave fields out: it is resolved here. The arena has as many elements as
  // `initial_weights`.
  StrategyGroup(const RunSpec& spec, std::vector<float> initial_weights, int64_t bucket_elements,
                const GroupOptions& options = {});
  // Ends whatever still runs.
  ~StrategyGroup();
  StrategyGroup(const StrategyGroup&) = delete;
  StrategyGroup& operator=(const StrategyGroup&) = delete;

  // As resolved.
  const RunSpec& spec() const { return spec_; }
  const ParamLayout& layout() const { return layout_; }
  int32_t workers() const { return static_cast<int32_t>(workers_.size()); }
  GroupWorker& worker(int32_t rank) { return *workers_[rank]; }
  // That of worker/0.
  Fabric& fabric() { return *fabrics_.front(); }
  // What each worker's strategy reports; after Run.
  const std::vector<int64_t>& encoded_bytes() const { return encoded_bytes_; }
  const std::vector<int64_t>& index_bytes() const { return index_bytes_; }
  const std::vector<std::optional<double>>& consensus_distances() const { return distances_; }
  // Before StartServers, or after Run.
  ShardService& server(int32_t index) { return *servers_[index]; }

  // Every server on a thread of its own. Once.
  void StartServers();

  // Calls `body` for every worker, each on a thread of its own. The first failure aborts the fabric
  // with its status and is returned.
  absl::Status OnWorkers(const std::function<absl::Status(GroupWorker&)>& body);

  // StartServers, `body` on all workers, Finish of all strategies, end of all servers; the first
  // failure of any of them.
  absl::Status Run(const std::function<absl::Status(GroupWorker&)>& body);

 private:
  absl::Status Join(const std::string& transport);
  Fabric& FabricOf(NodeId node) { return *fabrics_[homes_.at(node)]; }
  void Abort(const absl::Status& status);
  void Note(const absl::Status& status);
  void FinishAll();

  const RunSpec spec_;
  const ParamLayout layout_;
  absl::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  // Memory that an aborted transport may still touch outlives the fabric.
  std::vector<std::unique_ptr<GroupWorker>> workers_;
  std::vector<std::unique_ptr<ShardService>> servers_;
  std::vector<std::unique_ptr<Transport>> below_;
  std::vector<std::unique_ptr<Fabric>> fabrics_;  // by process
  absl::flat_hash_map<NodeId, int32_t> homes_;    // the process of a node
  std::vector<std::thread> server_threads_;
  bool finished_ = false;
  std::vector<int64_t> encoded_bytes_;            // by rank
  std::vector<int64_t> index_bytes_;              // by rank
  std::vector<std::optional<double>> distances_;  // by rank
};

// The layout of a group's `count` weights under its resolved spec: one vector, which buckets cut;
// where buckets hold whole tensors, in each a matrix, about as high as it is wide, and a vector of
// what is left. Either way buckets have `bucket_elements` elements, and the last one the rest.
ParamLayout GroupLayout(const RunSpec& spec, int64_t count, int64_t bucket_elements);

// A spec of N workers with SGD of rate `learning_rate`; the caller sets strategy and codec.
RunSpec GroupSpec(int32_t workers, float learning_rate);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_STRATEGY_STRATEGY_GROUP_H_
