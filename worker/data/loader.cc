#include "worker/data/loader.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/base/fingerprint.h"
#include "common/base/random.h"

namespace ringmaster {
namespace {

// Fisher and Yates, from a stream of the epoch's own.
void Permute(uint64_t seed, std::vector<int32_t>* permutation) {
  std::iota(permutation->begin(), permutation->end(), 0);
  Random random(seed);
  for (size_t i = permutation->size(); i > 1; --i) std::swap((*permutation)[i - 1], (*permutation)[random.Below(i)]);
}

}  // namespace

Loader::Loader(const Samples& samples, const DataOrder& order) : samples_(samples), order_(order) {
  RM_CHECK(order.samples > 0 && order.samples == samples.count() && order.samples <= INT32_MAX);
  RM_CHECK(order.batch_per_worker > 0 && order.global_batch >= order.batch_per_worker);
  // Allocated here, so that no step of the run does.
  for (CachedEpoch& cached : cache_) cached.permutation.resize(order.samples);
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

void Loader::Fill(int32_t rank, int64_t step, Batch* batch) {
  const int64_t count = order_.batch_per_worker;
  const int64_t features = samples_.shape.features();
  const int64_t begin = step * order_.global_batch + rank * count;
  batch->features.resize(count * features);
  batch->labels.resize(count);
  batch->indices.resize(count);
  for (int64_t j = 0; j < count; ++j) {
    const int64_t sample = SampleAt(begin + j);
    batch->indices[j] = sample;
    batch->labels[j] = samples_.labels[sample];
    std::copy_n(samples_.features.data() + sample * features, features, batch->features.data() + j * features);
  }
}

uint64_t BatchFingerprint(const Batch& batch) {
  RM_CHECK(batch.indices.size() == batch.labels.size());
  std::string bytes(batch.indices.size() * (sizeof(int64_t) + sizeof(int32_t)), '\0');
  const size_t index_bytes = batch.indices.size() * sizeof(int64_t);
  if (!bytes.empty()) {
    std::memcpy(&bytes[0], batch.indices.data(), index_bytes);
    std::memcpy(&bytes[index_bytes], batch.labels.data(), bytes.size() - index_bytes);
  }
  return Fingerprint64(bytes);
}

}  // namespace ringmaster
