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

// How a Predictor learns what it reckons with.
struct CalibrationOptions {
  int device = 0;
  const std::atomic<bool>* interrupted = nullptr;
  // Measures messages between so many processes over the spec's transport.
  std::function<absl::StatusOr<std::vector<LinkTimes>>(const RunSpec& spec, int32_t ranks)> measure_link;
  // Told what is measured next; absent: nobody asks.
  std::function<void(absl::string_view what)> tell;
};

// Says what a step of a run will take, before it runs. Measures what it has to know once: messages for each transport,
// network and number of workers; computing for each setting of what a worker computes. One thread.
//
// Computing is that of N workers at once that exchange nothing, as they share this machine's cores; when each bucket is
// ready, and the step of `single`, is that of one worker alone.
class Predictor {
 public:
  explicit Predictor(CalibrationOptions options) : options_(std::move(options)) {}

  // `spec` is resolved and valid. Errors: SimulateStep's; a measurement's, which says what was measured; Cancelled.
  absl::StatusOr<Prediction> Predict(const RunSpec& spec);

 private:
  struct Compute {
    ComputeProfile alone;
    ComputeCosts together;
  };

  absl::StatusOr<const Compute*> ComputeOf(const RunSpec& spec);
  absl::StatusOr<const LinkFit*> LinkOf(const RunSpec& spec);
  absl::StatusOr<CodecCosts> CodecOf(const RunSpec& spec, absl::Span<const Bucket> buckets);
  double CopyRate();
  void Tell(absl::string_view what) const;

  const CalibrationOptions options_;
  std::map<std::string, Compute> computes_;    // by what decides them
  std::map<std::string, LinkFit> links_;
  std::map<std::string, CodecCosts> codecs_;
  double copy_rate_ = 0;                       // 0: not measured
};

// The network of a run between whose processes a message takes what `fit` says, which was measured with the network of
// the spec but for its nodes and links that differ: those are taken from the spec. Pure.
NetworkCosts MeasuredNetwork(const RunSpec& spec, const LinkFit& fit, double copy_rate);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_CALIBRATE_H_
