#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_MACHINE_FIGURES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_MACHINE_FIGURES_H_

#include <vector>

#include "experiments/study/results/figures.h"

namespace ringmaster {

// The catalogue's rows of what processes take: computing time, then memory. Of a process that
// several workers and servers share, all of it counts for each of them.
std::vector<Figure> MachineFigures();

// What halves (fp16) lose of the gradients that are sent as such.
std::vector<Figure> HalvesFigures();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_MACHINE_FIGURES_H_
