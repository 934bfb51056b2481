#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_CATALOGUE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_CATALOGUE_H_

#include <vector>

#include "experiments/study/results/figures.h"

namespace ringmaster {

// The rows of the catalogue, for Figures() alone, in the order of a report's columns. A figure more
// comes last, since readers of CSV may count columns.
std::vector<Figure> MakeFigures();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_CATALOGUE_H_
