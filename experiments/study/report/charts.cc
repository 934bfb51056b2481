#include "experiments/study/report/charts.h"

#include <iterator>
#include <set>

#include "absl/strings/str_split.h"

namespace ringmaster {
namespace {

// kSpec_<id>: the files in charts/.
#include "common/formats/json.h"
#include "experiments/study/report/chart_specs.inc"

constexpr char kGlance[] = "At a glance";

constexpr ChartInfo kCharts[] = {
    {"ranking", kGlance, "Samples per second",
     "Of all workers together, and as a share of the ceiling (the mark), which workers without "
     "exchange reach. Thin lines: 95 % intervals of the median over trials.",
     kSpec_ranking, RankingRows},
    {"time_to_accuracy", kGlance, "Time to accuracy",
     "Seconds of training until an evaluation first reaches it. Where none reaches 97 %, the "
     "highest "
     "whole percent that every arm reaches.",
     kSpec_time_to_accuracy, TimeToAccuracyRows},
    {"loss_seconds", kGlance, "Training loss against seconds",
     "What a second of training teaches, evaluations left out. Lines are medians over trials, "
     "bands "
     "span them all.",
     kSpec_loss_seconds, LossRows},
    {"scaling", "Speed", "Throughput against the number of workers",
     "Samples per second of all N workers together. Solo (dashed) exchanges nothing and is the "
     "ceiling; single (dotted) is one worker. Upright lines are 95 % intervals of the median.",
     kSpec_scaling, ScalingRows},
    {"efficiency", "Speed", "Parallel efficiency against the number of workers",
     "Samples per second as a share of solo's in the same trial (of the sum of its workers' own "
     "rates where work is claimed, else of N times its slowest worker's): what exchange leaves of "
     "the "
     "workers' speed.",
     kSpec_efficiency, EfficiencyRows},
    {"swept", "Speed", "Throughput against other settings",
     "Samples per second where comparisons differ in one numeric setting alone, which is on the "
     "axis and in the panel's title. Solo is dashed, single dotted.",
     kSpec_swept, SweptRows},
    {"winners", "Speed", "Who wins where",
     "The arm with the most samples per second, by the number of workers and one more setting, and "
     "how many times the next one's it has. Arms that exchange nothing do not compete.",
     kSpec_winners, WinnersRows},
    {"cost", "Speed", "Throughput per worker and per process",
     "Samples per second divided by the workers (full color) and by all processes of the run, "
     "dedicated servers included (light): what a node buys.",
     kSpec_cost, CostRows},
    {"ratios", "Speed", "Which arm is faster",
     "Ratio of samples per second of two arms, trial by trial, with its 95 % interval. Hollow: no "
     "verdict, since the interval spans 1 or there are fewer than six pairs of trials.",
     kSpec_ratios, RatioRows},
    {"breakdown", "Where the time goes", "Where a step's time goes",
     "Mean milliseconds that the step thread spends in each phase, medians over trials. It waits "
     "for "
     "exchange in skew (until the last rank has its gradients) and transfer (the rest); in gate "
     "for "
     "permission to start.",
     kSpec_breakdown, BreakdownRows},
    {"communication", "Where the time goes", "Communication: exposed, hidden, contended",
     "The step waits for the last rank (skew) and for the exchange itself (transfer). Hidden: "
     "exchange beside computing. Contention: what that takes from computing on shared cores; below "
     "0 it is noise. Milliseconds a step.",
     kSpec_communication, CommunicationRows},
    {"prediction", "Where the time goes", "Measured and predicted step time",
     "The cost model's median step (diamond) beside the measured one (dot), and by how much it is "
     "off.",
     kSpec_prediction, PredictionRows},
    {"timeline", "Where the time goes", "A few steps of every rank",
     "What every thread does, and the messages between them: a line leaves where a message is sent "
     "and ends where it is known to have come.",
     kSpec_timeline, TimelineRows},
    {"fault", "Where the time goes", "Samples per second around a fault",
     "How fast a run gets on before and after something was done to one of its processes (the "
     "upright line). Samples that have to be computed again count once, so a run that goes back "
     "stands still until it is where it was.",
     kSpec_fault, FaultRows},
    {"loss_samples", "Learning", "Training loss against samples",
     "What a sample teaches: arms that update alike lie on one line. Medians over trials; the band "
     "spans all trials.",
     kSpec_loss_samples, LossRows},
    {"accuracy", "Learning", "Test accuracy against seconds",
     "Every point is a copy of the weights, scored after the run. Medians over trials.",
     kSpec_accuracy, AccuracyRows},
    {"bytes", "Bytes and staleness", "Bytes against time",
     "Payload that a worker sends and receives since the first step: the line is the formula's, "
     "the point what was metered at the end. Its slope is the rate that an arm asks of the "
     "network.",
     kSpec_bytes, BytesRows},
    {"payload", "Bytes and staleness", "Bytes a step",
     "Payload that a worker sends and receives in a step, mean of all workers. Points and bars "
     "were "
     "metered, lines and marks are the formula's.",
     kSpec_payload, PayloadRows, kSpec_payload_of_one},
    {"staleness", "Bytes and staleness", "Staleness",
     "Updates of the same part applied between a worker's reading the weights and its gradient's "
     "being applied, over all contributions to all servers.",
     kSpec_staleness, StalenessRows},
    {"drift", "How far to trust it", "Drift between trials",
     "Samples per second of every run as a share of its cell's median, in the order of the runs. A "
     "trend is drift of the machine; outliers are marked and count all the same.",
     kSpec_drift, DriftRows},
};

struct ArmColor {
  const char* arm;
  const char* color;
};

// Told apart on white and on black paper; related arms have related colors.
constexpr ArmColor kColors[] = {
    {"single", "#8a8f98"},
    {"solo", "#b59f6b"},
    {"dp", "#9c6b4f"},
    {"ps", "#e0524d"},
    {"ps-sharded", "#f28e2b"},
    {"ssp", "#b65fb0"},
    {"ring", "#3a7fd5"},
    {"async", "#2f9e62"},
    {"async-topk", "#8bc34a"},
    {"direct", "#17a2b8"},
    {"reduce-broadcast", "#e377a8"},
    {"halving-doubling", "#5c6bc0"},
    {"binomial-tree", "#26a69a"},
    {"recursive-doubling", "#8d6e63"},
    {"all-reduce-auto", "#7e57c2"},
    {"all-reduce-mpi", "#c2863a"},
    {"all-reduce-mpich", "#8d6e4a"},
    {"all-reduce-gloo", "#a1887f"},
    {"ring-fp16", "#7fb3ee"},
    {"ring-topk", "#1f5fa8"},
    {"ps-fp16", "#f4978e"},
    {"ps-onebit", "#a8322d"},
    {"all-reduce-cuda-ipc", "#76b900"},
};

// For arms with names of their own.
constexpr const char* kOtherColors[] = {"#d4a017", "#00897b", "#ad1457", "#6d4c41",
                                        "#546e7a", "#9ccc65", "#ff8a65", "#4dd0e1",
                                        "#ba68c8", "#7986cb", "#c0ca33", "#f06292"};

constexpr const char* kShapes[] = {"circle",        "square", "triangle-up",    "diamond",
                                   "triangle-down", "cross",  "triangle-right", "triangle-left"};

}  // namespace

absl::Span<const ChartInfo> Charts() { return kCharts; }

Json ArmStyles(const std::vector<std::string>& arms) {
  Json styles = Json::Array();
  std::set<std::string> taken;
  size_t others = 0;
  for (const std::string& arm : arms) {
    std::string color;
    for (const ArmColor& known : kColors) {
      if (arm == known.arm) color = known.color;
    }
    // Of several cells with one arm's name and other settings the first has the arm's own color.
    for (const ArmColor& known : kColors) {
      const std::string name = std::vector<std::string>(absl::StrSplit(arm, ' ')).front();
      if (color.empty() && name == known.arm && taken.count(known.color) == 0) color = known.color;
    }
    if (color.empty()) color = kOtherColors[others++ % std::size(kOtherColors)];
    taken.insert(color);
    styles.push_back(
        {{"name", arm}, {"color", color}, {"shape", kShapes[styles.size() % std::size(kShapes)]}});
  }
  return styles;
}

}  // namespace ringmaster
