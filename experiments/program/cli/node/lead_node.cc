#include "experiments/program/cli/node/lead_node.h"

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/host_port.h"
#include "common/base/stopped_time.h"
#include "common/control/coordinator.h"
#include "common/control/last_words.h"
#include "common/log/log.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/hosts/record_hosts.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/losses.h"
#include "experiments/program/run/memory/memory_check.h"
#include "experiments/program/run/run_arm.h"

namespace ringmaster {
namespace {

constexpr std::chrono::milliseconds kPoll(20);
constexpr absl::Duration kUnwindWordsLimit = absl::Milliseconds(200);

// Of a run that is to be started again, since a process is lost.
std::string WhoStartsAgain(const RunSpec& spec) {
  return absl::StrCat(
      "; strategy.on_failure is RESTART, but rank 0 starts no ranks: whoever started them can "
      "start them again, all ",
      spec.output().checkpoints().empty() ? "from the beginning, for there are no checkpoints"
                                          : "with --resume, from the newest checkpoint");
}

// The own part of a run that is led here, on a thread.
class OwnPart {
 public:
  OwnPart(const RunSpec& spec, const NodeOptions& options)
      : part_([&spec, &options] { return RunNode(spec, options); }),
        ran_(part_.get_future()),
        thread_(std::ref(part_)) {}
  ~OwnPart() {
    if (thread_.joinable()) thread_.join();
  }

  bool EndsWithin(std::chrono::milliseconds limit) {
    return ran_.wait_for(limit) == std::future_status::ready;
  }
  absl::Status Result() { return ran_.get(); }
  // Its thread goes on: the process must end before what it uses.
  void LeaveBehind() { thread_.detach(); }

 private:
  std::packaged_task<absl::Status()> part_;
  std::future<absl::Status> ran_;
  std::thread thread_;
};

void Fill(const NodeSetup& setup, Coordinator& coordinator, bool is_over, RunRecord* record) {
  FillRecord(coordinator.Result(), record);
  FillLosses(coordinator.Losses(), record);
  FillHosts(coordinator.Processes(), record);
  if (coordinator.EndedByLoss().has_value())
    record->set_status(absl::StrCat(record->status(), WhoStartsAgain(setup.spec)));
  FillLastWords(coordinator.AwaitLastWords(is_over ? kLastWordsLimit : kUnwindWordsLimit), record);
  // What else the machine did is not known to one of its ranks, but its own stops are.
  if (StoppedTime() > absl::ZeroDuration()) {
    record->mutable_conditions()->set_stopped_seconds(absl::ToDoubleSeconds(StoppedTime()));
  }
}

}  // namespace

absl::StatusOr<LedNode> LeadNode(const NodeSetup& setup, const LeadLimits& limits) {
  NodeOptions options = setup.options;
  LedNode led;
  led.record = NewRecord(setup.spec);
  FillMemoryNeeds(&led.record);
  auto coordinator = Coordinator::Start(
      CoordinatorOptionsOf(setup.spec, options.coordinator, options.credentials));
  if (!coordinator.ok()) {
    const std::string more = setup.has_coordinator_flag ? "" : WhyMasterPortMayBeTaken();
    return absl::Status(coordinator.status().code(), absl::StrCat(coordinator.status().message(),
                                                                  more.empty() ? "" : "; ", more));
  }
  const std::string memory = MemoryTextOf(setup.spec);
  if (!memory.empty()) Log(LogLevel::kInfo, absl::StrCat("memory of ", memory));
  // Others cannot know a port that the system has chosen.
  const bool is_news = options.coordinator.port == 0 && TraitsOf(setup.spec).processes > 1;
  // By the name that was given, for that is what certificates name.
  const HostPort listens_at = (*coordinator)->endpoint();
  HostPort& dialled = options.coordinator;
  if (dialled.host.empty() || IsWildcard(dialled.host)) dialled.host = listens_at.host;
  dialled.port = listens_at.port;
  Log(is_news ? LogLevel::kInfo : LogLevel::kDebug,
      absl::StrCat("leads the run at ", listens_at.ToString()));
  OwnPart part(setup.spec, options);
  bool over = false;
  absl::Status end;
  while (!over && end.ok()) {
    over = part.EndsWithin(kPoll);
    if (!over) end = limits.end();
  }
  if (!over) {
    (*coordinator)->Abort(end);
    over = !limits.unwind.has_value() || part.EndsWithin(*limits.unwind);
  }
  if (over) {
    const absl::Status status = part.Result();
    if (!status.ok()) (*coordinator)->Abort(status);
  } else {
    part.LeaveBehind();
  }
  Fill(setup, **coordinator, over, &led.record);
  led.is_over = over;
  return led;
}

}  // namespace ringmaster
