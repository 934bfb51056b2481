#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_H_

#include <string>
#include <vector>

#include "proto/record.pb.h"

namespace ringmaster {

class RunRecord;

// One run as one JSON object on one line, without a newline: the line of results.jsonl and what
// --json prints for a run. Its figures are those of the catalogue
// (experiments/study/results/figures.h), from record.summary, under their tags; what is undefined
// is null. "nodes" has those of every worker and server, an array each in the order of nodes.node.
// seconds_to_accuracy has every threshold, null where it was not reached. A record that still has
// its reports also gets "evaluations" (of the whole test set) and "series" (step_ms and loss of
// every step, by rank). A run that failed once all had joined has "last_words". Bytes that are not
// UTF-8 are replaced. What a version of the schema promises stands in docs/FORMATS.md. Pure,
// thread-safe.
std::string SummaryJson(const RunRecord& record);

// What is said of several runs together.
struct SaidOfRuns {
  std::vector<std::string> doubts;  // why figures are doubtful, a sentence each
  std::vector<std::string> notes;   // how they ran
  bool took_turns = false;
  std::string why_no_turns;  // empty: they did
};

// {"runs": [...], "doubts": [...], "notes": [...], "turns": false, "why_no_turns": "..."} of the
// same objects, on one line: what --json prints for a comparison.
std::string ComparisonJson(const std::vector<RunRecord>& records, const SaidOfRuns& said = {});

// "nodes" of SummaryJson alone: what the store's column of that name holds.
std::string NodesJson(const RunSummary& summary);

// The same of "tuned", the fields of which the arm has its best value; {} where there are none.
std::string TunedJson(const RunSummary& summary);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_H_
