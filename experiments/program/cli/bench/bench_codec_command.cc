#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status_macros.h"
#include "common/build_stamp/build_stamp.h"
#include "common/log/log.h"
#include "common/machine/machine.h"
#include "experiments/program/cli/bench/bench_commands.h"
#include "experiments/program/cli/bench/buffer_flags.h"
#include "experiments/program/cli/bench/codec_settings.h"
#include "experiments/proof/bench/bench_codec.h"
#include "experiments/proof/bench/bench_codec_table.h"
#include "experiments/proof/bench/bench_sizes.h"

namespace ringmaster {
namespace {

constexpr char kCodecFooter[] =
    "Examples:\n"
    "  ringmaster bench codec                                     all that leave something out, 64 "
    "KiB to 64 MiB\n"
    "  ringmaster bench codec --codec topk --density 0.001 --sizes 512KiB,16MiB\n"
    "  ringmaster bench codec --codec fp16 --set codec.auto_scale=true\n"
    "\n"
    "One thread. Four operations: encode; decode; decode_add, which adds what it decodes to a "
    "gradient; "
    "encode_feedback,\n"
    "which encodes gradient + residual and keeps what that leaves out. Each runs right after a "
    "memcpy of the dense\n"
    "gradient, iteration by iteration. `time` is the median, p95 and p99 are what 95 and 99 % of "
    "the iterations did not\n"
    "exceed. Buffers are warm, or cold for memcpy and codec alike; small ones that are warm are "
    "done several times\n"
    "between two looks at the clock. `dense` is the gradient's bytes / time. `moved` is what "
    "must be read and "
    "written:\n"
    "every input and every output once, however often the codec passes over them (decode_add of "
    "topk: the cache line "
    "of\n"
    "every element kept, read and written). `memcpy` is counted alike: it reads and writes the "
    "gradient once. `share` "
    "is\n"
    "moved over memcpy, the median of the pairs with its 95 % interval by bootstrap: 1 is a codec "
    "that runs at the "
    "speed\n"
    "of the memory, or, where the gradient lies in a cache, of that cache. Results are compared "
    "with the codec's\n"
    "definition, element by element, and error feedback with decoding and subtracting.\n"
    "Of a codec that is summed in rounds, one rank's work on a square matrix: first_round, from "
    "the "
    "gradient to the\n"
    "first sum; later_rounds, from sum to sum; decode, from the last sum to the average and what "
    "is "
    "kept.\n"
    "Exit code 0: measured and right, 1: a wrong result, 2: a mistake in the flags.";

struct CodecFlags {
  CodecBench bench;
  std::string sizes = "64KiB:64MiB";
  std::vector<std::string> sets;
  bool json = false;
};

absl::Status Check(const Machine& machine, CodecFlags* flags) {
  RM_ASSIGN_OR_RETURN(flags->bench.sizes, ParseSizes(flags->sizes));
  RM_ASSIGN_OR_RETURN(flags->bench.settings, ParseCodecSettings(flags->sets));
  return CheckCodecBench(flags->bench, machine.memory_bytes());
}

int RunCodec(CodecFlags flags) {
  const Machine machine = DescribeMachine();
  const std::string commit = GetBuildStamp().commit();
  const absl::Status checked = Check(machine, &flags);
  if (!checked.ok()) {
    Log(LogLevel::kError, checked.message());
    return kExitUserError;
  }
  std::vector<CodecResult> results;
  if (!flags.json) std::fputs(CodecTableHead(flags.bench, machine, commit).c_str(), stdout);
  const absl::Status ran = RunCodecBench(flags.bench, [&](const CodecResult& result) {
    results.push_back(result);
    if (flags.json) return;
    std::fputs(CodecTableRows(result).c_str(), stdout);
    std::fflush(stdout);
  });
  if (!ran.ok()) {
    Log(LogLevel::kError, ran.message());
    return kExitFailedRun;
  }
  if (flags.json) std::printf("%s\n", CodecJson(flags.bench, results, machine, commit).c_str());
  return kExitOk;
}

}  // namespace

void DeclareCodecBench(Command bench, Action* action) {
  Command command =
      bench.AddCommand("codec", "gradient compression, by size: time and share of memcpy's speed");
  command.SetFooter(kCodecFooter);
  auto flags = std::make_shared<CodecFlags>();
  command
      .AddOption("--codec", &flags->bench.codecs,
                 "one or more, comma-separated; `ringmaster list` has them")
      .Commas()
      .Takes("NAMES")
      .ShowDefault();
  command
      .AddOption("--sizes", &flags->sizes,
                 "of the gradient: sizes and ranges FIRST:LAST[:xF] (by factors of F, else of 4)")
      .Takes("SIZES")
      .ShowDefault();
  command
      .AddOption("--density", &flags->bench.density,
                 "share of elements kept, of codecs that take one")
      .ShowDefault();
  command
      .AddOption("--set", &flags->sets,
                 "an option of those codecs that take it, e.g. --set codec.block=64; may be given "
                 "several times")
      .Takes("codec.FIELD=VALUE");
  command
      .AddOption("--iterations", &flags->bench.iterations,
                 "timed ones of each size; 0: a fifth of a second of them")
      .Between(0, 1000000)
      .ShowDefault();
  DeclareBuffers(command, &flags->bench.buffers);
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  command.OnChosen([action, flags] { *action = [flags] { return RunCodec(*flags); }; });
}

}  // namespace ringmaster
