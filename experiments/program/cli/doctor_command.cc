#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/build_stamp/build_stamp.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/engine/engines.h"
#include "common/formats/json.h"
#include "common/machine/control_groups.h"
#include "common/machine/free_memory.h"
#include "common/machine/machine.h"
#include "common/transport/fabric.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/memory/memory_check.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/study/results/schema_version.h"
#include "proto/data_spec.pb.h"
#include "proto/run_spec.pb.h"
#include "worker/data/dataset.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

struct Finding {
  std::string topic;
  bool ok = false;
  std::string text;
};

// A transport works when it can listen: opened for real.
Finding CheckTransport(const TransportInfo& info) {
  FabricOptions options;
  options.name = info.name;
  options.credentials.token = "doctor";
  const auto fabric = CreateFabric(options);
  return {absl::StrCat("transport ", info.name), fabric.ok(),
          fabric.ok() ? info.summary : std::string(fabric.status().message())};
}

Finding CheckCores(const Machine& machine) {
  const ControlLimits limits = ReadControlLimits();
  std::string text = absl::StrCat(machine.cores(), " (mask ", machine.cpus(), ")");
  if (limits.cpu_quota) {
    absl::StrAppendFormat(&text,
                          ": a CPU quota of %.2f cores (%s), and whoever has used it up stands "
                          "still until the next period",
                          *limits.cpu_quota, limits.cpu_file);
  }
  if (machine.cores() <= 1)
    absl::StrAppend(&text, ": ranks share it, so times show little about scaling");
  return {"cores", machine.cores() > 1, text};
}

Finding CheckFreeMemory() {
  const auto free = FreeMemoryBytes();
  if (!free.has_value()) return {"memory", true, "how much is free is not known"};
  const std::string text = absl::StrFormat("%.2f GB are free", 1e-9 * static_cast<double>(*free));
  // What `compare` trains unless it is told otherwise, with one arm.
  RunSpec base;
  base.mutable_training()->set_workers(2);
  base.mutable_training()->set_steps(100);
  absl::StatusOr<RunSpec> spec = MakeArm("ring", base);
  if (spec.ok()) spec = Resolve(*spec, {ReadEnvironment().default_data_dir});
  const std::string need = spec.ok() ? MemoryTextOf(*spec) : "";
  if (need.empty()) return {"memory", true, text};
  const absl::Status fits = CheckMemoryHere(*spec);
  return {"memory", fits.ok(),
          absl::StrCat(text, "; the default model takes under ", need,
                       "; --plan behind a command says what that one takes")};
}

Finding CheckMemoryLimit() {
  const ControlLimits limits = ReadControlLimits();
  if (!limits.memory_bytes) return {"memory limit", true, "none"};
  return {"memory limit", true,
          absl::StrFormat("%.2f GiB (%s)", static_cast<double>(*limits.memory_bytes) / 1073741824.0,
                          limits.memory_file)};
}

Finding CheckMnist() {
  const DataSpec data = ResolveData({}, ReadEnvironment().default_data_dir);
  int64_t train = 0;
  int64_t test = 0;
  const auto shape = InspectDataset(data, &train, &test);
  if (!shape.ok())
    return {"MNIST", false, std::string(WithFetchAdvice(shape.status(), {}).message())};
  return {"MNIST", true,
          absl::StrCat(train, " training and ", test, " test images in ", data.dir())};
}

std::vector<Finding> Examine() {
  const Machine machine = DescribeMachine();
  const BuildStamp build = GetBuildStamp();
  std::vector<Finding> findings;
  findings.push_back({"build", true, absl::StrCat(build.commit(), ", ", build.compiler())});
  findings.push_back({"machine", true,
                      absl::StrFormat("%s, %.1f GiB, %s", machine.cpu(),
                                      machine.memory_bytes() / 1073741824.0, machine.kernel())});
  findings.push_back(CheckCores(machine));
  findings.push_back(CheckMemoryLimit());
  findings.push_back(CheckFreeMemory());
  findings.push_back({"BLAS", true, DescribeCpuBlas()});
  const auto cuda = DescribeCuda();
  findings.push_back({"CUDA", cuda.ok(), cuda.ok() ? *cuda : std::string(cuda.status().message())});
  for (const TransportInfo& info : Transports()) findings.push_back(CheckTransport(info));
  for (const EngineInfo& info : Engines()) {
    const absl::Status there = CheckEngine(info.name);
    findings.push_back({absl::StrCat("engine ", info.name), there.ok(),
                        std::string(there.ok() ? info.summary : there.message())});
  }
  findings.push_back(CheckMnist());
  return findings;
}

int Doctor(bool json) {
  const std::vector<Finding> findings = Examine();
  if (json) {
    Json object;
    for (const Finding& finding : findings) {
      object[finding.topic] = {{"ok", finding.ok}, {"text", finding.text}};
    }
    object[kSchemaVersionKey] = kSchemaVersion;
    std::printf("%s\n", object.Dump().c_str());
    return kExitOk;
  }
  for (const Finding& finding : findings) {
    std::printf("%s %-18s %s\n", finding.ok ? "  " : "--", finding.topic.c_str(),
                finding.text.c_str());
  }
  std::printf(
      "\nLines marked -- say what is missing and how to get it; training on the CPU needs neither "
      "CUDA nor\n"
      "MNIST (`--data synthetic`).\n");
  return kExitOk;
}

// What a launcher says to this process, as `node` understands it.
struct LauncherFinding {
  const char* topic;
  std::string text;  // "1", or why there is none
  std::string from;  // the variable, and whose it is
  bool ok = true;
};

LauncherFinding FindingOf(const char* topic, LauncherNumber what) {
  const auto word = ReadFromLauncher(what);
  if (!word.ok()) return {topic, std::string(word.status().message()), "", false};
  if (!word->has_value()) return {topic, "not said", ""};
  return {topic, absl::StrCat((*word)->value),
          absl::StrCat((*word)->variable, ", of ", (*word)->launcher)};
}

std::vector<LauncherFinding> AskLauncher() {
  std::vector<LauncherFinding> findings = {FindingOf("rank", LauncherNumber::kRank),
                                           FindingOf("world size", LauncherNumber::kWorldSize),
                                           FindingOf("local rank", LauncherNumber::kLocalRank)};
  const auto coordinator = ReadCoordinator();
  LauncherFinding leader = {"coordinator", "not said", ""};
  if (!coordinator.ok()) {
    leader = {"coordinator", std::string(coordinator.status().message()), "", false};
  } else if (coordinator->has_value()) {
    leader.text = (*coordinator)->ToString();
    leader.from = "MASTER_ADDR and MASTER_PORT";
    if (AgentHasMasterPort())
      leader.from += ", the port after it: torchrun's agent listens at MASTER_PORT";
  }
  findings.push_back(leader);
  return findings;
}

// Variables of launchers that do not count, and why.
std::vector<std::string> SeenInVain() {
  std::vector<std::string> seen;
  for (const LauncherNumber what : kLauncherNumbers) {
    for (std::string& line : NotTaken(what)) seen.push_back(std::move(line));
  }
  return seen;
}

std::string LauncherJson(const std::vector<LauncherFinding>& findings) {
  Json object;
  for (const LauncherFinding& finding : findings) {
    object[finding.topic] = {{"ok", finding.ok}, {"text", finding.text}, {"from", finding.from}};
  }
  object["does not count"] = Json::Array();
  for (const std::string& line : SeenInVain()) object["does not count"].push_back(line);
  object[kSchemaVersionKey] = kSchemaVersion;
  return absl::StrCat(object.Dump(), "\n");
}

std::string LauncherText(const std::vector<LauncherFinding>& findings) {
  std::string text;
  const auto add = [&text](bool ok, absl::string_view topic, absl::string_view what) {
    absl::StrAppendFormat(&text, "%s %-15s %s\n", ok ? "  " : "--", topic, what);
  };
  for (const LauncherFinding& finding : findings) {
    add(finding.ok, finding.topic,
        finding.from.empty() ? finding.text : absl::StrCat(finding.text, "  (", finding.from, ")"));
  }
  for (const std::string& line : SeenInVain()) add(true, "does not count", line);
  return text;
}

int DoctorOfLauncher(bool json) {
  const std::vector<LauncherFinding> findings = AskLauncher();
  // Ranks write to one pipe: each its lines at once.
  const std::string text = json ? LauncherJson(findings) : LauncherText(findings);
  std::fwrite(text.data(), 1, text.size(), stdout);
  const bool ok = std::all_of(findings.begin(), findings.end(),
                              [](const LauncherFinding& finding) { return finding.ok; });
  return ok ? kExitOk : kExitUserError;
}

}  // namespace

void DeclareDoctor(Command program, Action* action) {
  Command command = program.AddCommand("doctor", "what this machine has, and what it lacks");
  auto json = std::make_shared<bool>(false);
  auto launcher = std::make_shared<bool>(false);
  command.AddFlag("--json", json.get(), "one JSON object on standard output");
  command.AddFlag("--launcher", launcher.get(),
                  "instead, what `node` takes from the launcher that has started this process, and "
                  "from which variable");
  command.OnChosen([action, json, launcher] {
    *action = [json, launcher] { return *launcher ? DoctorOfLauncher(*json) : Doctor(*json); };
  });
}

}  // namespace ringmaster
