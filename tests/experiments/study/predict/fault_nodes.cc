// What the nodes of a process do, as far as the coordinator has a part in it.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/collective/choice.h"
#include "common/collective/plan.h"
#include "experiments/program/run/activity.h"
#include "tests/experiments/study/predict/fault_run.h"
#include "worker/loop/conductor.h"

namespace ringmaster {

FromProcess FaultRun::HeartbeatOf(int32_t index) {
  Process& process = processes_[index];
  FromProcess message;
  Heartbeat* const heartbeat = message.mutable_heartbeat();
  if (process.formation == nullptr) {
    heartbeat->set_step(process.last_step);
    heartbeat->set_phase("regroup");
    return message;
  }
  heartbeat->set_phase("serve");
  for (size_t i = 0; i < process.nodes.size(); ++i) {
    const NodeId& node = process.nodes[i];
    *heartbeat->add_nodes() = ActivityOf(&process, node, i);
    if (node.role != Role::kWorker) continue;
    heartbeat->set_step(heartbeat->nodes(static_cast<int>(i)).step());
    heartbeat->set_phase(heartbeat->nodes(static_cast<int>(i)).phase());
  }
  return message;
}

NodeActivity FaultRun::ActivityOf(Process* process, const NodeId& node, size_t index) {
  FaultFormation& formation = *process->formation;
  Activity exchange;
  const auto keep = [&] {
    // As of a transport: what it waits for is told once it stands still.
    if (std::exchange(process->moved[index], exchange.moved) != exchange.moved)
      exchange.awaited.clear();
  };
  if (node.role == Role::kWorker) {
    const SimulatedStepThread& thread = formation.cluster().thread(node.index);
    const SimulatedExchange& shell = formation.cluster().exchange(node.index);
    for (const SimulatedExchange::Awaited& awaited : shell.awaited())
      exchange.awaited.push_back({awaited.peer, awaited.tag, awaited.is_send});
    exchange.moved =
        shell.traffic().up + shell.traffic().down + static_cast<int64_t>(exchange.awaited.size());
    keep();
    WorkerProgress& progress = formation.progress(node.index);
    progress.step = thread.standing().step;
    progress.phase = thread.standing().phase;
    progress.work = thread.standing().phases;
    progress.awaits_lots = thread.awaits_lot();
    progress.at_barrier = !process->barrier.empty();
    progress.done = process->is_over;
    return DescribeWorker({node.index, &progress, std::move(exchange), /*engine_ranks=*/0});
  }
  const ServerCore& core = formation.cluster().server(node.index).core();
  const auto parts = static_cast<int32_t>(layout_.buckets().size());
  for (int32_t worker = 0; worker < formation.workers(); ++worker) {
    const NodeId peer{Role::kWorker, worker};
    // What a forgotten worker was to send is over.
    if (core.shard().clocks().is_lost(worker)) continue;
    for (int32_t part = 0; part < parts; ++part) {
      exchange.moved += core.push_step(worker, part);
      exchange.awaited.push_back(
          {peer, {MessageKind::kPush, 0, part, core.push_step(worker, part)}, false});
      if (core.IsSending(worker, part))
        exchange.awaited.push_back({peer, {MessageKind::kWeights, 0, part}, true});
    }
    exchange.awaited.push_back({peer, {MessageKind::kPull}, false});
  }
  keep();
  return DescribeServer(node.index, core.finished(), exchange);
}

void FaultRun::Forget(int32_t index, int32_t lost) {
  world_->Break(world_->nodes(index), world_->nodes(lost));
  for (const NodeId& node : processes_[index].nodes) {
    // A worker has nothing to do with others where servers hold the weights.
    if (node.role == Role::kWorker && traits_.servers > 0) continue;
    for (const NodeId& gone : processes_[lost].nodes) {
      After(0, {world_->control(index), world_->nodes(index)}, [this, node, gone] {
        SimulatedCluster& cluster = last().cluster();
        if (node.role == Role::kServer) return cluster.server(node.index).OnLost(gone.index);
        static_cast<SimulatedAllReduce&>(cluster.exchange(node.index)).OnLost(gone.index);
      });
    }
  }
}

void FaultRun::Settle(int32_t index, int32_t rank) {
  const auto& shell = static_cast<const SimulatedPsWorker&>(last().cluster().exchange(rank));
  const int64_t settled = shell.core().ended();
  if (std::exchange(settled_[rank], settled) == settled) return;
  FromProcess message;
  message.mutable_lots_wanted()->set_rank(rank);
  message.mutable_lots_wanted()->set_applied_below(settled);
  Say(index, std::move(message));
}

void FaultRun::Arrive(int32_t index, const std::string& barrier) {
  processes_[index].barrier = barrier;
  FromProcess message;
  message.mutable_arrive()->set_barrier(barrier);
  Say(index, std::move(message));
  PassBarrier(index);
}

// If it waits at one that is open.
void FaultRun::PassBarrier(int32_t index) {
  Process& process = processes_[index];
  if (process.has_ended || process.has_failed || process.client.regroups()) return;
  if (!process.client.status().ok() || !process.client.IsReleased(process.barrier)) return;
  const std::string barrier = std::exchange(process.barrier, "");
  process.client.Pass(barrier);
  EXPECT_EQ(process.formation->released.count(barrier), 1u)
      << process.name << " passes " << barrier << " of an earlier formation";
  if (barrier == last_barrier()) process.is_over = true;
  for (const NodeId& node : process.nodes) {
    if (node.role != Role::kWorker) continue;
    After(0, {world_->control(index), world_->nodes(index)},
          [this, index, node, barrier, formation = process.formation] {
            if (barrier == "start") return StartWorker(formation, index, node.index);
            if (barrier != last_barrier()) {
              LeaveOut(index, node.index);
              return Drain(formation, index, node.index);
            }
            formation->cluster().exchange(node.index).TakeLeave();
          });
  }
}

void FaultRun::EndSteps(FaultFormation* formation, int32_t index, int32_t rank) {
  if (!meets_) return Drain(formation, index, rank);
  if (--processes_[index].running > 0) return;
  for (const NodeId& node : processes_[index].nodes)
    processes_[index].running += node.role == Role::kWorker ? 1 : 0;
  Arrive(index, kTrained);
}

void FaultRun::Drain(FaultFormation* formation, int32_t index, int32_t rank) {
  formation->cluster().thread(rank).Drain([this, index] {
    if (--processes_[index].running == 0) Arrive(index, last_barrier());
  });
}

void FaultRun::LeaveOut(int32_t index, int32_t rank) {
  const std::set<int32_t>& lost = processes_[index].client.lost_when_released();
  if (lost.empty()) return;
  std::vector<int32_t> left;
  for (int32_t other = 0; other < setting_.workers; ++other) {
    if (lost.count(other) == 0) left.push_back(other);
  }
  const auto ranks = static_cast<int32_t>(left.size());
  const auto own = static_cast<int32_t>(std::find(left.begin(), left.end(), rank) - left.begin());
  std::vector<Plan> averages;
  for (const Bucket& bucket : layout_.buckets()) {
    constexpr int64_t kFloatBytes = sizeof(float);
    const auto schedule = *CreateSchedule(
        AverageCollective(traits_), {spec_.transport().name(), ranks, bucket.count * kFloatBytes});
    averages.push_back(MakePlan(*schedule, {own, ranks, bucket.count, kFloatBytes}));
    for (PlanOp& op : averages.back().ops) op.peer = left[op.peer];
  }
  static_cast<SimulatedAllReduce&>(last().cluster().exchange(rank))
      .LeaveOut(ranks, std::move(averages));
}

void FaultRun::StartWorker(FaultFormation* formation, int32_t index, int32_t rank) {
  SimulatedStepThread& thread = formation->cluster().thread(rank);
  const auto drain = [this, formation, index, rank] { EndSteps(formation, index, rank); };
  if (traits_.work != Work::kClaimed) return thread.Run(kSeededSteps, drain);
  const auto ask = [this, index, rank] {
    if (deals_again_) Settle(index, rank);
    FromProcess message;
    message.mutable_lots_wanted()->set_rank(rank);
    message.mutable_lots_wanted()->set_count(1);
    Say(index, std::move(message));
  };
  thread.RunClaimed(ask, drain);
}

void FaultRun::TakeLots(int32_t index) {
  for (const NodeId& node : processes_[index].nodes) {
    if (node.role != Role::kWorker) continue;
    const std::optional<LotClaim> claim = processes_[index].client.TakeLots(node.index);
    if (!claim.has_value()) continue;
    After(0, {world_->control(index), world_->nodes(index)}, [this, claim, rank = node.index] {
      last().cluster().thread(rank).Claimed(
          claim->count == 0 ? std::nullopt : std::optional<int64_t>(claim->first));
    });
  }
}

// All workers of the process have taken leave, and its servers know of no worker who has not.
bool FaultRun::IsDone(int32_t index) const {
  const Process& process = processes_[index];
  if (!process.client.welcomed() || process.formation == nullptr) return false;
  for (const NodeId& node : process.nodes) {
    if (node.role != Role::kServer) continue;
    if (!process.formation->cluster().server(node.index).core().finished()) return false;
  }
  return !process.has_workers || process.is_over;
}

}  // namespace ringmaster
