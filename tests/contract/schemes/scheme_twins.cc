#include "tests/contract/schemes/scheme_twins.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <tuple>
#include <utility>
#include <variant>

#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/transport/forwarding.h"
#include "tests/contract/schemes/deceived_strategy.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kBrokenStep = 2;  // of those that go wrong once

// The last worker applies the gradients of one step so many times.
template <int kTimes>
class AppliesTimes : public ForwardingReplica {
 public:
  using ForwardingReplica::ForwardingReplica;
  absl::Status Apply(int64_t step, absl::Span<const BucketGradient> average) override {
    for (int i = 0; i < TimesOf(step); ++i) RM_RETURN_IF_ERROR(real_.Apply(step, average));
    return absl::OkStatus();
  }
  absl::Status ApplyAfter(int64_t samples_seen, int64_t step,
                          absl::Span<const BucketGradient> gradient) override {
    for (int i = 0; i < TimesOf(step); ++i)
      RM_RETURN_IF_ERROR(real_.ApplyAfter(samples_seen, step, gradient));
    return absl::OkStatus();
  }

 private:
  int TimesOf(int64_t step) const {
    return link_.rank == link_.workers - 1 && step == kBrokenStep ? kTimes : 1;
  }
};

// The optimizer's arrays are in another order from one step on, as those of a worker with another
// share are.
class TakesOthersState : public ForwardingReplica {
 public:
  using ForwardingReplica::ForwardingReplica;
  absl::Status Apply(int64_t step, absl::Span<const BucketGradient> average) override {
    if (step == kBrokenStep) RM_RETURN_IF_ERROR(Exchange());
    return real_.Apply(step, average);
  }

 private:
  absl::Status Exchange() {
    RM_ASSIGN_OR_RETURN(const State state, real_.Give());
    State other;
    for (const State::Entry& entry : state.entries()) {
      Floats floats = std::get<Floats>(entry.value);
      if (entry.name != "weights") std::reverse(floats.begin(), floats.end());
      other.AddFloats(entry.name, std::move(floats));
    }
    return real_.Take(other);
  }
};

// What others' weights become, before they are the worker's own.
class Misreads : public ForwardingReplica {
 public:
  using Change = std::function<void(const WorkerLink& link, Floats* weights)>;
  Misreads(const WorkerLink& link, Change change)
      : ForwardingReplica(link), change_(std::move(change)) {}
  void Replace(Floats* weights) override {
    change_(link_, weights);
    real_.Replace(weights);
  }

 private:
  const Change change_;
};

StrategyFactory Misreading(Misreads::Change change) {
  return WithReplica(
      [change](const WorkerLink& link) { return std::make_unique<Misreads>(link, change); });
}

class ChangesPayloads : public PayloadTwin {
 public:
  using ChangeOf = std::function<void(const WorkerLink& link, int64_t ordinal,
                                      const Outgoing& message, Floats* floats)>;
  ChangesPayloads(const WorkerLink& link, ChangeOf change)
      : PayloadTwin(*link.transport), link_(link), change_(std::move(change)) {}

 private:
  void Change(const Outgoing& message, Floats* floats) override {
    change_(link_, ordinal_++, message, floats);
  }

  const WorkerLink link_;
  const ChangeOf change_;
  int64_t ordinal_ = 0;
};

StrategyFactory ChangingPayloads(ChangesPayloads::ChangeOf change) {
  return WithTransport(
      [change](const WorkerLink& link) { return std::make_unique<ChangesPayloads>(link, change); });
}

// Sends what it should have sent in the exchange before.
class SendsStale : public PayloadTwin {
 public:
  explicit SendsStale(const WorkerLink& link) : PayloadTwin(*link.transport) {}

 private:
  void Change(const Outgoing& message, Floats* floats) override {
    const auto name = std::make_tuple(message.to.index, message.tag.bucket, message.tag.piece);
    Floats& last = last_[name];
    if (last.empty()) last = *floats;
    last.swap(*floats);
  }

  std::map<std::tuple<int32_t, int32_t, uint16_t>, Floats> last_;
};

// Takes the rank before this one for every peer.
class AsksTheRankBefore : public ForwardingTransport {
 public:
  explicit AsksTheRankBefore(const WorkerLink& link)
      : ForwardingTransport(*link.transport), link_(link) {}
  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    if (message.tag.kind != MessageKind::kCollective) return below_.Send(message);
    if (message.returned != nullptr) *message.returned = false;
    return below_.Send({Peer(1), message.tag, message.payload});
  }
  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    if (message.tag.kind != MessageKind::kCollective) return below_.Receive(message);
    const Incoming own = message.WithoutLoan();
    return below_.Receive({Peer(link_.workers - 1), own.tag, own.out, own.mode});
  }

 private:
  NodeId Peer(int32_t distance) const {
    return {Role::kWorker, (link_.rank + distance) % link_.workers};
  }
  const WorkerLink link_;
};

// Drains without a word to the real one.
class ForgetsToDrain : public ForwardingStrategy {
 public:
  using ForwardingStrategy::ForwardingStrategy;
  absl::Status Drain() override { return absl::OkStatus(); }
};

StrategyFactory ForgettingToDrain() {
  return [](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
    RM_ASSIGN_OR_RETURN(auto real, CreateStrategy(link));
    return std::make_unique<ForgetsToDrain>(std::move(real));
  };
}

// An outer Nesterov of its own on plain averages, whose momentum has the other sign.
class OuterMomentumOfOtherSign : public ForwardingReplica {
 public:
  explicit OuterMomentumOfOtherSign(const WorkerLink& link)
      : ForwardingReplica(link),
        outer_(link.spec->strategy().local_sgd()),
        velocity_(link.layout->count()) {}

  // The first average comes after synchronous steps, which leave all workers alike.
  absl::Status Apply(int64_t step, absl::Span<const BucketGradient> average) override {
    RM_RETURN_IF_ERROR(real_.Apply(step, average));
    if (step + 1 == outer_.synchronous_steps()) last_ = OwnWeights();
    return absl::OkStatus();
  }
  void Replace(Floats* weights) override {
    if (averages_ < kAverages) {
      const float momentum = -outer_.outer_momentum();
      for (size_t i = 0; i < last_.size(); ++i) {
        const float way = last_[i] - (*weights)[i];
        velocity_[i] = momentum * velocity_[i] + way;
        (*weights)[i] = last_[i] - outer_.outer_learning_rate() * (way + momentum * velocity_[i]);
      }
      last_ = *weights;
    }
    ++averages_;  // the last is the drain's
    real_.Replace(weights);
  }

 private:
  static constexpr int kAverages = 3;

  Floats OwnWeights() const {
    const absl::Span<const float> weights = real_.OnHost();
    return {weights.begin(), weights.end()};
  }

  const LocalSgdSpec outer_;
  Floats velocity_, last_;
  int averages_ = 0;
};

StrategyFactory WithOuterMomentumOfOtherSign() {
  return [](const WorkerLink& link) {
    World world;
    world.spec = std::make_unique<RunSpec>(*link.spec);
    LocalSgdSpec* local = world.spec->mutable_strategy()->mutable_local_sgd();
    local->set_outer_optimizer("none");
    world.replica = std::make_unique<OuterMomentumOfOtherSign>(link);
    return Deceive(link, std::move(world));
  };
}

bool IsOnce(const Outgoing& message) { return message.tag.step == kBrokenStep; }

// Of servers: each in its own variant of when updates are made.
void AddServerTwins(std::vector<SchemeTwin>* twins) {
  const StrategyFactory twice = ChangingPayloads(
      [](const WorkerLink& link, int64_t, const Outgoing& message, Floats* floats) {
        if (link.rank == 1 && message.tag.kind == MessageKind::kPush && IsOnce(message))
          for (float& value : *floats) value *= 2;
      });
  for (const char* arm : {"dp", "ps"}) twins->push_back({arm, "a push counts twice", twice});
  twins->push_back({"ps-sharded", "a push counts twice", twice});
  twins->push_back({"ssp", "a push counts twice", twice});
  twins->push_back({"async", "a push counts twice", twice});
  twins->push_back({"ssp", "a drain waits for nobody", ForgettingToDrain()});
  twins->push_back({"geo", "N is not divided by",
                    ChangingPayloads([](const WorkerLink& link, int64_t, const Outgoing& message,
                                        Floats* floats) {
                      if (message.tag.kind != MessageKind::kPush) return;
                      for (float& value : *floats) value *= static_cast<float>(link.workers);
                    })});
  twins->push_back({"geo", "the steps that are left are forgotten", ForgettingToDrain()});
}

// Of collectives.
void AddSumTwins(std::vector<SchemeTwin>* twins) {
  twins->push_back({"hierarchical", "a group's sum counts twice",
                    ChangingPayloads([](const WorkerLink& link, int64_t, const Outgoing& message,
                                        Floats* floats) {
                      const bool leaves =
                          link.workers == 4 && message.to.index / 2 != link.rank / 2;
                      if (!leaves || !IsOnce(message) || message.tag.bucket != 1) return;
                      for (float& value : *floats) value *= 2;
                    })});
  // Of a bucket of 101 elements the halves have 51 and 50.
  twins->push_back(
      {"double-binary-tree", "a half is lost",
       ChangingPayloads([](const WorkerLink&, int64_t, const Outgoing& message, Floats* floats) {
         if (IsOnce(message) && floats->size() == 50) floats->assign(50, 0.0f);
       })});
  twins->push_back({"delayed", "a sum is applied at once", WithSpec([](RunSpec* spec) {
                      spec->mutable_strategy()->mutable_all_reduce()->set_collective("ring");
                    })});
  twins->push_back({"delayed", "a sum is applied twice", AppliesAStepTwice()});
  twins->push_back({"delayed", "the last sum is forgotten", ForgettingToDrain()});
  twins->push_back({"sharded-optimizer", "a worker does not update its part",
                    WithReplica([](const WorkerLink& link) {
                      return std::make_unique<AppliesTimes<0>>(link);
                    })});
  twins->push_back({"sharded-optimizer", "the optimizer's state is that of other elements",
                    WithReplica([](const WorkerLink& link) {
                      return std::make_unique<TakesOthersState>(link);
                    })});
}

// Of workers that exchange weights.
void AddWeightTwins(std::vector<SchemeTwin>* twins) {
  const StrategyFactory divides_by_fewer = Misreading([](const WorkerLink& link, Floats* weights) {
    const auto workers = static_cast<float>(link.workers);
    for (float& value : *weights) value *= workers / (workers - 1);
  });
  twins->push_back({"local-sgd", "an average is over N - 1", divides_by_fewer});
  for (const int delta : {-1, 1}) {
    twins->push_back(
        {"local-sgd", "one synchronous step more or fewer", WithSpec([delta](RunSpec* spec) {
           LocalSgdSpec* local = spec->mutable_strategy()->mutable_local_sgd();
           local->set_synchronous_steps(local->synchronous_steps() + delta);
         })});
  }
  twins->push_back({"local-sgd", "a drain does not average", ForgettingToDrain()});
  twins->push_back(
      {"diloco", "the outer momentum has the other sign", WithOuterMomentumOfOtherSign()});
  twins->push_back(
      {"diloco", "an outer heavy ball in place of Nesterov's", WithSpec([](RunSpec* s) {
         LocalSgdSpec* local = s->mutable_strategy()->mutable_local_sgd();
         local->set_outer_learning_rate(local->outer_learning_rate() *
                                        (1 + local->outer_momentum()));
         local->set_outer_momentum(0);
       })});
  const StrategyFactory first_keeps_its_own =
      Misreading([](const WorkerLink& link, Floats* weights) {
        const absl::Span<const float> own = link.replica->weights().host();
        if (link.rank == 0) weights->assign(own.begin(), own.end());
      });
  const StrategyFactory stale =
      WithTransport([](const WorkerLink& link) { return std::make_unique<SendsStale>(link); });
  const char* const kNotDoubly = "the matrix is not doubly stochastic: worker/0 takes its own";
  twins->push_back({"gossip", kNotDoubly, first_keeps_its_own});
  twins->push_back({"gossip", "a neighbour's weights are those of the exchange before", stale});
  twins->push_back({"gossip-exponential", kNotDoubly, first_keeps_its_own});
  twins->push_back({"gossip-exponential", "the peer is always the rank before",
                    WithTransport([](const WorkerLink& link) {
                      return std::make_unique<AsksTheRankBefore>(link);
                    })});
  twins->push_back({"easgd", "the center is pulled, and pulls nobody",
                    Misreading([](const WorkerLink& link, Floats* weights) {
                      const absl::Span<const float> own = link.replica->weights().host();
                      weights->assign(own.begin(), own.end());
                    })});
  twins->push_back(
      {"easgd-async", "the worker's alpha is half of the server's", WithSpec([](RunSpec* spec) {
         ElasticSpec* elastic = spec->mutable_strategy()->mutable_elastic();
         elastic->set_alpha(elastic->alpha() / 2);
       })});
  twins->push_back({"easgd", "alpha is N times what it is", WithSpec([](RunSpec* spec) {
                      ElasticSpec* elastic = spec->mutable_strategy()->mutable_elastic();
                      elastic->set_alpha(elastic->alpha() * spec->training().workers());
                    })});
}

}  // namespace

StrategyFactory DoublesAMessage() {
  return ChangingPayloads(
      [](const WorkerLink& link, int64_t ordinal, const Outgoing&, Floats* floats) {
        if (link.rank != link.workers - 1 || ordinal != 3) return;
        for (float& value : *floats) value *= 2;
      });
}

StrategyFactory AppliesAStepTwice() {
  return WithReplica(
      [](const WorkerLink& link) { return std::make_unique<AppliesTimes<2>>(link); });
}

std::vector<SchemeTwin> SchemeTwins() {
  std::vector<SchemeTwin> twins;
  AddServerTwins(&twins);
  AddSumTwins(&twins);
  AddWeightTwins(&twins);
  return twins;
}

}  // namespace ringmaster
