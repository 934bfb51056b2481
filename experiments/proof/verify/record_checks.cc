#include "experiments/proof/verify/record_checks.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/hosts/record_hosts.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/proof/verify/payload_formula.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

absl::Status Failed(const std::string& what) { return absl::FailedPreconditionError(what); }

// The workers of a run that ended well, by rank.
absl::StatusOr<std::vector<const WorkerReport*>> WorkersOf(const RunRecord& record) {
  const std::string& name = record.spec().name();
  if (record.status() != "ok")
    return Failed(absl::StrCat("run \"", name, "\" failed: ", record.status()));
  std::vector<const WorkerReport*> workers;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) workers.push_back(&worker);
  }
  std::sort(workers.begin(), workers.end(),
            [](const WorkerReport* a, const WorkerReport* b) { return a->rank() < b->rank(); });
  const int64_t all_lots = ClaimedLots(record.spec());
  const bool claims = all_lots > 0;
  int64_t lots = 0;
  for (size_t rank = 0; rank < workers.size(); ++rank) {
    if (workers[rank]->rank() != static_cast<int32_t>(rank)) break;
    lots += workers[rank]->step_loss_size();
    if (claims && rank + 1 == workers.size() && lots != all_lots) {
      return Failed(
          absl::StrCat("run \"", name, "\": its workers computed ", lots, " lots of ", all_lots));
    }
    const int64_t steps = workers[rank]->step_loss_size() + workers[rank]->skipped_steps();
    if (!claims && steps != record.spec().training().steps()) {
      return Failed(absl::StrCat("run \"", name, "\": worker/", rank, " made ", steps, " steps of ",
                                 record.spec().training().steps()));
    }
    if (rank + 1 == workers.size() &&
        static_cast<int32_t>(rank) + 1 == TrainingWorkers(record.spec()))
      return workers;
  }
  return Failed(absl::StrCat("run \"", name, "\": ", workers.size(),
                             " reports, expected one from each of ", TrainingWorkers(record.spec()),
                             " workers"));
}

std::string WhoIs(const RunRecord& record, const WorkerReport& worker) {
  return absl::StrCat("worker/", worker.rank(), " of \"", record.spec().name(), "\"");
}

// What all servers have said that the weights have that they encoded for the worker.
int64_t EncodedDown(const RunRecord& record, int32_t rank) {
  int64_t bytes = 0;
  for (const ProcessReport& process : record.reports()) {
    for (const ServerReport& server : process.servers()) {
      if (rank < server.encoded_bytes_down_size()) bytes += server.encoded_bytes_down(rank);
    }
  }
  return bytes;
}

// The fingerprint of every rank's batches.
absl::StatusOr<std::map<int32_t, uint64_t>> BatchLogs(const RunRecord& record) {
  RM_ASSIGN_OR_RETURN(const auto workers, WorkersOf(record));
  std::map<int32_t, uint64_t> logs;
  for (const WorkerReport* worker : workers) {
    for (int i = 0; i < worker->batch_log_fingerprints_size(); ++i) {
      logs[worker->rank() + i] = worker->batch_log_fingerprints(i);
    }
  }
  return logs;
}

// The fingerprint of the set of all batches, whoever computed them.
absl::StatusOr<uint64_t> BatchSet(const RunRecord& record) {
  RM_ASSIGN_OR_RETURN(const auto workers, WorkersOf(record));
  uint64_t set = 0;
  for (const WorkerReport* worker : workers) set += worker->batch_set_fingerprint();
  return set;
}

absl::Status NeedRuns(absl::Span<const RunRecord> records, size_t least) {
  if (records.size() >= least) return absl::OkStatus();
  return Failed(absl::StrCat(records.size(), " runs, at least ", least, " are needed to compare"));
}

double Norm(const google::protobuf::RepeatedField<float>& values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return std::sqrt(sum);
}

double Distance(const google::protobuf::RepeatedField<float>& a,
                const google::protobuf::RepeatedField<float>& b) {
  double sum = 0;
  for (int i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(sum);
}

// Whether each rank of `record`, whose work is dealt, saw the batches of `first`, which are by rank
// those of the run `first_name`; where there are none yet, they become its own.
absl::Status CheckDealtBatches(const RunRecord& record, const std::string& first_name,
                               std::map<int32_t, uint64_t>* first) {
  RM_ASSIGN_OR_RETURN(const auto logs, BatchLogs(record));
  const int32_t ranks = record.spec().training().workers();
  if (static_cast<int32_t>(logs.size()) != ranks) {
    return Failed(absl::StrCat("run \"", record.spec().name(), "\" logs the batches of ",
                               logs.size(), " of ", ranks, " ranks"));
  }
  if (first->empty()) *first = logs;
  for (const auto& [rank, log] : logs) {
    const auto expected = first->find(rank);
    if (expected != first->end() && expected->second == log) continue;
    const uint64_t other = expected == first->end() ? 0 : expected->second;
    return Failed(absl::StrCat("rank ", rank, " saw batches ", absl::Hex(log, absl::kZeroPad16),
                               " in \"", record.spec().name(), "\" and ",
                               absl::Hex(other, absl::kZeroPad16), " in \"", first_name, "\""));
  }
  return absl::OkStatus();
}

// What the wires carried is all of the payload.
absl::Status CheckWires(const RunRecord& record, const WorkerReport& worker) {
  int64_t up = 0, down = 0;
  for (const WireTraffic& wire : worker.wires()) {
    up += wire.payload_bytes_up();
    down += wire.payload_bytes_down();
  }
  if (up == worker.payload_bytes_up() && down == worker.payload_bytes_down())
    return absl::OkStatus();
  return Failed(absl::StrCat(WhoIs(record, worker), " metered ", up, " bytes up and ", down,
                             " down over its wires, ", worker.payload_bytes_up(), " and ",
                             worker.payload_bytes_down(), " in all"));
}

}  // namespace

absl::StatusOr<std::string> CheckSameWeights(absl::Span<const RunRecord> records) {
  RM_RETURN_IF_ERROR(NeedRuns(records, 1));
  const WorkerReport* first = nullptr;
  int compared = 0;
  for (const RunRecord& record : records) {
    RM_ASSIGN_OR_RETURN(const auto workers, WorkersOf(record));
    for (const WorkerReport* worker : workers) {
      if (first == nullptr) first = worker;
      ++compared;
      if (worker->weights_sha256().empty() || worker->weights_sha256() != first->weights_sha256()) {
        return Failed(absl::StrCat(
            WhoIs(record, *worker), " ended with weights ", worker->weights_sha256().substr(0, 16),
            ", ", WhoIs(records[0], *first), " with ", first->weights_sha256().substr(0, 16)));
      }
    }
  }
  if (compared < 2) return Failed("one worker of one run: nothing to compare");
  return absl::StrCat(records.size(), records.size() == 1 ? " run, " : " runs, ", compared,
                      " workers, sha256 ", first->weights_sha256().substr(0, 12));
}

absl::StatusOr<std::string> CheckSameBatches(absl::Span<const RunRecord> records) {
  RM_RETURN_IF_ERROR(NeedRuns(records, 2));
  RM_ASSIGN_OR_RETURN(const uint64_t first_set, BatchSet(records[0]));
  std::map<int32_t, uint64_t> first;
  for (const RunRecord& record : records) {
    // Who claims its batches has others in each run.
    if (TraitsOf(record.spec()).work == Work::kDealt)
      RM_RETURN_IF_ERROR(CheckDealtBatches(record, records[0].spec().name(), &first));
    RM_ASSIGN_OR_RETURN(const uint64_t set, BatchSet(record));
    if (set == first_set) continue;
    return Failed(absl::StrCat("the batches of all ranks are ", absl::Hex(set, absl::kZeroPad16),
                               " in \"", record.spec().name(), "\" and ",
                               absl::Hex(first_set, absl::kZeroPad16), " in \"",
                               records[0].spec().name(), "\""));
  }
  return absl::StrCat(records.size(), " runs, ", first.size(), " logs of ",
                      records[0].spec().training().steps(), " batches each");
}

absl::StatusOr<std::string> CheckPayload(absl::Span<const RunRecord> records) {
  RM_RETURN_IF_ERROR(NeedRuns(records, 1));
  int64_t bytes = 0;
  for (const RunRecord& record : records) {
    RM_ASSIGN_OR_RETURN(const auto workers, WorkersOf(record));
    RM_ASSIGN_OR_RETURN(const ParamLayout layout, LayoutOf(record.spec()));
    const RunSpec formed = FormedSpec(record);
    std::vector<EncodedSums> sums;
    for (const WorkerReport* worker : workers) {
      sums.push_back({worker->encoded_bytes_up(), worker->index_bytes_up(),
                      EncodedDown(record, worker->rank())});
    }
    for (const WorkerReport* worker : workers) {
      const int64_t steps = worker->step_loss_size();
      RM_ASSIGN_OR_RETURN(const Payload formula,
                          ExpectedPayload(formed, layout, worker->rank(), steps, sums));
      const struct {
        const char* name;
        int64_t metered, expected;
      } figures[] = {{"bytes up", worker->payload_bytes_up(), formula.up},
                     {"bytes down", worker->payload_bytes_down(), formula.down},
                     {"index bytes up", worker->index_bytes_up(), formula.index_up}};
      for (const auto& figure : figures) {
        if (figure.metered == figure.expected) continue;
        return Failed(absl::StrCat(WhoIs(record, *worker), " metered ", figure.metered, " payload ",
                                   figure.name, " in ", steps, " steps, the formula says ",
                                   figure.expected));
      }
      RM_RETURN_IF_ERROR(CheckWires(record, *worker));
      bytes += worker->payload_bytes_up() + worker->payload_bytes_down();
    }
  }
  if (bytes == 0) return Failed("no run exchanged anything: nothing to compare");
  return absl::StrFormat("%d runs, %.1f MB in all, to the byte", records.size(),
                         static_cast<double>(bytes) / 1e6);
}

absl::StatusOr<std::string> CheckReplay(
    absl::Span<const RunRecord> records,
    const std::function<absl::StatusOr<std::vector<std::string>>(const RunRecord&)>& replay) {
  RM_RETURN_IF_ERROR(NeedRuns(records, 1));
  int64_t lots = 0;
  for (const RunRecord& record : records) {
    RM_ASSIGN_OR_RETURN(const auto workers, WorkersOf(record));
    const auto replayed = replay(record);
    if (!replayed.ok()) {
      return Failed(absl::StrCat("run \"", record.spec().name(),
                                 "\" cannot be replayed: ", replayed.status().message()));
    }
    for (size_t rank = 0; rank < workers.size(); ++rank) {
      lots += workers[rank]->step_loss_size();
      const std::string again = rank < replayed->size() ? (*replayed)[rank] : "";
      if (!again.empty() && again == workers[rank]->weights_sha256()) continue;
      return Failed(absl::StrCat(WhoIs(record, *workers[rank]), " ended with weights ",
                                 workers[rank]->weights_sha256().substr(0, 16),
                                 ", its replay with ", again.substr(0, 16)));
    }
  }
  return absl::StrCat(records.size(), " runs, ", lots, " lots");
}

double OrderBound(int32_t workers, int64_t steps) {
  return std::exp(1.0) * static_cast<double>(steps) * 2 * workers * 0x1p-24;
}

absl::StatusOr<std::string> CheckWeightsClose(absl::Span<const RunRecord> records) {
  RM_RETURN_IF_ERROR(NeedRuns(records, 2));
  RM_ASSIGN_OR_RETURN(const auto base, WorkersOf(records[0]));
  const auto& expected = base[0]->weights();
  const TrainingSpec& training = records[0].spec().training();
  const double bound = OrderBound(training.workers(), training.steps());
  double largest = 0;
  for (const RunRecord& record : records) {
    RM_ASSIGN_OR_RETURN(const auto workers, WorkersOf(record));
    for (const WorkerReport* worker : workers) {
      if (worker->weights().empty() || worker->weights_size() != expected.size()) {
        return Failed(absl::StrCat(WhoIs(record, *worker), " reports ", worker->weights_size(),
                                   " weights, expected ", expected.size(),
                                   " (training.report_weights)"));
      }
      const double difference = Distance(worker->weights(), expected) / Norm(expected);
      if (!(difference <= bound)) {
        return Failed(absl::StrFormat(
            "%s lies %.2g from \"%s\", the bound for %d workers and %d steps is %.2g",
            WhoIs(record, *worker), difference, records[0].spec().name(), training.workers(),
            training.steps(), bound));
      }
      largest = std::max(largest, difference);
    }
  }
  return absl::StrFormat("%d runs, largest difference %.2g, bound %.2g", records.size(), largest,
                         bound);
}

}  // namespace ringmaster
