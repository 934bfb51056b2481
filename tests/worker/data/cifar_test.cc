#include "worker/data/cifar.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/data/refusal.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

// Pixel p of sample s in channel c, a number of its own modulo 256.
unsigned char Pixel(int sample, int channel, int p) {
  return static_cast<unsigned char>(7 * sample + 31 * channel + p);
}

std::string Record(int label, int sample) {
  std::string record(1, static_cast<char>(label));
  for (int channel = 0; channel < 3; ++channel) {
    for (int p = 0; p < 1024; ++p) record.push_back(static_cast<char>(Pixel(sample, channel, p)));
  }
  return record;
}

// Two records in each training file, three in the test file; sample s of a set has label s mod 10.
class Cifar10 : public ::testing::Test {
 protected:
  Cifar10()
      : dir_(std::string(std::getenv("TEST_TMPDIR")) + "/" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::create_directories(dir_);
    for (int file = 0; file < 5; ++file) {
      Write(TrainFile(file), Record(2 * file, 2 * file) + Record(2 * file + 1, 2 * file + 1));
    }
    Write("test_batch.bin", Record(0, 100) + Record(1, 101) + Record(2, 102));
    spec_.set_name("cifar10");
    spec_.set_dir(dir_);
  }

  static std::string TrainFile(int file) { return absl::StrCat("data_batch_", file + 1, ".bin"); }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << bytes;
  }

  std::string ErrorOf() { return std::string(RefusalOf(spec_).message()); }

  const std::string dir_;
  DataSpec spec_;
};

TEST_F(Cifar10, LabelsAloneAreThoseOfTheWholeSet) {
  const auto whole = LoadDataset(spec_);
  const auto labels = LoadDataset(spec_, DatasetPart::kLabels);
  ASSERT_TRUE(whole.ok() && labels.ok()) << whole.status() << labels.status();
  EXPECT_EQ(labels->train.labels, whole->train.labels);
  EXPECT_EQ(labels->test.labels, whole->test.labels);
  EXPECT_EQ(labels->train.shape.features(), whole->train.shape.features());
  EXPECT_FALSE(labels->train.has_features());
}

TEST_F(Cifar10, SamplesAreTheRecordsOfAllFilesInOrderNormalizedByChannel) {
  int64_t train = 0, test = 0;
  const auto shape = InspectDataset(spec_, &train, &test);
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(train, 10);
  EXPECT_EQ(test, 3);
  EXPECT_EQ(dataset->train.count(), 10);
  EXPECT_EQ(dataset->test.count(), 3);
  EXPECT_EQ(shape->features(), 3072);
  EXPECT_EQ(dataset->train.shape.classes, 10);
  ASSERT_EQ(dataset->facts.mean_size(), 3);
  double means[3], deviations[3];
  for (int channel = 0; channel < 3; ++channel) {
    // Of the ten training samples, to four digits; each value stands once in four of a channel.
    double sum = 0, squares = 0;
    for (int i = 0; i < 10240; ++i) {
      const double share = Pixel(i / 1024, channel, i % 1024) / 255.0;
      sum += share / 10240;
      squares += share * share / 10240;
    }
    means[channel] = dataset->facts.mean(channel);
    deviations[channel] = dataset->facts.deviation(channel);
    EXPECT_NEAR(means[channel], sum, 5e-5);
    EXPECT_NEAR(deviations[channel], std::sqrt(squares - sum * sum), 5e-5);
  }
  std::vector<float> features(3072);
  for (int sample = 0; sample < 10; ++sample) {
    EXPECT_EQ(dataset->train.labels[sample], sample);
    dataset->train.CopyFeatures(sample, features.data());
    for (int i = 0; i < 3072; ++i) {
      const int channel = i / 1024;
      // Three roundings of values up to 2.3: below 1e-6.
      ASSERT_NEAR(features[i],
                  (Pixel(sample, channel, i % 1024) / 255.0 - means[channel]) / deviations[channel],
                  1e-6)
          << "sample " << sample << " feature " << i;
    }
  }
  dataset->test.CopyFeatures(2, features.data());
  EXPECT_NEAR(features[3071], (Pixel(102, 2, 1023) / 255.0 - means[2]) / deviations[2], 1e-6);
}

TEST_F(Cifar10, ALimitStopsWithinAFileAndBeforeTheNext) {
  spec_.set_train_limit(3);
  spec_.set_test_limit(1);
  Write(TrainFile(2), Record(99, 0));  // behind the limit: its pixels count, its label is not read
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.labels, std::vector<int32_t>({0, 1, 2}));
  EXPECT_EQ(dataset->test.count(), 1);
  spec_.clear_train_limit();
  Write(TrainFile(2), Record(9, 0));
  EXPECT_EQ(LoadDataset(spec_)->train.pixel_values, dataset->train.pixel_values);
  spec_.set_train_limit(10);
  EXPECT_THAT(ErrorOf(), HasSubstr("data.train_limit = 10: expected 1 to 9"));
}

TEST_F(Cifar10, TheSpecsMeansAndDeviationsReplaceTheDatasOwn) {
  for (const float mean : {0.0f, 0.5f, 1.0f}) spec_.add_mean(mean);
  for (const float deviation : {1.0f, 0.5f, 2.0f}) spec_.add_deviation(deviation);
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  std::vector<float> features(3072);
  dataset->test.CopyFeatures(0, features.data());
  EXPECT_EQ(features[0], Pixel(100, 0, 0) / 255.0f);
  EXPECT_EQ(features[1024], (Pixel(100, 1, 0) / 255.0f - 0.5f) / 0.5f);
  EXPECT_EQ(features[2048], (Pixel(100, 2, 0) / 255.0f - 1.0f) / 2.0f);
  EXPECT_EQ(dataset->facts.mean(1), 0.5f);
}

TEST_F(Cifar10, AMissingFileNamesThePathAndWhereTheFilesArePublished) {
  std::filesystem::remove(dir_ + "/data_batch_4.bin");
  const std::string error = ErrorOf();
  EXPECT_THAT(error, HasSubstr(dir_ + "/data_batch_4.bin"));
  EXPECT_THAT(error,
              HasSubstr("get the \"binary version\" from www.cs.toronto.edu/~kriz/cifar.html"));
}

TEST_F(Cifar10, AFileOfBrokenOrNoRecordsIsRefusedWithItsSize) {
  Write("test_batch.bin", Record(0, 0) + "x");
  EXPECT_THAT(ErrorOf(),
              HasSubstr("test_batch.bin: found 3074 bytes, expected a multiple of 3073"));
  Write("test_batch.bin", "");
  EXPECT_THAT(ErrorOf(), HasSubstr("test_batch.bin: found 0 bytes, expected a multiple of 3073"));
}

TEST_F(Cifar10, ALabelOutOfRangeIsNamedWithItsFileAndRecord) {
  Write(TrainFile(3), Record(6, 6) + Record(10, 7));
  const auto dataset = LoadDataset(spec_);
  ASSERT_FALSE(dataset.ok());
  EXPECT_THAT(
      std::string(dataset.status().message()),
      HasSubstr("data_batch_4.bin: found label 10 at record 1, expected labels from 0 to 9"));
}

}  // namespace
}  // namespace ringmaster
