#include "worker/loop/run_report.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/fingerprint.h"
#include "common/config/describe.h"
#include "common/machine/process_costs.h"
#include "common/trace/timed_steps.h"
#include "common/trace/training_clock.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// Steps for whose figures memory is there from the beginning: 24 MiB a worker, and 8 for the lots
// that it claims.
constexpr int64_t kReportedStepsReserved = 1 << 20;

// Who asks and may go on takes some microseconds.
constexpr Clock::duration kPauseMin = std::chrono::microseconds(100);

void AddHalves(const HalfTally& tally, HalfCounts* halves) {
  halves->set_elements(halves->elements() + tally.elements);
  halves->set_zeros(halves->zeros() + tally.zeros);
  halves->set_subnormals(halves->subnormals() + tally.subnormals);
  halves->set_saturated(halves->saturated() + tally.saturated);
  halves->set_infinities(halves->infinities() + tally.infinities);
}

int64_t PayloadOfSteps(const std::map<MessageKind, int64_t>& by_kind) {
  int64_t bytes = 0;
  for (const auto& [kind, payload_bytes] : by_kind) {
    if (kind != MessageKind::kDrain) bytes += payload_bytes;
  }
  return bytes;
}

WireTraffic* WireOf(const std::string& name, WorkerReport* report) {
  for (WireTraffic& wire : *report->mutable_wires()) {
    if (wire.wire() == name) return &wire;
  }
  WireTraffic* const wire = report->add_wires();
  wire->set_wire(name);
  return wire;
}

void AddTraffic(const Traffic& traffic, WorkerReport* report) {
  // What drains bring is no part of any step.
  for (const auto& [name, payload] : traffic.by_wire) {
    const int64_t up = PayloadOfSteps(payload.sent_bytes);
    const int64_t down = PayloadOfSteps(payload.received_bytes);
    if (up == 0 && down == 0) continue;
    WireTraffic* const wire = WireOf(name, report);
    wire->set_payload_bytes_up(wire->payload_bytes_up() + up);
    wire->set_payload_bytes_down(wire->payload_bytes_down() + down);
  }
  for (const auto& [kind, count] : traffic.sent) {
    if (kind == MessageKind::kDrain) continue;
    report->set_payload_bytes_up(report->payload_bytes_up() + count.payload_bytes);
    report->set_header_bytes_up(report->header_bytes_up() + count.header_bytes);
  }
  for (const auto& [kind, count] : traffic.received) {
    if (kind == MessageKind::kDrain) continue;
    report->set_payload_bytes_down(report->payload_bytes_down() + count.payload_bytes);
    report->set_header_bytes_down(report->header_bytes_down() + count.header_bytes);
  }
}

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
  start_ = setup_.clock_begin.value_or(start - before_);
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
  AddTotals(exchange, traffic_, &report_);
}

void RunReport::UndoStepsFrom(int64_t step) {
  const int end = report_.step_ms_size();
  if (end <= step) return;
  const auto first = static_cast<int>(step);
  google::protobuf::RepeatedField<int32_t> untimed;
  for (const int32_t index : report_.untimed_steps()) {
    if (index < first) untimed.Add(index);
  }
  double undone_ms = 0;
  int64_t undone = 0;
  for (const int32_t index : TimedSteps(report_)) {
    if (index < first) continue;
    undone_ms += report_.step_ms(index);
    ++undone;
  }
  const int64_t timed = report_.timed_steps();
  if (timed > 0) {
    report_.set_process_cpu_seconds(report_.process_cpu_seconds() *
                                    static_cast<double>(timed - undone) /
                                    static_cast<double>(timed));
  }
  report_.set_timed_seconds(report_.timed_seconds() - undone_ms / 1000);
  report_.set_timed_steps(timed - undone);
  *report_.mutable_untimed_steps() = untimed;
  report_.mutable_step_ms()->Truncate(first);
  report_.mutable_step_loss()->Truncate(first);
  for (auto* of_step : {report_.mutable_wait_begin_ms(), report_.mutable_wait_ms()})
    of_step->Truncate(std::min(first, of_step->size()));
  report_.mutable_computed_ns()->Truncate(std::min(first, report_.computed_ns_size()));
}

void RunReport::GoOnFrom(const WorkerReport& saved) {
  report_.MergeFrom(saved);
  report_.set_rank(setup_.rank);
  if (setup_.kept_steps != nullptr) {
    UndoStepsFrom(setup_.first_step);
    // What a run says at its end, which was made again.
    report_.clear_batch_log_fingerprints();
    report_.clear_bucket_collectives();
    report_.clear_weights();
  }
  const WorkerReport before = report_;
  report_.set_kernel_target(setup_.kernels->target());
  before_ = std::chrono::nanoseconds(SinceStartNs(before.training_seconds(), before.pauses()));
  timed_ms_ = before.timed_seconds() * 1000;
  timed_steps_ = before.timed_steps();
  timed_cpu_seconds_ = before.process_cpu_seconds();
  for (int phase = 0; phase < kPhaseCount; ++phase) {
    const auto mean = before.phase_ms().find(PhaseName(static_cast<Phase>(phase)));
    if (mean != before.phase_ms().end())
      phase_ms_[phase] = mean->second * static_cast<double>(timed_steps_);
  }
  std::chrono::nanoseconds computed{0};
  for (const int64_t since : before.computed_ns()) computed += std::chrono::nanoseconds(since);
  last_computed_ = Clock::time_point(computed);
}

WorkerReport RunReport::SoFar(Clock::time_point moment, const ExchangeReport& exchange) const {
  WorkerReport report = report_;
  AddTotals(exchange, setup_.transport == nullptr ? Traffic() : setup_.transport->traffic(),
            &report);
  report.set_training_seconds(TrainingSeconds(moment));
  if (timed_steps_ > 0) {
    const double since = is_timed_ ? ProcessCpuSeconds() - cpu_mark_seconds_ : 0;
    report.set_process_cpu_seconds(timed_cpu_seconds_ + since);
  }
  // Said anew at the end.
  report.clear_bucket_collectives();
  return report;
}

void RunReport::AddTotals(const ExchangeReport& exchange, const Traffic& traffic,
                          WorkerReport* report) const {
  double phase_ms[kPhaseCount];
  std::copy(std::begin(phase_ms_), std::end(phase_ms_), std::begin(phase_ms));
  phase_ms[static_cast<int>(Phase::kEncode)] += exchange.encode_ms;
  phase_ms[static_cast<int>(Phase::kExchange)] += exchange.exchange_ms;
  phase_ms[static_cast<int>(Phase::kReduce)] += exchange.reduce_ms;
  for (int phase = 0; phase < kPhaseCount; ++phase) {
    (*report->mutable_phase_ms())[PhaseName(static_cast<Phase>(phase))] =
        timed_steps_ > 0 ? phase_ms[phase] / timed_steps_ : 0;
  }
  report->set_timed_seconds(timed_ms_ / 1000);
  report->set_timed_steps(timed_steps_);
  if (timed_steps_ > 0) report->set_process_cpu_seconds(timed_cpu_seconds_);
  report->set_encoded_bytes_up(report->encoded_bytes_up() + exchange.encoded_bytes);
  report->set_index_bytes_up(report->index_bytes_up() + exchange.index_bytes);
  report->mutable_step_pulls()->Add(exchange.step_pulls.begin(), exchange.step_pulls.end());
  for (const std::string& name : exchange.bucket_collectives) report->add_bucket_collectives(name);
  if (exchange.halves.elements > 0) AddHalves(exchange.halves, report->mutable_halves());
  if (exchange.consensus_distance.has_value())
    report->set_consensus_distance(*exchange.consensus_distance);
  report->set_engine(exchange.engine);
  report->mutable_engine_settings()->insert(exchange.engine_settings.begin(),
                                            exchange.engine_settings.end());
  if (setup_.transport != nullptr && exchange.engine.empty()) AddTraffic(traffic, report);
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
