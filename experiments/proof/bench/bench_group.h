#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GROUP_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GROUP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/host_port.h"
#include "common/control/control_client.h"
#include "common/security/credentials.h"
#include "common/transport/fabric.h"

namespace ringmaster {

// Behind a transport's name: by TLS, with the certificates in RINGMASTER_TLS_DIR.
inline constexpr char kTlsSuffix[] = "+tls";

// What one process of a benchmark is told.
struct BenchSeat {
  int32_t rank = 0;
  int32_t ranks = 0;
  HostPort coordinator;
  JobCredentials credentials;
  uint64_t fingerprint = 0;  // of what is measured: ranks that differ are turned away
  // Who lives in which rank's process; empty: worker/R in that of rank R.
  std::vector<std::vector<NodeId>> nodes;
};

struct BenchLaunch {
  int32_t ranks = 0;
  uint64_t fingerprint = 0;
  std::vector<std::vector<NodeId>> nodes;  // as BenchSeat's
  // Of this very program, for the other ranks; --rank R --coordinator E are added.
  std::vector<std::string> arguments;
  // Set: an MPI's launcher starts all ranks, rank 0 among them, without --rank, and MPI's bytes go
  // by what is like this transport.
  std::optional<std::string> mpirun_transport;
  std::string mpi_launcher;  // MpirunOptions::launcher
  // Set from elsewhere (a signal handler) to end the benchmark.
  const std::atomic<bool>* interrupted = nullptr;
};

// Leads a benchmark of one process a rank on this machine: rank 0 is `rank0`, on a thread of this
// process, and all others are processes that it starts; under an MPI's launcher rank 0 is one of
// them, writes to this one's standard output, and `rank0` is not called. Returns when all have
// ended, with the first failure, which names the rank.
absl::Status LeadBench(const BenchLaunch& launch,
                       const std::function<absl::Status(const BenchSeat&)>& rank0);

// One rank's place among the others: its nodes, worker/RANK for one, on a fabric of its own for
// each transport, all open at once, so that transports can take turns. Calls come from one thread.
class BenchGroup {
 public:
  // Joins, and returns once all ranks are connected on all `transports` (names as CreateFabric
  // takes them, with kTlsSuffix or without), which wait as `wait` says ("sleep", "spin"). Errors as
  // ControlClient::Attend, CreateFabric and Fabric::Connect.
  static absl::StatusOr<std::unique_ptr<BenchGroup>> Join(
      const BenchSeat& seat, const std::vector<std::string>& transports, const std::string& wait);

  // The same with a fabric for each of `fabrics`; their credentials and address are the seat's.
  static absl::StatusOr<std::unique_ptr<BenchGroup>> Join(const BenchSeat& seat,
                                                          std::vector<FabricOptions> fabrics);

  // The fabric of transport number `i`. Memory in use on it must outlive this object.
  Fabric& fabric(size_t i) { return *fabrics_[i]; }
  Transport& transport(size_t i) { return transport(i, {Role::kWorker, seat_.rank}); }
  // That of a node of this process.
  Transport& transport(size_t i, NodeId node) { return fabrics_[i]->transport(node); }

  // Has `abort` called when the benchmark has failed elsewhere, beside the fabrics' own; at once
  // where it has already. Any thread of the control plane's may call it, until another or none
  // (null) takes its place.
  void SetAbort(std::function<void(const absl::Status&)> abort);

  // Leaves: when `status`, of this rank's work, is OK, once every rank has said so; else everywhere
  // with that failure. Returns the failure that came first.
  absl::Status Leave(const absl::Status& status);

 private:
  explicit BenchGroup(const BenchSeat& seat) : seat_(seat) {}
  absl::Status CreateFabrics(std::vector<FabricOptions> fabrics);
  absl::Status Attend();
  absl::Status Connect();
  void OnAbort(const absl::Status& why);

  const BenchSeat seat_;
  std::vector<std::unique_ptr<Fabric>> fabrics_;

  absl::Mutex mutex_;
  absl::Status aborted_ ABSL_GUARDED_BY(mutex_);
  std::function<void(const absl::Status&)> abort_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ControlClient> client_;  // destroyed before the fabrics its abort callback uses
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_GROUP_H_
