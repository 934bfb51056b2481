#include "worker/strategy/all_reduce/reducer_sum.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/element_type.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/collective/choice.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/scheme/registry.h"
#include "common/transport/wake.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/run_group.h"

namespace ringmaster {
namespace {

// Channel 1 is that of marks (worker/strategy/replica_marks.h).
uint16_t ChannelOf(uint16_t round) { return round == 0 ? 0 : static_cast<uint16_t>(round + 1); }

class ReducerSum : public GradientSum {
 public:
  ReducerSum(const WorkerLink& link, std::unique_ptr<Reducer> reducer)
      : link_(link),
        reducer_(std::move(reducer)),
        executor_(*link.transport, RunGroup(*link.spec, link.workers),
                  absl::Seconds(link.spec->limits().wait_seconds())),
        wake_(*link.transport, 0),
        sums_(link.layout->buckets().size()),
        collectives_(sums_.size()) {}

  GradientRequest Gradients() const override { return {}; }

  absl::Status Run(const ExchangeTask& task, PhaseTimes& times) override {
    if (link_.workers == 1) return absl::OkStatus();
    if (task.kind == ExchangeTask::Kind::kBucket) return StartBucket(task, times);
    while (later_ < begun_ || unfinished()) RM_RETURN_IF_ERROR(AdvanceUntil(0, times));
    return absl::OkStatus();
  }

  // A round that waits for its turn is no work: the next bucket's task starts it.
  bool unfinished() const override {
    return std::any_of(sums_.begin(), sums_.end(),
                       [](const Sum& sum) { return sum.stage == Stage::kInRing; });
  }

  absl::Status Advance(PhaseTimes& times) override {
    RM_ASSIGN_OR_RETURN(const OpId wake, wake_.Arm());
    return AdvanceUntil(wake, times);
  }

  void Wake() override { wake_.Signal(); }

  // The reducer's.
  State Give() const override { return reducer_->Give(); }
  int64_t state_bytes() const override { return reducer_->state_bytes(); }
  absl::Status Take(const State& state) override { return reducer_->Take(state); }

  absl::Status Finish() override { return absl::OkStatus(); }

  void Describe(ExchangeReport* report) const override {
    for (const std::vector<std::string>& of_rounds : collectives_)
      report->bucket_collectives.push_back(absl::StrJoin(of_rounds, "+"));
  }

 private:
  enum class Stage {
    kDone,    // nothing is under way
    kInRing,  // its round is being summed, or is and nobody has looked
    kReady,   // its round waits for its turn
  };
  // A bucket's sum.
  struct Sum {
    Stage stage = Stage::kDone;
    int64_t step = 0;
    uint16_t number = 0;  // of its round
    ReducerRound round;
    CollectiveExecutor::Ticket ticket = 0;
  };

  int32_t bucket_count() const { return static_cast<int32_t>(sums_.size()); }

  absl::Status StartBucket(const ExchangeTask& task, PhaseTimes& times) {
    const int32_t bucket = task.bucket;
    if (bucket == 0) later_ = 0;
    // Those whose turn it is before this one's.
    while (later_ <= bucket - kReducedInFlightMax) RM_RETURN_IF_ERROR(AdvanceUntil(0, times));
    Sum& sum = sums_[bucket];
    RM_CHECK(sum.stage == Stage::kDone);
    {
      ScopedPhase phase(times, Phase::kEncode, bucket);
      sum.round = reducer_->Begin(task.step, bucket, task.gradient.host());
    }
    sum.step = task.step;
    sum.number = 0;
    begun_ = bucket + 1;
    RM_RETURN_IF_ERROR(StartRound(bucket, times));
    return StartLater(times);
  }

  absl::Status StartRound(int32_t bucket, PhaseTimes& times) {
    Sum& sum = sums_[bucket];
    ScopedPhase phase(times, Phase::kExchange, bucket);
    auto* const bytes = reinterpret_cast<std::byte*>(sum.round.floats.data());
    const auto size = static_cast<int64_t>(sum.round.floats.size() * sizeof(float));
    RM_ASSIGN_OR_RETURN(const Schedule* const schedule, ScheduleOf(size));
    Note(bucket, sum.number, *schedule);
    RM_ASSIGN_OR_RETURN(sum.ticket,
                        executor_.Start(*schedule, {sum.step, bucket, ChannelOf(sum.number)},
                                        ElementType::kFloat32, absl::MakeSpan(bytes, size)));
    sum.stage = Stage::kInRing;
    return absl::OkStatus();
  }

  // Starts the later rounds whose turn it is.
  absl::Status StartLater(PhaseTimes& times) {
    while (later_ < begun_) {
      const bool is_due = begun_ == bucket_count() || later_ + kReducedInFlightMax <= begun_;
      const Sum& sum = sums_[later_];
      if (sum.stage == Stage::kReady && is_due) RM_RETURN_IF_ERROR(StartRound(later_, times));
      // Its last round is on its way, or through.
      if (sum.stage == Stage::kReady || !sum.round.is_last) break;
      ++later_;
    }
    return absl::OkStatus();
  }

  absl::Status AdvanceUntil(OpId wake, PhaseTimes& times) {
    if (executor_.in_flight() > 0) {
      ScopedPhase phase(times, Phase::kExchange);
      RM_ASSIGN_OR_RETURN(const bool woken, executor_.Advance(wake));
      if (woken) wake_.Consumed();
    }
    RM_RETURN_IF_ERROR(TakeSums(times));
    return StartLater(times);
  }

  // Goes on with the buckets whose round is summed.
  absl::Status TakeSums(PhaseTimes& times) {
    for (int32_t bucket = 0; bucket < bucket_count(); ++bucket) {
      Sum& sum = sums_[bucket];
      if (sum.stage != Stage::kInRing || executor_.InFlight(sum.ticket)) continue;
      ScopedPhase phase(times, sum.round.is_last ? Phase::kReduce : Phase::kEncode, bucket);
      const bool was_last = sum.round.is_last;
      RM_ASSIGN_OR_RETURN(const ReducerRound next, reducer_->Summed(bucket));
      RM_CHECK(was_last == next.floats.empty());
      sum.stage = was_last ? Stage::kDone : Stage::kReady;
      if (was_last) continue;
      sum.round = next;
      ++sum.number;
    }
    return absl::OkStatus();
  }

  // What sums that many bytes; made when the size is first seen.
  absl::StatusOr<const Schedule*> ScheduleOf(int64_t bytes) {
    std::unique_ptr<Schedule>& known = schedules_[bytes];
    if (known == nullptr) {
      const SchemeTraits traits = TraitsOf(*link_.spec);
      RM_ASSIGN_OR_RETURN(
          known, CreateSchedule(traits.collective, {link_.spec->transport().name(), link_.workers,
                                                    bytes, traits.group_size}));
    }
    return known.get();
  }

  // What ran, of the longest way that the bucket has taken so far.
  void Note(int32_t bucket, uint16_t round, const Schedule& schedule) {
    std::vector<std::string>& names = collectives_[bucket];
    if (names.size() <= round) names.resize(round + 1);
    if (names[round] != schedule.name()) names[round] = std::string(schedule.name());
  }

  const WorkerLink link_;
  const std::unique_ptr<Reducer> reducer_;
  CollectiveExecutor executor_;
  ringmaster::Wake wake_;
  std::vector<Sum> sums_;  // by bucket
  int32_t begun_ = 0;      // buckets of the step whose first round has been started
  int32_t later_ = 0;      // the first bucket whose last round has not
  std::map<int64_t, std::unique_ptr<Schedule>> schedules_;  // by bytes
  std::vector<std::vector<std::string>> collectives_;       // by bucket and round
};

}  // namespace

absl::StatusOr<std::unique_ptr<GradientSum>> CreateReducerSum(const WorkerLink& link) {
  const CodecSpec& codec = link.spec->codec();
  const ReducerDefinition* const definition = FindReducer(codec.name());
  RM_CHECK(definition != nullptr);
  RM_RETURN_IF_ERROR(definition->check(codec, *link.layout));
  RM_ASSIGN_OR_RETURN(auto reducer,
                      definition->create(codec, *link.layout, link.spec->training().seed()));
  return std::make_unique<ReducerSum>(link, std::move(reducer));
}

}  // namespace ringmaster
