#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/fingerprint.h"
#include "common/base/status_macros.h"
#include "common/build_stamp/build_stamp.h"
#include "common/log/log.h"
#include "common/machine/machine.h"
#include "common/security/certificates.h"
#include "experiments/program/cli/bench/bench_commands.h"
#include "experiments/program/cli/bench/buffer_flags.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/proof/bench/bench_group.h"
#include "experiments/proof/bench/bench_push_pull.h"
#include "experiments/proof/bench/bench_push_pull_table.h"
#include "experiments/proof/bench/bench_sizes.h"

namespace ringmaster {
namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  ringmaster bench pushpull                                   two workers, two servers, tcp, "
    "1 to 64 MiB\n"
    "  ringmaster bench pushpull --placement colocated --transport shm,tcp   side by side, with "
    "the ratio\n"
    "  ringmaster bench pushpull --sizes 16MiB --bucket 4MiB --workers 4 --servers 1\n"
    "  ringmaster bench pushpull --workers 1 --servers 1 --tls                 what TLS costs\n"
    "\n"
    "One process a worker and, unless they are co-located, one a server; the code is that of a "
    "training run's "
    "strategy\n"
    "and shards (BSP, plain SGD). An iteration writes the gradient anew, passes a barrier of the "
    "workers, and then is\n"
    "timed from the first bucket pushed until all new weights are there. The slowest worker's time "
    "counts; `time` is "
    "the\n"
    "median, p95 and p99 are what 95 and 99 % of the iterations did not exceed. Buffers are the "
    "workers' gradients;\n"
    "weights and the servers' memory are warm in any case, as the step before has left them. Every "
    "weight is compared with the exact one. A worker pushes `size` bytes and pulls "
    "`size` bytes:\n"
    "  algbw   size / time, the column of `bench allreduce`\n"
    "  worker  payload of one worker, pushed and pulled: 2 size / time\n"
    "  all     payload of all workers together: 2 size workers / time\n"
    "Transports take turns, iteration by iteration; of two, the ratio is the median of the pairs' "
    "ratios, with its 95 "
    "%\n"
    "interval by bootstrap.\n"
    "Exit code 0: measured and right, 1: a wrong weight or a process that failed, 2: a mistake in "
    "the flags.";

struct Flags {
  PushPullBench bench;
  std::string placement = "dedicated";
  std::string sizes = "1MiB:64MiB";
  std::string bucket = "512KiB";
  bool json = false;
  bool tls = false;
  // Of a process that the leading one started.
  int32_t rank = 0;
  std::string coordinator;
};

// The command line of the other processes: everything that decides what is measured, for one size.
std::vector<std::string> ArgumentsOf(const Flags& flags, int64_t size_bytes) {
  const PushPullBench& bench = flags.bench;
  std::vector<std::string> arguments = {"bench",        "pushpull",
                                        "--transport",  absl::StrJoin(bench.transports, ","),
                                        "--workers",    absl::StrCat(bench.workers),
                                        "--servers",    absl::StrCat(bench.servers),
                                        "--placement",  flags.placement,
                                        "--sizes",      absl::StrCat(size_bytes),
                                        "--bucket",     flags.bucket,
                                        "--wait",       bench.wait,
                                        "--iterations", absl::StrCat(bench.iterations),
                                        "--warm-up",    absl::StrCat(bench.warm_up)};
  if (flags.tls) arguments.push_back("--tls");
  for (std::string& argument : BufferArguments(bench.buffers))
    arguments.push_back(std::move(argument));
  return arguments;
}

absl::Status Check(Flags* flags) {
  flags->bench.colocated = flags->placement == "colocated";
  RM_ASSIGN_OR_RETURN(flags->bench.sizes, ParseSizes(flags->sizes));
  flags->bench.bucket_bytes = 0;
  if (flags->bucket != "0") {
    const auto bucket = ParseSizes(flags->bucket);
    if (!bucket.ok() || bucket->size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("--bucket \"", flags->bucket,
                       "\": expected one size, for example 512KiB, or 0 for one bucket"));
    }
    flags->bench.bucket_bytes = bucket->front();
  }
  for (const std::string& transport : flags->bench.transports) {
    if (!flags->tls || transport == "tcp" || transport == "grpc") continue;
    return absl::InvalidArgumentError(absl::StrCat("--tls: transport \"", transport,
                                                   "\" has none within a host; use tcp or grpc"));
  }
  return CheckPushPullBench(flags->bench, DescribeMachine().memory_bytes());
}

// What is measured: with --tls every transport a second time.
PushPullBench Measured(const Flags& flags) {
  PushPullBench bench = flags.bench;
  for (const std::string& transport : flags.bench.transports) {
    if (flags.tls) bench.transports.push_back(absl::StrCat(transport, kTlsSuffix));
  }
  return bench;
}

PushPullBench OfSize(const Flags& flags, int64_t size_bytes) {
  PushPullBench bench = Measured(flags);
  bench.sizes = {size_bytes};
  return bench;
}

uint64_t FingerprintOf(const Flags& flags, int64_t size_bytes) {
  return Fingerprint64(absl::StrJoin(ArgumentsOf(flags, size_bytes), "\n"));
}

// Certificates for this program and the processes that it starts, gone with this object.
class TemporaryCertificates {
 public:
  TemporaryCertificates() {
    const auto made = MakeCertificates(CertificateOptions());
    status_ = made.status();
    folder_ =
        absl::StrCat(std::filesystem::temp_directory_path().string(), "/ringmaster-", NewToken());
    if (made.ok()) status_ = WriteCertificates(*made, folder_, /*replaces=*/false);
    if (status_.ok()) SetTlsFolder(folder_);
  }
  ~TemporaryCertificates() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TemporaryCertificates(const TemporaryCertificates&) = delete;
  TemporaryCertificates& operator=(const TemporaryCertificates&) = delete;
  const absl::Status& status() const { return status_; }

 private:
  std::string folder_;
  absl::Status status_;
};

// The part of a process that another leads, which says what happened.
absl::Status Join(const Flags& flags) {
  const Environment environment = ReadEnvironment();
  const PushPullBench bench = OfSize(flags, flags.bench.sizes.front());
  BenchSeat seat;
  seat.rank = flags.rank;
  seat.nodes = PushPullNodes(bench);
  seat.ranks = static_cast<int32_t>(seat.nodes.size());
  RM_ASSIGN_OR_RETURN(seat.coordinator, HostPort::Parse(flags.coordinator));
  seat.credentials.token = environment.token.value_or("");
  seat.fingerprint = FingerprintOf(flags, flags.bench.sizes.front());
  NameProcess(seat.nodes[seat.rank]);
  return RunPushPullProcess(bench, seat, [](const PushPullResult&) {});
}

// Every size has processes of its own, so that none finds memory or messages of another.
absl::Status Lead(const Flags& flags) {
  const Machine machine = DescribeMachine();
  const std::string commit = GetBuildStamp().commit();
  const PushPullBench measured = Measured(flags);
  const TemporaryCertificates certificates;
  if (flags.tls) RM_RETURN_IF_ERROR(certificates.status());
  std::vector<PushPullResult> results;
  if (!flags.json) std::fputs(PushPullTableHead(measured, machine, commit).c_str(), stdout);
  for (const int64_t size_bytes : flags.bench.sizes) {
    const PushPullBench bench = OfSize(flags, size_bytes);
    BenchLaunch launch;
    launch.nodes = PushPullNodes(bench);
    launch.ranks = static_cast<int32_t>(launch.nodes.size());
    launch.fingerprint = FingerprintOf(flags, size_bytes);
    launch.arguments = ArgumentsOf(flags, size_bytes);
    launch.interrupted = &InterruptFlag();
    const auto sink = [&](const PushPullResult& result) { results.push_back(result); };
    RM_RETURN_IF_ERROR(LeadBench(
        launch, [&](const BenchSeat& seat) { return RunPushPullProcess(bench, seat, sink); }));
    if (flags.json) continue;
    std::fputs(PushPullTableRows(measured, results.back()).c_str(), stdout);
    std::fflush(stdout);
  }
  std::printf("%s", flags.json ? (PushPullJson(measured, results, machine, commit) + "\n").c_str()
                               : PushPullTableNote(measured).c_str());
  return absl::OkStatus();
}

int Run(Flags flags) {
  const absl::Status checked = Check(&flags);
  if (!checked.ok()) {
    Log(LogLevel::kError, checked.message());
    return kExitUserError;
  }
  const bool leads = flags.coordinator.empty();
  const absl::Status ran = leads ? Lead(flags) : Join(flags);
  if (ran.ok()) return kExitOk;
  if (leads) Log(LogLevel::kError, ran.message());
  return InterruptFlag() ? kExitInterrupted : kExitFailedRun;
}

}  // namespace

void DeclarePushPullBench(Command bench, Action* action) {
  Command command =
      bench.AddCommand("pushpull", "a step's exchange with parameter servers, by size");
  command.SetFooter(kFooter);
  auto flags = std::make_shared<Flags>();
  command
      .AddOption("--transport", &flags->bench.transports,
                 "one or more, comma-separated; `ringmaster list` has them")
      .Commas()
      .Takes("NAMES")
      .ShowDefault();
  command.AddOption("--workers", &flags->bench.workers, "processes").ShowDefault();
  command.AddOption("--servers", &flags->bench.servers, "that share every bucket").ShowDefault();
  command
      .AddOption("--placement", &flags->placement,
                 "of the servers: dedicated processes, or beside the workers")
      .OneOf({"dedicated", "colocated"})
      .ShowDefault();
  command
      .AddOption("--sizes", &flags->sizes,
                 "sizes and ranges FIRST:LAST[:xF] (by factors of F, else of 4)")
      .Takes("SIZES")
      .ShowDefault();
  command
      .AddOption("--bucket,--bucket-bytes", &flags->bucket,
                 "of each bucket, exchanged as one unit; 0: one bucket")
      .Takes("SIZE")
      .ShowDefault();
  command.AddOption("--wait", &flags->bench.wait, "how waiting processes wait: sleep or spin")
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
  command.AddFlag("--tls", &flags->tls,
                  "measure each transport by TLS too, with certificates made for it");
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  command.AddOption("--rank", &flags->rank, "").Hidden();
  command.AddOption("--coordinator", &flags->coordinator, "").Hidden();
  command.OnChosen([action, flags] { *action = [flags] { return Run(*flags); }; });
}

}  // namespace ringmaster
