#include "worker/data/loader.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "common/control/dealing.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "worker/data/dataset.h"
#include "worker/data/synthetic.h"

namespace ringmaster {
namespace {

uint64_t Fingerprint(const Batch& batch) {
  FingerprintStream stream;
  return BatchFingerprint(batch, &stream);
}

SyntheticSpec SmallSpec() {
  SyntheticSpec spec;
  spec.set_channels(1);
  spec.set_height(2);
  spec.set_width(3);
  spec.set_classes(5);
  spec.set_noise(0.5f);
  return spec;
}

// D = 23 samples: no batch below divides it.
class DataOrderTest : public ::testing::Test {
 protected:
  static constexpr int64_t kSamples = 23;
  const Dataset dataset_ = MakeSynthetic(SmallSpec(), 7, kSamples, 4);

  // All indices of `steps` steps in the order of the stream.
  std::vector<int64_t> Stream(uint64_t seed, int32_t workers, int64_t batch_per_worker,
                              int64_t steps) {
    Loader loader(dataset_.train, {seed, kSamples, batch_per_worker});
    std::vector<int64_t> indices;
    Batch batch;
    for (int64_t step = 0; step < steps; ++step) {
      for (int32_t rank = 0; rank < workers; ++rank) {
        loader.Fill(Dealing{workers, 1}.LotOf(step, rank), &batch);
        EXPECT_EQ(batch.count(), batch_per_worker);
        indices.insert(indices.end(), batch.indices.begin(), batch.indices.end());
      }
    }
    return indices;
  }
};

TEST_F(DataOrderTest, LabelsAloneGiveTheSameBatchesWithZerosForFeatures) {
  const Dataset labels = MakeSynthetic(SmallSpec(), 7, kSamples, 4, DatasetPart::kLabels);
  EXPECT_FALSE(labels.train.has_features());
  EXPECT_EQ(labels.test.labels, dataset_.test.labels);
  AugmentSpec augment;
  augment.set_flip(true);
  Loader whole(dataset_.train, {3, kSamples, 5});
  Loader bare(labels.train, {3, kSamples, 5}, augment);
  Batch expected, batch;
  for (int64_t step = 0; step < 2 * kSamples; ++step) {
    whole.Fill(step, &expected);
    bare.Fill(step, &batch);
    ASSERT_EQ(batch.indices, expected.indices);
    ASSERT_EQ(batch.labels, expected.labels);
    ASSERT_EQ(Fingerprint(batch), Fingerprint(expected));
    ASSERT_EQ(batch.features, std::vector<float>(expected.features.size()));
  }
}

TEST_F(DataOrderTest, EveryEpochIsAPermutationAlthoughTheBatchDoesNotDivideIt) {
  const std::vector<int64_t> stream = Stream(1, 2, 5, kSamples);  // 230 samples: 10 epochs
  std::set<std::vector<int64_t>> epochs;
  for (int64_t epoch = 0; epoch < 10; ++epoch) {
    std::vector<int64_t> part(stream.begin() + epoch * kSamples,
                              stream.begin() + (epoch + 1) * kSamples);
    epochs.insert(part);
    std::sort(part.begin(), part.end());
    std::vector<int64_t> all(kSamples);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(part, all) << "epoch " << epoch;
  }
  EXPECT_EQ(epochs.size(), 10u) << "two epochs have the same order";
}

TEST_F(DataOrderTest, TheUnionOverRanksOfAStepIsTheSameForOneToFourWorkers) {
  const std::vector<int64_t> reference = Stream(3, 1, 12, 40);
  EXPECT_EQ(Stream(3, 2, 6, 40), reference);
  EXPECT_EQ(Stream(3, 3, 4, 40), reference);
  EXPECT_EQ(Stream(3, 4, 3, 40), reference);
}

TEST_F(DataOrderTest, ABatchLargerThanTheSetCrossesSeveralEpochs) {
  const std::vector<int64_t> stream = Stream(3, 1, 60, 2);
  EXPECT_EQ(stream, std::vector<int64_t>(Stream(3, 1, 5, 24)));
}

TEST_F(DataOrderTest, BatchesDoNotDependOnWhatWasAskedBefore) {
  const DataOrder order{9, kSamples, 5};
  Loader in_order(dataset_.train, order);
  std::vector<uint64_t> fingerprints;
  Batch batch;
  for (int64_t step = 0; step < 30; ++step) {
    in_order.Fill(step, &batch);
    fingerprints.push_back(Fingerprint(batch));
  }
  Loader backwards(dataset_.train, order);
  for (int64_t step = 29; step >= 0; --step) {
    backwards.Fill(step, &batch);
    EXPECT_EQ(Fingerprint(batch), fingerprints[step]) << "step " << step;
  }
}

TEST_F(DataOrderTest, AnotherSeedIsAnotherOrder) {
  EXPECT_NE(Stream(1, 1, 23, 1), Stream(2, 1, 23, 1));
}

TEST_F(DataOrderTest, ABatchCarriesTheFeaturesAndLabelsOfItsIndices) {
  Loader loader(dataset_.train, {5, kSamples, 4});
  Batch batch;
  loader.Fill(5, &batch);  // positions 20..23: across an epoch border
  for (int64_t j = 0; j < batch.count(); ++j) {
    EXPECT_EQ(batch.labels[j], dataset_.train.labels[batch.indices[j]]);
    for (int64_t f = 0; f < 6; ++f) {
      EXPECT_EQ(batch.features[j * 6 + f], dataset_.train.features[batch.indices[j] * 6 + f]);
    }
  }
}

TEST_F(DataOrderTest, FingerprintsTellOrderAndLabelsApart) {
  Batch a;
  a.indices = {1, 2};
  a.labels = {3, 3};
  Batch swapped = a;
  std::swap(swapped.indices[0], swapped.indices[1]);
  Batch relabelled = a;
  relabelled.labels[1] = 4;
  EXPECT_NE(Fingerprint(a), Fingerprint(swapped));
  EXPECT_NE(Fingerprint(a), Fingerprint(relabelled));
  EXPECT_EQ(Fingerprint(a), Fingerprint(Batch(a)));
}

TEST(Synthetic, TheNearestPrototypeClassifiesItAndSmallerSetsArePrefixes) {
  SyntheticSpec spec = SmallSpec();
  spec.set_height(8);
  spec.set_width(8);
  const Dataset large = MakeSynthetic(spec, 11, 200, 100);
  const Dataset small = MakeSynthetic(spec, 11, 50, 100);
  EXPECT_TRUE(std::equal(small.train.features.begin(), small.train.features.end(),
                         large.train.features.begin()));
  // Class means of the training set classify the test set: 64 features at noise 0.5 leave the
  // classes far apart.
  std::vector<double> means(5 * 64, 0.0);
  for (int64_t i = 0; i < 200; ++i) {
    for (int64_t f = 0; f < 64; ++f)
      means[large.train.labels[i] * 64 + f] += large.train.features[i * 64 + f] / 40;
  }
  for (int64_t i = 0; i < 100; ++i) {
    int best = 0;
    double best_distance = 1e30;
    for (int label = 0; label < 5; ++label) {
      double distance = 0;
      for (int64_t f = 0; f < 64; ++f) {
        const double d = means[label * 64 + f] - large.test.features[i * 64 + f];
        distance += d * d;
      }
      if (distance < best_distance) best = label, best_distance = distance;
    }
    EXPECT_EQ(best, large.test.labels[i]) << "test sample " << i;
  }
  EXPECT_NE(std::vector<float>(large.train.features.begin(), large.train.features.begin() + 64),
            std::vector<float>(large.test.features.begin(), large.test.features.begin() + 64));
}

TEST(SyntheticTexts, CountingPairsOfSymbolsComesCloseToTheBestLossAndSmallerSetsArePrefixes) {
  SyntheticSpec spec;
  spec.set_classes(20);
  spec.set_context(16);
  const Dataset large = MakeSynthetic(spec, 11, 2000, 200);
  const Dataset small = MakeSynthetic(spec, 11, 50, 200);
  EXPECT_EQ(large.train.count(), 2000);
  EXPECT_EQ(small.train.count(), 50);
  EXPECT_TRUE(
      std::equal(small.train.tokens.begin(), small.train.tokens.end(), large.train.tokens.begin()));
  EXPECT_TRUE(
      std::equal(small.train.labels.begin(), small.train.labels.end(), large.train.labels.begin()));
  std::vector<double> pairs(20 * 20, 1e-3), totals(20, 20e-3);
  for (size_t t = 0; t < large.train.tokens.size(); ++t) {
    if (t % 16 != 0) {
      EXPECT_EQ(large.train.tokens[t], large.train.labels[t - 1]) << "a label is the next token";
    }
    pairs[large.train.tokens[t] * 20 + large.train.labels[t]] += 1;
    totals[large.train.tokens[t]] += 1;
  }
  double loss = 0;
  for (size_t t = 0; t < large.test.tokens.size(); ++t) {
    loss -= std::log(pairs[large.test.tokens[t] * 20 + large.test.labels[t]] /
                     totals[large.test.tokens[t]]);
  }
  loss /= static_cast<double>(large.test.tokens.size());
  // 1.75 ln 2 less what coinciding successors save; 3200 symbols scatter by about 0.02.
  EXPECT_LT(loss, 1.75 * std::log(2.0) + 0.05);
  EXPECT_GT(loss, 0.6);
}

TEST(SyntheticTexts, ABatchCarriesTheTokensAndLabelsOfItsIndices) {
  SyntheticSpec spec;
  spec.set_classes(7);
  spec.set_context(3);
  const Dataset dataset = MakeSynthetic(spec, 5, 11, 2);
  Loader loader(dataset.train, {5, 11, 4});
  Batch batch;
  loader.Fill(2, &batch);  // positions 8..11: across an epoch border
  EXPECT_EQ(batch.count(), 4);
  EXPECT_TRUE(batch.features.empty());
  ASSERT_EQ(batch.tokens.size(), 12u);
  ASSERT_EQ(batch.labels.size(), 12u);
  for (int64_t j = 0; j < 12; ++j) {
    EXPECT_EQ(batch.tokens[j], dataset.train.tokens[batch.indices[j / 3] * 3 + j % 3]);
    EXPECT_EQ(batch.labels[j], dataset.train.labels[batch.indices[j / 3] * 3 + j % 3]);
  }
}

}  // namespace
}  // namespace ringmaster
