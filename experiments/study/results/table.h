#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_TABLE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_TABLE_H_

#include <string>
#include <vector>

#include "proto/record.pb.h"

namespace ringmaster {

// One table of all arms, a row each in the given order, as UTF-8 text that ends with a newline. Columns come in
// groups (speed, where a step's time goes, communication, bytes and staleness, learning); groups that do not fit side by side into
// `terminal_width` columns (at least 80 are used) follow one another as blocks that repeat the arm. Units stand in
// the header. An undefined figure is "–"; an arm on another transport than most, and a failed one, get a mark and a
// note under the table. Pure.
std::string RenderTable(const std::vector<RunSummary>& summaries, int terminal_width);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_TABLE_H_
