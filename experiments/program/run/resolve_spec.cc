#include "experiments/program/run/resolve_spec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/fingerprint.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/config/resolve.h"
#include "common/config/describe.h"
#include "common/config/validate.h"
#include "common/engine/engines.h"
#include "common/log/log.h"
#include "common/machine/checkout.h"
#include "common/scheme/registry.h"
#include "common/transport/fabric.h"
#include "experiments/program/run/worker_parts.h"
#include "worker/data/dataset.h"
#include "worker/kernels/registry.h"
#include "worker/loop/initial_weights.h"
#include "worker/model/model.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

KnownNames AllNames() {
  KnownNames known;
  known.models = RegistryNames(Models());
  known.datasets = RegistryNames(Datasets());
  for (const std::string& name : RegistryNames(KernelLibraries())) {
    if (name != "auto") known.kernels.push_back(name);
  }
  known.transports = RegistryNames(Transports());
  return known;
}

// Said once by a process, however many specs it resolves.
void WarnOnce() {
  static const bool said = [] {
    Log(LogLevel::kWarning,
        "transport.security is \"insecure\": the processes speak in clear, and whoever reads or "
        "changes what they say can take part in the run");
    return true;
  }();
  static_cast<void>(said);
}

}  // namespace

absl::StatusOr<RunSpec> ResolveAndValidate(const RunSpec& spec,
                                           const std::string& default_data_dir) {
  ResolveContext context;
  context.default_data_dir = default_data_dir;
  const DataSpec data = ResolveData(spec.data(), default_data_dir);
  int64_t test_samples = 0;
  absl::StatusOr<SampleShape> shape = InspectDataset(data, &context.train_samples, &test_samples);
  // What is wrong with the spec comes before what is wrong with the files: without them, steps
  // stand in for epochs.
  RunSpec countable = spec;
  if (!shape.ok() && !countable.training().has_steps()) {
    countable.mutable_training()->clear_epochs();
    countable.mutable_training()->set_steps(1);
  }
  RM_ASSIGN_OR_RETURN(const RunSpec resolved, Resolve(countable, context));
  RM_RETURN_IF_ERROR(Validate(resolved, AllNames()));
  if (resolved.transport().security() == "insecure") WarnOnce();
  RM_RETURN_IF_ERROR(WithFetchAdvice(shape.status(), spec.data()));
  const std::string& kernels = resolved.training().kernels();
  if (kernels == "cublas" || kernels == "cublas_tf32") {
    RM_RETURN_IF_ERROR(
        Annotate(DescribeCuda().status(), absl::StrCat("training.kernels = \"", kernels, "\"")));
  }
  if (const absl::string_view engine = TraitsOf(resolved).engine; !engine.empty()) {
    RM_RETURN_IF_ERROR(Annotate(CheckEngine(engine), "strategy.all_reduce.collective"));
  }
  // Whether the model takes such samples is the model's to say; the host's twin is cheap to make.
  RM_ASSIGN_OR_RETURN(const WorkerParts host, CreateHostModel(resolved, *shape));
  const Model* model = host.model.get();
  RM_RETURN_IF_ERROR(CheckCodecKeepsStatistics(model->layout(), resolved.codec()));
  if (const ReducerDefinition* reducer = FindReducer(resolved.codec().name()))
    RM_RETURN_IF_ERROR(reducer->check(resolved.codec(), model->layout()));
  // A file of weights is looked at here, before any process is started for nothing.
  if (!resolved.training().init_weights().empty())
    RM_RETURN_IF_ERROR(InitialWeights(resolved, *model).status());
  // Only now the model's size is known, and with it that of the buckets.
  RM_RETURN_IF_ERROR(CheckMarkCopies(resolved, model->layout().count()));
  context.model_bytes = model->layout().count() * static_cast<int64_t>(sizeof(float));
  return Resolve(std::move(countable), context);
}

std::string FetchAdvice(const DataSpec& given) {
  if (!IsInCheckout()) return "";
  const bool is_mnist = given.name().empty() || given.name() == "mnist";
  if (is_mnist && given.dir().empty()) return ", or run ./run once to fetch it";
  if (given.name() == "text" && given.text().file().empty())
    return ", or run ./run compare --data text once to fetch it";
  return "";
}

absl::Status WithFetchAdvice(const absl::Status& status, const DataSpec& given) {
  if (!absl::IsNotFound(status)) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), FetchAdvice(given)));
}

uint64_t SpecFingerprint(const RunSpec& resolved) {
  // What a run leaves behind may lie elsewhere on another rank's machine, which has an address of
  // its own.
  RunSpec outcome = resolved;
  outcome.clear_output();
  // All ranks go on from the same step.
  if (resolved.output().has_resume_step())
    outcome.mutable_output()->set_resume_step(resolved.output().resume_step());
  outcome.mutable_transport()->clear_listen_address();
  // Deterministic within one program version; map fields are not used in a RunSpec.
  return Fingerprint64(outcome.SerializeAsString());
}

std::string FingerprintText(const RunSpec& resolved) {
  return absl::StrCat(absl::Hex(SpecFingerprint(resolved), absl::kZeroPad16));
}

absl::Status CheckFingerprint(const RunSpec& spec, const std::string& text) {
  const std::string own = FingerprintText(spec);
  if (own == text) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--resolved ", text, ": the spec given is ", own,
                   ", so it is not the one that was resolved; leave the flag out"));
}

}  // namespace ringmaster
