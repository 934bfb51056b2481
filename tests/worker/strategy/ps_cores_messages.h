#ifndef RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_MESSAGES_H_
#define RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_MESSAGES_H_

#include <cstdint>

#include "common/base/message.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What the joined cores of ps_cores_test are run with, and what is on its way between them.

inline constexpr int64_t kSteps = 30;
inline constexpr int64_t kEverySamples = 20;  // between the marks
inline constexpr int32_t kBuckets = 3;
inline constexpr uint64_t kSeeds = 60;

// With a learning rate of 1 an update of worker r adds 64^r to every element: weights are counts of
// updates by worker, exact in float32 for four workers and fewer than 64 steps.
inline float GradientOf(int32_t rank) { return -static_cast<float>(int64_t{1} << (6 * rank)); }
inline int64_t UpdatesOf(int32_t rank, float weight) {
  return (static_cast<int64_t>(weight) >> (6 * rank)) & 63;
}

struct Arm {
  ParameterServerSpec::Consistency consistency = ParameterServerSpec::BSP;
  int64_t bound = 0;  // SSP
  int32_t workers = 3;
  int32_t servers = 2;
  bool claimed = false;     // workers make unlike numbers of steps; of three workers
  int32_t backups = 0;      // BSP; of N - backups a power of two times N
  int32_t local_steps = 0;  // asynchronous
  bool attracts = false;    // elastic averaging, whose weights count no updates: without data

  // Of all workers together as many as of equal ones: the marks lie in the same updates.
  int64_t steps(int32_t rank) const { return claimed ? kSteps + 10 * (rank - 1) : kSteps; }
  // After how many of its steps a worker drains for the first time. Where work is claimed it may
  // have made none.
  int64_t first_drain(int32_t rank) const { return claimed && rank == 0 ? 0 : steps(rank) / 2 + 1; }
};

inline RunSpec SpecOf(const Arm& arm) {
  RunSpec spec;
  spec.mutable_training()->set_workers(arm.workers);
  spec.mutable_training()->set_batch_per_worker(1);
  spec.mutable_training()->set_accumulate(1);
  spec.mutable_training()->set_steps(kSteps);
  spec.mutable_training()->set_evaluate_every_samples(kEverySamples);
  ParameterServerSpec* ps = spec.mutable_strategy()->mutable_parameter_server();
  ps->set_consistency(arm.consistency);
  ps->set_servers(arm.servers);
  ps->set_staleness_bound(static_cast<int32_t>(arm.bound));
  if (arm.backups > 0) ps->set_backup_workers(arm.backups);
  if (arm.local_steps > 0) ps->set_local_steps(arm.local_steps);
  if (arm.attracts) {
    ElasticSpec* elastic = spec.mutable_strategy()->mutable_elastic();
    elastic->set_mode(ElasticSpec::ASYNCHRONOUS);
    elastic->set_alpha(0.5);
    elastic->set_period(arm.local_steps);
    elastic->set_servers(arm.servers);
  }
  if (arm.claimed) spec.mutable_strategy()->set_work(StrategySpec::CLAIMED);
  spec.mutable_optimizer()->set_name("sgd");
  // With backup workers an update is the average of those that it has.
  spec.mutable_optimizer()->set_learning_rate(static_cast<float>(arm.workers - arm.backups) /
                                              static_cast<float>(arm.workers));
  return spec;
}

// One element of a part, and the message that brought it.
struct Cell {
  float weight = 0;
  Tag from;
};

// A message between a worker and a server.
struct Message {
  bool to_server = false;
  int32_t worker = 0;
  int32_t server = 0;
  Tag tag;
  const float* memory = nullptr;  // where it is sent from, one element; null: it has no bytes
  bool is_copy = false;           // of a mark's copy
  float at_send = 0;              // what was there then
  bool borrowed = false;  // read at the sender's until it is returned, in place of being copied
  bool has_left = false;  // and the sender was told, before or after it has arrived
  bool has_arrived = false;
  float payload = 0;  // once it has left
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_MESSAGES_H_
