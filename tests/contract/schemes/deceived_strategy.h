#ifndef RINGMASTER_TESTS_CONTRACT_SCHEMES_DECEIVED_STRATEGY_H_
#define RINGMASTER_TESTS_CONTRACT_SCHEMES_DECEIVED_STRATEGY_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/transport/forwarding.h"
#include "proto/run_spec.pb.h"
#include "worker/loop/worker_setup.h"
#include "worker/strategy/replica.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// What a real strategy is told in place of the truth. Null: the truth.
struct World {
  std::unique_ptr<RunSpec> spec;
  std::unique_ptr<Replica> replica;
  std::unique_ptr<Transport> transport;
};

// The real strategy of `link` in that world, which outlives it.
absl::StatusOr<std::unique_ptr<SyncStrategy>> Deceive(WorkerLink link, World world);

// The real strategy with another replica around the worker's own, another transport around its own,
// or by another spec than it is run under.
StrategyFactory WithReplica(std::function<std::unique_ptr<Replica>(const WorkerLink&)> make);
StrategyFactory WithTransport(std::function<std::unique_ptr<Transport>(const WorkerLink&)> make);
StrategyFactory WithSpec(std::function<void(RunSpec*)> edit);

// Passes every call on to the worker's own replica.
class ForwardingReplica : public Replica {
 public:
  explicit ForwardingReplica(const WorkerLink& link) : link_(link), real_(*link.replica) {}

  WeightsView weights() const override { return real_.weights(); }
  absl::Span<const float> OnHost() const override { return real_.OnHost(); }
  absl::Status AwaitUpdates() override { return real_.AwaitUpdates(); }
  void Replace(std::vector<float>* weights) override { real_.Replace(weights); }
  absl::Span<float> Edit() override { return real_.Edit(); }
  absl::Status Apply(int64_t step, absl::Span<const BucketGradient> average) override {
    return real_.Apply(step, average);
  }
  absl::Status ApplyAfter(int64_t samples_seen, int64_t step,
                          absl::Span<const BucketGradient> gradient) override {
    return real_.ApplyAfter(samples_seen, step, gradient);
  }
  absl::StatusOr<State> Give() const override { return real_.Give(); }
  absl::Status Take(const State& state) override { return real_.Take(state); }

 protected:
  const WorkerLink link_;
  Replica& real_;
};

// Passes on what stands in for the payload of a message. Of every message that has floats the
// twin is asked, in the order of sending.
class PayloadTwin : public ForwardingTransport {
 public:
  using ForwardingTransport::ForwardingTransport;

  absl::StatusOr<OpId> Send(const Outgoing& message) override;

 protected:
  virtual void Change(const Outgoing& message, std::vector<float>* floats) = 0;

 private:
  std::deque<std::vector<float>> sent_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_SCHEMES_DECEIVED_STRATEGY_H_
