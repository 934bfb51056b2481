#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_TABLE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/record.pb.h"

namespace ringmaster {

// One table of all arms, a row each in the given order, as UTF-8 text that ends with a newline.
// Columns come in groups (speed, where a step's time goes, communication, bytes and staleness,
// learning); groups that do not fit side by side into `terminal_width` columns (at least 80 are
// used) follow one another as blocks that repeat the arm. Units stand in the header. `tags`: the
// figures to show, of the catalogue (figures.h); empty: those of every table. An undefined figure
// is "–"; an arm on another transport than most, and a failed one, get a mark and a note under the
// table. Pure.
std::string RenderTable(const std::vector<RunSummary>& summaries, int terminal_width,
                        const std::vector<std::string>& tags = {});

// InvalidArgument, with the known ones: a tag that is no figure of tables. Pure.
absl::Status CheckColumns(const std::vector<std::string>& tags);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_TABLE_H_
