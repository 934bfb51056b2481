#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/config/load.h"
#include "common/formats/atomic_file.h"
#include "common/formats/json.h"
#include "common/formats/weights.h"
#include "common/log/log.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/evaluation_result.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/spec_flags.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/program/cli/weights_file.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/study/results/schema_version.h"
#include "proto/run_record.pb.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

constexpr char kEvaluateFooter[] =
    "Each worker is a process and scores its share of the test set, in whole batches; each sample "
    "is scored once. "
    "Loss\n"
    "and accuracy are the same bits for every number of workers. The model is the one that the "
    "file names, unless "
    "--model\n"
    "or --base says another; the data's flags are those of the run that saved the weights. Files "
    "of PyTorch are read "
    "as they\n"
    "are: prefixes module. and _orig_mod., batch counters, float16 and bfloat16 are dealt with and "
    "said.";

struct EvaluateFlags {
  SpecFlags spec;
  std::string spec_file;
  std::string weights;
  std::string predictions;
  int device = 0;
  bool json = false;
};

// Takes out of a run's spec what an evaluation has no use for, and what would be refused without a
// word from the user.
void LeaveEvaluation(RunSpec* spec) {
  TrainingSpec training;
  if (spec->training().has_workers()) training.set_workers(spec->training().workers());
  training.set_kernels(spec->training().kernels());
  *spec->mutable_training() = std::move(training);
  spec->mutable_transport()->clear_network();
  spec->mutable_data()->clear_augment();
}

// What the user says, with the model of the file of weights where the user says none or the same.
absl::StatusOr<RunSpec> GivenSpec(const EvaluateFlags& flags) {
  RunSpec base;
  if (!flags.spec_file.empty()) {
    RM_ASSIGN_OR_RETURN(base, LoadRunSpec(flags.spec_file));
    LeaveEvaluation(&base);
  }
  RunSpec spec = base;
  RM_RETURN_IF_ERROR(flags.spec.Apply(&spec));
  const absl::StatusOr<WeightsHeader> header = ReadWeightsHeader(flags.weights);
  RM_RETURN_IF_ERROR(Annotate(header.status(), "--weights"));
  const std::string& name = spec.model().name();
  if (base.has_model() || !(name.empty() || (header->model.ok() && header->model->name() == name)))
    return spec;
  RM_ASSIGN_OR_RETURN(*base.mutable_model(), ModelOfWeights(flags.weights, *header));
  RM_RETURN_IF_ERROR(flags.spec.Apply(&base));
  return base;
}

// A score on other data than the weights were trained on may be wanted; mostly --data was
// forgotten.
void TellOfOtherData(const std::string& path, const std::string& data) {
  const absl::StatusOr<WeightsHeader> header = ReadWeightsHeader(path);
  if (!header.ok() || header->data_name.empty() || header->data_name == data) return;
  Log(LogLevel::kWarning, absl::StrCat("--weights ", path, " were trained on ", header->data_name,
                                       " and are scored on ", data, "; give --data ",
                                       header->data_name, " to score them on the same"));
}

// What is evaluated, resolved; of a run's spec only model, data, workers and kernels count.
absl::StatusOr<RunSpec> BuildSpec(const EvaluateFlags& flags) {
  const Environment environment = ReadEnvironment();
  if (flags.weights.empty())
    return absl::InvalidArgumentError("--weights \"\": expected a file (.safetensors)");
  RM_ASSIGN_OR_RETURN(RunSpec spec, GivenSpec(flags));
  spec.set_name("evaluate");
  spec.clear_strategy();
  spec.mutable_strategy()->mutable_solo();
  spec.clear_codec();
  spec.clear_optimizer();
  spec.clear_output();
  if (spec.transport().name() == "inproc") spec.mutable_transport()->clear_name();
  spec.mutable_training()->clear_epochs();
  spec.mutable_training()->set_steps(1);
  spec.mutable_training()->clear_warmup_steps();
  spec.mutable_training()->set_init_weights(flags.weights);
  spec.mutable_evaluation();
  RM_ASSIGN_OR_RETURN(spec, ResolveAndValidate(spec, environment.default_data_dir));
  if (!flags.predictions.empty()) {
    RM_RETURN_IF_ERROR(Annotate(CheckFileCanBeWritten(flags.predictions), "--predictions"));
  }
  return spec;
}

void PrintResult(const EvaluateFlags& flags, const RunSpec& spec, const EvaluationResult& result) {
  if (flags.json) {
    Json object;
    object["model"] = spec.model().name();
    object["data"] = spec.data().name();
    object["weights"] = flags.weights;
    object["weights_sha256"] = result.weights_sha256;
    object["workers"] = spec.training().workers();
    object["samples"] = result.samples;
    object["labels"] = result.labels;
    object["loss"] = result.loss;
    object["accuracy"] = result.accuracy;
    object[kSchemaVersionKey] = kSchemaVersion;
    std::printf("%s\n", object.Dump().c_str());
    return;
  }
  std::printf("%s on %s, weights %s\n", spec.model().name().c_str(), spec.data().name().c_str(),
              flags.weights.c_str());
  std::printf("samples    %s\n", FormatCount(static_cast<double>(result.samples)).c_str());
  if (result.labels != result.samples) {
    std::printf("labels     %s\n", FormatCount(static_cast<double>(result.labels)).c_str());
  }
  std::printf("loss       %.6f\naccuracy   %.4f %%\n", result.loss, 100 * result.accuracy);
  if (!flags.predictions.empty()) std::printf("predictions: %s\n", flags.predictions.c_str());
}

int RunEvaluate(const EvaluateFlags& flags) {
  const auto fail = [](const absl::Status& status, int code) {
    Log(LogLevel::kError, status.message());
    return code;
  };
  const absl::StatusOr<RunSpec> spec = BuildSpec(flags);
  if (!spec.ok()) return fail(spec.status(), kExitUserError);
  TellOfWeights({*spec});
  TellOfOtherData(flags.weights, spec->data().name());
  RunArmOptions options;
  options.device = flags.device;
  options.interrupted = &InterruptFlag();
  const RunRecord record = RunArm(*spec, options);
  if (InterruptFlag()) return kExitInterrupted;
  if (record.status() != "ok") return fail(absl::UnknownError(record.status()), kExitFailedRun);
  int64_t train_samples = 0;
  int64_t test_samples = 0;
  const auto shape = InspectDataset(spec->data(), &train_samples, &test_samples);
  if (!shape.ok()) return fail(shape.status(), kExitFailedRun);
  const absl::StatusOr<EvaluationResult> result = GatherEvaluation(record, test_samples);
  if (!result.ok()) return fail(result.status(), kExitFailedRun);
  if (!flags.predictions.empty()) {
    const absl::Status written = WritePredictions(*result, flags.predictions);
    if (!written.ok()) return fail(Annotate(written, "--predictions"), kExitFailedRun);
  }
  PrintResult(flags, *spec, *result);
  return kExitOk;
}

}  // namespace

void DeclareEvaluate(Command program, Action* action) {
  Command command = program.AddCommand("evaluate", "score the test set with saved weights");
  command.SetFooter(kEvaluateFooter);
  auto flags = std::make_shared<EvaluateFlags>();
  command
      .AddOption("--weights", &flags->weights,
                 "weights to score (.safetensors, from --save-weights)")
      .Takes("FILE")
      .Required();
  command
      .AddOption("--predictions", &flags->predictions,
                 "where the predicted classes go (.npy, int32, in order)")
      .Takes("FILE");
  command.AddOption("--base", &flags->spec_file,
                    "run spec (textproto) with the model and the data");
  command.AddOption("--device", &flags->device, "GPU that the ranks share, where there is one")
      .Between(0, 1023);
  command.AddFlag("--json", &flags->json, "one JSON object on standard output");
  flags->spec.DeclareForEvaluation(command);
  command.OnChosen([action, flags] { *action = [flags] { return RunEvaluate(*flags); }; });
}

}  // namespace ringmaster
