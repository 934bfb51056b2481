#include "experiments/program/run/memory/memory_check.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/config/is_program.h"
#include "common/machine/control_groups.h"
#include "common/machine/free_memory.h"
#include "experiments/program/run/memory/memory_need.h"
#include "experiments/program/run/memory/memory_plan.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

std::string Megabytes(int64_t bytes) {
  return absl::StrFormat("%.0f MB", 1e-6 * static_cast<double>(bytes));
}
std::string Gigabytes(int64_t bytes) {
  return absl::StrFormat("%.2f GB", 1e-9 * static_cast<double>(bytes));
}

// "worker", "worker+server": what lives in the process; of many nodes how many.
std::string RoleOf(const MemoryNeed& need) {
  int workers = 0, servers = 0;
  for (const std::string& node : need.nodes())
    ++(node.compare(0, 6, "worker") == 0 ? workers : servers);
  std::vector<std::string> roles;
  const auto add = [&roles](int count, const char* role) {
    if (count > 1) roles.push_back(absl::StrCat(count, " ", role, "s"));
    if (count == 1) roles.push_back(role);
  };
  add(workers, "worker");
  add(servers, "server");
  return absl::StrJoin(roles, "+");
}

// What a run takes most for, and what makes that less.
std::string Advice(absl::Span<const MemoryNeed> needs) {
  struct Use {
    int64_t (MemoryNeed::*bytes)() const;
    const char* advice;
  };
  const Use uses[] = {
      {&MemoryNeed::program_bytes, "for programs: use fewer workers"},
      {&MemoryNeed::weights_bytes, "for weights: use fewer workers or a smaller model"},
      {&MemoryNeed::gradients_bytes, "for gradients: use fewer workers or a smaller model"},
      {&MemoryNeed::optimizer_bytes,
       "for the optimizer: use fewer workers, the arm sharded-optimizer, or an optimizer that "
       "keeps "
       "less"},
      {&MemoryNeed::codec_bytes, "for the codec: use another, or fewer workers"},
      {&MemoryNeed::marks_bytes, "for marks: score the model less often (--evaluate-every)"},
      {&MemoryNeed::checkpoints_bytes,
       "for states of checkpoints: leave out checkpoints, or strategy.on_failure"},
      {&MemoryNeed::data_bytes, "for data: set data.train_limit, or use fewer workers"},
      {&MemoryNeed::activations_bytes,
       "for activations: use a smaller --batch, fewer workers or a smaller model"},
  };
  int64_t most = -1;
  const char* advice = "";
  for (const Use& use : uses) {
    int64_t bytes = 0;
    for (const MemoryNeed& need : needs) bytes += (need.*use.bytes)();
    if (bytes > most) advice = use.advice;
    most = std::max(most, bytes);
  }
  return absl::StrCat(Gigabytes(most), " of it are ", advice);
}

absl::Status CheckHere(absl::Span<const MemoryNeed> needs) {
  const ControlLimits limits = ReadControlLimits();
  const std::string limit =
      limits.memory_bytes.has_value()
          ? absl::StrCat("the control group's limit is ", Gigabytes(*limits.memory_bytes), ", ",
                         limits.memory_file)
          : "";
  return CheckMemory(needs, FreeMemoryBytes(), limit);
}

absl::StatusOr<std::vector<MemoryNeed>> NeedsOf(const RunSpec& resolved) {
  RM_ASSIGN_OR_RETURN(const MemoryFacts facts, MemoryFactsOf(resolved));
  return PlanMemory(resolved, facts);
}

std::string TextOf(const RunSpec& spec, absl::Span<const MemoryNeed> needs) {
  return absl::StrCat(spec.name(), ": ", MemoryText(needs),
                      IsProgram(spec) ? ", and in each worker what the program itself takes" : "");
}

}  // namespace

std::string MemoryText(absl::Span<const MemoryNeed> needs) {
  struct Group {
    std::string role;
    int64_t count = 0, least = 0, most = 0;
  };
  std::vector<Group> groups;
  for (const MemoryNeed& need : needs) {
    const std::string role = RoleOf(need);
    const int64_t bytes = TotalBytes(need);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& other) { return other.role == role; });
    if (group == groups.end()) group = groups.insert(group, {role, 0, bytes, bytes});
    ++group->count;
    group->least = std::min(group->least, bytes);
    group->most = std::max(group->most, bytes);
  }
  std::vector<std::string> texts;
  for (const Group& group : groups) {
    const std::string least = Megabytes(group.least), most = Megabytes(group.most);
    texts.push_back(absl::StrCat(group.count > 1 ? absl::StrCat(group.count, " x ") : "",
                                 group.role, " ", least,
                                 least == most ? "" : absl::StrCat(" to ", most)));
  }
  const std::string text = absl::StrJoin(texts, ", ");
  if (needs.size() < 2) return text;
  return absl::StrCat(text, "; together ", Megabytes(TotalBytesOfAll(needs)));
}

std::string MemoryTextOf(const RunSpec& resolved) {
  const absl::StatusOr<std::vector<MemoryNeed>> needs = NeedsOf(resolved);
  return needs.ok() ? TextOf(resolved, *needs) : "";
}

std::string LargestMemoryText(absl::Span<const RunSpec> resolved) {
  int64_t most = 0;
  std::string text;
  for (const RunSpec& spec : resolved) {
    const absl::StatusOr<std::vector<MemoryNeed>> needs = NeedsOf(spec);
    const int64_t bytes = needs.ok() ? TotalBytesOfAll(*needs) : 0;
    if (bytes <= most) continue;
    most = bytes;
    text = TextOf(spec, *needs);
  }
  return text;
}

absl::Status CheckMemory(absl::Span<const MemoryNeed> needs, std::optional<int64_t> free_bytes,
                         const std::string& limit) {
  const int64_t bytes = TotalBytesOfAll(needs);
  if (!free_bytes.has_value() || bytes <= *free_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("it takes ", Gigabytes(bytes), " of memory (", MemoryText(needs), "), and ",
                   Gigabytes(*free_bytes), " are free", limit.empty() ? " on this machine" : "",
                   limit.empty() ? "" : absl::StrCat(" (", limit, ")"), "; ", Advice(needs)));
}

absl::Status CheckMemoryHere(const RunSpec& resolved) {
  const absl::StatusOr<std::vector<MemoryNeed>> needs = NeedsOf(resolved);
  return needs.ok() ? CheckHere(*needs) : absl::OkStatus();
}

absl::Status CheckMemoryHere(const RunSpec& resolved, int32_t process) {
  const absl::StatusOr<std::vector<MemoryNeed>> needs = NeedsOf(resolved);
  return needs.ok() ? CheckHere({(*needs)[process]}) : absl::OkStatus();
}

void FillMemoryNeeds(RunRecord* record) {
  const absl::StatusOr<std::vector<MemoryNeed>> needs = NeedsOf(record->spec());
  if (!needs.ok()) return;
  record->mutable_memory_needs()->Assign(needs->begin(), needs->end());
}

}  // namespace ringmaster
