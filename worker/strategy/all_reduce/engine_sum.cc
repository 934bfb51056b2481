#include "worker/strategy/all_reduce/engine_sum.h"

#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/collective/executor.h"
#include "common/engine/engine.h"
#include "common/engine/engines.h"
#include "common/engine/gather_messages.h"
#include "common/transport/wake.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// Tells an engine of the abort of our own transport: a thread that sleeps until that, or until it
// is stopped.
class AbortWatch {
 public:
  AbortWatch(Transport& transport, Engine& engine) : wake_(transport, /*stream=*/1) {
    thread_ = std::thread([this, &transport, &engine] {
      const absl::StatusOr<OpId> stop = wake_.Arm();
      const absl::Status woken =
          stop.ok() ? transport.Wait(*stop, MonotonicTime::InfiniteFuture()) : stop.status();
      if (woken.ok()) return;
      aborted_ = woken;
      engine.Abort(woken);
    });
  }
  // Needs the transport, unless it was called before. Returns the abort's status, or OK where there
  // was none.
  absl::Status Stop() {
    if (thread_.joinable()) {
      wake_.Signal();
      thread_.join();
    }
    return aborted_;
  }
  ~AbortWatch() { Stop().IgnoreError(); }

 private:
  absl::Status aborted_;  // the thread's, then of who joined it
  Wake wake_;
  std::thread thread_;
};

bool TakesFromDevice(const WorkerLink& link) {
  return link.offer.device &&
         EngineGpusOf(link.spec->strategy().all_reduce().collective()) != EngineGpus::kNone;
}

// Where a gradient lies its sum takes its place.
absl::Span<float> SumOf(const BucketGradient& gradient) {
  return gradient.form() == GradientForm::kDevice
             ? absl::MakeSpan(gradient.device(), gradient.sum().size())
             : gradient.host();
}

class EngineSum : public GradientSum {
 public:
  EngineSum(const WorkerLink& link, std::unique_ptr<Engine> engine)
      : link_(link), engine_(std::move(engine)), watch_(*link.transport, *engine_) {}

  GradientRequest Gradients() const override {
    return {TakesFromDevice(link_) ? GradientForm::kDevice : GradientForm::kHost, {}};
  }

  absl::Status Run(const ExchangeTask& task, PhaseTimes& times) override {
    if (task.kind != ExchangeTask::Kind::kBucket) return absl::OkStatus();
    ScopedPhase phase(times, Phase::kExchange, task.bucket);
    const absl::Span<float> sum = SumOf(task.gradient);
    failed_ = engine_->AllReduce(0, sum.data(), sum);
    if (link_.work != nullptr) link_.work->fetch_add(1, std::memory_order_relaxed);
    return Annotate(failed_, absl::StrCat(link_.spec->strategy().all_reduce().collective(),
                                          " step=", task.step, " bucket=", task.bucket));
  }

  // A call returns when its sum is there.
  bool unfinished() const override { return false; }
  absl::Status Advance(PhaseTimes& times) override { return absl::OkStatus(); }
  void Wake() override {}

  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

  absl::Status Finish() override {
    const absl::Status aborted = watch_.Stop();
    RM_RETURN_IF_ERROR(failed_);
    return aborted.ok() ? engine_->Finish() : aborted;
  }

  void Describe(ExchangeReport* report) const override {
    report->engine = absl::StrCat(engine_->library(), " over ", engine_->wire());
    report->engine_settings = engine_->settings();
    report->bucket_collectives.assign(link_.layout->buckets().size(),
                                      absl::StrCat(link_.spec->strategy().all_reduce().collective(),
                                                   " ", engine_->algorithms()[0]));
  }

 private:
  const WorkerLink link_;
  const std::unique_ptr<Engine> engine_;
  absl::Status failed_;
  AbortWatch watch_;  // last: its thread uses the engine
};

}  // namespace

absl::StatusOr<std::unique_ptr<GradientSum>> CreateEngineSum(const WorkerLink& link) {
  const std::string& name = link.spec->strategy().all_reduce().collective();
  EngineSeat seat;
  seat.rank = link.rank;
  seat.ranks = link.workers;
  seat.device = link.device;
  seat.listen_address = WithoutBrackets(link.spec->transport().listen_address());
  seat.wait_limit = absl::Seconds(link.spec->limits().wait_seconds());
  CollectiveExecutor executor(*link.transport, AllWorkers(link.workers), seat.wait_limit);
  int64_t step = 0;
  seat.all_gather = [&](absl::string_view own) { return GatherMessages(executor, step++, own); };
  RM_ASSIGN_OR_RETURN(auto engine, CreateEngine(name, seat));
  return std::make_unique<EngineSum>(link, std::move(engine));
}

}  // namespace ringmaster
