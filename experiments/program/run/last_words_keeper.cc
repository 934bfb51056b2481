#include "experiments/program/run/last_words_keeper.h"

#include "common/control/last_words.h"

namespace ringmaster {

void LastWordsKeeper::AddWorker(int32_t rank, const WorkerTraces& traces) {
  absl::MutexLock lock(&mutex_);
  workers_[rank] = &traces;
}

void LastWordsKeeper::AddServer(int32_t index, const ServerTraces& traces) {
  absl::MutexLock lock(&mutex_);
  servers_[index] = &traces;
}

void LastWordsKeeper::Welcomed(Clock::time_point time) {
  absl::MutexLock lock(&mutex_);
  welcomed_ = time;
}

void LastWordsKeeper::Take() {
  absl::MutexLock lock(&mutex_);
  if (taken_) return;
  taken_ = true;
  const Clock::time_point now = Clock::now();
  for (const NodeActivity& activity : activities_()) {
    const NodeName& node = activity.node();
    NodeLastWords* words = words_.add_nodes();
    *words->mutable_activity() = activity;
    const auto worker = workers_.find(node.index());
    const auto server = servers_.find(node.index());
    if (!node.server() && worker != workers_.end()) worker->second->AddLast(now, words);
    if (node.server() && server != servers_.end()) server->second->AddLast(now, words);
  }
  const auto first = workers_.find(0);
  const Clock::time_point started =
      first == workers_.end() ? Clock::time_point() : first->second->started.load();
  *words_.mutable_clock() = ThisTraceClock(welcomed_, started);
}

void LastWordsKeeper::ServerEnds(int32_t index, const std::string& parked) {
  absl::MutexLock lock(&mutex_);
  parked_[index] = ShortenParked(parked);
  ended_.SignalAll();
}

LastWords LastWordsKeeper::Tell(absl::Duration limit) {
  Take();
  absl::MutexLock lock(&mutex_);
  const auto all_ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return parked_.size() == servers_.size();
  };
  ended_.AwaitUntil(&mutex_, MonotonicNow() + limit, all_ended);
  for (NodeLastWords& node : *words_.mutable_nodes()) {
    const auto parked = parked_.find(node.activity().node().index());
    if (node.activity().node().server() && parked != parked_.end()) node.set_parked(parked->second);
  }
  return words_;
}

}  // namespace ringmaster
