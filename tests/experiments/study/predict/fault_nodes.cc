// What the nodes of a process do, as far as the coordinator has a part in it.
#include <optional>
#include <utility>

#include "experiments/program/run/activity.h"
#include "tests/experiments/study/predict/fault_run.h"

namespace ringmaster {

FromProcess FaultRun::HeartbeatOf(int32_t index) {
  Process& process = processes_[index];
  FromProcess message;
  Heartbeat* const heartbeat = message.mutable_heartbeat();
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
  Activity exchange;
  const auto keep = [&] {
    // As of a transport: what it waits for is told once it stands still.
    if (std::exchange(process->moved[index], exchange.moved) != exchange.moved)
      exchange.awaited.clear();
  };
  if (node.role == Role::kWorker) {
    const SimulatedStepThread& thread = cluster_->thread(node.index);
    const SimulatedExchange& shell = cluster_->exchange(node.index);
    for (const SimulatedExchange::Awaited& awaited : shell.awaited())
      exchange.awaited.push_back({awaited.peer, awaited.tag, awaited.is_send});
    exchange.moved =
        shell.traffic().up + shell.traffic().down + static_cast<int64_t>(exchange.awaited.size());
    keep();
    WorkerProgress& progress = *progress_[node.index];
    progress.step = thread.standing().step;
    progress.phase = thread.standing().phase;
    progress.work = thread.standing().phases;
    progress.awaits_lots = thread.awaits_lot();
    progress.at_barrier = process->at_barrier;
    progress.done = process->is_over;
    return DescribeWorker({node.index, &progress, std::move(exchange), /*engine_ranks=*/0});
  }
  const ServerCore& core = cluster_->server(node.index).core();
  const auto parts = static_cast<int32_t>(layout_.buckets().size());
  for (int32_t worker = 0; worker < setting_.workers; ++worker) {
    const NodeId peer{Role::kWorker, worker};
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
  world_->Break(index, lost);
  for (const NodeId& node : processes_[index].nodes) {
    if (node.role != Role::kServer) continue;
    for (const NodeId& gone : processes_[lost].nodes) {
      After(0, {world_->control(index), world_->nodes(index)},
            [this, node, gone] { cluster_->server(node.index).OnLost(gone.index); });
    }
  }
}

void FaultRun::Settle(int32_t index, int32_t rank) {
  const auto& shell = static_cast<const SimulatedPsWorker&>(cluster_->exchange(rank));
  const int64_t settled = shell.core().plan().local_steps > 0
                              ? static_cast<int64_t>(cluster_->thread(rank).steps().size())
                              : shell.core().ended();
  if (std::exchange(settled_[rank], settled) == settled) return;
  FromProcess message;
  message.mutable_lots_wanted()->set_rank(rank);
  message.mutable_lots_wanted()->set_applied_below(settled);
  Say(index, std::move(message));
}

void FaultRun::Arrive(int32_t index, const std::string& barrier) {
  processes_[index].at_barrier = true;
  FromProcess message;
  message.mutable_arrive()->set_barrier(barrier);
  Say(index, std::move(message));
}

void FaultRun::Release(int32_t index, const std::string& barrier) {
  Process& process = processes_[index];
  process.client.Pass(barrier);
  process.at_barrier = false;
  if (barrier == "end") process.is_over = true;
  for (const NodeId& node : process.nodes) {
    if (node.role != Role::kWorker) continue;
    After(0, {world_->control(index), world_->nodes(index)}, [this, index, node, barrier] {
      if (barrier == "start") return StartWorker(index, node.index);
      cluster_->exchange(node.index).TakeLeave();
    });
  }
}

void FaultRun::StartWorker(int32_t index, int32_t rank) {
  const auto drain = [this, index, rank] {
    cluster_->thread(rank).Drain([this, index] {
      if (--processes_[index].running == 0) Arrive(index, "end");
    });
  };
  if (traits_.work != Work::kClaimed) return cluster_->thread(rank).Run(kSeededSteps, drain);
  const auto ask = [this, index, rank] {
    if (goes_on_) Settle(index, rank);
    FromProcess message;
    message.mutable_lots_wanted()->set_rank(rank);
    message.mutable_lots_wanted()->set_count(1);
    Say(index, std::move(message));
  };
  cluster_->thread(rank).RunClaimed(ask, drain);
}

void FaultRun::TakeLots(int32_t index) {
  for (const NodeId& node : processes_[index].nodes) {
    if (node.role != Role::kWorker) continue;
    const std::optional<LotClaim> claim = processes_[index].client.TakeLots(node.index);
    if (!claim.has_value()) continue;
    After(0, {world_->control(index), world_->nodes(index)}, [this, claim, rank = node.index] {
      cluster_->thread(rank).Claimed(claim->count == 0 ? std::nullopt
                                                       : std::optional<int64_t>(claim->first));
    });
  }
}

// All workers of the process have taken leave, and its servers know of no worker who has not.
bool FaultRun::IsDone(int32_t index) const {
  const Process& process = processes_[index];
  if (!process.client.welcomed()) return false;
  for (const NodeId& node : process.nodes) {
    if (node.role == Role::kServer && !cluster_->server(node.index).core().finished()) return false;
  }
  return !process.has_workers || process.is_over;
}

}  // namespace ringmaster
