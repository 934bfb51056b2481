#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NODE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NODE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "common/base/host_port.h"
#include "common/control/end_request.h"
#include "common/security/credentials.h"
#include "experiments/program/run/attempts/hook_files.h"
#include "experiments/program/run/worker_parts.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What one process of a run is told.
struct NodeOptions {
  // its rank among the processes (experiments/program/run/placement.h says who lives there)
  int32_t process = 0;
  HostPort coordinator;
  JobCredentials credentials;
  int device = 0;  // GPU, where there is one
  HookFiles hooks;
  // by which somebody asks this process to leave the run; null: nobody does
  EndRequest* ends = nullptr;
  // The program that computes the gradients of this process's worker; null: they are ours.
  const OwnProgram* own = nullptr;
  // Somebody leads the run, and says what happened to who has joined. What keeps this process from
  // joining nobody else hears, so it logs that itself.
  bool is_led = false;
};

// Runs one process of the run `spec` (resolved and valid) from join to goodbye: its workers, its
// servers, its data plane. Returns the run's status, which names the failing rank wherever it
// failed; every thread has ended by then.
absl::Status RunNode(const RunSpec& spec, const NodeOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NODE_H_
