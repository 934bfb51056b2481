#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIRST_SCREEN_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIRST_SCREEN_H_

#include <string>

namespace ringmaster {

struct Comparisons;

// The number of the comparison that the first screen of a page shows: of those with the most arms
// that have finished the one with the most workers; 0 where there is none. Pure.
int MainComparison(const Comparisons& comparisons);

// The one sentence that a reader must have seen before any figure: what gives the most reason to
// doubt them (a machine that was not quiet, failed runs, outliers and drift, too few trials for a
// verdict), and how many doubts stand further below. Empty: there is no reason. Pure.
std::string FirstDoubt(const Comparisons& comparisons);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIRST_SCREEN_H_
