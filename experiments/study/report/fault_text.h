#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_FAULT_TEXT_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_FAULT_TEXT_H_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/run_record.pb.h"

namespace ringmaster {

// What reports call that which was done to the processes of a run, or which it lost unasked. Pure.

// For people: "worker:1@step=50 kill", each with why it was not done. Empty: nothing was to be
// done.
inline std::string FaultsText(const RunRecord& record) {
  std::vector<std::string> faults;
  for (const InjectedFault& fault : record.faults()) {
    std::string text = fault.fault();
    if (!fault.has_seconds() && fault.failure().empty())
      absl::StrAppend(&text, " (its moment never came)");
    if (!fault.failure().empty()) absl::StrAppend(&text, " (", fault.failure(), ")");
    faults.push_back(std::move(text));
  }
  return absl::StrJoin(faults, "; ");
}

// The same for trials of one cell, which come to it at unlike moments. Empty: nothing was to be
// done, and nobody was lost.
inline std::string FaultsKey(const RunRecord& record) {
  std::vector<std::string> faults;
  for (const InjectedFault& fault : record.faults()) faults.push_back(fault.fault());
  if (faults.empty() && record.losses_size() > 0) faults.push_back("a process was lost");
  std::sort(faults.begin(), faults.end());
  return absl::StrJoin(faults, ", ");
}

// The first of them. REQUIRES: there is a fault or a loss.
inline std::string FirstFaultText(const RunRecord& record) {
  if (record.faults_size() > 0) return record.faults(0).fault();
  return absl::StrCat(absl::StrJoin(record.losses(0).nodes(), "+"), " lost");
}

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_FAULT_TEXT_H_
