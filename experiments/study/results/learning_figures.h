#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_LEARNING_FIGURES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_LEARNING_FIGURES_H_

#include <vector>

#include "experiments/study/results/figures.h"

namespace ringmaster {

// The catalogue's rows of what the model has learned: training loss, then accuracy and its times.
std::vector<Figure> LearningFigures();

// The loss on the test set.
std::vector<Figure> TestLossFigures();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_LEARNING_FIGURES_H_
