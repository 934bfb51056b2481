#include "experiments/program/run/programs/program_ranks.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/message.h"
#include "common/config/is_program.h"
#include "experiments/program/run/placement.h"

namespace ringmaster {
namespace {

constexpr size_t kLastLines = 8;

// The process of the worker that `text` names first; -1: of none.
int64_t ProcessNamedIn(absl::string_view text) {
  constexpr absl::string_view kWorker = "worker/";
  const size_t at = text.find(kWorker);
  if (at == absl::string_view::npos) return -1;
  absl::string_view digits = text.substr(at + kWorker.size());
  digits = digits.substr(0, digits.find_first_not_of("0123456789"));
  int64_t rank = -1;
  return absl::SimpleAtoi(digits, &rank) ? rank : -1;
}

}  // namespace

absl::Status UseProgram(const RunSpec& spec, const std::string& outputs, LaunchPlan* plan) {
  if (!IsProgram(spec)) return absl::OkStatus();
  const auto& command = spec.model().program().command();
  if (command.empty()) {
    return absl::InvalidArgumentError(
        "model.program.command: nobody says how a rank of the program is started; give --program "
        "COMMAND, or start each rank by hand (docs/OWN_MODEL.md)");
  }
  plan->command.assign(command.begin(), command.end());
  std::error_code error;
  if (!outputs.empty()) std::filesystem::create_directories(outputs, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot make the folder ", outputs, ": ", error.message()));
  }
  for (const std::vector<NodeId>& nodes : PlaceNodes(spec)) {
    const auto worker = std::find_if(nodes.begin(), nodes.end(),
                                     [](const NodeId& node) { return node.role == Role::kWorker; });
    const bool has_worker = worker != nodes.end();
    plan->has_worker.push_back(has_worker);
    plan->outputs.push_back(
        has_worker && !outputs.empty()
            ? absl::StrCat(outputs, "/", spec.name(), ".worker-", worker->index, ".log")
            : "");
  }
  return absl::OkStatus();
}

absl::Duration ProgramEndLimit(bool has_failed) {
  return has_failed ? absl::Seconds(3) : absl::Seconds(60);
}

std::string LastOutput(const absl::Status& status, const LaunchPlan& plan) {
  const int64_t process = ProcessNamedIn(status.message());
  if (process < 0 || process >= static_cast<int64_t>(plan.outputs.size())) return "";
  const std::string& path = plan.outputs[process];
  if (path.empty()) return "";
  std::ifstream file(path);
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    last.push_back(std::move(line));
    if (last.size() > kLastLines) last.pop_front();
  }
  if (last.empty()) return "";
  return absl::StrCat("worker/", process, " said last (", path, "):\n  ",
                      absl::StrJoin(last, "\n  "));
}

}  // namespace ringmaster
