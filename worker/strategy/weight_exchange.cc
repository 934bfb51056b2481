#include "worker/strategy/weight_exchange.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/collective/choice.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/run_group.h"

namespace ringmaster {
namespace {

absl::Span<std::byte> BytesOf(absl::Span<float> values) {
  return absl::MakeSpan(reinterpret_cast<std::byte*>(values.data()), values.size() * sizeof(float));
}

absl::Span<float> Slice(const Bucket& bucket, absl::Span<float> arena) {
  return arena.subspan(bucket.begin, bucket.count);
}

ExecutorOptions OptionsOf(const RunSpec& spec) {
  ExecutorOptions options;
  options.wait_limit = WaitLimit(spec);
  options.outlives_ranks = GoesOn(spec);
  return options;
}

}  // namespace

absl::StatusOr<std::vector<std::unique_ptr<Schedule>>> BucketSchedules(absl::string_view collective,
                                                                       const WorkerLink& link,
                                                                       int32_t workers) {
  std::vector<std::unique_ptr<Schedule>> schedules;
  // Groups of hosts are those of all workers together.
  const int32_t group_size = workers == link.workers ? TraitsOf(*link.spec).group_size : 0;
  for (const Bucket& bucket : link.layout->buckets()) {
    const int64_t bytes = bucket.count * static_cast<int64_t>(sizeof(float));
    RM_ASSIGN_OR_RETURN(auto schedule, CreateSchedule(collective, {link.spec->transport().name(),
                                                                   workers, bytes, group_size}));
    schedules.push_back(std::move(schedule));
  }
  return schedules;
}

WeightExchange::Sums::Sums(const WorkerLink& link, ScheduleOf schedule_of)
    : schedule_of_(std::move(schedule_of)),
      executor_(*link.transport, RunGroup(*link.spec, link.workers), OptionsOf(*link.spec)),
      wake_(*link.transport, 0) {}

absl::Status WeightExchange::Sums::Run(const ExchangeTask& task, PhaseTimes& times) {
  ScopedPhase phase(times, Phase::kExchange, task.bucket);
  if (task.kind == ExchangeTask::Kind::kBucket) {
    return executor_
        .Start(schedule_of_(task.step, task.bucket), task.step, task.bucket, ElementType::kFloat32,
               BytesOf(task.gradient.host()))
        .status();
  }
  while (unfinished()) RM_RETURN_IF_ERROR(executor_.Advance(0).status());
  return absl::OkStatus();
}

absl::Status WeightExchange::Sums::Advance(PhaseTimes& times) {
  ScopedPhase phase(times, Phase::kExchange);
  RM_ASSIGN_OR_RETURN(const OpId wake, wake_.Arm());
  RM_ASSIGN_OR_RETURN(const bool woken, executor_.Advance(wake));
  if (woken) wake_.Consumed();
  return absl::OkStatus();
}

WeightExchange::WeightExchange(const WorkerLink& link, ScheduleOf schedule_of)
    : link_(link),
      schedule_of_(schedule_of),
      arena_(link.layout->count()),
      sums_(link, std::move(schedule_of)),
      thread_(2 * (link.layout->buckets().size() + 1), link.spec->training().warmup_steps(), sums_,
              link.exchange_recorder) {
  thread_.TimeFrom(link.timed_from);
}

void WeightExchange::CopyWeights() {
  const absl::Span<const float> weights = link_.replica->OnHost();
  RM_CHECK(weights.size() == arena_.size());
  std::copy(weights.begin(), weights.end(), arena_.begin());
}

void WeightExchange::Start(int64_t step, const Bucket& bucket, absl::Span<float> values) {
  thread_.Post({ExchangeTask::Kind::kBucket, step, bucket.id, BucketGradient::OnHost(values),
                link_.lot(step)});
}

void WeightExchange::StartArena(int64_t step) {
  for (const Bucket& bucket : link_.layout->buckets())
    Start(step, bucket, Slice(bucket, absl::MakeSpan(arena_)));
}

absl::Status WeightExchange::Wait(int64_t step) {
  ScopedPhase phase(*link_.step_times, Phase::kExposed);
  return thread_.WaitFor(thread_.Post({ExchangeTask::Kind::kEndStep, step}));
}

ExchangeReport WeightExchange::Finish() {
  thread_.Stop();
  return Report();
}

ExchangeReport WeightExchange::Report() {
  ExchangeReport report;
  report.status = thread_.WaitForAll();
  report.AddTimes(thread_.times());
  for (const Bucket& bucket : link_.layout->buckets())
    report.bucket_collectives.emplace_back(schedule_of_(0, bucket.id).name());
  return report;
}

absl::StatusOr<std::unique_ptr<ReplicaAverage>> ReplicaAverage::Create(absl::string_view collective,
                                                                       const WorkerLink& link) {
  std::unique_ptr<ReplicaAverage> average(new ReplicaAverage(collective, link));
  RM_RETURN_IF_ERROR(average->Prepare(RunGroup(*link.spec, link.workers)));
  return average;
}

ReplicaAverage::ReplicaAverage(absl::string_view collective, const WorkerLink& link)
    : collective_(collective), link_(link) {}

absl::Status ReplicaAverage::Prepare(Group group) {
  group.kind = MessageKind::kDrain;
  RM_ASSIGN_OR_RETURN(schedules_, BucketSchedules(collective_, link_, group.ranks()));
  executor_ = std::make_unique<CollectiveExecutor>(*link_.transport, std::move(group),
                                                   WaitLimit(*link_.spec));
  return absl::OkStatus();
}

absl::Status ReplicaAverage::LeaveOut(absl::Span<const int32_t> lost) {
  if (lost.empty()) return absl::OkStatus();
  Group left;
  for (const NodeId& worker : RunGroup(*link_.spec, link_.workers).nodes) {
    if (!std::binary_search(lost.begin(), lost.end(), worker.index)) left.nodes.push_back(worker);
  }
  return Prepare(std::move(left));
}

absl::Status ReplicaAverage::Average(int64_t number, absl::Span<float> values) {
  RM_CHECK(static_cast<int64_t>(values.size()) == link_.layout->count());
  for (const Bucket& bucket : link_.layout->buckets()) {
    RM_RETURN_IF_ERROR(executor_
                           ->Start(*schedules_[bucket.id], number, bucket.id, ElementType::kFloat32,
                                   BytesOf(Slice(bucket, values)))
                           .status());
  }
  while (executor_->in_flight() > 0) RM_RETURN_IF_ERROR(executor_->Advance(0).status());
  Divide(static_cast<float>(executor_->ranks()), values);
  return absl::OkStatus();
}

}  // namespace ringmaster
