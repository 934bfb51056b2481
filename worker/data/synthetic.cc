#include "worker/data/synthetic.h"

#include <vector>

#include "common/base/check.h"
#include "common/base/random.h"
#include "proto/data_spec.pb.h"

namespace ringmaster {
namespace {

enum Stream : uint64_t { kPrototypes = 1, kTrain = 2, kTest = 3 };

Samples MakeSamples(const SampleShape& shape, const std::vector<float>& prototypes, float noise,
                    uint64_t seed, int64_t count, DatasetPart part) {
  Samples samples;
  samples.shape = shape;
  samples.labels.resize(count);
  for (int64_t i = 0; i < count; ++i) samples.labels[i] = static_cast<int32_t>(i % shape.classes);
  if (part == DatasetPart::kLabels) return samples;
  const int64_t features = shape.features();
  samples.features.resize(count * features);
  for (int64_t i = 0; i < count; ++i) {
    Random random(MixSeed(seed, static_cast<uint64_t>(i)));
    const float* prototype = prototypes.data() + samples.labels[i] * features;
    float* sample = samples.features.data() + i * features;
    for (int64_t j = 0; j < features; ++j) sample[j] = prototype[j] + noise * random.Normal();
  }
  return samples;
}

constexpr int64_t kSuccessors = 4;

// successors: [classes][kSuccessors]
Samples MakeTexts(const SampleShape& shape, const std::vector<int32_t>& successors, uint64_t seed,
                  int64_t count) {
  Samples samples;
  samples.shape = shape;
  samples.tokens.resize(count * shape.context);
  samples.labels.resize(count * shape.context);
  for (int64_t i = 0; i < count; ++i) {
    Random random(MixSeed(seed, static_cast<uint64_t>(i)));
    int32_t symbol = static_cast<int32_t>(random.Below(shape.classes));
    for (int64_t t = i * shape.context; t < (i + 1) * shape.context; ++t) {
      samples.tokens[t] = symbol;
      const uint64_t eighth = random.Below(8);
      const int64_t which = eighth < 4 ? 0 : eighth < 6 ? 1 : eighth < 7 ? 2 : 3;
      symbol = successors[symbol * kSuccessors + which];
      samples.labels[t] = symbol;
    }
  }
  return samples;
}

Dataset MakeSyntheticTexts(const SampleShape& shape, uint64_t seed, int64_t train_count,
                           int64_t test_count) {
  Random random(MixSeed(seed, kPrototypes));
  std::vector<int32_t> successors(shape.classes * kSuccessors);
  for (int32_t& successor : successors)
    successor = static_cast<int32_t>(random.Below(shape.classes));
  return {MakeTexts(shape, successors, MixSeed(seed, kTrain), train_count),
          MakeTexts(shape, successors, MixSeed(seed, kTest), test_count)};
}

}  // namespace

Dataset MakeSynthetic(const SyntheticSpec& spec, uint64_t seed, int64_t train_count,
                      int64_t test_count, DatasetPart part) {
  if (spec.context() > 0) {
    RM_CHECK(spec.classes() > 0 && train_count > 0 && test_count > 0);
    return MakeSyntheticTexts({0, 0, 0, spec.classes(), spec.context()}, seed, train_count,
                              test_count);
  }
  const SampleShape shape{spec.channels(), spec.height(), spec.width(), spec.classes()};
  RM_CHECK(shape.features() > 0 && shape.classes > 0 && train_count > 0 && test_count > 0);
  Random random(MixSeed(seed, kPrototypes));
  std::vector<float> prototypes(shape.classes * shape.features());
  for (float& value : prototypes) value = random.Normal();
  return {MakeSamples(shape, prototypes, spec.noise(), MixSeed(seed, kTrain), train_count, part),
          MakeSamples(shape, prototypes, spec.noise(), MixSeed(seed, kTest), test_count, part)};
}

}  // namespace ringmaster
