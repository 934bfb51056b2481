// Prints a report's tables as LaTeX, of runs whose names, numbers and intervals are hard to set.
//   latex_sample trials    the number of trials of each arm

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/table_text.h"
#include "experiments/study/report/tables.h"
#include "tests/experiments/study/report/runs.h"

namespace ringmaster {
namespace {

std::vector<RunRecord> HardRuns(int trials) {
  std::vector<float> slower;
  for (int trial = 0; trial < trials; ++trial)
    slower.push_back(1 + 0.37f * static_cast<float>(trial));
  auto records = Runs(2, slower) + Runs(4, slower);
  for (const int bound : {1, 1000000}) {
    RunSpec spec = SpecOf("ssp", 4);
    spec.mutable_strategy()->mutable_parameter_server()->set_staleness_bound(bound);
    for (int trial = 0; trial < trials; ++trial)
      records.push_back(RunOf(spec, 4 + static_cast<float>(trial)));
  }
  for (const char* name : {"[first", "*star", "a--b_c 50% #&$~^\\{}<>|\"", "größer – ✗ 名",
                           "averyveryverylongnamewithoutanyplacewhereitmightbebroken"}) {
    RunSpec spec = SpecOf("ring", 4);
    spec.set_name(name);
    records.push_back(RunOf(spec, 0.001f));
    records.push_back(FailedRun(
        spec, absl::StrCat("UNAVAILABLE: worker/1 of ", name, " ended with signal 9 (Killed); its ",
                           "log is /a/folder/deep/in/the/file/system/worker_1_of_the_run.log\n")));
  }
  for (RunRecord& record : records) {
    for (ProcessReport& process : *record.mutable_reports()) {
      process.mutable_costs()->set_pss_bytes(123456789012);
      for (WorkerReport& worker : *process.mutable_workers()) worker.set_final_loss(-123456.789);
    }
  }
  return records;
}

int Main(int argc, char** argv) {
  const std::vector<RunRecord> records = HardRuns(argc > 1 ? std::atoi(argv[1]) : 1);
  const Comparisons comparisons = GroupRecords(records);
  std::fputs(LatexText(comparisons, MakeTables(comparisons)).c_str(), stdout);
  return 0;
}

}  // namespace
}  // namespace ringmaster

int main(int argc, char** argv) { return ringmaster::Main(argc, argv); }
