#include "worker/data/data_facts.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/content_fingerprint.h"

namespace ringmaster {
namespace {

std::string Text(uint64_t fingerprint) {
  return absl::StrCat(absl::Hex(fingerprint, absl::kZeroPad16));
}

template <typename T>
std::string FingerprintOf(const std::vector<T>& values) {
  return Text(ContentFingerprint(
      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)}));
}

// Of images or texts; empty where they were not loaded.
std::string InputsOf(const Samples& samples) {
  if (!samples.tokens.empty()) return FingerprintOf(samples.tokens);
  if (!samples.pixels.empty()) return FingerprintOf(samples.pixels);
  return samples.features.empty() ? "" : FingerprintOf(samples.features);
}

}  // namespace

DataFacts FactsOf(const Dataset& dataset, absl::Span<const PixelStatistics> statistics) {
  DataFacts facts;
  facts.set_train_samples(dataset.train.count());
  facts.set_test_samples(dataset.test.count());
  facts.set_classes(dataset.train.shape.classes);
  for (const PixelStatistics& channel : statistics) {
    facts.add_mean(channel.mean);
    facts.add_deviation(channel.deviation);
  }
  facts.set_train_inputs(InputsOf(dataset.train));
  facts.set_train_labels(FingerprintOf(dataset.train.labels));
  facts.set_test_inputs(InputsOf(dataset.test));
  facts.set_test_labels(FingerprintOf(dataset.test.labels));
  // Deterministic: no map field.
  const SampleShape& shape = dataset.train.shape;
  facts.set_fingerprint(
      Text(ContentFingerprint(absl::StrCat(shape.channels, "x", shape.height, "x", shape.width, "x",
                                           shape.context, "/", facts.SerializeAsString()))));
  return facts;
}

}  // namespace ringmaster
