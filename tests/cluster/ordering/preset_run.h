#ifndef RINGMASTER_TESTS_CLUSTER_ORDERING_PRESET_RUN_H_
#define RINGMASTER_TESTS_CLUSTER_ORDERING_PRESET_RUN_H_

#include <map>
#include <string>
#include <vector>

#include "proto/run_spec.pb.h"

namespace ringmaster {

// What a cell of a preset says of its steps, for formulae.
struct CellNumbers {
  int workers = 0;
  double compute_ms = 0;  // of a batch
  double weights_ms = 0;  // the model's weights through a card
  double latency_ms = 0;
};

// What a run of a preset's cell has measured, as if the machine were fast enough for pace 1.
struct CellRun {
  double step_ms = 0;  // the median; 0: the run failed
  double samples_per_second = 0;
};

// Cells of a preset, each run as the sweep would run it, but for fewer steps. Where a cell has a
// shaped network, it is played at a pace that leaves the cores time to spare (shaped_run.h); where
// it has none, all but computing is real, and so is its pace. One thread.
class PresetRuns {
 public:
  // `name`: of experiments/presets/NAME.textproto. It is a failure of the test where it has no
  // cells.
  explicit PresetRuns(const std::string& name);

  // All cells by name, "arm=ring training.workers=4": their settings as the sweep's tables show
  // them, in the sweep's order.
  const std::vector<std::string>& cells() const { return cells_; }

  // Of a cell with an "mlp" on images of MNIST's shape and a shaped network. It is a failure of the
  // test where there is no such cell.
  CellNumbers NumbersOf(const std::string& cell) const;

  // Runs the cell once. A run that fails is a failure of the test.
  CellRun Run(const std::string& cell);

 private:
  // An empty one, and a failure of the test, where there is none.
  const RunSpec& SpecOf(const std::string& cell) const;

  const std::string name_;
  std::vector<std::string> cells_;
  std::map<std::string, RunSpec> specs_;  // by cell, not resolved
  std::map<std::string, double> paces_;   // by cell: that of the last run
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_ORDERING_PRESET_RUN_H_
