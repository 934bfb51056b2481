#include "worker/data/loader.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/base/random.h"
#include "worker/data/augment.h"

namespace ringmaster {
namespace {

// Beyond any epoch, whose numbers are the other streams of the seed.
constexpr uint64_t kAugmentStream = UINT64_MAX;

// Fisher and Yates, from a stream of the epoch's own.
void Permute(uint64_t seed, std::vector<int32_t>* permutation) {
  std::iota(permutation->begin(), permutation->end(), 0);
  Random random(seed);
  for (size_t i = permutation->size(); i > 1; --i)
    std::swap((*permutation)[i - 1], (*permutation)[random.Below(i)]);
}

// Copies row `from` of `rows` to row `to`; rows of `size` elements.
template <typename T>
void CopySample(const std::vector<T>& rows, int64_t from, int64_t size, int64_t to,
                std::vector<T>* copies) {
  std::copy_n(rows.data() + from * size, size, copies->data() + to * size);
}

}  // namespace

Loader::Loader(const Samples& samples, const DataOrder& order, const AugmentSpec& augment)
    : samples_(samples), order_(order), augment_(augment) {
  RM_CHECK(order.samples > 0 && order.samples == samples.count() && order.samples <= INT32_MAX);
  RM_CHECK(order.batch_per_worker > 0);
  // Allocated here, so that no step of the run does.
  for (CachedEpoch& cached : cache_) cached.permutation.resize(order.samples);
  if (!Augments(augment) || !samples.has_features()) return;
  RM_CHECK(samples.shape.context == 0);
  image_.resize(samples.shape.features());
}

int64_t Loader::SampleAt(int64_t i) {
  RM_CHECK(i >= 0);
  const int64_t epoch = i / order_.samples;
  CachedEpoch& cached = cache_[epoch % 2];
  if (cached.epoch != epoch) {
    Permute(MixSeed(order_.seed, static_cast<uint64_t>(epoch)), &cached.permutation);
    cached.epoch = epoch;
  }
  return cached.permutation[i % order_.samples];
}

void Loader::Fill(int64_t number, Batch* batch) {
  const int64_t count = order_.batch_per_worker;
  const SampleShape& shape = samples_.shape;
  const int64_t begin = number * count;
  batch->features.resize(count * shape.features());
  batch->tokens.resize(count * shape.context);
  batch->labels.resize(count * shape.labels());
  batch->indices.resize(count);
  batch->number = number;
  for (int64_t j = 0; j < count; ++j) {
    const int64_t sample = SampleAt(begin + j);
    batch->indices[j] = sample;
    CopySample(samples_.labels, sample, shape.labels(), j, &batch->labels);
    CopySample(samples_.tokens, sample, shape.context, j, &batch->tokens);
    if (!samples_.has_features()) continue;
    float* features = batch->features.data() + j * shape.features();
    samples_.CopyFeatures(sample, image_.empty() ? features : image_.data());
    if (image_.empty()) continue;
    const uint64_t seed =
        MixSeed(MixSeed(order_.seed, kAugmentStream), static_cast<uint64_t>(begin + j));
    AugmentImage(augment_, shape, seed, image_.data(), features);
  }
}

uint64_t BatchFingerprint(const Batch& batch, FingerprintStream* stream) {
  const auto add = [stream](const auto& values) {
    stream->Add({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
  };
  add(batch.indices);
  add(batch.labels);
  return stream->Finish();
}

}  // namespace ringmaster
