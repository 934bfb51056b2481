#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status_macros.h"
#include "common/build_stamp/build_stamp.h"
#include "common/formats/json.h"
#include "common/log/log.h"
#include "common/machine/machine.h"
#include "experiments/program/cli/bench/bench_commands.h"
#include "experiments/program/cli/signals.h"
#include "experiments/proof/bench/bench_kernels.h"
#include "experiments/study/results/schema_version.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

constexpr char kKernelsFooter[] =
    "Examples:\n"
    "  ringmaster bench kernels                     the GPU where there is one, else the CPU\n"
    "  ringmaster bench kernels --library cublas --device 1 --json\n"
    "\n"
    "Times are those of the device, between two events around the calls, after calls that are not "
    "counted. There "
    "is no --buffers:\n"
    "arrays are larger than any cache, and so cold, and a step finds its memory as the step before "
    "left it. Operations that\n"
    "memory bounds stand against the library's own copy; a step of a wide multi-layer perceptron "
    "and of a "
    "transformer,\n"
    "forward and backward, against the products of their linear layers alone. `goal` is what the "
    "library is to reach "
    "on a\n"
    "GPU; on a CPU it is no measure, since one core computes slower than it copies. Sizes left out "
    "are 256 MiB, an MLP "
    "of\n"
    "8 x 4096 with batches of 4096 and a transformer of 12 layers, 768 wide, 12 heads, with 8 "
    "texts of 1024 symbols on "
    "a\n"
    "GPU; 64 MiB, 4 x 512 with batches of 256 and 2 layers, 64 wide, 2 heads, 4 texts of 64 "
    "symbols on a CPU.\n"
    "Exit code 0: measured, 1: something failed, 2: a mistake in the flags.";

struct KernelsFlags {
  std::string library = "auto";
  int device = 0;
  int64_t mib = 0, width = 0, layers = 0, batch = 0, texts = 0;
  bool steps_only = false;
  int repetitions = 20;
  bool json = false;
};

KernelBench BenchOf(const KernelsFlags& flags, Place place) {
  const bool gpu = place == Place::kDevice;
  const auto or_else = [](int64_t given, int64_t otherwise) {
    return given > 0 ? given : otherwise;
  };
  KernelBench bench;
  bench.array_bytes = or_else(flags.mib, gpu ? 256 : 64) << 20;
  bench.width = or_else(flags.width, gpu ? 4096 : 512);
  bench.layers = or_else(flags.layers, gpu ? 8 : 4);
  bench.batch = or_else(flags.batch, gpu ? 4096 : 256);
  bench.transformer = gpu ? KernelBench::Transformer{12, 768, 12, 1024, 8}
                          : KernelBench::Transformer{2, 64, 2, 64, 4};
  bench.transformer.texts = or_else(flags.texts, bench.transformer.texts);
  bench.steps_only = flags.steps_only;
  bench.repetitions = flags.repetitions;
  return bench;
}

void PrintRow(const KernelRow& row) {
  std::printf("%-32s  %10.3f  %10.1f %-7s  %6.1f", row.name.c_str(), row.ms, row.rate,
              row.is_bytes ? "GB/s" : "GFLOP/s", 100 * row.share);
  row.goal > 0 ? std::printf("  %4.0f\n", 100 * row.goal) : std::printf("     –\n");
  std::fflush(stdout);
}

Json JsonOf(const KernelRow& row) {
  Json json = {{"name", row.name}, {"ms", row.ms}};
  json[row.is_bytes ? "gb_per_second" : "gflop_per_second"] = row.rate;
  json["share_of_ceiling"] = row.share;
  if (row.goal > 0) {
    json["goal"] = row.goal;
    json["reached"] = row.share >= row.goal;
  }
  return json;
}

absl::Status Measure(const KernelsFlags& flags, KernelLibrary& kernels) {
  const KernelBench bench = BenchOf(flags, kernels.place());
  const std::string commit = GetBuildStamp().commit();
  Json rows = Json::Array();
  if (!flags.json) {
    std::printf(
        "# %s (%s), %s, commit %s\n# arrays of %d MiB; mlp of %d x %d, batches of %d; "
        "transformer of %d x %d, %d texts of %d\n",
        std::string(kernels.name()).c_str(), kernels.target().c_str(),
        DescribeMachine().cpu().c_str(), commit.c_str(), static_cast<int>(bench.array_bytes >> 20),
        static_cast<int>(bench.layers), static_cast<int>(bench.width),
        static_cast<int>(bench.batch), static_cast<int>(bench.transformer.layers),
        static_cast<int>(bench.transformer.width), static_cast<int>(bench.transformer.texts),
        static_cast<int>(bench.transformer.context));
    std::printf("%-32s  %10s  %18s  %6s  %4s\n", "", "time (ms)", "rate        ", "% of", "goal");
  }
  RM_RETURN_IF_ERROR(RunKernelBench(
      bench, kernels, [] { return InterruptFlag().load(); },
      [&](const KernelRow& row) { flags.json ? rows.push_back(JsonOf(row)) : PrintRow(row); }));
  if (!flags.json) return absl::OkStatus();
  const KernelBench::Transformer& transformer = bench.transformer;
  const SegmentCounts segments = kernels.segment_counts();
  const Json object = {
      {"benchmark", "kernels"},
      {"library", std::string(kernels.name())},
      {"target", kernels.target()},
      {"cpu", DescribeMachine().cpu()},
      {"commit", commit},
      {"array_bytes", bench.array_bytes},
      {"mlp", {{"width", bench.width}, {"layers", bench.layers}, {"batch", bench.batch}}},
      {"transformer",
       {{"layers", transformer.layers},
        {"width", transformer.width},
        {"heads", transformer.heads},
        {"context", transformer.context},
        {"texts", transformer.texts}}},
      {"repetitions", bench.repetitions},
      {"segments",
       {{"run", segments.run},
        {"kept", segments.kept},
        {"replayed", segments.replayed},
        {"refusal", segments.refusal}}},
      {"rows", rows},
      {kSchemaVersionKey, kSchemaVersion}};
  std::printf("%s\n", object.Dump().c_str());
  return absl::OkStatus();
}

int RunKernels(const KernelsFlags& flags) {
  const auto fail = [](const absl::Status& status, int code) {
    Log(LogLevel::kError, status.message());
    return code;
  };
  const auto kernels = CreateKernelLibrary(flags.library, flags.device);
  if (!kernels.ok()) return fail(kernels.status(), kExitUserError);
  const absl::Status measured = Measure(flags, **kernels);
  if (measured.ok()) return kExitOk;
  return fail(measured, InterruptFlag() ? kExitInterrupted : kExitFailedRun);
}

}  // namespace

void DeclareKernelsBench(Command bench, Action* action) {
  Command command = bench.AddCommand(
      "kernels",
      "operations against the memory's copy rate, training steps against their matrix products");
  command.SetFooter(kKernelsFooter);
  auto flags = std::make_shared<KernelsFlags>();
  command.AddOption("--library", &flags->library, "kernel library")
      .OneOf({"auto", "cublas", "cublas_tf32", "cpu", "reference"})
      .ShowDefault();
  command.AddOption("--device", &flags->device, "GPU, where there is one")
      .Between(0, 1023)
      .ShowDefault();
  command.AddOption("--mib", &flags->mib, "size of an array, MiB; far more than any cache")
      .Between(1, 1 << 14);
  command.AddOption("--width", &flags->width, "of the MLP's layers and samples")
      .Between(1, 1 << 15);
  command.AddOption("--layers", &flags->layers, "hidden layers of the MLP").Between(1, 1000);
  command.AddOption("--batch", &flags->batch, "samples in a step of the MLP").Between(1, 1 << 20);
  command
      .AddOption("--texts", &flags->texts,
                 "texts in a step of the transformer; fewer need less memory")
      .Between(1, 1 << 16);
  command.AddFlag("--steps-only", &flags->steps_only, "the steps and their products alone");
  command
      .AddOption("--repetitions", &flags->repetitions,
                 "samples of each figure; the median is taken")
      .Between(1, 100000)
      .ShowDefault();
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  command.OnChosen([action, flags] { *action = [flags] { return RunKernels(*flags); }; });
}

}  // namespace ringmaster
