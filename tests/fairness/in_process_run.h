#ifndef RINGMASTER_TESTS_FAIRNESS_IN_PROCESS_RUN_H_
#define RINGMASTER_TESTS_FAIRNESS_IN_PROCESS_RUN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/state/state.h"
#include "common/transport/transport.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"
#include "worker/kernels/kernel_library.h"
#include "worker/loop/training_loop.h"

namespace ringmaster {

// Where all nodes of a run stand between two steps.
struct ClusterState {
  int64_t step = 0;
  std::vector<State> workers;  // by rank
  std::vector<State> servers;
};

// Where a run may be broken, or listened to. Everything is optional.
struct RunSeams {
  // Changes what worker `rank` believes the resolved spec to be.
  std::function<void(int32_t rank, RunSpec* spec)> edit;
  // Stands between worker `rank` and the fabric; null: nothing does.
  std::function<std::unique_ptr<Transport>(int32_t rank, Transport& real)> wrap;
  // Makes worker `rank`'s kernel library; absent: the one that the spec names.
  std::function<std::unique_ptr<KernelLibrary>(int32_t rank)> create_kernels;
  // Stands in for worker/strategy.
  StrategyFactory create_strategy;
  // The run goes on from here, at its step; null: it begins at step 0.
  const ClusterState* from = nullptr;
  // Gets where it stands at its end; null: nobody asks.
  ClusterState* end = nullptr;
  // Whether what the spec has traced is put into the record.
  bool reports_traces = true;
};

// Runs one resolved spec with everything real but the processes: all workers (the training loop,
// kernels, model and data) and servers are threads here, on the in-process fabric, whatever launch
// mode and transport the spec names. Metering counts as if nodes lived where the spec places them.
// Checkpoints are kept, and gone on from, where the spec's output says, as by a single process.
RunRecord RunInProcess(const RunSpec& spec, const RunSeams& seams = {});

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_FAIRNESS_IN_PROCESS_RUN_H_
