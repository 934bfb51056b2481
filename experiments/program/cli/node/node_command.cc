#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/control/end_request.h"
#include "common/log/log.h"
#include "common/machine/process_end.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/node/lead_node.h"
#include "experiments/program/cli/node/node_setup.h"
#include "experiments/program/cli/outcome.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/run/children.h"
#include "experiments/program/run/node.h"
#include "experiments/program/run/placement.h"

namespace ringmaster {
namespace {

constexpr char kDescription[] = "one rank of a run, started by hand or by a launcher";
constexpr char kFooter[] =
    "Start one process a rank, all with the same spec and flags; rank 0 leads the run and keeps "
    "its record:\n"
    "  ringmaster node --arm ring --rank 0 --world-size 2 --coordinator 127.0.0.1:29500 &\n"
    "  ringmaster node --arm ring --rank 1 --world-size 2 --coordinator 127.0.0.1:29500\n"
    "HOST is a name or an address, IPv6 in brackets ([::1]:29500). A name that does not resolve "
    "yet is looked up "
    "again\n"
    "until limits.join_seconds are over. Rank 0 alone may listen at every address "
    "(0.0.0.0:29500).\n"
    "Workers have ranks 0 to N-1, dedicated servers the ranks after them. With --workers and "
    "without --servers all\n"
    "ranks beyond the workers are servers. What a launcher says stands in for flags that are not "
    "given: rank, world\n"
    "size and device (the local rank) by mpirun, mpiexec.hydra, srun and torchrun, the rank by a "
    "Kubernetes Indexed\n"
    "Job, where rank 0 leads by MASTER_ADDR and MASTER_PORT. `ringmaster doctor --launcher` under "
    "a launcher says what\n"
    "is taken from whom. A run has succeeded if its record says so, whatever the launcher's exit "
    "code.\n"
    "RINGMASTER_TOKEN, the same on every rank, keeps other processes out; without it the spec's "
    "fingerprint does, on\n"
    "loopback or with --tls. Beyond loopback every rank needs --tls DIR, a copy of the folder that "
    "`ringmaster keygen DIR`\n"
    "has made with the --host of all machines, or --insecure.";

// Aborted: what the run ends with is no consequence of another failure.
absl::Status EndedBy(const std::string& name, int signal) {
  return absl::AbortedError(absl::StrCat(name, ": ended by ", SignalName(signal)));
}

int Fail(const absl::Status& status) {
  Log(LogLevel::kError, status.message());
  return kExitUserError;
}

// Leads the run from rank 0: a signal ends it, and its record is kept, also while this process's
// own part computes a long batch.
int Lead(const NodeSetup& setup) {
  LeadLimits limits;
  limits.end = [&setup] {
    return InterruptFlag() ? EndedBy(setup.name, EndSignal()) : absl::OkStatus();
  };
  limits.unwind = std::chrono::milliseconds(200);
  const absl::StatusOr<LedNode> led = LeadNode(setup, limits);
  if (!led.ok()) return Fail(led.status());
  const int code = ReportOutcome(led->record, setup.out, /*json=*/false);
  if (led->is_over) return code;
  std::fflush(stdout);
  EndProcess(128 + EndSignal());
}

int RunNodeCommand(const NodeFlags& flags) {
  // Who leads the run has started mpirun, and this is one of its ranks.
  if (flags.joins && !flags.rank) DieWithParent();
  absl::StatusOr<NodeSetup> setup = SetUpNode(flags, /*program=*/nullptr);
  if (!setup.ok()) return Fail(setup.status());
  NameProcess(setup->nodes);
  if (setup->leads) return Lead(*setup);
  // Who leads the run says what happened; a rank started by hand says it too.
  const bool says = !setup->is_launched;
  const auto ends =
      std::make_shared<EndRequest>();  // shared with a thread that may outlive this function
  OnEndSignal([ends, name = setup->name, says](int signal) {
    const absl::Status why = EndedBy(name, signal);
    if (says) Log(LogLevel::kError, why.message());
    ends->Make(why);
  });
  setup->options.ends = ends.get();
  setup->options.is_led = !says;
  const absl::Status ran = RunNode(setup->spec, setup->options);
  if (ran.ok()) return kExitOk;
  if (says && EndSignal() == 0) Log(LogLevel::kError, ran.message());
  return absl::IsAlreadyExists(ran) || absl::IsPermissionDenied(ran) ? kExitUserError
                                                                     : kExitFailedRun;
}

}  // namespace

void DeclareNode(Command program, Action* action) {
  Command command = program.AddCommand("node", kDescription);
  command.SetFooter(kFooter);
  auto flags = std::make_shared<NodeFlags>();
  DeclareNodeFlags(command, flags.get());
  command.OnChosen([action, flags] { *action = [flags] { return RunNodeCommand(*flags); }; });
}

}  // namespace ringmaster
