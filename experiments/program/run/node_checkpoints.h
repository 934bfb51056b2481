#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NODE_CHECKPOINTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NODE_CHECKPOINTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/message.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/checkpoint.h"
#include "common/state/state.h"
#include "experiments/program/run/run_checkpoints.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "server/shard_service.h"
#include "worker/loop/worker_setup.h"

namespace ringmaster {

// What a worker goes on from.
struct WorkerBefore {
  std::unique_ptr<Checkpoint> checkpoint;  // null: it begins at step 0
  WorkerReport report;
};

// InvalidArgument where what a node had reported cannot be read.
template <typename Report>
absl::Status ReadReport(const Checkpoint& checkpoint, Report* report) {
  if (report->ParseFromString(checkpoint.report)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("checkpoint of ", checkpoint.header.node,
                                                 ": its report is of another program version"));
}

// Has a worker go on from its checkpoint, which comes to lie in `*before`, and keep its own where
// the spec wants them. `setup->rank` is set; all outlives the worker.
inline absl::Status ConnectWorker(const RunSpec& spec, RunCheckpoints& checkpoints,
                                  WorkerBefore* before, WorkerSetup* setup) {
  const std::string node = ToString(NodeId{Role::kWorker, setup->rank});
  before->checkpoint = checkpoints.TakeBefore(node);
  if (before->checkpoint != nullptr) {
    RM_RETURN_IF_ERROR(ReadReport(*before->checkpoint, &before->report));
    setup->first_step = spec.output().resume_step();
    setup->state = &before->checkpoint->state;
    setup->report_before = &before->report;
  }
  if (!checkpoints.keeps()) return absl::OkStatus();
  setup->keep = [&checkpoints, node](int64_t step, State state, std::string report) {
    checkpoints.Keep(node, step, std::move(state), std::move(report));
  };
  return absl::OkStatus();
}

// The same of server/`index`, before it runs.
inline absl::Status ConnectServer(int32_t index, RunCheckpoints& checkpoints,
                                  ShardService* service) {
  const std::string node = ToString(NodeId{Role::kServer, index});
  if (const auto before = checkpoints.TakeBefore(node); before != nullptr) {
    ServerReport report;
    RM_RETURN_IF_ERROR(ReadReport(*before, &report));
    RM_RETURN_IF_ERROR(Annotate(service->Take(before->state), absl::StrCat(node, " state")));
    service->ReportAfter(report);
  }
  if (!checkpoints.keeps()) return absl::OkStatus();
  service->SetKeeper([&checkpoints, node](int64_t step, State state, const ServerReport& report) {
    checkpoints.Keep(node, step, std::move(state), report.SerializeAsString());
  });
  return absl::OkStatus();
}

// What has become of the checkpoints, for the process's report. Waits until all are written.
inline void AddCheckpointing(RunCheckpoints& checkpoints, ProcessReport* report) {
  if (!checkpoints.keeps()) return;
  const CheckpointWriter::Outcome outcome = checkpoints.Finish();
  Checkpointing* const out = report->mutable_checkpointing();
  out->set_written(outcome.written);
  out->set_failed(outcome.failed);
  out->set_first_failure(outcome.first_failure);
}

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NODE_CHECKPOINTS_H_
