#include "worker/strategy/all_reduce/executor_sum.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/element_type.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/memory.h"
#include "common/codec/small_tensors.h"
#include "common/collective/choice.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/scheme/registry.h"
#include "common/transport/wake.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/run_group.h"

namespace ringmaster {
namespace {

// Several buckets at once.
class ExecutorSum : public GradientSum {
 public:
  ExecutorSum(const WorkerLink& link, std::vector<std::unique_ptr<Schedule>> schedules,
              std::unique_ptr<Codec> codec)
      : link_(link),
        takes_encoded_(link.offer.encoded && link.workers > 1),
        schedules_(std::move(schedules)),
        codec_(std::move(codec)),
        memory_(takes_encoded_ ? CreateCodecMemory(*codec_, 0, false)
                               : CreateCodecMemory(*codec_, {link.layout->count(), link.workers},
                                                   link.spec->codec())),
        executor_(*link.transport, RunGroup(*link.spec, link.workers),
                  absl::Seconds(link.spec->limits().wait_seconds())),
        wake_(*link.transport, 0) {
    // What is gathered is added by rank, whatever the order.
    const Group group = RunGroup(*link.spec, link.workers);
    for (int32_t rank = 0; rank < link.workers; ++rank)
      places_.push_back(group.RankOf({Role::kWorker, rank}));
    if (codec_->traits().exact) return;
    int64_t capacity = 0;
    for (const Bucket& bucket : link.layout->buckets()) {
      capacity = std::max(capacity, codec_->MaxEncodedBytes(bucket.count));
    }
    encoded_.resize(std::min<int64_t>(kEncodedInFlightMax, link.layout->buckets().size()));
    for (Encoded& encoded : encoded_) {
      // What is summed needs only its own buffer; what is gathered one for every rank's message.
      encoded.buffers.resize(is_summed() ? 1 : link.workers);  // by place
      for (std::vector<std::byte>& buffer : encoded.buffers) buffer.resize(capacity);
      encoded.received.resize(link.workers);
    }
  }

  GradientRequest Gradients() const override {
    GradientRequest request;
    if (!takes_encoded_) return request;
    request.form = GradientForm::kEncoded;
    for (const Bucket& bucket : link_.layout->buckets())
      request.slices.push_back({{bucket.begin, bucket.count}});
    return request;
  }

  absl::Status Run(const ExchangeTask& task, PhaseTimes& times) override {
    if (task.kind == ExchangeTask::Kind::kEndStep) {
      while (unfinished()) RM_RETURN_IF_ERROR(AdvanceUntil(0, times));
      return absl::OkStatus();
    }
    if (codec_->traits().exact) {
      ScopedPhase phase(times, Phase::kExchange, task.bucket);
      const absl::Span<float> gradient = task.gradient.host();
      auto* bytes = reinterpret_cast<std::byte*>(gradient.data());
      return executor_
          .Start(*schedules_[task.bucket], task.step, task.bucket, *codec_->traits().summable_as,
                 absl::MakeSpan(bytes, gradient.size() * sizeof(float)))
          .status();
    }
    return link_.workers == 1 ? absl::OkStatus() : StartEncoded(task, times);
  }

  bool unfinished() const override {
    return executor_.in_flight() > 0 ||
           std::any_of(encoded_.begin(), encoded_.end(),
                       [](const Encoded& encoded) { return encoded.busy; });
  }

  absl::Status Advance(PhaseTimes& times) override {
    RM_ASSIGN_OR_RETURN(const OpId wake, wake_.Arm());
    return AdvanceUntil(wake, times);
  }

  void Wake() override { wake_.Signal(); }

  // The memory's.
  State Give() const override { return memory_->Give(); }
  int64_t state_bytes() const override { return memory_->state_bytes(); }
  absl::Status Take(const State& state) override { return memory_->Take(state); }

  absl::Status Finish() override { return absl::OkStatus(); }

  void Describe(ExchangeReport* report) const override {
    report->encoded_bytes = encoded_bytes_;
    report->index_bytes = index_bytes_;
    report->bucket_collectives = CollectiveNames();
    report->halves = halves_;
  }

 private:
  bool is_summed() const { return codec_->traits().summable_as.has_value(); }

  // What ran, by bucket.
  std::vector<std::string> CollectiveNames() const {
    if (!is_summed()) return std::vector<std::string>(link_.layout->buckets().size(), "all_gather");
    std::vector<std::string> names;
    for (const auto& schedule : schedules_) names.emplace_back(schedule->name());
    return names;
  }

  // A bucket on its way in encoded form, or a free place for one.
  struct Encoded {
    bool busy = false;
    CollectiveExecutor::Ticket ticket = 0;
    SharedStream stream;
    absl::Span<float> sum;
    absl::Span<std::byte> own;
    std::vector<std::vector<std::byte>> buffers;
    std::vector<absl::Span<std::byte>> received;  // [ranks], by place, of a gather
  };

  absl::Status AdvanceUntil(OpId wake, PhaseTimes& times) {
    if (executor_.in_flight() > 0) {
      ScopedPhase phase(times, Phase::kExchange);
      RM_ASSIGN_OR_RETURN(const bool woken, executor_.Advance(wake));
      if (woken) wake_.Consumed();
    }
    return DecodeFinished(times);
  }

  absl::Span<std::byte> Encode(const ExchangeTask& task, std::vector<std::byte>* out) {
    const CodecStream stream =
        BucketStream(link_.spec->training().seed(), {task.step, task.lot}, task.bucket);
    const Bucket& bucket = link_.layout->buckets()[task.bucket];
    const absl::Span<std::byte> encoding = absl::MakeSpan(*out).first(
        memory_->Encode(stream, bucket.begin, task.gradient.host(), absl::MakeSpan(*out)));
    if (AreHalves(*codec_) && task.step % kStepsForEachHalfCount == 0)
      halves_.Add(CountHalves(task.gradient.host(), encoding));
    return encoding;
  }

  absl::Status StartEncoded(const ExchangeTask& task, PhaseTimes& times) {
    const auto is_free = [](const Encoded& encoded) { return !encoded.busy; };
    auto place = std::find_if(encoded_.begin(), encoded_.end(), is_free);
    for (; place == encoded_.end();
         place = std::find_if(encoded_.begin(), encoded_.end(), is_free)) {
      RM_RETURN_IF_ERROR(AdvanceUntil(0, times));
    }
    Encoded& encoded = *place;
    {
      ScopedPhase phase(times, Phase::kEncode, task.bucket);
      encoded.own = takes_encoded_
                        ? task.gradient.encoded(0)
                        : Encode(task, &encoded.buffers[is_summed() ? 0 : executor_.rank()]);
    }
    encoded.stream = SharedBucketStream(link_.spec->training().seed(), task.step, task.bucket);
    encoded.sum = task.gradient.sum();
    encoded.busy = true;
    ScopedPhase phase(times, Phase::kExchange, task.bucket);
    if (is_summed()) {
      RM_ASSIGN_OR_RETURN(encoded.ticket,
                          executor_.Start(*schedules_[task.bucket], task.step, task.bucket,
                                          *codec_->traits().summable_as, encoded.own));
      return absl::OkStatus();
    }
    const EncodedLength length{static_cast<int64_t>(encoded.sum.size()),
                               static_cast<int64_t>(encoded.own.size())};
    encoded_bytes_ += length.bytes * (link_.workers - 1);
    index_bytes_ += codec_->IndexBytes(encoded.stream, length) * (link_.workers - 1);
    for (int32_t place = 0; place < link_.workers; ++place)
      encoded.received[place] = absl::MakeSpan(encoded.buffers[place]);
    RM_ASSIGN_OR_RETURN(encoded.ticket, executor_.StartGather(task.step, task.bucket, encoded.own,
                                                              absl::MakeSpan(encoded.received)));
    return absl::OkStatus();
  }

  absl::Status DecodeFinished(PhaseTimes& times) {
    for (Encoded& encoded : encoded_) {
      if (!encoded.busy || executor_.InFlight(encoded.ticket)) continue;
      encoded.busy = false;
      ScopedPhase phase(times, Phase::kReduce);
      if (is_summed()) {
        RM_RETURN_IF_ERROR(codec_->Decode(encoded.stream, encoded.own, encoded.sum));
        continue;
      }
      encoded.received[executor_.rank()] = encoded.own;
      const auto from = [&](int32_t rank) { return encoded.received[places_[rank]]; };
      RM_RETURN_IF_ERROR(codec_->Decode(encoded.stream, from(0), encoded.sum));
      for (int32_t rank = 1; rank < link_.workers; ++rank)
        RM_RETURN_IF_ERROR(codec_->DecodeAdd(encoded.stream, from(rank), encoded.sum));
      // Every rank counts the same votes.
      if (codec_->traits().majority_vote) ReplaceBySigns(encoded.sum);
    }
    return absl::OkStatus();
  }

  const WorkerLink link_;
  // a worker that is alone sends nothing, and its gradient is applied as it is
  const bool takes_encoded_;
  const std::vector<std::unique_ptr<Schedule>> schedules_;  // by bucket; none where it is gathered
  const std::unique_ptr<Codec> codec_;
  const std::unique_ptr<CodecMemory> memory_;
  CollectiveExecutor executor_;
  ringmaster::Wake wake_;
  std::vector<int32_t> places_;  // by rank
  std::vector<Encoded> encoded_;
  int64_t encoded_bytes_ = 0;
  int64_t index_bytes_ = 0;
  HalfTally halves_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GradientSum>> CreateExecutorSum(const WorkerLink& link) {
  RM_ASSIGN_OR_RETURN(auto codec, CreateCodecOf(link.spec->codec(), *link.layout, 1));
  const SchemeTraits traits = TraitsOf(*link.spec);
  const std::optional<ElementType> summed_as = codec->traits().summable_as;
  std::vector<std::unique_ptr<Schedule>> schedules;
  for (const Bucket& bucket : link.layout->buckets()) {
    if (!summed_as.has_value()) break;  // what is gathered runs no schedule
    RM_ASSIGN_OR_RETURN(auto schedule,
                        CreateSchedule(traits.collective,
                                       {link.spec->transport().name(), link.workers,
                                        codec->MaxEncodedBytes(bucket.count), traits.group_size}));
    schedules.push_back(std::move(schedule));
  }
  return std::make_unique<ExecutorSum>(link, std::move(schedules), std::move(codec));
}

}  // namespace ringmaster
