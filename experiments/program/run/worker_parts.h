#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_WORKER_PARTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_WORKER_PARTS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "proto/run_spec.pb.h"
#include "worker/data/dataset.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/model.h"

namespace ringmaster {

// What a worker computes with; the model uses the kernels.
struct WorkerParts {
  std::unique_ptr<KernelLibrary> kernels;
  std::unique_ptr<Model> model;
};

// The kernels that the resolved spec names, on GPU `device` where they are of one, and its model
// for samples of `shape`, as large a batch at once as training and evaluation take; emulated where
// the spec says so. Errors are those of CreateKernelLibrary and CreateModel.
absl::StatusOr<WorkerParts> CreateWorkerParts(const RunSpec& resolved, const SampleShape& shape,
                                              int device);

// The spec's model on the host, one sample at a time. Layout and initial weights, which do not
// depend on the device, come from it. Errors are those of CreateModel.
absl::StatusOr<WorkerParts> CreateHostModel(const RunSpec& resolved, const SampleShape& shape);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_WORKER_PARTS_H_
