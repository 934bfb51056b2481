#include "experiments/proof/verify/verify.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/scheme/registry.h"
#include "experiments/proof/verify/plan.h"
#include "experiments/proof/verify/record_checks.h"
#include "experiments/proof/verify/start_check.h"
#include "proto/run_record.pb.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

using Figure = absl::StatusOr<std::string>;
using Records = std::vector<RunRecord>;

// Enough samples for 100 steps of 64 and a little more: scoring the whole training set would take
// longer than training.
constexpr int64_t kTrainSamples = 6500;
constexpr int64_t kTestSamples = 500;

// Some seconds each.
constexpr int64_t kSchedules = 100000;
constexpr int64_t kCodecEffort = 4000;

// MNIST where it is, else synthetic samples of its shape.
DataSpec ChooseData(const VerifyOptions& options, VerifyOutcome* outcome) {
  DataSpec data;
  data.set_name("mnist");
  data.set_dir(options.data_dir);
  data.set_train_limit(kTrainSamples);
  data.set_test_limit(kTestSamples);
  int64_t train = 0, test = 0;
  const absl::Status found = InspectDataset(data, &train, &test).status();
  outcome->real_data = found.ok();
  outcome->data = "mnist";
  if (found.ok()) return data;
  outcome->data = absl::IsNotFound(found)
                      ? absl::StrCat("synthetic, for there is no MNIST: ", found.message(),
                                     options.fetch_advice)
                      : absl::StrCat("synthetic, for MNIST cannot be used: ", found.message());
  DataSpec synthetic;
  synthetic.set_name("synthetic");
  synthetic.mutable_synthetic()->set_train_samples(kTrainSamples);
  synthetic.mutable_synthetic()->set_test_samples(kTestSamples);
  return synthetic;
}

class Verification {
 public:
  explicit Verification(const VerifyOptions& options) : options_(options) {}

  VerifyOutcome Run() {
    TwoWorkers();
    ExactSums();
    RoundedSums();
    Codecs();
    ExchangedWeights();
    UpdatesOnArrival();
    Bytes();
    Check("start", "workers that start from other weights are refused",
          [] { return CheckStart(); });
    Check("consistency",
          "the server keeps its promise under random schedules; stale gradients at their edge",
          [this] { return options_.check_consistency(options_.seed, kSchedules); });
    Check("codecs", "every codec keeps its bound, restores, repeats and refuses hostile bytes",
          [this] { return options_.check_codecs(options_.seed, kCodecEffort); });
    return std::move(outcome_);
  }

 private:
  // Makes one check, unless the user has asked to stop; its time counts from the last one's end.
  template <typename Judge>
  void Check(const char* topic, const std::string& what, Judge judge) {
    if (options_.interrupted()) return;
    const Figure figure = judge();
    if (options_.interrupted()) return;  // runs it cut short would fail the check
    const MonotonicTime now = MonotonicNow();
    outcome_.checks.push_back({topic, what, figure.ok(),
                               figure.ok() ? *figure : std::string(figure.status().message()),
                               absl::ToDoubleSeconds(now - mark_)});
    mark_ = now;
  }

  // Runs all specs in order; the records are kept for the checks on every run.
  absl::StatusOr<Records> RunAll(const absl::StatusOr<std::vector<RunSpec>>& specs) {
    RM_RETURN_IF_ERROR(specs.status());
    Records records;
    for (const RunSpec& spec : *specs) {
      if (options_.interrupted()) return absl::CancelledError("interrupted");
      records.push_back(options_.run(spec));
      ++outcome_.runs;
      all_.push_back(records.back());
    }
    return records;
  }

  void TwoWorkers() {
    const DataSpec data = ChooseData(options_, &outcome_);
    const auto specs = TwoWorkerRuns(data, options_.kernels, options_.seed);
    const auto records = RunAll(specs);
    const auto with = [&](Figure (*judge)(absl::Span<const RunRecord>)) {
      return [&records, judge]() -> Figure {
        return records.ok() ? judge(*records) : records.status();
      };
    };
    Check(
        "trajectory",
        absl::StrCat("N=2: all schemes end with the same bits, lenet, ", kTwoWorkerSteps, " steps"),
        with(CheckSameWeights));
    Check("data", "N=2: all schemes see the same batches", with(CheckSameBatches));
    Check("trajectory", "N=2: a repeated ring run ends with the same bits", [&]() -> Figure {
      RM_RETURN_IF_ERROR(records.status());
      const auto ring = std::find_if(records->begin(), records->end(), [](const RunRecord& record) {
        return TraitsOf(record.spec()).collective == "ring";
      });
      RM_ASSIGN_OR_RETURN(Records repeated, RunAll(std::vector<RunSpec>{ring->spec()}));
      repeated.push_back(*ring);
      return CheckSameWeights(repeated);
    });
  }

  void ExactSums() {
    for (const int32_t workers : {3, 4, 8}) {
      const auto records = RunAll(ExactSumRuns(workers, options_.seed));
      Check(
          "trajectory",
          absl::StrCat("N=", workers, ", exact sums: no setting changes a bit, ", kSmallSteps,
                       " steps"),
          [&]() -> Figure { return records.ok() ? CheckSameWeights(*records) : records.status(); });
      Check(
          "data", absl::StrCat("N=", workers, ": all settings see the same batches"),
          [&]() -> Figure { return records.ok() ? CheckSameBatches(*records) : records.status(); });
    }
  }

  void RoundedSums() {
    for (const int32_t workers : {3, 4, 8}) {
      const auto records = RunAll(RoundedSumRuns(workers, options_.seed));
      Check("trajectory",
            absl::StrCat("N=", workers, ", ordinary sums: within the bound of their rounding"),
            [&]() -> Figure {
              return records.ok() ? CheckWeightsClose(*records) : records.status();
            });
      if (workers != 4) continue;
      Check("trajectory", "N=4, ordinary sums: a repeated ring run ends with the same bits",
            [&]() -> Figure {
              RM_RETURN_IF_ERROR(records.status());
              RM_ASSIGN_OR_RETURN(Records repeated,
                                  RunAll(std::vector<RunSpec>{(*records)[1].spec()}));
              repeated.push_back((*records)[1]);
              return CheckSameWeights(repeated);
            });
    }
  }

  void Codecs() {
    const auto records = RunAll(CodecRuns(options_.seed));
    Check("trajectory", "N=3: the ranks of an all-reduce with a codec end with the same bits",
          [&]() -> Figure {
            RM_RETURN_IF_ERROR(records.status());
            std::string names;
            for (const RunRecord& record : *records) {
              RM_RETURN_IF_ERROR(CheckSameWeights(absl::MakeSpan(&record, 1)).status());
              absl::StrAppend(&names, names.empty() ? "" : ", ", record.spec().codec().name());
            }
            return names;
          });
  }

  void ExchangedWeights() {
    const auto records = RunAll(WeightRuns(options_.seed));
    Check("data", "N=3: who exchanges weights sees the batches of who exchanges gradients",
          [&]() -> Figure { return records.ok() ? CheckSameBatches(*records) : records.status(); });
    Check("trajectory", "N=3: workers that exchange weights end with one model", [&]() -> Figure {
      RM_RETURN_IF_ERROR(records.status());
      for (const RunRecord& record : *records)
        RM_RETURN_IF_ERROR(CheckSameWeights(absl::MakeSpan(&record, 1)).status());
      return absl::StrCat(records->size(), " runs");
    });
  }

  void UpdatesOnArrival() {
    const auto records = RunAll(ArrivalRuns(options_.seed));
    Check("data", "N=3: who updates on arrival computes the batches of all others, each once",
          [&]() -> Figure { return records.ok() ? CheckSameBatches(*records) : records.status(); });
    Check("trajectory", "N=3: updates on arrival, replayed from the log, end with the same bits",
          [&]() -> Figure {
            RM_RETURN_IF_ERROR(records.status());
            return CheckReplay(absl::MakeSpan(*records).subspan(1), options_.replay);
          });
  }

  void Bytes() {
    Check("bytes", "metered payload of every run above equals the formula",
          [this] { return CheckPayload(all_); });
  }

  const VerifyOptions& options_;
  VerifyOutcome outcome_;
  Records all_;
  MonotonicTime mark_ = MonotonicNow();
};

}  // namespace

bool VerifyOutcome::passed() const {
  return !checks.empty() && std::all_of(checks.begin(), checks.end(),
                                        [](const CheckResult& check) { return check.passed; });
}

VerifyOutcome Verify(const VerifyOptions& options) { return Verification(options).Run(); }

}  // namespace ringmaster
