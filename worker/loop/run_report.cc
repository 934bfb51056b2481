#include "worker/loop/run_report.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "common/base/fingerprint.h"
#include "common/config/describe.h"
#include "common/machine/process_costs.h"
#include "common/trace/training_clock.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// Steps for whose figures memory is there from the beginning: 24 MiB a worker, and 8 for the lots
// that it claims.
constexpr int64_t kReportedStepsReserved = 1 << 20;

// Who asks and may go on takes some microseconds.
constexpr Clock::duration kPauseMin = std::chrono::microseconds(100);

}  // namespace

RunReport::RunReport(const WorkerSetup& setup, WorkerReport* report)
    : setup_(setup),
      training_(setup.spec->training()),
      report_(*report),
      global_batch_(GlobalBatch(*setup.spec)) {
  report_.set_rank(setup_.rank);
  report_.set_kernel_target(setup_.kernels->target());
  // No timed step allocates; of very long runs some steps do.
  const auto reported_steps =
      static_cast<int>(std::min(WorkerStepsMax(*setup.spec), kReportedStepsReserved));
  report_.mutable_step_ms()->Reserve(reported_steps);
  report_.mutable_step_loss()->Reserve(reported_steps);
  report_.mutable_computed_ns()->Reserve(reported_steps);
  report_.mutable_wait_begin_ms()->Reserve(reported_steps);
  report_.mutable_wait_ms()->Reserve(reported_steps);
  if (ClaimedLots(*setup.spec) > 0) report_.mutable_lots()->Reserve(reported_steps);
}

void RunReport::AddLot(int64_t lot) {
  if (report_.lots_size() < kReportedStepsReserved) report_.add_lots(lot);
}

void RunReport::NoWorkIsLeft() { report_.set_training_seconds(TrainingSeconds(Clock::now())); }

void RunReport::MarkCpu() { cpu_mark_seconds_ = ProcessCpuSeconds(); }

void RunReport::CountCpu() { timed_cpu_seconds_ += ProcessCpuSeconds() - cpu_mark_seconds_; }

void RunReport::SetTimed(bool is_timed) {
  if (is_timed_ && !is_timed && timed_steps_ > 0) CountCpu();
  is_timed_ = is_timed;
}

void RunReport::Begin(Clock::time_point start) {
  start_ = start;
  MarkCpu();
}

void RunReport::AddWait(const PhaseTimes& times, Clock::time_point computed) {
  // Enough for a mean: reports of longer runs stay within what a message may hold.
  if (report_.computed_ns_size() >= kReportedStepsReserved) return;
  using std::chrono::nanoseconds;
  report_.add_computed_ns(
      std::chrono::duration_cast<nanoseconds>(computed - last_computed_).count());
  last_computed_ = computed;
  const Clock::time_point begin = times.first_begin(Phase::kExposed);
  const std::chrono::duration<float, std::milli> after = begin - computed;
  report_.add_wait_begin_ms(begin == Clock::time_point() ? 0 : after.count());
  report_.add_wait_ms(static_cast<float>(times.Milliseconds(Phase::kExposed)));
}

void RunReport::AddStep(int64_t step, double step_ms, double loss, const PhaseTimes& times,
                        Clock::time_point computed) {
  const double waited_ms = times.Milliseconds(Phase::kGate) + times.Milliseconds(Phase::kExposed);
  const double own_seconds = std::max(0.0, step_ms - waited_ms) / 1000;
  std::atomic<double>& slowest = setup_.progress->slowest_step_seconds;
  slowest.store(std::max(own_seconds, slowest.load(std::memory_order_relaxed)),
                std::memory_order_relaxed);
  report_.add_step_ms(static_cast<float>(step_ms));
  report_.add_step_loss(static_cast<float>(loss));
  AddWait(times, computed);
  if (step < training_.warmup_steps()) return MarkCpu();
  if (!is_timed_) {
    report_.add_untimed_steps(report_.step_ms_size() - 1);
    return MarkCpu();
  }
  timed_ms_ += step_ms;
  ++timed_steps_;
  for (int phase = 0; phase < kPhaseCount; ++phase)
    phase_ms_[phase] += times.Milliseconds(static_cast<Phase>(phase));
  setup_.progress->samples_per_second.store(1000.0 * global_batch_ * timed_steps_ / timed_ms_,
                                            std::memory_order_relaxed);
}

void RunReport::AddPause(Clock::time_point begin, Clock::time_point end) {
  if (end - begin < kPauseMin) return;
  TrainingPause* pause = report_.add_pauses();
  pause->set_begin_ns(std::chrono::nanoseconds(begin - start_).count());
  pause->set_duration_ns(std::chrono::nanoseconds(end - begin).count());
}

void RunReport::End() {
  if (timed_steps_ > 0 && is_timed_) CountCpu();
  if (setup_.transport != nullptr) traffic_ = setup_.transport->traffic();
}

double RunReport::TrainingSeconds(Clock::time_point moment) const {
  return ringmaster::TrainingSeconds(std::chrono::nanoseconds(moment - start_).count(),
                                     report_.pauses());
}

void RunReport::AddExchange(const ExchangeReport& exchange) {
  phase_ms_[static_cast<int>(Phase::kEncode)] += exchange.encode_ms;
  phase_ms_[static_cast<int>(Phase::kExchange)] += exchange.exchange_ms;
  phase_ms_[static_cast<int>(Phase::kReduce)] += exchange.reduce_ms;
  for (int phase = 0; phase < kPhaseCount; ++phase) {
    (*report_.mutable_phase_ms())[PhaseName(static_cast<Phase>(phase))] =
        timed_steps_ > 0 ? phase_ms_[phase] / timed_steps_ : 0;
  }
  report_.set_timed_seconds(timed_ms_ / 1000);
  report_.set_timed_steps(timed_steps_);
  if (timed_steps_ > 0) report_.set_process_cpu_seconds(timed_cpu_seconds_);
  report_.set_encoded_bytes_up(exchange.encoded_bytes);
  report_.set_index_bytes_up(exchange.index_bytes);
  report_.mutable_step_pulls()->Add(exchange.step_pulls.begin(), exchange.step_pulls.end());
  for (const std::string& name : exchange.bucket_collectives) report_.add_bucket_collectives(name);
  if (exchange.halves.elements > 0) {
    HalfCounts* halves = report_.mutable_halves();
    halves->set_elements(exchange.halves.elements);
    halves->set_zeros(exchange.halves.zeros);
    halves->set_subnormals(exchange.halves.subnormals);
    halves->set_saturated(exchange.halves.saturated);
    halves->set_infinities(exchange.halves.infinities);
  }
  if (exchange.consensus_distance.has_value())
    report_.set_consensus_distance(*exchange.consensus_distance);
  report_.set_engine(exchange.engine);
  if (setup_.transport != nullptr && exchange.engine.empty()) AddTraffic();
}

void RunReport::AddTraffic() {
  // What drains bring is no part of any step.
  for (const auto& [kind, count] : traffic_.sent) {
    if (kind == MessageKind::kDrain) continue;
    report_.set_payload_bytes_up(report_.payload_bytes_up() + count.payload_bytes);
    report_.set_header_bytes_up(report_.header_bytes_up() + count.header_bytes);
  }
  for (const auto& [kind, count] : traffic_.received) {
    if (kind == MessageKind::kDrain) continue;
    report_.set_payload_bytes_down(report_.payload_bytes_down() + count.payload_bytes);
    report_.set_header_bytes_down(report_.header_bytes_down() + count.header_bytes);
  }
}

absl::Status RunReport::AddWeights(absl::Span<const float> weights) {
  report_.set_weights_sha256(Sha256Hex(weights));
  if (!training_.report_weights()) return absl::OkStatus();
  if (static_cast<int64_t>(weights.size()) > kReportedWeightsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.report_weights: the model has ", weights.size(),
                     " parameters, and a report carries at most ", kReportedWeightsMax,
                     "; leave it out, or use a smaller model"));
  }
  report_.mutable_weights()->Add(weights.begin(), weights.end());
  return absl::OkStatus();
}

}  // namespace ringmaster
