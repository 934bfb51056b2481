#include "experiments/program/run/run_inputs.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/fingerprint.h"
#include "common/base/status_macros.h"
#include "experiments/program/run/programs/ask_program.h"
#include "experiments/program/run/worker_parts.h"
#include "worker/data/dataset.h"
#include "worker/loop/initial_weights.h"

namespace ringmaster {
namespace {

absl::StatusOr<std::string> FingerprintOfFile(const RunSpec& spec) {
  int64_t train = 0, test = 0;
  RM_ASSIGN_OR_RETURN(const SampleShape shape, InspectDataset(spec.data(), &train, &test));
  RM_ASSIGN_OR_RETURN(const WorkerParts host, CreateHostModel(spec, shape));
  RM_ASSIGN_OR_RETURN(const std::vector<float> weights, InitialWeights(spec, *host.model));
  return absl::StrCat(absl::Hex(WeightsFingerprint(weights), absl::kZeroPad16));
}

}  // namespace

uint64_t WeightsFingerprint(absl::Span<const float> weights) {
  return Fingerprint64(Sha256Hex(weights));
}

absl::Status InputsReader::AddProgram(const RunSpec& resolved, RunInputs* inputs) {
  const auto& words = resolved.model().program().command();
  if (words.empty()) return absl::OkStatus();
  std::string& fingerprint = programs_[absl::StrJoin(words, " ")];
  if (fingerprint.empty()) {
    const std::vector<std::string> command(words.begin(), words.end());
    RM_ASSIGN_OR_RETURN(const ProgramDescription described, AskProgram(command, kAskLimit));
    fingerprint = described.fingerprint;
  }
  inputs->set_program(fingerprint);
  return absl::OkStatus();
}

absl::StatusOr<RunInputs> InputsReader::Read(const RunSpec& resolved) {
  const DatasetPart part = DatasetPartFor(resolved);
  const bool has_weights = !resolved.training().init_weights().empty();
  DataSpec data = resolved.data();
  data.clear_prefetch();
  data.clear_augment();
  // A file of weights must be of the model, so one file is read for each.
  const std::string key =
      absl::StrCat(absl::StrJoin(resolved.model().program().command(), " "), "/",
                   part == DatasetPart::kAll, "/", data.SerializeAsString(), "/",
                   has_weights ? absl::StrCat(resolved.training().init_weights(), "/",
                                              resolved.model().SerializeAsString())
                               : "");
  if (const auto found = read_.find(key); found != read_.end()) return found->second;
  RunInputs inputs;
  if (data.name() != "synthetic") {
    RM_ASSIGN_OR_RETURN(const Dataset dataset, LoadDataset(data, part));
    *inputs.mutable_data() = dataset.facts;
  }
  if (has_weights) {
    RM_ASSIGN_OR_RETURN(const std::string weights, FingerprintOfFile(resolved));
    inputs.set_init_weights(weights);
  }
  RM_RETURN_IF_ERROR(AddProgram(resolved, &inputs));
  read_[key] = inputs;
  return inputs;
}

}  // namespace ringmaster
