#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/memory.h"
#include "common/collective/choice.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/formats/atomic_file.h"
#include "common/log/log.h"
#include "common/scheme/registry.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/proof/explain/explain_collective.h"
#include "experiments/proof/explain/explain_server.h"
#include "experiments/proof/explain/story_page.h"
#include "experiments/proof/explain/story_text.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int32_t kWorkersMax = 32;  // beyond it nobody can read the table
constexpr char kExplainFooter[] =
    "Examples:\n"
    "  ringmaster explain ring --workers 4\n"
    "  ringmaster explain ps --workers 3\n"
    "  ringmaster explain ssp --staleness 1 -o ssp.html\n"
    "\n"
    "What is shown is played by the very schedules and the very server that train.";

struct ExplainFlags {
  std::string arm;
  int32_t workers = 4;
  std::optional<int32_t> servers;
  std::optional<int32_t> staleness;
  std::string page;
};

// Common names of what the arms call otherwise.
std::string ArmOf(const std::string& name) {
  if (name == "tree") return "binomial-tree";
  if (name == "sharded-ps" || name == "sharded") return "ps-sharded";
  return name;
}

// A gradient to show encodings by: normal, its seed fixed.
std::vector<float> ShownGradient() {
  std::vector<float> gradient(1 << 16);
  Random random(1);
  for (float& value : gradient) value = random.Normal();
  return gradient;
}

double Energy(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return sum;
}

// What is sent in place of a gradient, as the arm's codec encodes one.
absl::Status AddCodec(const RunSpec& spec, const SchemeTraits& traits, Story* story) {
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec.codec()));
  if (codec->traits().exact) return absl::OkStatus();
  const std::vector<float> gradient = ShownGradient();
  const auto count = static_cast<int64_t>(gradient.size());
  std::vector<std::byte> encoding(codec->MaxEncodedBytes(count));
  const auto memory = CreateCodecMemory(*codec, count, spec.codec());
  encoding.resize(memory->Encode({}, 0, gradient, absl::MakeSpan(encoding)));
  std::vector<float> lost = gradient, decoded(gradient.size());
  RM_RETURN_IF_ERROR(codec->Decode(encoding, absl::MakeSpan(decoded)));
  for (size_t i = 0; i < lost.size(); ++i) lost[i] -= decoded[i];
  const auto bytes = static_cast<int64_t>(encoding.size());
  const int64_t plain = count * static_cast<int64_t>(sizeof(float));
  story->moral.push_back(absl::StrFormat(
      "Where a gradient is sent, it is its encoding by %s: %d bytes for %d floats (%.3g %% of "
      "their %d bytes), of which %d are indices.",
      spec.codec().name(), bytes, count, 100.0 * bytes / plain, plain, codec->IndexBytes(bytes)));
  story->moral.push_back(
      absl::StrFormat("Of a random normal gradient it leaves out %.2g %% of the energy, %s.",
                      100 * Energy(lost) / Energy(gradient),
                      memory->Give().entries().size() > 0
                          ? "which is added to the next step's gradient (error feedback)"
                          : "which is lost"));
  if (traits.servers > 0) {
    story->moral.push_back(
        "The server decodes every push and adds floats; weights come back as floats, not encoded.");
  } else if (codec->traits().summable_as.has_value()) {
    story->moral.push_back(
        absl::StrFormat("Encodings are added on the wire as they are, %d bytes an element, and "
                        "decoded once summed.",
                        ElementBytes(*codec->traits().summable_as)));
  }
  return absl::OkStatus();
}

// Of which gradient optimizer.clip_norm would measure the norm.
std::string ClipText(const SchemeTraits& traits) {
  if (traits.updates == Updates::kOnArrival || traits.servers > 1) {
    return "optimizer.clip_norm is refused here: nobody sees the whole gradient, averaged over all "
           "workers, before an update is made.";
  }
  return absl::StrCat(
      "optimizer.clip_norm measures the norm of the decoded average: what ",
      traits.servers > 0 ? "the server" : "every worker",
      " has once all gradients are decoded, added and divided, never one worker's own.");
}

absl::StatusOr<Story> TellScheme(const ExplainFlags& flags, const RunSpec& spec,
                                 const SchemeTraits& traits) {
  if (!traits.collective.empty() || !traits.engine.empty()) {
    if (flags.servers.has_value() || flags.staleness.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("--servers and --staleness do not apply to \"",
                                                     flags.arm,
                                                     "\", which has no server; leave them out"));
    }
    if (!traits.engine.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", flags.arm, "\" sums by ", traits.engine,
                       ", a library whose messages are its own; name an arm such as ring"));
    }
    RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec.codec()));
    if (!codec->traits().summable_as.has_value()) return ExplainGather(flags.workers);
    // Of "auto" the one for large buckets.
    RM_ASSIGN_OR_RETURN(const auto schedule,
                        CreateSchedule(traits.collective, {spec.transport().name(), flags.workers,
                                                           int64_t{64} << 20}));
    return ExplainCollective(*schedule, flags.workers);
  }
  if (traits.servers == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", flags.arm, "\" exchanges nothing; name an arm that does, such as ring or ps"));
  }
  ServerScheme scheme;
  scheme.workers = flags.workers;
  scheme.servers = traits.servers;
  scheme.colocated = traits.servers_beside_workers;
  scheme.together = traits.updates == Updates::kTogether;
  scheme.staleness_bound = traits.staleness_bound;
  if (flags.staleness.has_value() && !traits.staleness_bound.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--staleness is the bound of ssp; \"", flags.arm, "\" has none"));
  }
  if (scheme.servers > kWorkersMax || (scheme.colocated && scheme.servers > scheme.workers)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--servers ", scheme.servers, ": expected at most ",
                     scheme.colocated ? scheme.workers : kWorkersMax));
  }
  return ExplainServer(scheme);
}

absl::StatusOr<Story> Tell(const ExplainFlags& flags) {
  RunSpec base;
  base.mutable_training()->set_workers(flags.workers);
  base.mutable_training()->set_steps(1);
  ParameterServerSpec* asked = base.mutable_strategy()->mutable_parameter_server();
  if (flags.servers.has_value()) asked->set_servers(*flags.servers);
  if (flags.staleness.has_value()) asked->set_staleness_bound(*flags.staleness);
  RM_ASSIGN_OR_RETURN(RunSpec arm, MakeArm(ArmOf(flags.arm), base));
  RM_ASSIGN_OR_RETURN(const RunSpec spec, Resolve(std::move(arm), ResolveContext{}));
  const SchemeTraits traits = TraitsOf(spec);
  RM_ASSIGN_OR_RETURN(Story story, TellScheme(flags, spec, traits));
  RM_RETURN_IF_ERROR(AddCodec(spec, traits, &story));
  story.moral.push_back(ClipText(traits));
  return story;
}

int Explain(const ExplainFlags& flags) {
  const absl::StatusOr<Story> story = Tell(flags);
  if (!story.ok()) {
    Log(LogLevel::kError, story.status().message());
    return absl::IsInternal(story.status()) ? kExitFailedRun : kExitUserError;
  }
  if (flags.page.empty()) {
    std::fputs(StoryText(*story, TerminalWidth()).c_str(), stdout);
    return kExitOk;
  }
  const absl::Status written = WriteFileAtomically(flags.page, StoryPage(*story));
  if (!written.ok()) {
    Log(LogLevel::kError, written.message());
    return kExitUserError;
  }
  std::fprintf(stderr, "%s: %zu scenes; open it in a browser\n", flags.page.c_str(),
               story->scenes.size());
  return kExitOk;
}

}  // namespace

void DeclareExplain(Command program, Action* action) {
  Command command =
      program.AddCommand("explain", "who sends what to whom under an arm, round by round");
  command.SetFooter(kExplainFooter);
  auto flags = std::make_shared<ExplainFlags>();
  command
      .AddOption("ARM", &flags->arm,
                 "ring, halving-doubling, tree, direct, ps, ps-sharded, ssp, async, ...")
      .Required();
  command.AddOption("--workers", &flags->workers, "N").Between(2, kWorkersMax).ShowDefault();
  command.AddOption("--servers", &flags->servers, "K, of a parameter server")
      .Between(1, kWorkersMax);
  command.AddOption("--staleness", &flags->staleness, "the bound of ssp").Between(0, 1000);
  command.AddOption("-o,--out", &flags->page, "write an HTML page that animates it instead")
      .Takes("FILE.html");
  command.OnChosen([action, flags] {
    ExplainFlags shown = *flags;
    shown.page.clear();
    *action = {[flags] { return Explain(*flags); }, [shown] { return Explain(shown); }};
  });
}

}  // namespace ringmaster
