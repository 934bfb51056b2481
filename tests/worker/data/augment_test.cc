#include "worker/data/augment.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "worker/data/loader.h"
#include "worker/data/synthetic.h"

namespace ringmaster {
namespace {

constexpr SampleShape kShape{2, 3, 4, 10};

// 1, 2, ..., so that every place has a value of its own and none is a border's 0.
std::vector<float> Image() {
  std::vector<float> image(kShape.features());
  std::iota(image.begin(), image.end(), 1.0f);
  return image;
}

std::vector<float> Augmented(const AugmentSpec& spec, uint64_t seed) {
  const std::vector<float> image = Image();
  std::vector<float> changed(image.size(), -1.0f);
  AugmentImage(spec, kShape, seed, image.data(), changed.data());
  return changed;
}

// The window at (top, left) of the image with a border of zeros, mirrored or not.
std::vector<float> Window(int top, int left, bool mirrored) {
  const std::vector<float> image = Image();
  std::vector<float> window;
  for (int c = 0; c < kShape.channels; ++c) {
    for (int y = 0; y < kShape.height; ++y) {
      for (int i = 0; i < kShape.width; ++i) {
        const int row = y + top, column = (mirrored ? kShape.width - 1 - i : i) + left;
        const bool border = row < 0 || row >= kShape.height || column < 0 || column >= kShape.width;
        window.push_back(border ? 0.0f : image[(c * kShape.height + row) * kShape.width + column]);
      }
    }
  }
  return window;
}

TEST(Augment, NothingAskedForIsTheImageItself) {
  EXPECT_EQ(Augmented(AugmentSpec(), 5), Image());
  EXPECT_FALSE(Augments(AugmentSpec()));
}

TEST(Augment, CropsAreAllWindowsOfThePaddedImageAboutEquallyOften) {
  AugmentSpec spec;
  spec.set_crop_padding(2);
  std::vector<int> seen(25, 0);
  for (uint64_t seed = 0; seed < 2500; ++seed) {
    const std::vector<float> changed = Augmented(spec, seed);
    bool found = false;
    for (int w = 0; w < 25 && !found; ++w) {
      found = changed == Window(w / 5 - 2, w % 5 - 2, false);
      if (found) ++seen[w];
    }
    ASSERT_TRUE(found) << "seed " << seed << " gives no window";
  }
  // 100 each with deviation 10: 5 deviations either way.
  for (int w = 0; w < 25; ++w) EXPECT_NEAR(seen[w], 100, 50) << "window " << w;
}

TEST(Augment, AFlipMirrorsAllChannelsHalfOfTheTime) {
  AugmentSpec spec;
  spec.set_flip(true);
  int mirrored = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const std::vector<float> changed = Augmented(spec, seed);
    if (changed == Window(0, 0, true)) {
      ++mirrored;
    } else {
      ASSERT_EQ(changed, Image()) << "seed " << seed;
    }
  }
  EXPECT_NEAR(mirrored, 500, 80);  // 5 deviations
}

TEST(Augment, NoiseHasTheDeviationThatIsAskedForAndIsNewInEachPlace) {
  AugmentSpec spec;
  spec.set_noise(0.5f);
  double sum = 0, squares = 0;
  int64_t count = 0;
  const std::vector<float> image = Image();
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const std::vector<float> changed = Augmented(spec, seed);
    std::set<float> values;
    for (size_t i = 0; i < image.size(); ++i) {
      const double noise = changed[i] - image[i];
      sum += noise;
      squares += noise * noise;
      values.insert(changed[i] - image[i]);
      ++count;
    }
    EXPECT_GT(values.size(), image.size() / 2);
  }
  // 9600 draws: 5 deviations of mean and of deviation.
  EXPECT_NEAR(sum / count, 0, 0.026);
  EXPECT_NEAR(std::sqrt(squares / count), 0.5, 0.018);
}

class AugmentedBatches : public ::testing::Test {
 protected:
  AugmentedBatches() {
    spec_.set_channels(1);
    spec_.set_height(4);
    spec_.set_width(4);
    spec_.set_classes(5);
    spec_.set_noise(0.5f);
    dataset_ = MakeSynthetic(spec_, 7, 23, 4);
    augment_.set_crop_padding(1);
    augment_.set_flip(true);
    augment_.set_noise(0.1f);
  }

  // All features of `steps` steps in the order of the stream.
  std::vector<float> Stream(int32_t workers, int64_t batch_per_worker, int64_t steps,
                            uint64_t seed = 3) {
    Loader loader(dataset_.train, {seed, 23, batch_per_worker}, augment_);
    std::vector<float> features;
    Batch batch;
    for (int64_t number = 0; number < steps * workers; ++number) {
      loader.Fill(number, &batch);
      features.insert(features.end(), batch.features.begin(), batch.features.end());
    }
    return features;
  }

  SyntheticSpec spec_;
  Dataset dataset_;
  AugmentSpec augment_;
};

TEST_F(AugmentedBatches, AreTheSameHoweverManyWorkersShareTheGlobalBatch) {
  const std::vector<float> reference = Stream(1, 12, 10);
  EXPECT_EQ(Stream(2, 6, 10), reference);
  EXPECT_EQ(Stream(3, 4, 10), reference);
  EXPECT_EQ(Stream(12, 1, 10), reference);
}

TEST_F(AugmentedBatches, ChangeASampleInAnotherWayEachTimeItComes) {
  const std::vector<float> stream = Stream(1, 23, 6);  // six epochs
  std::set<std::vector<float>> images;
  for (size_t i = 0; i < stream.size(); i += 16)
    images.emplace(stream.begin() + i, stream.begin() + i + 16);
  EXPECT_EQ(images.size(), 6u * 23u);
  EXPECT_NE(Stream(1, 23, 1, 4), Stream(1, 23, 1, 3));
}

TEST_F(AugmentedBatches, LeaveTheDataSetAloneAndKeepOrderAndLabels) {
  const std::vector<float> before = dataset_.train.features;
  Loader plain(dataset_.train, {3, 23, 8}), augmented(dataset_.train, {3, 23, 8}, augment_);
  Batch expected, batch;
  for (int64_t step = 0; step < 5; ++step) {
    plain.Fill(step, &expected);
    augmented.Fill(step, &batch);
    EXPECT_EQ(batch.indices, expected.indices);
    EXPECT_EQ(batch.labels, expected.labels);
    EXPECT_NE(batch.features, expected.features);
  }
  EXPECT_EQ(dataset_.train.features, before);
}

}  // namespace
}  // namespace ringmaster
