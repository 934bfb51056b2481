#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_MERGED_REPORTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_MERGED_REPORTS_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/config/describe.h"
#include "common/machine/machine.h"
#include "common/trace/training_clock.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"

namespace ringmaster {

// What the reports of a run's processes say together. Each takes it out of the reports.

// All processes agree on what they read, or the run would not have begun.
inline void MoveInputs(RunRecord* record) {
  for (ProcessReport& process : *record->mutable_reports()) {
    if (process.has_inputs() && !record->has_inputs()) *record->mutable_inputs() = process.inputs();
    process.clear_inputs();
  }
}

// What the processes could use together is the run's part of the machine; a quota that several
// share has stopped them together.
inline void MoveConfinements(RunRecord* record) {
  std::vector<Confinement> processes;
  std::map<std::pair<std::string, uint64_t>, Confinement> groups;  // by boot and group
  for (ProcessReport& process : *record->mutable_reports()) {
    if (!process.has_confinement()) continue;
    const Confinement& own = processes.emplace_back(process.confinement());
    Confinement& longest = groups[{own.boot_hash(), own.quota_group()}];
    if (own.has_cpu_quota() && own.quota_periods() >= longest.quota_periods()) longest = own;
    *record->add_confinements() = own;
    process.clear_confinement();
  }
  if (processes.empty()) return;
  SetUsableCores(processes, record->mutable_machine());
  for (const auto& [group, confinement] : groups) {
    if (confinement.quota_periods() == 0) continue;
    Conditions* const conditions = record->mutable_conditions();
    conditions->set_quota_periods(conditions->quota_periods() + confinement.quota_periods());
    conditions->set_quota_throttled_periods(conditions->quota_throttled_periods() +
                                            confinement.throttled_periods());
    conditions->set_quota_throttled_seconds(conditions->quota_throttled_seconds() +
                                            confinement.throttled_seconds());
  }
}

using Pauses = google::protobuf::RepeatedPtrField<TrainingPause>;

// Puts what workers say by their own clocks on the run's, whose pauses it returns.
inline Pauses MergeClocks(RunRecord* record) {
  std::vector<WorkerReport*> workers;
  std::vector<const Pauses*> of_workers;
  for (ProcessReport& process : *record->mutable_reports()) {
    for (WorkerReport& worker : *process.mutable_workers()) {
      workers.push_back(&worker);
      of_workers.push_back(&worker.pauses());
    }
  }
  const Pauses common = CommonPauses(of_workers);
  for (WorkerReport* worker : workers) {
    const auto of_run = [&](double seconds) {
      return TrainingSeconds(SinceStartNs(seconds, worker->pauses()), common);
    };
    worker->set_training_seconds(of_run(worker->training_seconds()));
    for (Evaluation& share : *worker->mutable_evaluations())
      share.set_seconds(of_run(share.seconds()));
  }
  for (WorkerReport* worker : workers) worker->clear_pauses();
  return common;
}

// The time of an evaluation where servers hold the weights: when the last of them had passed the
// mark. Their times count from the start of training.
inline void MergeMarkTimes(RunRecord* record, const Pauses& pauses,
                           std::map<int64_t, Evaluation>* merged) {
  const std::vector<SampleMark> marks = SampleMarks(record->spec());
  for (ProcessReport& process : *record->mutable_reports()) {
    for (ServerReport& server : *process.mutable_servers()) {
      const int count = std::min(static_cast<int>(marks.size()), server.mark_ns_size());
      for (int mark = 0; mark < count; ++mark) {
        const auto found = merged->find(marks[mark].samples);
        if (found == merged->end()) continue;
        const double seconds = TrainingSeconds(server.mark_ns(mark), pauses);
        found->second.set_seconds(std::max(found->second.seconds(), seconds));
      }
      server.clear_mark_ns();
    }
  }
}

// Weighted means over the workers' shares.
inline void MergeEvaluations(RunRecord* record) {
  const Pauses pauses = MergeClocks(record);
  std::map<int64_t, Evaluation> merged;  // by samples seen
  double loss_sum = 0;
  int64_t loss_count = 0;
  WorkerReport* first = nullptr;
  for (ProcessReport& process : *record->mutable_reports()) {
    for (WorkerReport& worker : *process.mutable_workers()) {
      if (first == nullptr) first = &worker;
      for (const Evaluation& share : worker.evaluations()) {
        Evaluation& whole = merged[share.samples_seen()];
        whole.set_samples_seen(share.samples_seen());
        whole.set_seconds(std::max(whole.seconds(), share.seconds()));
        whole.set_test_loss(whole.test_loss() + share.test_loss() * share.count());
        whole.set_test_accuracy(whole.test_accuracy() + share.test_accuracy() * share.count());
        whole.set_count(whole.count() + share.count());
      }
      loss_sum += worker.final_loss() * worker.final_loss_count();
      loss_count += worker.final_loss_count();
      worker.clear_evaluations();
    }
  }
  if (first == nullptr) return;
  MergeMarkTimes(record, pauses, &merged);
  for (auto& [samples_seen, whole] : merged) {
    whole.set_test_loss(whole.test_loss() / whole.count());
    whole.set_test_accuracy(whole.test_accuracy() / whole.count());
    *first->add_evaluations() = whole;
  }
  if (loss_count == 0) return;
  first->set_final_loss(loss_sum / loss_count);
  first->set_final_loss_count(loss_count);
}

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_MERGED_REPORTS_H_
