#include "tests/contract/schemes/shard_judges.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/update/delay_compensation.h"
#include "common/update/update_rule.h"
#include "proto/run_spec.pb.h"
#include "tests/contract/consistency/forwarding_shard.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

constexpr uint64_t kCases = 40;
constexpr int64_t kSteps = 12;
constexpr int64_t kPart = 5;  // elements of each part
constexpr float kRate = 0.1f;
// Some hundred float operations on weights of about 1.
constexpr double kBound = 3e-5;

std::unique_ptr<UpdateRule> SgdOf(int64_t count) {
  OptimizerSpec spec;
  spec.set_name("sgd");
  spec.set_learning_rate(kRate);
  return *CreateUpdateRule(spec, {count});
}

Floats Draw(int64_t count, float scale, Random* random) {
  Floats values(count);
  for (float& value : values) value = scale * random->Normal();
  return values;
}

absl::Status Compare(const ShardUnderCheck& shard, const Doubles& weights,
                     const std::vector<int64_t>& versions) {
  for (size_t i = 0; i < weights.size(); ++i) {
    if (std::fabs(shard.weights()[i] - weights[i]) <= kBound) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("weight ", i, " is ", shard.weights()[i], ", by the definition ", weights[i]));
  }
  if (shard.versions() == absl::MakeConstSpan(versions)) return absl::OkStatus();
  return absl::FailedPreconditionError("a part has had more updates than steps, or fewer");
}

// Each part of a step on its own way: all workers push it in an order of their own.
class BackupCase {
 public:
  BackupCase(uint64_t seed, const ShardFactory& factory)
      : random_(seed),
        workers_(2 + static_cast<int32_t>(random_.Below(4))),
        backups_(1 + static_cast<int32_t>(random_.Below(workers_ - 1))),
        parts_(1 + static_cast<int32_t>(random_.Below(2))),
        versions_(parts_),
        owed_(parts_) {
    ShardPlan plan{workers_, workers_ - backups_, 0, workers_, std::vector<int64_t>(parts_, kPart)};
    plan.drops_late = true;
    const Floats initial = Draw(parts_ * kPart, 1, &random_);
    weights_.assign(initial.begin(), initial.end());
    shard_ = factory(plan, SgdOf(parts_ * kPart), initial);
  }

  absl::Status Run() {
    for (int64_t step = 0; step < kSteps; ++step) {
      for (int32_t part = 0; part < parts_; ++part) RM_RETURN_IF_ERROR(Step(step, part));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Step(int64_t step, int32_t part) {
    // Who came too late in the last step has still to come, and may do so first.
    for (const int32_t worker : std::exchange(owed_[part], {}))
      RM_RETURN_IF_ERROR(Deliver(worker, part, step - 1, /*counts=*/false));
    std::vector<int32_t> order(workers_);
    std::iota(order.begin(), order.end(), 0);
    for (int32_t i = workers_ - 1; i > 0; --i)
      std::swap(order[i], order[random_.Below(static_cast<uint64_t>(i) + 1)]);
    for (int32_t i = 0; i < workers_; ++i) {
      const bool counts = i < workers_ - backups_;
      if (!counts && random_.Below(2) == 0) {
        owed_[part].push_back(order[i]);
      } else {
        RM_RETURN_IF_ERROR(Deliver(order[i], part, step, counts));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Deliver(int32_t worker, int32_t part, int64_t step, bool counts) {
    pushed_.push_back(Draw(kPart, 1.0f / static_cast<float>(workers_), &random_));
    const Floats& gradient = pushed_.back();
    std::vector<Reply> ready;
    RM_RETURN_IF_ERROR(shard_->OnPush({worker, part, step, step, gradient}, &ready));
    if (counts) {
      counted_.push_back(&gradient);
      if (static_cast<int32_t>(counted_.size()) == workers_ - backups_) Update(part);
    }
    return Compare(*shard_, weights_, versions_);
  }

  // One worker's mean gradient is N times what it pushes.
  void Update(int32_t part) {
    for (int64_t i = 0; i < kPart; ++i) {
      double sum = 0;
      for (const Floats* gradient : counted_) sum += workers_ * double{(*gradient)[i]};
      weights_[part * kPart + i] -= kRate * sum / static_cast<double>(counted_.size());
    }
    counted_.clear();
    ++versions_[part];
  }

  Random random_;
  const int32_t workers_, backups_, parts_;
  std::unique_ptr<ShardUnderCheck> shard_;
  Doubles weights_;
  std::vector<int64_t> versions_;
  std::vector<std::vector<int32_t>> owed_;  // by part: workers whose gradient is on its way
  std::deque<Floats> pushed_;               // borrowed by the shard
  std::vector<const Floats*> counted_;      // of the update under way
};

// Workers that push in random turns, by the weights that they were last sent or by those before.
class CompensationCase {
 public:
  CompensationCase(uint64_t seed, const ShardFactory& factory)
      : random_(seed),
        workers_(1 + static_cast<int32_t>(random_.Below(4))),
        compensation_{/*lambda=*/0.5, random_.Below(2) == 1, 0, workers_},
        steps_(workers_),
        versions_(kParts),
        mean_square_(kParts * kPart) {
    if (compensation_.adaptive) compensation_.decay = 0.9;
    ShardPlan plan{workers_, 1, std::nullopt, workers_, std::vector<int64_t>(kParts, kPart)};
    plan.sent_kept = 2;
    const Floats initial = Draw(kParts * kPart, 1, &random_);
    weights_.assign(initial.begin(), initial.end());
    sent_.assign(workers_, std::vector<Sent>(2, {weights_, versions_}));
    shard_ = factory(plan, Compensate(SgdOf(kParts * kPart), compensation_, kParts * kPart, {}),
                     initial);
  }

  absl::Status Run() {
    for (int64_t turn = 0; turn < kSteps * workers_; ++turn) {
      const auto worker = static_cast<int32_t>(random_.Below(workers_));
      const Sent read = sent_[worker][random_.Below(3) == 0 ? 1 : 0];
      for (int32_t part = 0; part < kParts; ++part) RM_RETURN_IF_ERROR(Push(worker, part, read));
      ++steps_[worker];
      if (random_.Below(4) == 0) continue;
      shard_->OnSent(worker);
      sent_[worker] = {{weights_, versions_}, sent_[worker][0]};
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int32_t kParts = 2;
  struct Sent {
    Doubles weights;
    std::vector<int64_t> versions;
  };

  absl::Status Push(int32_t worker, int32_t part, const Sent& read) {
    const Floats pushed = Draw(kPart, 1.0f / static_cast<float>(workers_), &random_);
    std::vector<Reply> ready;
    RM_RETURN_IF_ERROR(
        shard_->OnPush({worker, part, steps_[worker], read.versions[part], pushed}, &ready));
    for (int64_t i = 0; i < kPart; ++i) {
      const int64_t element = part * kPart + i;
      const double gradient = workers_ * double{pushed[i]};
      double& mean = mean_square_[element];
      mean = compensation_.decay * mean + (1 - compensation_.decay) * gradient * gradient;
      const double lambda =
          compensation_.lambda / (compensation_.adaptive ? std::sqrt(mean + 1e-7) : 1);
      const double away = weights_[element] - read.weights[element];
      weights_[element] -= kRate * (gradient + lambda * gradient * gradient * away) / workers_;
    }
    ++versions_[part];
    return Compare(*shard_, weights_, versions_);
  }

  Random random_;
  const int32_t workers_;
  DelayCompensation compensation_;
  std::unique_ptr<ShardUnderCheck> shard_;
  Doubles weights_;
  std::vector<int64_t> steps_;     // by worker
  std::vector<int64_t> versions_;  // by part
  Doubles mean_square_;
  std::vector<std::vector<Sent>> sent_;  // by worker, the last first
};

template <typename Case>
absl::Status JudgeCases(const ShardFactory& factory) {
  for (uint64_t seed = 0; seed < kCases; ++seed)
    RM_RETURN_IF_ERROR(Annotate(Case(seed, factory).Run(), absl::StrCat("seed ", seed)));
  return absl::OkStatus();
}

// Takes a gradient of an earlier step for one of the step under way.
class CountsLate : public ForwardingShard {
 public:
  using ForwardingShard::ForwardingShard;
  absl::Status OnPush(const Push& push, std::vector<Reply>* ready) override {
    Push fresh = push;
    fresh.step = fresh.read_version = versions()[push.part];
    return real_->OnPush(fresh, ready);
  }
};

// A rule that is told other weights than those that a gradient was computed from.
class MisreadRule : public UpdateRule {
 public:
  enum class Read { kOwn, kMirrored };
  MisreadRule(std::unique_ptr<UpdateRule> real, Read read) : real_(std::move(real)), read_(read) {}
  void Apply(const UpdateStep& step, absl::Span<const float> gradient,
             absl::Span<float> weights) override {
    Floats told(weights.begin(), weights.end());
    if (read_ == Read::kMirrored) {
      for (size_t i = 0; i < told.size(); ++i) told[i] = 2 * weights[i] - step.read[i];
    }
    UpdateStep misread = step;
    misread.read = told;
    real_->Apply(misread, gradient, weights);
  }
  bool clips() const override { return real_->clips(); }
  double SumOfSquares(int64_t begin, absl::Span<const float> gradient) const override {
    return real_->SumOfSquares(begin, gradient);
  }
  float ClipFactor(double sum_of_squares) const override {
    return real_->ClipFactor(sum_of_squares);
  }
  State Give() const override { return real_->Give(); }
  absl::Status Take(const State& state) override { return real_->Take(state); }

 private:
  const std::unique_ptr<UpdateRule> real_;
  const Read read_;
};

ShardFactory Misreading(MisreadRule::Read read) {
  return [read](const ShardPlan& plan, std::unique_ptr<UpdateRule> rule, Floats weights) {
    return MakeShardCore(plan, std::make_unique<MisreadRule>(std::move(rule), read),
                         std::move(weights));
  };
}

ShardFactory Waiting(int32_t more) {
  return [more](ShardPlan plan, std::unique_ptr<UpdateRule> rule, Floats weights) {
    plan.contributions_per_update =
        std::max(1, std::min(plan.workers, plan.contributions_per_update + more));
    return MakeShardCore(plan, std::move(rule), std::move(weights));
  };
}

}  // namespace

absl::Status JudgeBackup(const ShardFactory& factory) { return JudgeCases<BackupCase>(factory); }

absl::Status JudgeCompensation(const ShardFactory& factory) {
  return JudgeCases<CompensationCase>(factory);
}

std::vector<ShardTwin> ShardTwins() {
  return {
      {"backup", "an update of one worker fewer than N - b", JudgeBackup, Waiting(-1)},
      {"backup", "an update of one worker more", JudgeBackup, Waiting(1)},
      {"backup", "a late gradient counts in the next step", JudgeBackup,
       [](const ShardPlan& plan, std::unique_ptr<UpdateRule> rule, Floats weights) {
         return std::unique_ptr<ShardUnderCheck>(
             new CountsLate(MakeShardCore(plan, std::move(rule), std::move(weights))));
       }},
      {"dc-async", "lambda has the other sign", JudgeCompensation,
       Misreading(MisreadRule::Read::kMirrored)},
      {"dc-async", "the server's own weights in place of those read", JudgeCompensation,
       Misreading(MisreadRule::Read::kOwn)},
  };
}

}  // namespace ringmaster
