#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COSTS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COSTS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "experiments/study/predict/simulated_network.h"

namespace ringmaster {

class EncodingSizes;

// What a worker's step takes where nothing is exchanged, in seconds.
struct ComputeCosts {
  double load = 0;     // the first batch, before the gate
  double compute = 0;  // from the gate to the end of backward: upload, forward, backward, download,
                       // the other batches
  double update = 0;   // of all weights
  // By bucket: the share of `compute` after which its gradient is handed over, ascending, in [0,
  // 1].
  std::vector<double> bucket_ready;
};

// Seconds an element of a bucket that a codec takes; 0 for gradients as they are.
struct CodecCosts {
  double encode = 0;
  double decode = 0;
  // Of a codec that is summed in rounds: from the sum of one to what the next one sums.
  double between = 0;
  // Of such a codec, by bucket: the elements that each round sums. Empty: of any other.
  std::vector<std::vector<int64_t>> rounds;
  // The same of the codec's warm-up, where that is played; otherwise empty.
  std::vector<std::vector<int64_t>> warmup_rounds;
  // Of encodings, where messages carry none; outlives all that is planned from these costs. Null:
  // each has the most bytes that the codec makes of its bucket.
  const EncodingSizes* sizes = nullptr;
};

// A host's cores, and the processor time that messages between processes take of them, in seconds,
// both ends together.
struct CoreCosts {
  int32_t cores = 0;     // 0: nobody shares any
  bool computes = true;  // false: computing is emulated, and takes no core
  double message = 0;
  double byte = 0;
};

// All that a prediction is computed from, beside the spec and the layout.
struct Costs {
  ComputeCosts compute;  // of every rank
  CodecCosts codec;
  NetworkCosts network;
  // What exchange takes from the cores that computing needs too, where all live on one host.
  CoreCosts cores;
  // How many times as long as that a rank computes, by rank; empty: nobody is slower.
  std::vector<double> factors;
  // How many times as long a rank computes in a step, beside that; absent: once.
  std::function<double(int32_t rank, int64_t step)> stretch;
  // Seconds that a rank is late by in a step, before it computes; absent: nobody is.
  std::function<double(int32_t rank, int64_t step)> delay;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_COSTS_H_
