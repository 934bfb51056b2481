#include "worker/data/program_data.h"

#include <numeric>
#include <vector>

#include "proto/data_spec.pb.h"

namespace ringmaster {
namespace {

std::vector<int32_t> Numbers(int64_t first, int64_t count) {
  std::vector<int32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), static_cast<int32_t>(first));
  return numbers;
}

}  // namespace

SampleShape ProgramShape(const ProgramDataSpec& spec) {
  SampleShape shape;
  shape.classes = static_cast<int32_t>(spec.train_samples() + spec.test_samples());
  return shape;
}

Dataset MakeProgramData(const ProgramDataSpec& spec, int64_t train_count, int64_t test_count) {
  Dataset dataset;
  dataset.train.shape = dataset.test.shape = ProgramShape(spec);
  dataset.train.labels = Numbers(0, train_count);
  dataset.test.labels = Numbers(spec.train_samples(), test_count);
  return dataset;
}

}  // namespace ringmaster
