#include "experiments/study/report/caveats.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/host_port.h"
#include "common/machine/conditions.h"
#include "common/scheme/registry.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/results/figures.h"
#include "experiments/study/results/machines.h"
#include "experiments/study/results/statistics.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr size_t kFewTrials = 6;
constexpr int64_t kFewSteps = 30;
constexpr double kDriftMuch = 0.1;

using Texts = std::vector<std::string>;

std::vector<const RunRecord*> FinishedRuns(const Comparisons& comparisons) {
  std::vector<const RunRecord*> runs;
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      for (const Trial& trial : cell.trials) {
        // A run of threads may stand in several comparisons.
        if (std::find(runs.begin(), runs.end(), trial.record) == runs.end())
          runs.push_back(trial.record);
      }
    }
  }
  return runs;
}

bool IsSimulated(const RunRecord& run) { return run.has_simulation(); }

std::set<std::string> Values(const std::vector<const RunRecord*>& runs,
                             const std::function<std::string(const RunRecord&)>& of) {
  std::set<std::string> values;
  for (const RunRecord* run : runs) values.insert(of(*run));
  return values;
}

size_t Count(const std::vector<const RunRecord*>& runs,
             const std::function<bool(const RunRecord&)>& is) {
  return std::count_if(runs.begin(), runs.end(), [&](const RunRecord* run) { return is(*run); });
}

std::string Runs(size_t count) { return Counted(count, "run", "runs"); }

void AddSimulated(const std::vector<const RunRecord*>& runs, Texts* texts) {
  const size_t simulated = Count(runs, IsSimulated);
  if (simulated == 0) return;
  texts->push_back(absl::StrCat(
      simulated == runs.size() ? "All runs" : Runs(simulated),
      " took place in simulated time: their seconds are those of the network and the computing in "
      "their specs, not of a machine. Codecs, updates and servers took no time, and nothing was "
      "lost or sent twice. They stand beside no measured run."));
}

void AddNetwork(const std::vector<const RunRecord*>& runs, Texts* texts) {
  const size_t shaped = Count(runs, [](const RunRecord& run) {
    return run.spec().transport().has_network() && !IsSimulated(run);
  });
  const size_t local = Count(runs, [](const RunRecord& run) {
    return !run.spec().transport().has_network() &&
           IsLoopback(WithoutBrackets(run.spec().transport().listen_address()));
  });
  if (local > 0) {
    texts->push_back(absl::StrCat(
        local == runs.size() ? "All runs" : Runs(local),
        " exchanged within one host, over loopback or shared memory: there was no network card "
        "whose rate limits a central server, no switch, no distance. The arms may rank otherwise "
        "on several hosts."));
  }
  if (shaped > 0) {
    texts->push_back(absl::StrCat(
        shaped == runs.size() ? "All runs" : Runs(shaped),
        " exchanged over a network that is emulated on one host: messages are delayed to the rate "
        "and latency in the spec. Packet loss, switches, interrupts and the cost of a real card "
        "are not in it."));
  }
}

void AddCores(const std::vector<const RunRecord*>& runs, Texts* texts) {
  const RunRecord* worst = nullptr;
  size_t crowded = 0;
  const auto per_core = [](const RunRecord& run) {
    const int32_t threads =
        run.spec().strategy().launch() == THREADS ? run.spec().training().workers() : 0;
    return run.machine().cores() <= 0
               ? 0.0
               : static_cast<double>(std::max(TraitsOf(run.spec()).processes, threads)) /
                     run.machine().cores();
  };
  for (const RunRecord* run : runs) {
    if (IsSimulated(*run) || per_core(*run) <= 1) continue;
    ++crowded;
    if (worst == nullptr || per_core(*run) > per_core(*worst)) worst = run;
  }
  if (worst == nullptr) return;
  texts->push_back(absl::StrFormat(
      "In %s of %d there were more processes than cores (up to %d on %d, arm %s with N = %d): "
      "ranks took turns on the cores, so their step times are not what as many machines would "
      "need.",
      Runs(crowded), runs.size(), TraitsOf(worst->spec()).processes, worst->machine().cores(),
      worst->spec().name(), worst->spec().training().workers()));
}

// Whether what changes on the machine with time falls on all arms alike.
void AddTurns(const std::vector<const RunRecord*>& runs, Texts* texts) {
  const size_t in_turns = Count(runs, [](const RunRecord& run) { return run.turns_size() > 0; });
  if (in_turns > 0) {
    texts->push_back(absl::StrCat(
        in_turns == runs.size() ? "All runs" : Runs(in_turns),
        " took turns with the other arms of their comparison, of some seconds each. Turns are no "
        "trials: how much a comparison would differ when it is made anew, they do not show. Their "
        "memory (PSS) is lower than of an arm that runs alone, "
        "since all arms share the program's pages."));
  }
  const size_t simulated = Count(runs, IsSimulated);
  const size_t whole = runs.size() - in_turns - simulated;
  if (whole > 0 && runs.size() > 1) {
    texts->push_back(absl::StrCat(
        whole == runs.size() ? "All runs" : Runs(whole),
        " took place as a whole, without turns: what changed on the machine from run to run counts "
        "as a difference between arms."));
  }
}

void AddQuotas(const std::vector<const RunRecord*>& runs, Texts* texts) {
  const auto has_quota = [](const RunRecord& run) { return run.machine().has_cpu_quota(); };
  const size_t held = Count(runs, has_quota);
  if (held == 0) return;
  double least = 0;
  for (const RunRecord* run : runs) {
    if (!has_quota(*run)) continue;
    least = least == 0 ? run->machine().cpu_quota() : std::min(least, run->machine().cpu_quota());
  }
  texts->push_back(absl::StrFormat(
      "A CPU quota held %s (the tightest to %.2f cores): whoever has used it up stands still until "
      "the next period, so step times jump.",
      held == runs.size() ? "all runs" : Runs(held), least));
}

void AddTrials(const Comparisons& comparisons, Texts* texts) {
  size_t cells = 0, few = 0, fewest = SIZE_MAX, without_solo = 0;
  for (const Comparison& comparison : comparisons.all) {
    bool solo = false;
    for (const ReportCell& cell : comparison.cells) {
      ++cells;
      fewest = std::min(fewest, cell.trials.size());
      if (cell.trials.size() < kFewTrials) ++few;
      solo =
          solo || (TraitsOf(cell.spec).yardstick == Yardstick::kEfficiency && !cell.trials.empty());
    }
    if (!solo) ++without_solo;
  }
  if (few > 0) {
    texts->push_back(absl::StrFormat(
        "%d of %d cells have fewer than %d trials (the fewest: %d). Intervals from so few are too "
        "narrow, and one trial has none: what looks distinguishable may be chance.",
        few, cells, kFewTrials, fewest));
  }
  if (without_solo > 0) {
    texts->push_back(absl::StrFormat(
        "%d of %s without a finished solo arm: nobody knows what could have been "
        "reached there, so there is no efficiency and no contention.",
        without_solo, Counted(comparisons.all.size(), "comparison", "comparisons")));
  }
}

void AddCompute(const std::vector<const RunRecord*>& runs, Texts* texts) {
  if (const size_t emulated = Count(runs, [](const RunRecord& run) {
        return run.spec().training().has_emulated_compute();
      })) {
    texts->push_back(
        absl::StrCat(Runs(emulated),
                     " computed nothing: forward and backward were slept through, so that "
                     "communication shows alone. They have no loss and no accuracy, and exchange "
                     "stole no compute."));
  }
  if (const size_t slowed = Count(
          runs, [](const RunRecord& run) { return run.spec().training().slowdowns_size() > 0; })) {
    texts->push_back(absl::StrCat(Runs(slowed), " had ranks that were slowed down on purpose."));
  }
  if (const size_t synthetic = Count(
          runs, [](const RunRecord& run) { return run.spec().data().name() == "synthetic"; })) {
    texts->push_back(absl::StrCat(
        synthetic == runs.size() ? "All runs" : Runs(synthetic),
        " trained on synthetic samples: their loss and accuracy rank the arms on an easy task, not "
        "on a real one."));
  }
  const size_t brief = Count(runs, [](const RunRecord& run) {
    return run.spec().training().steps() - run.spec().training().warmup_steps() < kFewSteps;
  });
  if (brief > 0) {
    texts->push_back(absl::StrCat(Runs(brief), " timed fewer than ", kFewSteps,
                                  " steps: start-up still shows in them."));
  }
  if (Count(runs, [](const RunRecord& run) {
        return TraitsOf(run.spec()).updates == Updates::kOnArrival;
      }) > 0) {
    texts->push_back(
        "All arms used one learning rate. Arms that update on arrival may do better with another, "
        "so their loss is not the best that they can reach.");
  }
}

// Samples that no update was made from.
void AddDropped(const std::vector<const RunRecord*>& runs, Texts* texts) {
  const auto dropped = [](const RunRecord& run) {
    int64_t count = 0;
    for (const ProcessReport& process : run.reports()) {
      for (const ServerReport& server : process.servers()) count += server.dropped_contributions();
    }
    return count;
  };
  const size_t droppers = Count(runs, [&](const RunRecord& run) { return dropped(run) > 0; });
  if (droppers == 0) return;
  texts->push_back(absl::StrCat(
      Runs(droppers),
      " dropped gradients that came too late (backup workers): samples/s counts what updates were "
      "made from, and of equal steps the model has learned from fewer samples."));
}

// Processes that were lost in runs that went on.
void AddLosses(const std::vector<const RunRecord*>& runs, Texts* texts) {
  const size_t lost = Count(runs, [](const RunRecord& run) { return run.losses_size() > 0; });
  if (lost == 0) return;
  texts->push_back(absl::StrCat(
      Runs(lost),
      " lost processes and went on without them. Speeds there are of unlike numbers of workers, "
      "bytes are those of the workers left, steps that were made again among them, and the "
      "time of going on is part of the time to an accuracy."));
}

void AddSettings(const std::vector<const RunRecord*>& runs, Texts* texts) {
  Texts single;
  const auto add = [&](const char* what, const std::function<std::string(const RunRecord&)>& of) {
    const auto values = Values(runs, of);
    if (values.size() == 1)
      single.push_back(absl::StrCat("one ", what, " (", *values.begin(), ")"));
  };
  add("model", [](const RunRecord& run) { return run.spec().model().name(); });
  add("data set", [](const RunRecord& run) { return run.spec().data().name(); });
  add("batch per worker",
      [](const RunRecord& run) { return absl::StrCat(run.spec().training().batch_per_worker()); });
  add("number of workers",
      [](const RunRecord& run) { return absl::StrCat(run.spec().training().workers()); });
  if (!single.empty()) {
    texts->push_back(absl::StrCat("There was only ", absl::StrJoin(single, ", "),
                                  ": the balance of computing and communicating, on which the "
                                  "ranking hangs, differs elsewhere."));
  }
}

void AddProvenance(const std::vector<const RunRecord*>& runs, Texts* texts) {
  const auto commits = Values(runs, [](const RunRecord& run) { return run.build().commit(); });
  if (commits.size() > 1) {
    texts->push_back(absl::StrCat("Runs of ", commits.size(), " builds stand side by side (",
                                  absl::StrJoin(commits, ", "),
                                  "): a difference may come from the program."));
  }
  const size_t dirty = Count(
      runs, [](const RunRecord& run) { return absl::EndsWith(run.build().commit(), "-dirty"); });
  const size_t unknown =
      Count(runs, [](const RunRecord& run) { return run.build().commit() == "unknown"; });
  if (dirty > 0)
    texts->push_back(absl::StrCat(
        Runs(dirty), " came from a changed source tree (-dirty), which nobody can build again."));
  if (unknown > 0)
    texts->push_back(
        absl::StrCat(Runs(unknown), " came from a build that does not know its commit."));
  std::vector<const Machine*> machines;
  for (const RunRecord* run : runs) machines.push_back(&run->machine());
  if (const int count = CountMachines(machines); count > 1) {
    texts->push_back(absl::StrCat("Runs come from ", count,
                                  " machines; they are compared within a machine only."));
  } else {
    texts->push_back(
        "All runs come from one machine: on another processor, or beside other neighbours, the "
        "ratios differ.");
  }
}

// What shows in the order of trials: the second half's median over the first's.
void AddDrift(const ReportCell& cell, const std::string& name, Texts* texts) {
  std::vector<double> early, late;
  for (size_t i = 0; i < cell.trials.size(); ++i) {
    if (!cell.trials[i].summary.has_samples_per_second()) continue;
    (i < cell.trials.size() / 2 ? early : late)
        .push_back(cell.trials[i].summary.samples_per_second());
  }
  if (early.size() < 2 || late.size() < 2) return;
  const double ratio = Median(late) / Median(early);
  if (std::abs(ratio - 1) <= kDriftMuch) return;
  texts->push_back(absl::StrFormat(
      "%s drifts: the later half of its trials has %.2f times the samples/s of the earlier half.",
      name, ratio));
}

// A gradient beyond the range of halves is clipped without a word.
void AddHalves(const ReportCell& cell, const std::string& name, Texts* texts) {
  const Figure& saturated = FigureByTag("halves_saturated_share");
  double most = 0;
  for (const Trial& trial : cell.trials)
    most = std::max(most, saturated.value(trial.summary).value_or(0));
  if (most == 0) return;
  texts->push_back(absl::StrFormat(
      "%s: %.2g %% of the gradients were beyond the range of halves (65504) and were sent as that.",
      name, 100 * most));
}

// How much of the machine was taken from the trials of a cell, where it was much.
void AddDisturbance(const ReportCell& cell, const std::string& name, Texts* texts) {
  std::vector<const Conditions*> disturbed;
  for (const Trial& trial : cell.trials) {
    if (IsDisturbed(*trial.record)) disturbed.push_back(&trial.record->conditions());
  }
  if (disturbed.empty()) return;
  const std::string trials = cell.trials.size() == 1 ? ""
                                                     : absl::StrCat(", ", disturbed.size(), " of ",
                                                                    cell.trials.size(), " trials");
  texts->push_back(
      absl::StrCat(name, trials, ": ", absl::StrJoin(DisturbanceCauses(disturbed), "; "), "."));
}

}  // namespace

std::string Counted(size_t count, const char* one, const char* many) {
  return absl::StrCat(count, " ", count == 1 ? one : many);
}

bool IsDisturbed(const RunRecord& record) {
  return !DisturbanceCauses({&record.conditions()}).empty();
}

std::vector<size_t> OutlierTrials(const ReportCell& cell) {
  std::vector<double> speeds;
  std::vector<size_t> indices;
  for (size_t i = 0; i < cell.trials.size(); ++i) {
    if (!cell.trials[i].summary.has_samples_per_second()) continue;
    speeds.push_back(cell.trials[i].summary.samples_per_second());
    indices.push_back(i);
  }
  std::vector<size_t> outliers;
  for (const size_t outlier : Outliers(speeds)) outliers.push_back(indices[outlier]);
  return outliers;
}

std::vector<std::string> Limits(const Comparisons& comparisons) {
  Texts texts;
  const auto runs = FinishedRuns(comparisons);
  if (!comparisons.failed.empty()) {
    texts.push_back(absl::StrCat(FailuresText(comparisons.failed),
                                 ". They have a status and no figures, and the others are "
                                 "not averaged with them."));
  }
  if (runs.empty()) {
    texts.push_back("Anything about speed or accuracy: no run has finished.");
    return texts;
  }
  AddSimulated(runs, &texts);
  AddNetwork(runs, &texts);
  AddCores(runs, &texts);
  AddTurns(runs, &texts);
  AddQuotas(runs, &texts);
  AddTrials(comparisons, &texts);
  AddCompute(runs, &texts);
  if (const size_t disturbed = Count(runs, IsDisturbed)) {
    texts.push_back(
        absl::StrCat("The machine was not quiet during ", Runs(disturbed), " of ", runs.size(),
                     ": other processes, other virtual machines, a CPU quota or heat took from its "
                     "cores."));
  }
  const size_t unmetered = Count(runs, [](const RunRecord& run) {
    return run.reports_size() > 0 && run.reports(0).workers_size() > 0 &&
           !run.reports(0).workers(0).engine().empty();
  });
  if (unmetered > 0)
    texts.push_back(
        absl::StrCat("Another library carried the bytes of ", Runs(unmetered), ", unmetered."));
  if (Count(runs, [](const RunRecord& run) { return run.spec().strategy().launch() == THREADS; }) >
      0) {
    texts.push_back(
        "Arms of threads in one process (dp) copy in memory instead of using the others' "
        "transport: another wire, whose speed says nothing about the scheme.");
  }
  AddDropped(runs, &texts);
  AddLosses(runs, &texts);
  AddSettings(runs, &texts);
  AddProvenance(runs, &texts);
  return texts;
}

std::vector<std::string> Doubts(const Comparisons& comparisons) {
  Texts texts;
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      const std::string name = absl::StrCat(cell.arm, " (", comparison.label, ")");
      for (const size_t index : OutlierTrials(cell)) {
        texts.push_back(
            absl::StrFormat("%s, trial %d is an outlier: %.0f samples/s; it counts all the same.",
                            name, index, cell.trials[index].summary.samples_per_second()));
      }
      AddDrift(cell, name, &texts);
      AddDisturbance(cell, name, &texts);
      AddHalves(cell, name, &texts);
    }
  }
  return texts;
}

}  // namespace ringmaster
