#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/build_stamp/build_stamp.h"
#include "common/formats/json.h"
#include "common/log/log.h"
#include "common/machine/machine.h"
#include "experiments/program/cli/bench/bench_commands.h"
#include "experiments/program/cli/bench/buffer_flags.h"
#include "experiments/program/cli/signals.h"
#include "experiments/proof/bench/bench_buffers.h"
#include "experiments/proof/bench/bench_gemm.h"
#include "experiments/study/results/schema_version.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

constexpr char kGemmFooter[] =
    "Examples:\n"
    "  ringmaster bench gemm                                   the products of the models' "
    "training steps\n"
    "  ringmaster bench gemm --shapes 1024x1024x1024,64x1024x784:nt --library cpu,reference\n"
    "\n"
    "On one thread. A shape is MxNxK, with :nn, :nt, :tn or :tt for transposed operands. Warm "
    "operands are those of a\n"
    "training step: the first stays in the caches, the second and the result are others in every "
    "call, as weights and\n"
    "gradients are, and come from beyond a core's own cache. Cold ones are taken out of all caches "
    "before each call,\n"
    "and calls are timed one by one. `time` is the median of the samples, p95 and p99 are what 95 "
    "and 99 % of them did\n"
    "not exceed. Libraries take turns shape by shape; the head names what each has picked its "
    "kernels for.\n"
    "Exit code 0: measured, 1: a product that failed, 2: a mistake in the flags.";

struct GemmFlags {
  std::vector<std::string> libraries = {"cpu"};
  std::string shapes;
  int repetitions = 20;
  BenchBuffers buffers;
  bool json = false;
};

struct GemmLibrary {
  std::string name;
  std::unique_ptr<KernelLibrary> kernels;
};

absl::StatusOr<std::vector<GemmLibrary>> Open(const std::vector<std::string>& names) {
  std::vector<GemmLibrary> libraries;
  for (const std::string& name : names) {
    RM_ASSIGN_OR_RETURN(auto kernels, CreateKernelLibrary(name, 0));
    libraries.push_back({name, std::move(kernels)});
  }
  return libraries;
}

const char* LettersOf(const GemmShape& shape) {
  if (shape.transpose_a) return shape.transpose_b ? "tt" : "tn";
  return shape.transpose_b ? "nt" : "nn";
}

absl::Status Measure(const GemmFlags& flags, const std::vector<GemmShape>& shapes,
                     const std::vector<GemmLibrary>& libraries) {
  const Machine machine = DescribeMachine();
  Json rows = Json::Array();
  if (!flags.json) {
    std::printf("# matrix products on one core (%s), operands: %s, commit %s\n",
                machine.cpu().c_str(), flags.buffers.text().c_str(),
                GetBuildStamp().commit().c_str());
    for (const GemmLibrary& library : libraries) {
      std::printf("# %s: %s\n", library.name.c_str(), library.kernels->target().c_str());
    }
    std::printf("%-30s  %6s  %6s  %6s  %2s  %-9s  %10s  %10s  %10s  %10s  %8s\n", "", "m", "n", "k",
                "", "library", "time (us)", "least", "p95", "p99", "GFLOP/s");
  }
  for (const GemmShape& shape : shapes) {
    for (const GemmLibrary& library : libraries) {
      if (InterruptFlag()) return absl::CancelledError("interrupted");
      RM_ASSIGN_OR_RETURN(const GemmTimes times,
                          TimeGemm(shape, flags.repetitions, flags.buffers, *library.kernels));
      if (flags.json) {
        rows.push_back({{"use", shape.use},
                        {"m", shape.m},
                        {"n", shape.n},
                        {"k", shape.k},
                        {"operands", LettersOf(shape)},
                        {"library", library.name},
                        {"target", library.kernels->target()},
                        {"time_us", times.us.median},
                        {"time_us_min", times.us.least},
                        {"time_us_p95", times.us.p95},
                        {"time_us_p99", times.us.p99},
                        {"gflops", times.gflops}});
        continue;
      }
      std::printf("%-30s  %6d  %6d  %6d  %2s  %-9s  %10.1f  %10.1f  %10.1f  %10.1f  %8.1f\n",
                  shape.use.c_str(), static_cast<int>(shape.m), static_cast<int>(shape.n),
                  static_cast<int>(shape.k), LettersOf(shape), library.name.c_str(),
                  times.us.median, times.us.least, times.us.p95, times.us.p99, times.gflops);
      std::fflush(stdout);
    }
  }
  if (!flags.json) return absl::OkStatus();
  const Json object = {{"benchmark", "gemm"},
                       {"cpu", machine.cpu()},
                       {"commit", GetBuildStamp().commit()},
                       {"repetitions", flags.repetitions},
                       {"buffers", flags.buffers.state},
                       {"unaligned", flags.buffers.unaligned},
                       {"rows", rows},
                       {kSchemaVersionKey, kSchemaVersion}};
  std::printf("%s\n", object.Dump().c_str());
  return absl::OkStatus();
}

int RunGemm(const GemmFlags& flags) {
  const auto fail = [](const absl::Status& status, int code) {
    Log(LogLevel::kError, status.message());
    return code;
  };
  absl::StatusOr<std::vector<GemmShape>> shapes = ModelGemmShapes();
  if (!flags.shapes.empty()) shapes = ParseGemmShapes(flags.shapes);
  if (!shapes.ok()) return fail(shapes.status(), kExitUserError);
  const absl::StatusOr<std::vector<GemmLibrary>> libraries = Open(flags.libraries);
  if (!libraries.ok()) return fail(libraries.status(), kExitUserError);
  const absl::Status measured = Measure(flags, *shapes, *libraries);
  if (measured.ok()) return kExitOk;
  return fail(measured, InterruptFlag() ? kExitInterrupted : kExitFailedRun);
}

}  // namespace

void DeclareGemmBench(Command bench, Action* action) {
  Command command =
      bench.AddCommand("gemm", "matrix products of the models' shapes: time and GFLOP/s");
  command.SetFooter(kGemmFooter);
  auto flags = std::make_shared<GemmFlags>();
  command
      .AddOption("--library", &flags->libraries,
                 "one or more of cpu and reference, comma-separated")
      .Commas()
      .Takes("NAMES")
      .OneOf({"cpu", "reference"})
      .ShowDefault();
  command.AddOption("--shapes", &flags->shapes, "instead of the models' own").Takes("SHAPES");
  command
      .AddOption(
          "--repetitions", &flags->repetitions,
          "samples of each: warm ones of about a millisecond or one call, cold ones of one call")
      .Between(1, 100000)
      .ShowDefault();
  DeclareBuffers(command, &flags->buffers);
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  command.OnChosen([action, flags] { *action = [flags] { return RunGemm(*flags); }; });
}

}  // namespace ringmaster
