#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/config/override.h"
#include "common/log/log.h"
#include "common/machine/conditions.h"
#include "common/params/param_layout.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "experiments/program/cli/arm_specs.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/predict/link_measurement.h"
#include "experiments/program/cli/outcome.h"
#include "experiments/program/cli/outputs.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/spec_flags.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/program/cli/weights_file.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/study/predict/calibrate.h"
#include "experiments/study/predict/order/order_search.h"
#include "experiments/study/predict/order/run_order.h"
#include "experiments/study/predict/prediction_table.h"
#include "experiments/study/predict/simulate.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kStepsWhenNobodySays = 200;
constexpr char kBestOrder[] = "best";

constexpr char kPredictFooter[] =
    "Examples:\n"
    "  ringmaster predict                                  the arms of `compare`, predicted and "
    "then measured\n"
    "  ringmaster predict my.textproto --arms ps,ps-sharded,ring --workers 4\n"
    "  ringmaster predict --arms ring,direct --transport tcp --no-measure\n"
    "  ringmaster predict my.textproto --arms ring,hierarchical --order best --no-measure\n"
    "\n"
    "Measured first, whatever N is: messages between two processes, over the very transport (a "
    "ping-pong for the "
    "latency,\n"
    "both at once for the rate), one worker's computing, and, unless it is emulated, a short run "
    "of two workers that\n"
    "exchange nothing. What more workers make of this machine's cores is computed. Then every "
    "arm's step is played, by "
    "the\n"
    "decisions of the workers and servers that train, in a network where each node has one card; a "
    "step takes at "
    "least\n"
    "what all its work takes of the cores. Left out: threads that wait for a core while others "
    "have it, additions in "
    "an\n"
    "all-reduce, framing.\n"
    "Measured runs are kept with their prediction. --order best looks for the order of ranks in "
    "which the step is\n"
    "shortest on the spec's network (--network, transport.network with links or nodes that "
    "differ): "
    "of all orders up to\n"
    "8 workers, beyond that by changes to the order that the spec says, as long as one helps. Exit "
    "codes as of `compare`.";

struct PredictFlags {
  SpecFlags spec;
  std::string spec_file;
  std::vector<std::string> arms;
  std::string out = "ringmaster-out";
  int device = 0;
  std::string order;  // "best", or of strategy.group_order; empty: the spec's
  bool no_measure = false;
  bool json = false;
  // Of a process that another one started to measure messages.
  std::string link;
  int32_t rank = 0;
  std::string coordinator;
};

// Whether the ranks of the arm have an order that can be chosen.
bool HasOrder(const RunSpec& spec) { return TakesGroupOrder(TraitsOf(spec)); }

// What is to be predicted. Without words about it training is short, and scored once.
absl::StatusOr<std::vector<RunSpec>> SpecsOf(const PredictFlags& flags) {
  RM_ASSIGN_OR_RETURN(RunSpec base, LoadBase(flags.spec_file, flags.out, flags.spec));
  if (base.has_evaluation()) {
    return absl::InvalidArgumentError(
        "evaluation: a run that only evaluates has no steps to predict; leave it out");
  }
  TrainingSpec* training = base.mutable_training();
  if (!training->has_steps() && !training->has_epochs()) training->set_steps(kStepsWhenNobodySays);
  if (!training->has_evaluate_every_samples()) training->set_evaluate_every_samples(0);
  const bool named = !flags.arms.empty() || !flags.spec_file.empty();
  std::vector<std::string> sets = flags.spec.sets();
  if (!flags.order.empty() && flags.order != kBestOrder) {
    sets.push_back(absl::StrCat("strategy.group_order=", flags.order));
    RM_RETURN_IF_ERROR(Annotate(SetField(sets.back(), &base), "--order"));
  }
  RM_ASSIGN_OR_RETURN(std::vector<RunSpec> specs,
                      BuildSpecs(base, named ? flags.arms : DefaultArms(), sets));
  if (flags.order == kBestOrder && std::none_of(specs.begin(), specs.end(), HasOrder)) {
    return absl::InvalidArgumentError(
        "--order best: in none of the arms do workers sum by a collective of ours, so their ranks "
        "have no order; name one that does by --arms, such as ring");
  }
  for (const RunSpec& spec : specs)
    RM_RETURN_IF_ERROR(Annotate(CheckPredictable(spec), "arm " + spec.name()));
  return specs;
}

// Puts the ranks of `spec` in the order in which its step is shortest.
absl::StatusOr<PredictedOrder> ChooseOrder(const std::function<void(const std::string&)>& show,
                                           Predictor* predictor, RunSpec* spec) {
  RM_ASSIGN_OR_RETURN(const ParamLayout layout, LayoutOf(*spec));
  const auto step = [&](const RunSpec& ordered) -> absl::StatusOr<double> {
    if (InterruptFlag()) return absl::CancelledError("interrupted");
    RM_ASSIGN_OR_RETURN(const Prediction prediction, predictor->Predict(ordered));
    return prediction.step_ms() / 1000;
  };
  RM_ASSIGN_OR_RETURN(OrderSearch search, SearchOf(*spec, layout, step));
  search.tell = [&](int64_t looked_at, int64_t of) {
    show(absl::StrCat(spec->name(), ": ", looked_at, of > 0 ? absl::StrCat(" of ", of) : "",
                      " orders looked at"));
  };
  RM_ASSIGN_OR_RETURN(const FoundOrder found, FindOrder(search));
  PredictedOrder order;
  order.flag = OrderFlag(found.order);
  order.looked_at = found.looked_at;
  order.is_best = found.is_best;
  std::vector<int32_t> by_rank = found.order;
  std::sort(by_rank.begin(), by_rank.end());
  RM_ASSIGN_OR_RETURN(const double ranks_step, step(InOrder(*spec, by_rank)));
  order.ranks_step_ms = 1000 * ranks_step;
  *spec = InOrder(*spec, found.order);
  return order;
}

// `doubts` gets what disturbed the measurements that predictions follow from; it is told at once.
// With --order best `specs` get the order that was found.
absl::StatusOr<std::vector<PredictedArm>> PredictAll(const PredictFlags& flags,
                                                     std::vector<RunSpec>* specs,
                                                     std::vector<std::string>* doubts) {
  StatusLine line;
  const MonotonicTime begin = MonotonicNow();
  const auto seconds = [begin] { return absl::ToDoubleSeconds(MonotonicNow() - begin); };
  CalibrationOptions options;
  options.device = flags.device;
  options.interrupted = &InterruptFlag();
  options.measure_link = MeasureLink;
  options.tell = [&](absl::string_view what) {
    line.Show(absl::StrCat("measuring: ", what), seconds(), true);
  };
  const ConditionsMeter meter;
  Predictor predictor(std::move(options));
  std::vector<PredictedArm> arms;
  const auto show = [&](const std::string& what) { line.Show(what, seconds(), seconds() > 10); };
  for (RunSpec& spec : *specs) {
    PredictedArm& arm = arms.emplace_back();
    absl::StatusOr<Prediction> prediction = predictor.Predict(spec);
    if (prediction.ok() && flags.order == kBestOrder && HasOrder(spec)) {
      absl::StatusOr<PredictedOrder> order = ChooseOrder(show, &predictor, &spec);
      if (order.ok()) arm.order = *std::move(order);
      prediction = order.ok() ? predictor.Predict(spec) : order.status();
    }
    if (!prediction.ok()) {
      line.Finish("not predicted");
      return Annotate(prediction.status(), "arm " + spec.name());
    }
    arm.arm = spec.name();
    arm.transport = spec.transport().name();
    arm.prediction = *std::move(prediction);
  }
  line.Finish(absl::StrFormat("%d predicted  %.1f s", arms.size(), seconds()));
  const Conditions conditions = meter.End();
  const std::vector<std::string> causes = DisturbanceCauses({&conditions});
  if (!causes.empty()) {
    doubts->push_back(
        absl::StrCat("the machine was not quiet while what predictions follow from was measured: ",
                     absl::StrJoin(causes, "; "),
                     "; the best of repeated blocks counts, and may still be slow"));
    Log(LogLevel::kWarning, doubts->back());
  }
  return arms;
}

// Runs the arm and keeps its record. The store's errors.
absl::Status Measure(const RunSpec& spec, const std::string& label, const PredictFlags& flags,
                     Outcome* outcome, PredictedArm* arm) {
  ProgressLine line(label);
  RunArmOptions options;
  options.device = flags.device;
  options.interrupted = &InterruptFlag();
  options.progress = [&line](const ArmProgress& progress) { line.Show(progress); };
  RunRecord record = RunArm(spec, options);
  *record.mutable_prediction() = arm->prediction;
  const absl::StatusOr<RunSummary> summary = outcome->Add(std::move(record));
  if (!summary.ok()) {
    line.Finish("not kept");
    return summary.status();
  }
  arm->status = summary->status();
  if (summary->has_step_ms_p50()) arm->measured_step_ms = summary->step_ms_p50();
  line.Finish(summary->status() == "ok"
                  ? absl::StrFormat("step %.2f ms, predicted %.2f ms", summary->step_ms_p50(),
                                    arm->prediction.step_ms())
                  : absl::StrCat("failed: ", summary->status()));
  return absl::OkStatus();
}

int Predict(const PredictFlags& flags) {
  const auto fail = [](const absl::Status& status, int code) {
    Log(LogLevel::kError, status.message());
    return InterruptFlag() ? kExitInterrupted : code;
  };
  if (!flags.link.empty()) {
    return JoinLinkMeasurement(flags.link, flags.rank, flags.coordinator).ok() ? kExitOk
                                                                               : kExitFailedRun;
  }
  absl::StatusOr<std::vector<RunSpec>> specs = SpecsOf(flags);
  if (!specs.ok()) return fail(specs.status(), kExitUserError);
  const absl::Status prepared = PrepareOutputs(&*specs);
  if (!prepared.ok()) return fail(prepared, kExitUserError);
  TellOfWeights(*specs);
  std::optional<Outcome> outcome;
  if (!flags.no_measure) {
    absl::StatusOr<Outcome> opened = Outcome::Open(flags.out);
    if (!opened.ok()) return fail(opened.status(), kExitUserError);
    outcome = *std::move(opened);
  }
  std::vector<std::string> doubts;
  absl::StatusOr<std::vector<PredictedArm>> arms = PredictAll(flags, &*specs, &doubts);
  if (!arms.ok()) return fail(arms.status(), kExitFailedRun);
  int code = kExitOk;
  for (size_t i = 0; outcome.has_value() && i < specs->size() && !InterruptFlag(); ++i) {
    const RunSpec& spec = (*specs)[i];
    const absl::Status kept =
        Measure(spec, absl::StrCat(i + 1, "/", specs->size(), " ", spec.name()), flags, &*outcome,
                &(*arms)[i]);
    if (!kept.ok()) {
      code = fail(kept, kExitFailedRun);
      break;
    }
    if ((*arms)[i].status != "ok") code = kExitFailedRun;
  }
  if (outcome.has_value()) {
    for (std::string& doubt : outcome->AllDoubts()) doubts.push_back(std::move(doubt));
  }
  if (flags.json) {
    std::printf("%s\n", PredictionJson(*arms, doubts).c_str());
  } else {
    std::printf("\n%s", PredictionTable(*arms, doubts).c_str());
    if (outcome.has_value()) std::printf("\nrecords: %s\n", outcome->FilesText().c_str());
  }
  return InterruptFlag() ? kExitInterrupted : code;
}

}  // namespace

void DeclarePredict(Command program, Action* action) {
  Command command = program.AddCommand(
      "predict", "what a step will take under several arms, beside what it does take");
  command.SetFooter(kPredictFooter);
  auto flags = std::make_shared<PredictFlags>();
  command.AddOption("SPEC", &flags->spec_file,
                    "run spec (textproto) to predict, or for --arms to start from");
  command
      .AddOption("--arms", &flags->arms,
                 absl::StrCat("arms, comma-separated [SPEC's own; without SPEC ",
                              absl::StrJoin(DefaultArms(), ","), "]; `ringmaster list` has more"))
      .Commas()
      .Takes("LIST");
  command
      .AddOption("--order", &flags->order,
                 "order of ranks in collectives: \"best\" looks for it; else strategy.group_order: "
                 "\"hosts\", \"ranks\" or a list [hosts]")
      .Takes("ORDER");
  command.AddFlag("--no-measure", &flags->no_measure, "predict alone: nothing is trained or kept");
  command.AddOption("--out", &flags->out, "folder of results.jsonl and results.sqlite")
      .ShowDefault();
  command.AddOption("--device", &flags->device, "GPU that the ranks share, where there is one")
      .Between(0, 1023);
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  flags->spec.Declare(command);
  command.AddOption("--link", &flags->link, "").Hidden();
  command.AddOption("--rank", &flags->rank, "").Hidden();
  command.AddOption("--coordinator", &flags->coordinator, "").Hidden();
  command.OnChosen([action, flags] {
    *action = {[flags] { return Predict(*flags); }, [flags] { return ShowSpecs(SpecsOf(*flags)); }};
  });
}

}  // namespace ringmaster
