#ifndef RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_NODES_H_
#define RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_NODES_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/config/describe.h"
#include "server/server_core.h"
#include "tests/worker/strategy/ps_cores_messages.h"
#include "worker/strategy/ps/worker_core.h"

namespace ringmaster {

// The workers and servers of ps_cores_cluster.h, and what must hold of their weights at every
// moment.
class ClusterNodes {
 public:
  int64_t dropped() const { return dropped_; }
  int64_t skipped() const { return skipped_; }

 protected:
  ClusterNodes(const Arm& arm, bool has_data)
      : arm_(arm),
        has_data_(has_data),
        marks_(SampleMarks(SpecOf(arm))),
        recalled_(marks_.size()) {}

  enum class Phase { kBegins, kWaits, kComputes, kEnds, kDrains, kRecalls, kGone };
  struct Worker {
    explicit Worker(const WorkerPlan& plan) : core(plan) {}
    WorkerCore core;
    Phase phase = Phase::kBegins;
    int64_t step = 0;
    int32_t bucket = 0;
    int64_t exchange = 0;                               // that the step under way belongs to
    int64_t skipped = 0;                                // steps
    int32_t alone = 0;                                  // steps made since the last exchange
    int64_t centers = 0;                                // taken that no drain has brought
    int32_t drains = 0;                                 // so far
    std::vector<Cell> front, back, arriving, recalled;  // [servers][buckets]
    int32_t mark = 0;
    std::vector<float> gradients[2];  // by the exchange's parity
    std::vector<Message> expected;
  };
  struct Server {
    std::vector<float> weights;
    std::unique_ptr<ServerCore> core;
    std::vector<std::vector<float>> copies;  // by worker
    std::vector<std::vector<float>> inbox;   // by worker and part
    std::vector<std::vector<bool>>
        borrowed;  // by worker and part: the gradient is read at the worker's
    std::vector<Message> expected;
  };

  void Fail(const std::string& text) {
    if (failure_.empty()) failure_ = text;
  }
  bool keeps() const {
    return arm_.consistency == ParameterServerSpec::ASYNCHRONOUS && arm_.local_steps == 0;
  }
  bool together() const { return arm_.consistency == ParameterServerSpec::BSP; }
  static size_t Index(int32_t server, int32_t bucket) { return server * kBuckets + bucket; }
  // The copy of a mark holds exactly its updates, and is the same for every worker.
  void CheckRecalled(int32_t rank) {
    const Worker& worker = *workers_[rank];
    std::vector<float> weights;
    for (const Cell& cell : worker.recalled) {
      weights.push_back(cell.weight);
      int64_t updates = 0;
      for (int32_t r = 0; r < arm_.workers; ++r) updates += UpdatesOf(r, cell.weight);
      if (together()) updates /= arm_.workers - arm_.backups;
      const int64_t mark = marks_[worker.mark].update;
      // The push with which a part passes the mark may be of several steps.
      if (!has_data_ || (updates >= mark && updates <= mark + std::max(0, arm_.local_steps - 1))) {
        continue;
      }
      Fail(absl::StrCat("worker/", rank, " mark ", worker.mark, ": ", updates,
                        " updates, expected ", marks_[worker.mark].update));
    }
    std::vector<float>& first = recalled_[worker.mark];
    if (first.empty()) first = weights;
    if (first != weights) Fail(absl::StrCat("two workers have other copies of mark ", worker.mark));
  }

  // Weights are swapped in whole: all parts come from one pull, or are the answers to one step's
  // pushes. The core knows how many updates each has.
  void CheckSwap(int32_t rank) {
    const Worker& worker = *workers_[rank];
    for (int32_t server = 0; server < arm_.servers; ++server) {
      for (int32_t bucket = 0; bucket < kBuckets; ++bucket) {
        const Cell& cell = worker.front[Index(server, bucket)];
        if (cell.from.step != worker.front[0].from.step ||
            cell.from.kind != worker.front[0].from.kind) {
          Fail(absl::StrCat("worker/", rank, ": weights of ", cell.from.step, " beside ",
                            worker.front[0].from.step));
        }
        int64_t updates = 0;
        for (int32_t r = 0; r < arm_.workers; ++r) updates += UpdatesOf(r, cell.weight);
        if (together()) updates /= arm_.workers - arm_.backups;
        const WorkerCore& core = worker.core;
        const int64_t version = core.front_versions()[server * core.plan().buckets + bucket];
        if (!has_data_ || arm_.local_steps > 0 || updates == version) continue;
        Fail(absl::StrCat("worker/", rank, ": ", updates, " updates, version ", version));
      }
    }
  }

  // What a step reads: every update of clocks <= step - bound - 1, the worker's own until its last
  // step, or the one before where it does not wait, and none that the gate forbids.
  void CheckRead(int32_t rank) {
    const Worker& worker = *workers_[rank];
    const int64_t step = worker.step;
    if (arm_.backups > 0) {
      // The newest step whose weights it has got.
      const absl::Span<const int64_t> versions = worker.core.front_versions();
      if (*std::min_element(versions.begin(), versions.end()) != step)
        Fail(absl::StrCat("worker/", rank, " step=", step, ": it has the weights of another"));
      return;
    }
    for (const Cell& cell : worker.front) {
      for (int32_t r = 0; r < arm_.workers && has_data_; ++r) {
        int64_t least = r == rank ? step : step - arm_.bound;
        int64_t most = r == rank ? step : step + arm_.bound + 1;
        if (together()) most = step;
        if (keeps()) least = r == rank ? step - 1 : 0;
        // Of its own all but those of this exchange, which are in no server's weights yet.
        if (arm_.local_steps > 0) least = most = r == rank ? step - worker.alone : 0;
        if (arm_.consistency == ParameterServerSpec::ASYNCHRONOUS && r != rank)
          most = arm_.steps(r);
        const int64_t updates = UpdatesOf(r, cell.weight);
        if (updates >= least && updates <= most) continue;
        Fail(absl::StrCat("worker/", rank, " step=", step, ": ", updates, " updates of worker/", r,
                          ", expected ", least, " to ", most));
      }
    }
  }

  // Every push is in an update or was dropped, and every step was made or skipped.
  void CheckDropped() {
    int64_t pushes = 0;
    for (int32_t rank = 0; rank < arm_.workers; ++rank) {
      const Worker& worker = *workers_[rank];
      pushes += worker.exchange;
      skipped_ += worker.skipped;
      if (arm_.backups > 0 && worker.exchange + worker.skipped != arm_.steps(rank))
        Fail(absl::StrCat("worker/", rank, " lost count of its steps"));
    }
    for (const auto& server : servers_) {
      int64_t used = 0;
      for (const int64_t version : server->core->shard().versions())
        used += version * (together() ? arm_.workers - arm_.backups : 1);
      dropped_ += server->core->shard().dropped();
      if (used + server->core->shard().dropped() != pushes * kBuckets)
        Fail("a server lost count of what was pushed");
    }
  }

  void CheckDrained(int32_t rank) {
    if (arm_.backups > 0) {
      const absl::Span<const int64_t> versions = workers_[rank]->core.front_versions();
      if (*std::min_element(versions.begin(), versions.end()) < workers_[rank]->step)
        Fail(absl::StrCat("worker/", rank, " drained and lacks updates"));
      return;
    }
    for (const Cell& cell : workers_[rank]->front) {
      for (int32_t r = 0; r < arm_.workers && has_data_; ++r) {
        const int64_t least = workers_[rank]->drains == 0 ? arm_.first_drain(r) : arm_.steps(r);
        if (UpdatesOf(r, cell.weight) >= least) continue;
        Fail(absl::StrCat("worker/", rank, " drained after step ", workers_[rank]->step - 1, ": ",
                          UpdatesOf(r, cell.weight), " updates of worker/", r));
      }
    }
  }

  const Arm arm_;
  const bool has_data_;
  const std::vector<SampleMark> marks_;
  std::vector<std::vector<float>> recalled_;  // by mark: what the first worker to ask has got
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::string failure_;
  int64_t dropped_ = 0;
  int64_t skipped_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_NODES_H_
