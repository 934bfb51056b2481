#include "common/config/validate_program.h"

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/describe.h"
#include "common/config/is_program.h"
#include "common/scheme/registry.h"

namespace ringmaster {
namespace {

// Of all tensors together; a terabyte of weights.
constexpr int64_t kMostElements = int64_t{1} << 38;

void CheckTensors(const ProgramModelSpec& program, Problems* problems) {
  if (program.tensors().empty()) {
    problems->Add("model.program.tensors", "[]",
                  "expected what the program trains; it says so itself when it is started by "
                  "--program, or list the tensors");
  }
  std::set<std::string> names;
  int64_t all = 0;
  for (const TensorSpec& tensor : program.tensors()) {
    if (tensor.name().empty() || !names.insert(tensor.name()).second) {
      problems->AddName("model.program.tensors", tensor.name(),
                        "expected names that are not empty and no two of which are the same");
    }
    int64_t count = 1;
    for (const int64_t extent : tensor.shape()) {
      const bool fits = extent >= 1 && extent <= kMostElements / count;
      if (!fits) {
        problems->Add(absl::StrCat("model.program.tensors \"", tensor.name(), "\""), extent,
                      "expected extents of at least 1, and 2^38 elements together at most");
        return;
      }
      count *= extent;
    }
    all += count;
    if (all <= kMostElements) continue;
    problems->Add("model.program.tensors", all, "expected 2^38 elements together at most");
    return;
  }
}

void CheckStatistics(const RunSpec& spec, Problems* problems) {
  const SchemeTraits traits = TraitsOf(spec);
  if (traits.updates != Updates::kOnArrival || traits.local_steps > 0) return;
  for (const TensorSpec& tensor : spec.model().program().tensors()) {
    if (!absl::EndsWith(tensor.name(), "running_mean") &&
        !absl::EndsWith(tensor.name(), "running_var")) {
      continue;
    }
    problems->AddName("model.program.tensors", tensor.name(),
                      "with updates on arrival (SSP, ASYNCHRONOUS), the running statistics would "
                      "take each worker's share for the mean of all; use group norm, or leave "
                      "this arm out");
    return;
  }
}

// What a program does itself, or has no part in.
void CheckSettings(const RunSpec& spec, Problems* problems) {
  const TrainingSpec& training = spec.training();
  if (training.kernels() != "reference") {
    problems->AddName("training.kernels", training.kernels(),
                      "the program computes with what it likes; leave it out");
  }
  if (training.has_emulated_compute()) {
    problems->Add("training.emulated_compute", "{...}",
                  "the program computes for as long as it takes; leave it out");
  }
  if (spec.data().has_augment()) {
    problems->Add("data.augment", "{...}",
                  "the program reads its samples itself, and may change them; leave it out");
  }
  if (spec.has_evaluation()) {
    problems->Add("evaluation", "{...}",
                  "the program alone can score its weights; have it do so after training");
  }
  if (spec.strategy().launch() == THREADS && TraitsOf(spec).workers > 1) {
    problems->Add("strategy.launch", "THREADS",
                  "a program is one worker to a process; use PROCESSES, which the arms ps and "
                  "ring do, and leave dp out");
  }
  if (MayReform(spec)) {
    problems->Add("strategy.on_failure", "REFORM",
                  "a program cannot be taken back to a step that it has made; use RESTART, "
                  "which starts it anew, or CONTINUE");
  }
}

}  // namespace

void CheckProgram(const RunSpec& spec, Problems* problems) {
  const bool has_data = spec.data().name() == "program";
  if (IsProgram(spec) != has_data) {
    problems->AddName(
        IsProgram(spec) ? "data.name" : "model.name",
        IsProgram(spec) ? spec.data().name() : spec.model().name(),
        "a program trains on samples of its own, and nobody else does: model and data are both "
        "\"program\", or neither is; --program COMMAND sets both");
  }
  if (!IsProgram(spec) && spec.model().has_program())
    problems->Add("model.program", "{...}", "only for model \"program\"; leave it out");
  if (!has_data && spec.data().has_program())
    problems->Add("data.program", "{...}", "only for data \"program\"; leave it out");
  if (!IsProgram(spec) || !has_data) return;
  CheckTensors(spec.model().program(), problems);
  CheckStatistics(spec, problems);
  CheckSettings(spec, problems);
}

}  // namespace ringmaster
