// How processes of a run form their group anew: as experiments/program/run/node.cc has them do it,
// whose threads and calls take time.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/resolve_spec.h"
#include "gtest/gtest.h"
#include "tests/experiments/study/predict/fault_run.h"

namespace ringmaster {
namespace {

// How long the threads of a formation take to end, at most, and a thread that waits to go on: now
// and then it has no core.
constexpr double kEndSeconds = 0.02;
constexpr double kWakeSeconds = 0.004;
constexpr double kLateSeconds = 0.5;

// Where a process listens in a formation, and which process does.
std::string EndpointOf(int32_t process, int32_t epoch) {
  return absl::StrCat("127.0.0.1:", 4000 + 100 * epoch + process);
}
int32_t ProcessAt(const std::string& endpoint, int32_t epoch) {
  int32_t process = 0;
  while (process < 100 && EndpointOf(process, epoch) != endpoint) ++process;
  return process;
}

}  // namespace

void FaultRun::Begin(int32_t index) {
  Process& process = processes_[index];
  for (size_t i = 0; i < process.kept.size(); ++i)
    process.formation->GoOn(process.nodes[i], &process.kept[i]);
  process.running = 0;
  for (const NodeId& node : process.nodes) process.running += node.role == Role::kWorker ? 1 : 0;
  process.has_begun = true;
  world_->BeginNodes(index);
  if (process.has_workers) Arrive(index, "start");
}

// Another process is lost: the exchange ends at once, and then the threads.
void FaultRun::HearOfLoss(int32_t index) {
  Process& process = processes_[index];
  world_->EndNodes(index);
  process.has_failed = process.said_last_words = process.has_finished = false;
  process.is_over = false;
  process.barrier.clear();
  if (process.formation == nullptr && !process.gets_ready) return AwaitFormation(index);
  if (std::exchange(process.gets_ready, true)) return;
  InProcess(index, Draw(kEndSeconds), [this, index] { GetReady(index); });
}

void FaultRun::GetReady(int32_t index) {
  Process& process = processes_[index];
  if (process.has_ended) return;
  process.gets_ready = false;
  if (process.formation != nullptr) {
    process.last_step = HeartbeatOf(index).heartbeat().step();
    for (size_t i = 0; process.has_begun && i < process.kept.size(); ++i)
      process.formation->Release(process.nodes[i], &process.kept[i]);
    process.has_begun = false;
    process.formation = nullptr;
  }
  FromProcess message;
  Ready* const ready = message.mutable_ready();
  ready->set_epoch(process.client.epoch());
  ready->set_data_endpoint(EndpointOf(index, ready->epoch()));
  for (const int64_t step : process.core->StepsToGoOnFrom()) ready->add_steps(step);
  process.offered = {ready->steps().begin(), ready->steps().end()};
  process.ready_for = ready->epoch();
  Say(index, std::move(message));
}

// Whoever waits to be welcomed has heard something, and wakes a moment later.
void FaultRun::AwaitFormation(int32_t index) {
  const double wakes = Draw(random_.Below(4) == 0 ? kLateSeconds : kWakeSeconds);
  InProcess(index, wakes, [this, index] {
    Process& process = processes_[index];
    if (process.has_ended || process.ready_for < 0 || !process.client.status().ok()) return;
    const std::optional<bool> belongs = process.client.BelongsTo(process.ready_for);
    if (!belongs.has_value()) return;
    process.ready_for = -1;
    *belongs ? Enter(index) : GetReady(index);
  });
}

void FaultRun::Enter(int32_t index) {
  Process& process = processes_[index];
  const Welcome& welcome = process.client.welcome();
  const absl::Status goes_on = process.core->GoOn(welcome);
  ASSERT_TRUE(goes_on.ok()) << process.name << ": " << goes_on;
  process.nodes = process.core->nodes();
  process.name = NamesOf(process.nodes);
  process.formation = FormationOf(process, welcome);
  const FormationPlace& place = process.core->place();
  // It has its own seat, in a formation that all others see alike.
  ASSERT_EQ(process.formation->members()[place.process], index) << process.name;
  EXPECT_EQ(SpecFingerprint(process.core->spec()), SpecFingerprint(process.formation->spec()));
  EXPECT_EQ(place.epoch, process.formation->place().epoch);
  EXPECT_EQ(place.first_step, process.formation->place().first_step);
  world_->Enter(index, process.formation->party(index));
  if (!process.client.regroups()) return Begin(index);
  // One more is lost already: it does not connect.
  process.gets_ready = true;
  InProcess(index, Draw(kEndSeconds), [this, index] { GetReady(index); });
}

// Made by the first who enters it.
FaultFormation* FaultRun::FormationOf(const Process& process, const Welcome& welcome) {
  std::unique_ptr<FaultFormation>& formation = formations_[welcome.epoch()];
  if (formation != nullptr) return formation.get();
  std::vector<int32_t> members;
  for (const ProcessEntry& entry : welcome.processes()) {
    members.push_back(ProcessAt(entry.data_endpoint(), welcome.epoch()));
    RM_CHECK(members.back() < world_->processes());  // it listens in no other formation
  }
  CheckWelcome(welcome, members);
  Costs costs =
      DrawCosts(process.core->spec(), layout_, static_cast<int32_t>(members.size()), &random_);
  costs.network.first_party = world_->AddFormation(members);
  formation = std::make_unique<FaultFormation>(common_, process.core->place(), process.core->spec(),
                                               std::move(members), std::move(costs));
  return formation.get();
}

}  // namespace ringmaster
