#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/override.h"
#include "common/formats/atomic_file.h"
#include "common/log/log.h"
#include "common/params/param_layout.h"
#include "common/scheme/registry.h"
#include "experiments/program/cli/arm_specs.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/proof/explain/explain_arm.h"
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
    "  ringmaster explain local-sgd --set strategy.local_sgd.local_steps=4\n"
    "  ringmaster explain ring+topk --set codec.density=0.001 --set codec.warmup_steps=100\n"
    "\n"
    "What is shown is played by the very schedules and the very server that train.";

struct ExplainFlags {
  std::string arm;
  int32_t workers = 4;
  std::optional<int32_t> servers;
  std::optional<int32_t> staleness;
  std::vector<std::string> sets;
  std::string page;
};

// Common names of what the arms call otherwise.
std::string ArmOf(const std::string& name) {
  if (name == "tree") return "binomial-tree";
  if (name == "sharded-ps" || name == "sharded") return "ps-sharded";
  return name;
}

// The arm's resolved spec. Samples are synthetic unless --set says otherwise: nothing of them is
// told, and no file is needed.
absl::StatusOr<RunSpec> SpecOf(const ExplainFlags& flags) {
  RunSpec base;
  base.mutable_training()->set_workers(flags.workers);
  base.mutable_training()->set_steps(1);
  base.mutable_data()->set_name("synthetic");
  ParameterServerSpec* asked = base.mutable_strategy()->mutable_parameter_server();
  if (flags.servers.has_value()) asked->set_servers(*flags.servers);
  if (flags.staleness.has_value()) asked->set_staleness_bound(*flags.staleness);
  if (!flags.servers.has_value() && !flags.staleness.has_value())
    base.mutable_strategy()->clear_parameter_server();
  for (const std::string& set : flags.sets)
    RM_RETURN_IF_ERROR(Annotate(SetField(set, &base), absl::StrCat("--set ", set)));
  const int32_t workers = base.training().workers();
  if (workers < 2 || workers > kWorkersMax) {
    return absl::InvalidArgumentError(absl::StrCat("--set training.workers=", workers,
                                                   ": expected 2 to ", kWorkersMax,
                                                   ", so that there is something to tell and it "
                                                   "can be read"));
  }
  RM_ASSIGN_OR_RETURN(const std::vector<RunSpec> arms,
                      MakeArms(base, {ArmOf(flags.arm)}, flags.sets));
  if (const SchemeTraits traits = TraitsOf(arms.front());
      !traits.engine.empty() || !traits.exchanges)
    return arms.front();  // which says so better than a library that is missing
  RM_ASSIGN_OR_RETURN(std::vector<RunSpec> resolved, ResolveAll(arms));
  return std::move(resolved.front());
}

absl::StatusOr<Story> Tell(const ExplainFlags& flags) {
  RM_ASSIGN_OR_RETURN(const RunSpec spec, SpecOf(flags));
  const SchemeTraits traits = TraitsOf(spec);
  if (traits.servers == 0 && (flags.servers.has_value() || flags.staleness.has_value())) {
    return absl::InvalidArgumentError(absl::StrCat("--servers and --staleness do not apply to \"",
                                                   flags.arm,
                                                   "\", which has no server; leave them out"));
  }
  if (!traits.engine.empty() || !traits.exchanges) return ExplainArm(spec, ParamLayout({}, 1));
  RM_ASSIGN_OR_RETURN(const ParamLayout layout, LayoutOf(spec));
  return ExplainArm(spec, layout);
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
      .AddOption(
          "ARM", &flags->arm,
          "an arm of `ringmaster list`, or ARM+CODEC: ring, ps, ssp, gossip, ps+signsgd, ...")
      .Required();
  command.AddOption("--workers", &flags->workers, "N").Between(2, kWorkersMax).ShowDefault();
  command.AddOption("--servers", &flags->servers, "K, of a parameter server")
      .Between(1, kWorkersMax);
  command.AddOption("--staleness", &flags->staleness, "the bound of ssp").Between(0, 1000);
  command
      .AddOption(
          "--set", &flags->sets,
          "set any field of the run spec (proto/run_spec.proto), e.g. --set codec.density=0.1 "
          "or --set strategy.local_sgd.local_steps=4; may be given several times")
      .Takes("FIELD.PATH=VALUE");
  command.AddOption("-o,--out", &flags->page, "write an HTML page that animates it instead")
      .Takes("FILE.html");
  command.OnChosen([action, flags] {
    ExplainFlags shown = *flags;
    shown.page.clear();
    *action = {[flags] { return Explain(*flags); }, [shown] { return Explain(shown); }};
  });
}

}  // namespace ringmaster
