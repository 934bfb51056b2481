#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/formats/atomic_file.h"
#include "common/formats/json.h"
#include "common/formats/npy.h"
#include "common/log/log.h"
#include "experiments/program/cli/bench/codec_settings.h"
#include "experiments/program/cli/commands.h"
#include "experiments/proof/bench/codec_trial.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kDrawsOfRandom = 100;
constexpr char kCodecFooter[] =
    "Examples:\n"
    "  ringmaster codec int8 --in gradient.npy --out decoded.npy\n"
    "  ringmaster codec topk --in g.npy --steps 100 --residual r.npy --set codec.density=0.001\n"
    "  ringmaster codec qsgd --in g.npy --draws 1000 --set codec.levels=1 --json\n"
    "\n"
    "Encodes and decodes the array --steps times, each time with the memory that the codec has by "
    "default or\n"
    "--set codec.error_feedback asks for. --out, --wire and the error are of the last step; the "
    "mean error is that\n"
    "of the mean over all steps, which error feedback brings down. The bias is the mean of <C(x) - "
    "x, x> / <x, x>\n"
    "over --draws seeds, without memory, with its standard error.\n"
    "Exit code 0: done, 1: a file could not be written, 2: a mistake in the command or its files.";

struct CodecFlags {
  std::string name;
  std::string in, out, wire, residual;
  std::vector<std::string> sets;
  int64_t steps = 1;
  std::optional<int32_t> draws;
  int64_t seed = 1;
  bool json = false;
};

// All that a trial is made from.
struct Prepared {
  CodecSpec spec;  // resolved
  NpyArray array;
  CodecTrialOptions options;
};

absl::StatusOr<CodecSpec> SpecOf(const CodecFlags& flags) {
  RM_ASSIGN_OR_RETURN(CodecSpec spec, ParseCodecSettings(flags.sets));
  spec.set_name(flags.name);
  const CodecInfo* const info = FindCodec(flags.name);
  if (info == nullptr) return CreateCodec(spec).status();
  for (const CodecInfo& other : Codecs()) {
    for (const CodecOption& option : other.options) {
      if (!option.is_set(spec) || FindOption(*info, option.field) != nullptr) continue;
      return absl::InvalidArgumentError(absl::StrCat("--set codec.", option.field, ": codec \"",
                                                     flags.name, "\" does not take it"));
    }
  }
  SetCodecDefaults(&spec);
  RM_RETURN_IF_ERROR(CreateCodec(spec).status());
  return spec;
}

absl::StatusOr<Prepared> Prepare(const CodecFlags& flags) {
  Prepared prepared;
  RM_ASSIGN_OR_RETURN(prepared.spec, SpecOf(flags));
  absl::StatusOr<NpyArray> array = ReadNpy(flags.in);
  if (!array.ok()) return Annotate(array.status(), "--in");
  if (array->type != NpyType::kFloat32) {
    return absl::InvalidArgumentError(
        absl::StrCat("--in ", flags.in,
                     ": holds whole numbers, expected float32; numpy.save(file, "
                     "array.astype(\"float32\")) makes one"));
  }
  if (array->bytes.empty())
    return absl::InvalidArgumentError(absl::StrCat("--in ", flags.in, ": holds no elements"));
  prepared.array = *std::move(array);
  if (!flags.residual.empty() && CodecMemoryBytes(prepared.spec, 1) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--residual: codec \"", flags.name,
                     "\" keeps nothing with these settings; add --set codec.error_feedback=true "
                     "where it leaves something out, or leave --residual out"));
  }
  for (const std::string& path : {flags.out, flags.wire, flags.residual}) {
    if (!path.empty()) RM_RETURN_IF_ERROR(CheckFileCanBeWritten(path));
  }
  const bool is_random = CodecTraitsOf(prepared.spec)->is_random;
  prepared.options.steps = flags.steps;
  prepared.options.draws = flags.draws.value_or(is_random ? kDrawsOfRandom : 1);
  prepared.options.seed = static_cast<uint64_t>(flags.seed);
  return prepared;
}

absl::Status WriteNpy(const std::string& path, const std::vector<int64_t>& shape,
                      absl::Span<const float> values) {
  if (path.empty()) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const auto writer, NpyWriter::Create(path, NpyType::kFloat32, shape));
  RM_RETURN_IF_ERROR(writer->Append(values));
  return writer->Finish();
}

absl::Status WriteOutputs(const CodecFlags& flags, const std::vector<int64_t>& shape,
                          const CodecTrial& trial) {
  RM_RETURN_IF_ERROR(WriteNpy(flags.out, shape, trial.decoded));
  RM_RETURN_IF_ERROR(WriteNpy(flags.residual, shape, trial.residual));
  if (flags.wire.empty()) return absl::OkStatus();
  return WriteFileAtomically(
      flags.wire, {reinterpret_cast<const char*>(trial.encoded.data()), trial.encoded.size()});
}

// The dense bytes of all steps over those that were sent.
double RatioOf(const Prepared& prepared, const CodecTrial& trial) {
  return trial.bytes == 0
             ? 0
             : static_cast<double>(prepared.array.bytes.size()) *
                   static_cast<double>(prepared.options.steps) / static_cast<double>(trial.bytes);
}

std::string TrialJson(const Prepared& prepared, const CodecTrial& trial) {
  Json object;
  object["codec"] = prepared.spec.name();
  object["settings"] = prepared.spec.ShortDebugString();
  object["elements"] = static_cast<int64_t>(trial.decoded.size());
  object["shape"] = prepared.array.shape;
  object["steps"] = prepared.options.steps;
  object["draws"] = prepared.options.draws;
  object["seed"] = prepared.options.seed;
  object["bytes"] = trial.bytes;
  object["index_bytes"] = trial.index_bytes;
  object["ratio"] = RatioOf(prepared, trial);
  object["relative_error"] = trial.error;
  object["relative_error_of_mean"] = trial.mean_error;
  object["bias"] = trial.bias;
  object["bias_standard_error"] = trial.bias_error;
  object["encode_ms"] = 1e3 * trial.encode_seconds;
  object["decode_ms"] = 1e3 * trial.decode_seconds;
  return object.Dump();
}

std::string TrialText(const Prepared& prepared, const CodecTrial& trial) {
  const int64_t steps = prepared.options.steps;
  std::string text = absl::StrFormat(
      "%s on %d floats\n  bytes a step   %d of %d, %.4g times fewer; %d of them indices\n"
      "  error          %.4g of the array's norm\n",
      prepared.spec.ShortDebugString(), trial.decoded.size(), trial.bytes / steps,
      prepared.array.bytes.size(), RatioOf(prepared, trial), trial.index_bytes / steps,
      trial.error);
  if (steps > 1)
    absl::StrAppendFormat(&text, "  mean error     %.4g, of the mean of %d steps\n",
                          trial.mean_error, steps);
  absl::StrAppendFormat(&text, "  bias           %.3g", trial.bias);
  if (prepared.options.draws > 1) {
    absl::StrAppendFormat(&text, " +- %.2g, standard error of %d seeds", trial.bias_error,
                          prepared.options.draws);
  }
  const double gigabytes = 1e-9 * static_cast<double>(prepared.array.bytes.size());
  absl::StrAppendFormat(&text, "\n  encode         %.4g ms, %.3g GB/s of floats\n",
                        1e3 * trial.encode_seconds, gigabytes / trial.encode_seconds);
  absl::StrAppendFormat(&text, "  decode         %.4g ms, %.3g GB/s of floats\n",
                        1e3 * trial.decode_seconds, gigabytes / trial.decode_seconds);
  return text;
}

int RunTrial(const CodecFlags& flags, bool plan_only) {
  const absl::StatusOr<Prepared> prepared = Prepare(flags);
  if (!prepared.ok()) {
    Log(LogLevel::kError, prepared.status().message());
    return kExitUserError;
  }
  if (plan_only) {
    std::printf("%s on %zu floats: %d steps, bias over %d seeds\n",
                prepared->spec.ShortDebugString().c_str(), prepared->array.bytes.size() / 4,
                static_cast<int>(prepared->options.steps),
                static_cast<int>(prepared->options.draws));
    return kExitOk;
  }
  const absl::StatusOr<CodecTrial> trial =
      TryCodec(prepared->spec, prepared->array.values<float>(), prepared->options);
  if (!trial.ok()) {
    Log(LogLevel::kError, absl::StrCat(flags.in, ": ", trial.status().message()));
    return kExitUserError;
  }
  if (!flags.residual.empty() && trial->residual.empty()) {
    Log(LogLevel::kError,
        absl::StrCat("--residual: what codec \"", flags.name,
                     "\" keeps is no residual of error feedback; leave --residual out"));
    return kExitUserError;
  }
  const absl::Status written = WriteOutputs(flags, prepared->array.shape, *trial);
  if (!written.ok()) {
    Log(LogLevel::kError, written.message());
    return kExitFailedRun;
  }
  if (flags.json) {
    std::printf("%s\n", TrialJson(*prepared, *trial).c_str());
  } else {
    std::fputs(TrialText(*prepared, *trial).c_str(), stdout);
  }
  return kExitOk;
}

}  // namespace

void DeclareCodec(Command program, Action* action) {
  Command command = program.AddCommand("codec", "what a codec makes of an array in a .npy file");
  command.SetFooter(kCodecFooter);
  auto flags = std::make_shared<CodecFlags>();
  command.AddOption("CODEC", &flags->name, "`ringmaster list` has them").Required();
  command.AddOption("--in", &flags->in, "a float32 array of any shape")
      .Takes("FILE.npy")
      .Required();
  command.AddOption("--out", &flags->out, "write what the last step decodes to").Takes("FILE.npy");
  command.AddOption("--wire", &flags->wire, "write the bytes that the last step sends")
      .Takes("FILE");
  command
      .AddOption("--residual", &flags->residual, "write what error feedback keeps after all steps")
      .Takes("FILE.npy");
  command.AddOption("--steps", &flags->steps, "how often the array is encoded")
      .Between(1, 1000000)
      .ShowDefault();
  command
      .AddOption("--draws", &flags->draws,
                 "seeds over which the bias is averaged [100 of codecs that draw, else 1]")
      .Between(1, 1000000);
  command.AddOption("--seed", &flags->seed, "of what codecs draw").ShowDefault();
  command
      .AddOption("--set", &flags->sets,
                 "an option of the codec, e.g. --set codec.block=64; may be given several times")
      .Takes("codec.FIELD=VALUE");
  command.AddFlag("--json", &flags->json, "one JSON object on standard output instead of the text");
  command.OnChosen([action, flags] {
    *action = {[flags] { return RunTrial(*flags, false); },
               [flags] { return RunTrial(*flags, true); }};
  });
}

}  // namespace ringmaster
