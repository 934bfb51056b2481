#include "experiments/program/cli/spec_flags.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/network_text.h"
#include "common/config/override.h"
#include "experiments/program/run/job_credentials.h"
#include "experiments/program/run/programs/program_child.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

struct Flag {
  const char* name;
  const char* value;  // what stands behind it in --help
  const char* field;
  const char* help;
};

constexpr Flag kFlags[] = {
    {"--workers", "N", "training.workers", "workers [2]"},
    {"--servers", "K", "strategy.parameter_server.servers",
     "parameter servers, where they are dedicated [1]"},
    {"--batch", "B", "training.batch_per_worker", "samples a worker takes in a step [32]"},
    {"--on-failure", "WHAT", "strategy.on_failure",
     "what follows when a process is lost: ABORT, the run ends; CONTINUE, those left go on where "
     "they are; REFORM, from the last step that all have; RESTART, all processes are started again "
     "from the newest checkpoint, at most limits.restarts times; GO_ON, each arm as it can; in "
     "small letters too [ABORT]"},
    {"--steps", "STEPS", "training.steps", "steps to train, instead of --epochs"},
    {"--epochs", "EPOCHS", "training.epochs",
     "passes over the training set; fractions are allowed [2]"},
    {"--model", "NAME", "model.name", "model, see `ringmaster list` [lenet]"},
    {"--data", "NAME", "data.name", "data set, see `ringmaster list` [mnist]"},
    {"--data-dir", "DIR", "data.dir",
     "folder with the files of mnist or cifar10 [~/.cache/ringmaster/NAME]"},
    {"--program", "COMMAND", "model.program.command",
     "a program of yours that computes the gradients in a session (docs/OWN_MODEL.md), instead of "
     "--model and --data: each worker is a process of it, 'python3 train.py --width 64'"},
    {"--transport", "NAME", "transport.name", "auto, grpc, shm or tcp [grpc]"},
    {"--network", "RATE,LATENCY", "transport.network",
     "shape the network between the run's processes: 100mbit,5ms or 1gbit,50us,20us, the last one "
     "being jitter; racks of workers as racks:2:100mbit:1ms, with the uplink's rate and latency; "
     "none"},
    {"--racks", "RACKSxWORKERS", "transport.network.racks",
     "put workers into racks of that network, neighbouring ranks together: 8x8, or "
     "8x8,uplink=10gbit,latency=50us,servers=first"},
    {"--emulate", "MS", "training.emulated_compute.milliseconds",
     "sleep so many milliseconds for the forward and backward of a batch, and compute nothing"},
    {"--kernels", "NAME", "training.kernels", "auto, cpu, cublas, cublas_tf32 or reference [auto]"},
    {"--optimizer", "NAME", "optimizer.name",
     "what turns gradients into weights, see `ringmaster list` [sgd]"},
    {"--learning-rate", "RATE", "optimizer.learning_rate",
     "step size [0.1]; of adam and adamw [0.001]"},
    {"--init-weights", "FILE", "training.init_weights",
     "weights to start from (.safetensors), instead of the seed"},
    {"--save-weights", "FILE", "output.save_weights",
     "where worker 0 leaves the final weights (.safetensors); {arm} stands for the arm's name"},
    {"--dump-batches", "DIR", "output.dump_batches",
     "folder for the sample indices of every step, a .npy file a rank; {arm} as above"},
    {"--dump-gradients", "DIR", "output.dump_gradients",
     "folder for the averaged gradients of the first 10 steps (.safetensors); {arm} as above"},
    {"--checkpoint-every", "STEPS", "training.checkpoint_every_steps",
     "stand still before every so many steps and keep all that a run needs to go on; drains, so "
     "it is part of what arms are compared under"},
    {"--checkpoints", "DIR", "output.checkpoints",
     "folder of these checkpoints, on a disk that all ranks see; {arm} as above "
     "[OUT/checkpoints/{arm}]"},
    {"--evaluate-every", "SAMPLES", "training.evaluate_every_samples",
     "samples between evaluations, all scored after the run; 0: one of its end [10000]"},
};

}  // namespace

void SpecFlags::Declare(Command command) {
  DeclareSome(command, [](absl::string_view) { return true; });
  command.Find("--steps").front().Excludes(command.Find("--epochs").front());
  DeclareSecurity(command);
  DeclareSeedAndSet(command);
}

void SpecFlags::DeclareForEvaluation(Command command) {
  DeclareSome(command, [](absl::string_view field) {
    return absl::StartsWith(field, "model.") || absl::StartsWith(field, "data.") ||
           field == "training.workers" || field == "training.kernels";
  });
  DeclareSeedAndSet(command);
}

void SpecFlags::DeclareForBench(Command command) {
  DeclareSome(command, [](absl::string_view field) {
    return field == "model.name" || field == "training.workers" ||
           field == "training.batch_per_worker" || field == "strategy.parameter_server.servers" ||
           field == "transport.name" || field == "training.kernels";
  });
  DeclareSeedAndSet(command);
}

void SpecFlags::DeclareSome(Command command,
                            absl::FunctionRef<bool(absl::string_view field)> wanted) {
  for (const Flag& flag : kFlags) {
    if (!wanted(flag.field)) continue;
    fields_.emplace_back(command.AddOption(flag.name, flag.help).Takes(flag.value).Group("Run"),
                         flag.field);
  }
}

void SpecFlags::DeclareSecurity(Command command) {
  command
      .AddOption("--tls", &tls_folder_,
                 "have all connections by TLS, with the certificates in this folder, which "
                 "`ringmaster keygen` makes [RINGMASTER_TLS_DIR, where transport.security is tls]")
      .Takes("DIR")
      .Group("Run");
  command.AddFlag("--insecure", &is_insecure_,
                  "let processes listen where other machines reach them, and speak in clear");
  command.Find("--insecure").front().Group("Run").Excludes(command.Find("--tls").front());
}

void SpecFlags::DeclareSeedAndSet(Command command) {
  fields_.emplace_back(
      command.AddOption("--seed", "seed of the initial weights and of the data order [1]")
          .Takes("S")
          .Group("Run"),
      "seed");
  command
      .AddOption("--set", &sets_,
                 "set any field of the run spec (proto/run_spec.proto), e.g. --set "
                 "limits.wait_seconds=5; may be "
                 "given several times, the last one wins")
      .Takes("FIELD.PATH=VALUE")
      .Group("Run");
}

absl::Status SpecFlags::Apply(RunSpec* spec) const {
  for (const auto& [option, field] : fields_) {
    const std::vector<std::string> values = option.values();
    if (values.empty()) continue;
    const std::string& value = values.back();
    const auto set = [&](const std::string& path) {
      return Annotate(SetField(absl::StrCat(path, "=", value), spec),
                      absl::StrCat(option.name(), " ", value));
    };
    if (field == "seed") {
      RM_RETURN_IF_ERROR(set("training.seed"));
      RM_RETURN_IF_ERROR(set("data.seed"));
      continue;
    }
    if (field == "transport.network") {
      RM_RETURN_IF_ERROR(Annotate(ReadNetwork(value, spec->mutable_transport()),
                                  absl::StrCat(option.name(), " ", value)));
      continue;
    }
    if (field == "model.program.command") {
      const absl::StatusOr<std::vector<std::string>> words = CommandWords(value);
      if (!words.ok()) return Annotate(words.status(), absl::StrCat(option.name(), " ", value));
      ProgramModelSpec& program = *spec->mutable_model()->mutable_program();
      program.mutable_command()->Assign(words->begin(), words->end());
      continue;
    }
    if (field == "transport.network.racks") {
      RM_RETURN_IF_ERROR(
          Annotate(ReadRackGrid(value, spec), absl::StrCat(option.name(), " ", value)));
      continue;
    }
    // How long to train, said by a flag, replaces what the file says.
    if (field == "training.steps") spec->mutable_training()->clear_epochs();
    if (field == "training.epochs") spec->mutable_training()->clear_steps();
    RM_RETURN_IF_ERROR(set(field));
  }
  if (!tls_folder_.empty()) {
    RM_RETURN_IF_ERROR(UseTlsFolder(tls_folder_));
    spec->mutable_transport()->set_security("tls");
  }
  if (is_insecure_) spec->mutable_transport()->set_security("insecure");
  for (const std::string& assignment : sets_) {
    RM_RETURN_IF_ERROR(Annotate(SetField(assignment, spec), absl::StrCat("--set ", assignment)));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
