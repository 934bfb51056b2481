#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_CALIBRATE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_CALIBRATE_H_

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "experiments/proof/bench/bench_link.h"
#include "experiments/study/predict/compute_profile.h"
#include "experiments/study/predict/costs.h"
#include "experiments/study/predict/link_fit.h"
#include "experiments/study/predict/simulate.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// How a Predictor learns what it computes with.
struct CalibrationOptions {
  int device = 0;
  const std::atomic<bool>* interrupted = nullptr;
  // Measures messages between `ranks` processes (2) over the spec's transport.
  std::function<absl::StatusOr<std::vector<LinkTimes>>(const RunSpec& spec, int32_t ranks)>
      measure_link;
  // Told what is measured next; absent: nobody asks.
  std::function<void(absl::string_view what)> tell;
};

// How N workers share this machine. One that computes on a device has it to share, and no cores.
struct Sharing {
  int32_t workers = 0;
  int32_t cores = 0;
  bool on_device = false;
};

// What a worker computes among `sharing.workers` that compute at once, given what one does alone
// and one of two at once. Pure.
//   On cores: as one of two while each worker has a core of its own. Beyond that they take turns:
//     N / cores times as long.
//   On a device: every worker more takes from each what the second took from the first.
ComputeCosts AmongWorkers(const ComputeCosts& alone, const ComputeCosts& pair,
                          const Sharing& sharing);

// What messages between N nodes on this machine take, given what they take between two, over the
// same network. Pure. Where the network limits cards, a card's rate is the spec's, unless a core
// cannot handle as much, and N does not matter. Otherwise copying limits it, and beyond a worker a
// core the nodes take turns.
LinkFit AmongNodes(const LinkFit& pair, const RunSpec& spec, int32_t cores);

// Says what a step of a run will take, before it runs. Measures what it has to know once: messages
// for each transport and network, between two processes; computing for each setting of what a
// worker computes, of one worker alone and of two at once that exchange nothing. What more of them
// make of this machine is computed. Emulated computing takes no core, and is measured alone. One
// thread.
class Predictor {
 public:
  explicit Predictor(CalibrationOptions options) : options_(std::move(options)) {}

  // `spec` is resolved and valid. Errors: SimulateStep's; a measurement's, which says what was
  // measured; Cancelled.
  absl::StatusOr<Prediction> Predict(const RunSpec& spec);

 private:
  absl::StatusOr<const ComputeProfile*> AloneOf(const RunSpec& spec);
  // Of each of two workers at once.
  absl::StatusOr<const ComputeCosts*> PairOf(const RunSpec& spec, const ComputeProfile& alone);
  absl::StatusOr<ComputeCosts> TogetherOf(const RunSpec& spec, const ComputeProfile& alone);
  absl::StatusOr<LinkFit> LinkOf(const RunSpec& spec);
  absl::StatusOr<CodecCosts> CodecOf(const RunSpec& spec, const ComputeProfile& alone);
  double CopyRate();
  void Tell(absl::string_view what) const;

  const CalibrationOptions options_;
  std::map<std::string, ComputeProfile> alone_;  // by what decides them
  std::map<std::string, ComputeCosts> pairs_;
  std::map<std::string, LinkFit> links_;
  std::map<std::string, CodecCosts> codecs_;
  double copy_rate_ = 0;  // 0: not measured
};

// The network of a run between whose processes a message takes what `fit` says, which was measured
// with the network of the spec but for its nodes and links that differ: those are taken from the
// spec. Pure.
NetworkCosts MeasuredNetwork(const RunSpec& spec, const LinkFit& fit, double copy_rate);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_CALIBRATE_H_
