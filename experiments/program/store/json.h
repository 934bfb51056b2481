#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_H_

#include <string>
#include <vector>

#include "proto/record.pb.h"

namespace ringmaster {

// One run as one JSON object on one line, without a newline: the line of results.jsonl and what --json prints for a
// run. Figures come from record.summary, "exposed_and_contention_ms" and "exposed_share" by what
// compare/summary.h says of them; what is undefined is null. seconds_to_accuracy has every threshold, null
// where it was not reached. A record that still has its reports also gets "evaluations" (of the whole test set) and
// "series" (step_ms and loss of every step, by rank). Bytes that are not UTF-8 are replaced. Pure, thread-safe.
std::string SummaryJson(const RunRecord& record);

// {"runs": [...]} of the same objects, on one line: what --json prints for a comparison.
std::string ComparisonJson(const std::vector<RunRecord>& records);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_STORE_JSON_H_
