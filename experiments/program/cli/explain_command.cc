#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/half_counts.h"
#include "common/codec/memory.h"
#include "common/codec/reducer.h"
#include "common/collective/choice.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/formats/atomic_file.h"
#include "common/log/log.h"
#include "common/params/param_layout.h"
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

// The same of a codec that is summed in rounds, by one matrix.
absl::Status AddReducer(const RunSpec& spec, const ReducerDefinition& definition, Story* story) {
  const std::vector<float> gradient = ShownGradient();
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(gradient.size())));
  Param param;
  param.name = "weight";
  param.shape = {side, side};
  const ParamLayout layout({param}, 1, BucketLayout::kWholeTensors);
  RM_RETURN_IF_ERROR(definition.check(spec.codec(), layout));
  RM_ASSIGN_OR_RETURN(const auto reducer, definition.create(spec.codec(), layout, 1));
  std::vector<float> average = gradient;
  absl::StatusOr<ReducerRound> round =
      reducer->Begin(spec.codec().warmup_steps(), 0, absl::MakeSpan(average));
  std::vector<size_t> sums;
  while (round.ok() && !round->floats.empty()) {
    sums.push_back(round->floats.size());
    round = reducer->Summed(0);
  }
  RM_RETURN_IF_ERROR(round.status());
  const size_t floats = std::accumulate(sums.begin(), sums.end(), size_t{0});
  for (size_t i = 0; i < average.size(); ++i) average[i] -= gradient[i];
  story->moral.push_back(absl::StrFormat(
      "Where a bucket is summed, %s sums it in %d rounds, each by messages like these: of a matrix "
      "of %d by %d, %s floats in place of %d (%.3g %%). Vectors are summed as they are, in the "
      "first "
      "round.",
      spec.codec().name(), sums.size(), side, side, absl::StrJoin(sums, " and "), gradient.size(),
      100.0 * static_cast<double>(floats) / static_cast<double>(gradient.size())));
  story->moral.push_back(absl::StrFormat(
      "Of a random normal matrix, which has no direction of its own, its first step leaves out "
      "%.2g %% of the energy, which error feedback adds to the next step's gradient. Gradients "
      "have "
      "such directions, and every step begins where the last one ended.",
      100 * Energy(average) / Energy(gradient)));
  return absl::OkStatus();
}

// What is sent in place of a gradient, as the arm's codec encodes one.
absl::Status AddCodec(const RunSpec& spec, const SchemeTraits& traits, Story* story) {
  if (const ReducerDefinition* reducer = FindReducer(spec.codec().name()))
    return AddReducer(spec, *reducer, story);
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec.codec()));
  if (codec->traits().exact) return absl::OkStatus();
  const std::vector<float> gradient = ShownGradient();
  const auto count = static_cast<int64_t>(gradient.size());
  std::vector<std::byte> encoding(codec->MaxEncodedBytes(count));
  const auto memory = CreateCodecMemory(*codec, {count, spec.training().workers()}, spec.codec());
  encoding.resize(memory->Encode({}, 0, gradient, absl::MakeSpan(encoding)));
  std::vector<float> lost = gradient, decoded(gradient.size());
  RM_RETURN_IF_ERROR(codec->Decode({}, encoding, absl::MakeSpan(decoded)));
  for (size_t i = 0; i < lost.size(); ++i) lost[i] -= decoded[i];
  const auto bytes = static_cast<int64_t>(encoding.size());
  const int64_t plain = count * static_cast<int64_t>(sizeof(float));
  story->moral.push_back(absl::StrFormat(
      "Where a gradient is sent, it is its encoding by %s: %d bytes for %d floats (%.3g %% of "
      "their %d bytes), of which %d are indices.",
      spec.codec().name(), bytes, count, 100.0 * bytes / plain, plain,
      codec->IndexBytes({}, {count, bytes})));
  story->moral.push_back(
      absl::StrFormat("Of a random normal gradient it leaves out %.2g %% of the energy, %s.",
                      100 * Energy(lost) / Energy(gradient),
                      memory->Give().entries().size() > 0
                          ? "which is added to the next step's gradient (error feedback)"
                          : "which is lost"));
  if (AreHalves(*codec)) {
    const HalfTally halves = CountHalves(gradient, encoding);
    story->moral.push_back(absl::StrFormat(
        "Of its %d halves %d are 0 where the gradient is not, %d subnormal and %d saturated. Of a "
        "run's own, those of one step in %d are counted: --columns "
        "halves_zero_share,halves_subnormal_share,halves_saturated_share shows them.",
        halves.elements, halves.zeros, halves.subnormals, halves.saturated,
        kStepsForEachHalfCount));
  }
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
  const bool is_shared = traits.updated != nullptr && traits.servers == 0;
  if (traits.updates == Updates::kOnArrival || traits.servers > 1 || is_shared) {
    return "optimizer.clip_norm is refused here: nobody sees the whole gradient, averaged over all "
           "workers, before an update is made.";
  }
  if (traits.divisor == Divisor::kOwnBatches) {
    return "optimizer.clip_norm measures the norm of each worker's own gradient, since each "
           "updates "
           "its weights by that alone.";
  }
  return absl::StrCat(
      "optimizer.clip_norm measures the norm of the decoded average: what ",
      traits.servers > 0 ? "the server" : "every worker",
      " has once all gradients are decoded, added and divided, never one worker's own.");
}

// What the rounds of the collective do not show.
void AddOrder(const SchemeTraits& traits, Story* story) {
  if (traits.collective.empty()) return;
  if (traits.updated != nullptr) {
    story->moral.push_back(
        "In the first half of the rounds gradients are added. Then every worker updates the chunk "
        "whose sum it has, with 1/N of the optimizer's state, and the second half hands on the "
        "updated weights of that chunk in place of its sum.");
  }
  if (traits.delay > 0) {
    story->moral.push_back(
        "The sum of a step is applied at the end of the next one: that step's computing hides the "
        "exchange, and its gradients are those of weights one update older. Momentum stands that "
        "badly: at 0.9 the largest stable rate falls from 3.8 to 0.1 (in units of 1/curvature).");
  }
}

// When weights are exchanged in place of gradients, and what the stories of sums then tell of.
void AddWeights(const SchemeTraits& traits, Story* story) {
  if (traits.exchanged == Exchanged::kGradients) return;
  const std::string when = traits.exchange_every == 1
                               ? "every step"
                               : absl::StrCat("every ", traits.exchange_every, " steps");
  story->moral.push_back(absl::StrCat(
      "What is exchanged are the workers' own weights, ", when, ", where a table says gradients: ",
      traits.exchanged == Exchanged::kWeightsAfter
          ? "after the step's update, and all wait for it."
          : "as they were when the step began, while its gradients are computed."));
}

absl::StatusOr<Story> TellScheme(const ExplainFlags& flags, const RunSpec& spec,
                                 const SchemeTraits& traits) {
  if (!traits.collective.empty() || !traits.engine.empty() || traits.gossip.has_value()) {
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
    if (traits.gossip.has_value()) return ExplainGossip(*traits.gossip, flags.workers);
    const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
    const bool is_summed =
        codec.has_value() && (codec->summable_as.has_value() || codec->in_rounds);
    if (!is_summed) return ExplainGather(flags.workers);
    // Of "auto" the one for large buckets.
    RM_ASSIGN_OR_RETURN(const auto schedule,
                        CreateSchedule(traits.collective, {spec.transport().name(), flags.workers,
                                                           int64_t{64} << 20, traits.group_size}));
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
  scheme.backup_workers = traits.backup_workers;
  scheme.local_steps = traits.local_steps;
  scheme.compensates_delay = traits.compensates_delay;
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
  AddOrder(traits, &story);
  RM_RETURN_IF_ERROR(AddCodec(spec, traits, &story));
  AddWeights(traits, &story);
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
