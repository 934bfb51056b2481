#include "experiments/program/run/faults/fault.h"

#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr char kExample[] = "as in 'worker:1@step=50 kill'";
// A run of a day is longer than any that somebody waits for a fault in.
constexpr double kSecondsMost = 86400;
constexpr double kFactorMost = 1000;

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

bool ReadCount(absl::string_view text, int64_t most, int64_t* count) {
  return absl::SimpleAtoi(text, count) && *count >= 0 && *count <= most;
}

bool ReadNumber(absl::string_view text, double most, double* number) {
  return absl::SimpleAtod(text, number) && std::isfinite(*number) && *number >= 0 &&
         *number <= most;
}

// "worker:1"
absl::StatusOr<NodeId> ReadTarget(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  if (halves.first != "worker" && halves.first != "server") {
    return Wrong(absl::StrCat("\"", halves.first, "\": whom? ",
                              DidYouMean(halves.first, {"worker", "server"}),
                              "expected worker:RANK or server:INDEX, ", kExample));
  }
  int64_t index = 0;
  if (!ReadCount(halves.second, 1 << 20, &index)) {
    return Wrong(absl::StrCat("\"", text, "\": which ", halves.first,
                              "? expected its number from 0 on, ", kExample));
  }
  return NodeId{halves.first == "worker" ? Role::kWorker : Role::kServer,
                static_cast<int32_t>(index)};
}

// "step=50", "seconds=2.5"
absl::Status ReadMoment(absl::string_view text, Fault* fault) {
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  int64_t step = 0;
  if (halves.first == "step") {
    if (!ReadCount(halves.second, int64_t{1} << 53, &step))
      return Wrong(absl::StrCat("\"", text, "\": expected a step from 0 on, ", kExample));
    fault->step = step;
    return absl::OkStatus();
  }
  if (halves.first == "seconds") {
    if (ReadNumber(halves.second, kSecondsMost, &fault->seconds)) return absl::OkStatus();
    return Wrong(absl::StrCat("\"", text, "\": expected seconds after all have joined, at most ",
                              kSecondsMost, ", as in 'worker:1@seconds=2.5 kill'"));
  }
  return Wrong(absl::StrCat("\"", text, "\": when? ", DidYouMean(halves.first, {"step", "seconds"}),
                            "expected @step=STEP or @seconds=SECONDS, ", kExample));
}

absl::Status ReadStop(const std::vector<std::string>& words, Fault* fault) {
  if (words.size() == 1) return absl::OkStatus();
  absl::Duration lasts;
  if (!absl::ParseDuration(words[1], &lasts) || lasts <= absl::ZeroDuration() ||
      lasts > absl::Seconds(kSecondsMost)) {
    return Wrong(absl::StrCat("stop \"", words[1],
                              "\": expected how long, with its unit, as in 'stop 3s'; without it "
                              "the process stays stopped"));
  }
  fault->lasts = lasts;
  return absl::OkStatus();
}

absl::Status ReadSlow(const std::vector<std::string>& words, Fault* fault) {
  if (fault->target.role == Role::kServer) {
    return Wrong(absl::StrCat("slow: ", ToString(fault->target),
                              " computes no gradients; workers alone can be slowed, as in "
                              "'worker:1@step=50 slow 2'"));
  }
  if (words.size() == 2 && ReadNumber(words[1], kFactorMost, &fault->factor) && fault->factor > 1)
    return absl::OkStatus();
  return Wrong(absl::StrCat("slow", words.size() == 2 ? absl::StrCat(" \"", words[1], "\"") : "",
                            ": expected by how much longer its computing takes, above 1 and at "
                            "most ",
                            kFactorMost, ", as in 'worker:1@step=50 slow 2'"));
}

// "stop 3s"
absl::Status ReadAction(const std::vector<std::string>& words, Fault* fault) {
  struct Verb {
    const char* name;
    Fault::Action action;
    size_t words_most;
  };
  constexpr Verb kVerbs[] = {{"kill", Fault::Action::kKill, 1},
                             {"stop", Fault::Action::kStop, 2},
                             {"slow", Fault::Action::kSlow, 2},
                             {"cut", Fault::Action::kCut, 1}};
  for (const Verb& verb : kVerbs) {
    if (words[0] != verb.name) continue;
    fault->action = verb.action;
    if (words.size() > verb.words_most) {
      return Wrong(absl::StrCat("\"", absl::StrJoin(words, " "), "\": nothing is expected behind ",
                                absl::StrJoin(words.begin(), words.begin() + verb.words_most, " "),
                                ", ", kExample, "; give --fault once more for another"));
    }
    if (verb.action == Fault::Action::kStop) return ReadStop(words, fault);
    if (verb.action == Fault::Action::kSlow) return ReadSlow(words, fault);
    return absl::OkStatus();
  }
  return Wrong(absl::StrCat("\"", words[0], "\": what? ",
                            KnownWordsText(words[0], RegistryNames(kVerbs)), ", ", kExample));
}

}  // namespace

absl::StatusOr<Fault> ParseFault(absl::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(text, ' ', absl::SkipEmpty());
  Fault fault;
  fault.text = absl::StrJoin(words, " ");
  if (fault.text.size() > kFaultTextLimit) {
    return Wrong(absl::StrCat("a fault of ", fault.text.size(), " letters, at most ",
                              kFaultTextLimit, ", ", kExample));
  }
  if (words.size() < 2) {
    return Wrong(absl::StrCat("expected whom, when and what: WHO@WHEN WHAT, ", kExample));
  }
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(words[0], absl::MaxSplits('@', 1));
  RM_ASSIGN_OR_RETURN(fault.target, ReadTarget(halves.first));
  RM_RETURN_IF_ERROR(ReadMoment(halves.second, &fault));
  RM_RETURN_IF_ERROR(ReadAction({words.begin() + 1, words.end()}, &fault));
  return fault;
}

std::string WhyNever(const Fault& fault, const StepRange& steps) {
  if (!fault.step.has_value() || (*fault.step >= steps.begin && *fault.step < steps.end)) return "";
  return absl::StrCat("no step ", *fault.step, " is to be made: the run has steps ", steps.begin,
                      " to ", steps.end - 1);
}

std::string WhyNotIn(const SchemeTraits& arm, const Fault& fault) {
  const int32_t count = fault.target.role == Role::kWorker ? arm.workers : arm.servers;
  if (fault.target.index >= count) return absl::StrCat("it has no ", ToString(fault.target));
  if (fault.action != Fault::Action::kCut) return "";
  if (arm.processes == 1) return "it is one process, which has no connections to cut";
  if (arm.engine.empty()) return "";
  return absl::StrCat("its sums go by ", arm.engine, ", whose connections are not ours to cut");
}

absl::StatusOr<std::vector<Fault>> ReadFaults(const std::vector<std::string>& given) {
  std::vector<Fault> faults;
  for (const std::string& text : given) {
    absl::StatusOr<Fault> fault = ParseFault(text);
    if (!fault.ok()) return Annotate(fault.status(), absl::StrCat("--fault '", text, "'"));
    faults.push_back(*std::move(fault));
  }
  return faults;
}

absl::Status CheckFaults(const std::vector<Fault>& faults, const std::vector<FaultedArm>& arms) {
  for (const Fault& fault : faults) {
    std::vector<std::string> whys;
    for (const FaultedArm& arm : arms) {
      std::string why = WhyNever(fault, arm.steps);
      if (why.empty()) why = WhyNotIn(arm.traits, fault);
      if (!why.empty()) whys.push_back(absl::StrCat(arm.name, ": ", why));
    }
    if (whys.size() < arms.size()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--fault '", fault.text, "': no run can have it; ", absl::StrJoin(whys, "; ")));
  }
  return absl::OkStatus();
}

std::vector<Fault> FaultsIn(const SchemeTraits& arm, const std::vector<Fault>& faults) {
  std::vector<Fault> own;
  for (const Fault& fault : faults)
    if (WhyNotIn(arm, fault).empty()) own.push_back(fault);
  return own;
}

std::vector<std::string> FaultLines(const std::vector<Fault>& faults,
                                    const std::vector<FaultedArm>& arms) {
  std::vector<std::string> lines;
  for (const Fault& fault : faults) {
    std::vector<std::string> names, others;
    for (const FaultedArm& arm : arms) {
      const std::string why = WhyNotIn(arm.traits, fault);
      if (why.empty()) {
        names.push_back(arm.name);
      } else {
        others.push_back(absl::StrCat("; not in ", arm.name, ": ", why));
      }
    }
    lines.push_back(
        absl::StrCat(fault.text, ": in ", absl::StrJoin(names, ", "), absl::StrJoin(others, "")));
  }
  return lines;
}

}  // namespace ringmaster
