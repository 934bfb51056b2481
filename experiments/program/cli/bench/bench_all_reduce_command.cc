#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/fingerprint.h"
#include "common/base/status_macros.h"
#include "common/build_stamp/build_stamp.h"
#include "common/engine/engines.h"
#include "common/engine/one_device_each.h"
#include "common/log/log.h"
#include "common/machine/machine.h"
#include "experiments/program/cli/bench/bench_commands.h"
#include "experiments/program/cli/bench/buffer_flags.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/run/children.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/mpirun.h"
#include "experiments/program/run/placement.h"
#include "experiments/proof/bench/bench_all_reduce.h"
#include "experiments/proof/bench/bench_group.h"
#include "experiments/proof/bench/bench_sizes.h"
#include "experiments/proof/bench/bench_table.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

constexpr char kAllReduceFooter[] =
    "Examples:\n"
    "  ringmaster bench allreduce                                  ring over tcp, two processes, 4 "
    "KiB to 64 MiB\n"
    "  ringmaster bench allreduce --transport shm,tcp --wait spin  side by side, with the ratio\n"
    "  ringmaster bench allreduce --collective ring,direct --workers 4 --sizes "
    "64KiB:16MiB:x2,100MiB\n"
    "  ringmaster bench allreduce --against mpi,gloo --wait spin   beside Open MPI and Gloo, each "
    "at its best\n"
    "  ringmaster bench allreduce --against sockets --wait spin    beside what plain sockets move\n"
    "  ringmaster bench allreduce --against mpi --burst 1,4        behind a barrier each, and back "
    "to back\n"
    "\n"
    "One process a rank. An iteration writes the buffers anew, passes a barrier, and then is timed "
    "while they are\n"
    "summed in place, one call after the other (--burst 1: each behind a barrier of its own). The "
    "slowest rank's time\n"
    "counts; `time` is the median, p95 and p99 are what 95 and 99 % of the iterations did not "
    "exceed, `algbw` is size /\n"
    "time, `busbw` that times 2(N-1)/N. Buffers are warm, in the caches as far as they fit, unless "
    "--buffers cold. Every\n"
    "element of every result is compared with the exact sum. Contenders take turns, iteration by "
    "iteration, every other round "
    "in reverse; the "
    "ratio\n"
    "of a row's time to the first row's is the median of the pairs' ratios, with its 95 % interval "
    "by bootstrap.\n"
    "`sockets` is no engine but the limit of tcp: the best of a few plain loops that move a ring's "
    "bytes over our\n"
    "sockets and add what they receive, though no sum comes of it; `sockets_in_rounds` waits for "
    "the first half\n"
    "before it sends the second, as whoever sums must.\n"
    "Other engines sum in the same processes; of each, the algorithm that is fastest at that size "
    "is looked for first "
    "and\n"
    "named. With mpi or mpich the ranks are started by its launcher, and it carries its bytes by "
    "TCP "
    "where the transport is "
    "tcp or\n"
    "grpc, by shared memory where it is shm or auto. It always spins; --wait spin has ours do so.\n"
    "Exit code 0: measured and right, 1: a wrong sum or a rank that failed, 2: a mistake in the "
    "flags.";

struct AllReduceFlags {
  AllReduceBench bench;
  std::vector<std::string> against;
  std::string sizes = "4KiB:64MiB";
  bool json = false;
  // Of a process that the leading one started; an MPI's launcher says the rank in the environment.
  std::optional<int32_t> rank;
  std::string coordinator;
};

// The command line of the other ranks: everything that decides what is measured.
std::vector<std::string> ArgumentsOf(const AllReduceFlags& flags) {
  const AllReduceBench& bench = flags.bench;
  std::vector<std::string> arguments = {"bench",        "allreduce",
                                        "--engine",     absl::StrJoin(bench.engines, ","),
                                        "--transport",  absl::StrJoin(bench.transports, ","),
                                        "--collective", absl::StrJoin(bench.collectives, ","),
                                        "--workers",    absl::StrCat(bench.workers),
                                        "--sizes",      flags.sizes,
                                        "--wait",       bench.wait,
                                        "--iterations", absl::StrCat(bench.iterations),
                                        "--warm-up",    absl::StrCat(bench.warm_up),
                                        "--burst",      absl::StrJoin(bench.bursts, ",")};
  for (std::string& argument : BufferArguments(bench.buffers))
    arguments.push_back(std::move(argument));
  return arguments;
}

absl::Status Check(AllReduceFlags* flags) {
  RM_ASSIGN_OR_RETURN(flags->bench.sizes, ParseSizes(flags->sizes));
  flags->bench.engines.insert(flags->bench.engines.end(), flags->against.begin(),
                              flags->against.end());
  flags->against.clear();
  if (const std::string launcher = MpiLauncherOf(flags->bench); !launcher.empty())
    RM_RETURN_IF_ERROR(Mpirun({launcher}, {}, {}).status());
  RM_RETURN_IF_ERROR(CheckAllReduceBench(flags->bench, DescribeMachine().memory_bytes()));
  for (const std::string& engine : flags->bench.engines) {
    const EngineGpus gpus = EngineGpusOf(engine);
    if (gpus == EngineGpus::kNone) continue;
    const absl::StatusOr<int> devices = CudaDeviceCount();
    if (!devices.ok()) return Annotate(devices.status(), absl::StrCat("engine \"", engine, "\""));
    if (gpus == EngineGpus::kOneEach)
      RM_RETURN_IF_ERROR(CheckOneDeviceEach({flags->bench.workers, 0, *devices}));
  }
  return absl::OkStatus();
}

// Measures as one rank; rank 0 prints what comes out, as it comes or, as JSON, in the end.
absl::Status Measure(const AllReduceFlags& flags, const BenchSeat& seat) {
  const Machine machine = DescribeMachine();
  const std::string commit = GetBuildStamp().commit();
  const bool table = seat.rank == 0 && !flags.json;
  std::vector<AllReduceResult> results;
  RM_RETURN_IF_ERROR(RunAllReduceRank(flags.bench, seat, [&](const AllReduceResult& result) {
    results.push_back(result);
    if (!table) return;
    if (results.size() == 1)
      std::fputs(AllReduceTableHead(flags.bench, machine, commit).c_str(), stdout);
    std::fputs(AllReduceTableRows(flags.bench, result).c_str(), stdout);
    std::fflush(stdout);
  }));
  if (seat.rank != 0) return absl::OkStatus();
  std::printf("%s", flags.json
                        ? (AllReduceJson(flags.bench, results, machine, commit) + "\n").c_str()
                        : AllReduceTableNote(flags.bench).c_str());
  return absl::OkStatus();
}

// The part of a rank that another process leads, which says what happened.
absl::Status JoinAllReduce(const AllReduceFlags& flags, uint64_t fingerprint) {
  RM_ASSIGN_OR_RETURN(const HostPort coordinator, HostPort::Parse(flags.coordinator));
  std::optional<int> rank = flags.rank;
  if (!rank) {
    DieWithParent();
    RM_ASSIGN_OR_RETURN(const std::optional<LauncherWord> word,
                        ReadFromMpirun(LauncherNumber::kRank));
    if (word) rank = word->value;
  }
  const BenchSeat seat{rank.value_or(0),
                       flags.bench.workers,
                       coordinator,
                       {ReadEnvironment().token.value_or(""), nullptr},
                       fingerprint};
  NameProcess({{Role::kWorker, seat.rank}});
  return Measure(flags, seat);
}

absl::Status LeadAllReduce(const AllReduceFlags& flags, uint64_t fingerprint) {
  BenchLaunch launch;
  launch.ranks = flags.bench.workers;
  launch.fingerprint = fingerprint;
  launch.arguments = ArgumentsOf(flags);
  launch.mpi_launcher = MpiLauncherOf(flags.bench);
  if (!launch.mpi_launcher.empty()) {
    launch.mpirun_transport = flags.bench.transports[0];
    if (flags.json) launch.arguments.push_back("--json");
  }
  launch.interrupted = &InterruptFlag();
  return LeadBench(launch, [&](const BenchSeat& seat) { return Measure(flags, seat); });
}

int RunAllReduce(AllReduceFlags flags) {
  const absl::Status checked = Check(&flags);
  if (!checked.ok()) {
    Log(LogLevel::kError, checked.message());
    return kExitUserError;
  }
  const uint64_t fingerprint = Fingerprint64(absl::StrJoin(ArgumentsOf(flags), "\n"));
  const bool leads = flags.coordinator.empty();
  const absl::Status ran =
      leads ? LeadAllReduce(flags, fingerprint) : JoinAllReduce(flags, fingerprint);
  if (ran.ok()) return kExitOk;
  if (leads) Log(LogLevel::kError, ran.message());
  return InterruptFlag() ? kExitInterrupted : kExitFailedRun;
}

}  // namespace

void DeclareAllReduceBench(Command bench, Action* action) {
  Command command =
      bench.AddCommand("allreduce", "sums over all ranks, by size: time and bandwidth");
  command.SetFooter(kAllReduceFooter);
  auto flags = std::make_shared<AllReduceFlags>();
  command
      .AddOption("--engine", &flags->bench.engines,
                 "who sums: ringmaster, mpi, gloo, nccl, cuda_ipc; comma-separated")
      .Commas()
      .Takes("NAMES")
      .ShowDefault();
  command.AddOption("--against", &flags->against, "engines beside it, each with its best algorithm")
      .Commas()
      .Takes("NAMES");
  command
      .AddOption("--transport", &flags->bench.transports,
                 "one or more, comma-separated; `ringmaster list` has them")
      .Commas()
      .Takes("NAMES")
      .ShowDefault();
  command
      .AddOption("--collective", &flags->bench.collectives,
                 "one or more, comma-separated; `ringmaster list` has them")
      .Commas()
      .Takes("NAMES")
      .ShowDefault();
  command.AddOption("--workers", &flags->bench.workers, "processes").ShowDefault();
  command
      .AddOption("--sizes", &flags->sizes,
                 "sizes and ranges FIRST:LAST[:xF] (by factors of F, else of 4)")
      .Takes("SIZES")
      .ShowDefault();
  command.AddOption("--wait", &flags->bench.wait, "how waiting ranks wait: sleep or spin")
      .OneOf({"sleep", "spin"})
      .ShowDefault();
  command
      .AddOption("--iterations", &flags->bench.iterations,
                 "timed ones of each size; 0: half a second of them each")
      .Between(0, 1000000)
      .ShowDefault();
  command.AddOption("--warm-up", &flags->bench.warm_up, "iterations before them")
      .Between(1, 1000000)
      .ShowDefault();
  DeclareBuffers(command, &flags->bench.buffers);
  command
      .AddOption("--burst", &flags->bench.bursts,
                 "calls behind one barrier, one or more; 0: 4 MiB of them, 1 to 16")
      .Commas()
      .Between(0, 1024)
      .ShowDefault();
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  command.AddOption("--rank", &flags->rank, "").Hidden();
  command.AddOption("--coordinator", &flags->coordinator, "").Hidden();
  command.OnChosen([action, flags] { *action = [flags] { return RunAllReduce(*flags); }; });
}

}  // namespace ringmaster
