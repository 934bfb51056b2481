#include "worker/data/synthetic.h"

#include <vector>

#include "common/base/check.h"
#include "common/base/random.h"

namespace ringmaster {
namespace {

enum Stream : uint64_t { kPrototypes = 1, kTrain = 2, kTest = 3 };

Samples MakeSamples(const SampleShape& shape, const std::vector<float>& prototypes, float noise, uint64_t seed,
                    int64_t count) {
  Samples samples;
  samples.shape = shape;
  const int64_t features = shape.features();
  samples.features.resize(count * features);
  samples.labels.resize(count);
  for (int64_t i = 0; i < count; ++i) {
    const int32_t label = static_cast<int32_t>(i % shape.classes);
    Random random(MixSeed(seed, static_cast<uint64_t>(i)));
    const float* prototype = prototypes.data() + label * features;
    float* sample = samples.features.data() + i * features;
    for (int64_t j = 0; j < features; ++j) sample[j] = prototype[j] + noise * random.Normal();
    samples.labels[i] = label;
  }
  return samples;
}

}  // namespace

Dataset MakeSynthetic(const SyntheticSpec& spec, uint64_t seed, int64_t train_count, int64_t test_count) {
  const SampleShape shape{spec.channels(), spec.height(), spec.width(), spec.classes()};
  RM_CHECK(shape.features() > 0 && shape.classes > 0 && train_count > 0 && test_count > 0);
  Random random(MixSeed(seed, kPrototypes));
  std::vector<float> prototypes(shape.classes * shape.features());
  for (float& value : prototypes) value = random.Normal();
  return {MakeSamples(shape, prototypes, spec.noise(), MixSeed(seed, kTrain), train_count),
          MakeSamples(shape, prototypes, spec.noise(), MixSeed(seed, kTest), test_count)};
}

}  // namespace ringmaster
