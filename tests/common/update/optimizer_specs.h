#ifndef RINGMASTER_TESTS_COMMON_UPDATE_OPTIMIZER_SPECS_H_
#define RINGMASTER_TESTS_COMMON_UPDATE_OPTIMIZER_SPECS_H_

#include <cstdint>

#include "proto/run_spec.pb.h"

namespace ringmaster {

inline OptimizerSpec Sgd(float rate) {
  OptimizerSpec spec;
  spec.set_name("sgd");
  spec.set_learning_rate(rate);
  return spec;
}

inline OptimizerSpec Cosine(float rate, int64_t total, float floor) {
  OptimizerSpec spec = Sgd(rate);
  spec.mutable_cosine_schedule()->set_total_samples(total);
  spec.mutable_cosine_schedule()->set_floor(floor);
  return spec;
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_UPDATE_OPTIMIZER_SPECS_H_
