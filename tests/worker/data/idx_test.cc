#include "worker/data/idx.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string Images(uint32_t count, uint32_t rows, uint32_t columns, uint32_t magic = 2051) {
  std::string bytes = BigEndian(magic) + BigEndian(count) + BigEndian(rows) + BigEndian(columns);
  for (uint32_t i = 0; i < count * rows * columns; ++i) bytes.push_back(static_cast<char>(i % 256));
  return bytes;
}

std::string Labels(uint32_t count, uint32_t magic = 2049) {
  std::string bytes = BigEndian(magic) + BigEndian(count);
  for (uint32_t i = 0; i < count; ++i) bytes.push_back(static_cast<char>(i % 10));
  return bytes;
}

class Idx : public ::testing::Test {
 protected:
  Idx()
      : dir_(std::string(std::getenv("TEST_TMPDIR")) + "/" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::create_directories(dir_);
    Write("train-images-idx3-ubyte", Images(12, 4, 3));
    Write("train-labels-idx1-ubyte", Labels(12));
    Write("t10k-images-idx3-ubyte", Images(5, 4, 3));
    Write("t10k-labels-idx1-ubyte", Labels(5));
    spec_.set_name("mnist");
    spec_.set_dir(dir_);
  }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << bytes;
  }

  // Both the inspection of headers and the loading must refuse, with the same words.
  std::string ErrorOf() {
    int64_t train = 0, test = 0;
    const auto shape = InspectDataset(spec_, &train, &test);
    const auto dataset = LoadDataset(spec_);
    EXPECT_FALSE(shape.ok());
    EXPECT_FALSE(dataset.ok());
    EXPECT_EQ(shape.status(), dataset.status());
    return std::string(dataset.status().message());
  }

  const std::string dir_;
  DataSpec spec_;
};

TEST_F(Idx, PixelsAreNormalizedAndLabelsKept) {
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.count(), 12);
  EXPECT_EQ(dataset->test.count(), 5);
  EXPECT_EQ(dataset->train.shape.height, 4);
  EXPECT_EQ(dataset->train.shape.width, 3);
  EXPECT_EQ(dataset->train.shape.classes, 10);
  ASSERT_EQ(dataset->train.features.size(), 12u * 12u);
  EXPECT_EQ(dataset->train.labels[11], 1);
  // One rounding each of a quotient, a difference and a quotient: 4 ulp of values below 3.
  EXPECT_NEAR(dataset->train.features[0], -0.1307 / 0.3081, 1e-6);
  EXPECT_NEAR(dataset->train.features[143], (143 / 255.0 - 0.1307) / 0.3081, 1e-6);
}

TEST_F(Idx, InspectionAgreesWithLoadingUnderLimits) {
  spec_.set_train_limit(7);
  spec_.set_test_limit(2);
  int64_t train = 0, test = 0;
  const auto shape = InspectDataset(spec_, &train, &test);
  ASSERT_TRUE(shape.ok()) << shape.status();
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(train, 7);
  EXPECT_EQ(test, 2);
  EXPECT_EQ(dataset->train.count(), 7);
  EXPECT_EQ(dataset->test.count(), 2);
  EXPECT_EQ(shape->features(), dataset->train.shape.features());
}

TEST_F(Idx, ALimitBeyondTheSetIsRefused) {
  spec_.set_train_limit(13);
  EXPECT_THAT(ErrorOf(), HasSubstr("data.train_limit = 13: expected 1 to 12"));
}

TEST_F(Idx, AMissingFileNamesThePathAndTheRemedy) {
  std::remove((dir_ + "/t10k-labels-idx1-ubyte").c_str());
  const std::string error = ErrorOf();
  EXPECT_THAT(error, HasSubstr(dir_ + "/t10k-labels-idx1-ubyte"));
  EXPECT_THAT(error, HasSubstr("run ./run once to fetch it, or point --data-dir"));
}

TEST_F(Idx, AWrongMagicNumberIsNamedWithTheExpectedOne) {
  Write("train-images-idx3-ubyte", Images(12, 4, 3, 2049));
  EXPECT_THAT(ErrorOf(), HasSubstr("found magic number 2049, expected 2051 (IDX images)"));
}

TEST_F(Idx, ACompressedFileIsRecognized) {
  Write("train-labels-idx1-ubyte", "\x1f\x8b and so on");
  EXPECT_THAT(ErrorOf(), HasSubstr("found a gzip file"));
}

TEST_F(Idx, ATruncatedFileIsRefusedWithBothSizes) {
  Write("train-images-idx3-ubyte", Images(12, 4, 3).substr(0, 159));
  EXPECT_THAT(ErrorOf(), HasSubstr("found 159 bytes (truncated), expected 160 bytes for the 12 samples"));
}

TEST_F(Idx, AnOversizedFileIsRefusedWithBothSizes) {
  Write("t10k-labels-idx1-ubyte", Labels(5) + "x");
  EXPECT_THAT(ErrorOf(), HasSubstr("found 14 bytes (oversized), expected 13 bytes"));
}

TEST_F(Idx, AFileShorterThanItsHeaderIsRefused) {
  Write("train-images-idx3-ubyte", std::string("\0\0\x08", 3));
  EXPECT_THAT(ErrorOf(), HasSubstr("found 3 bytes, expected at least the header's 16 bytes"));
}

TEST_F(Idx, AHeaderWhoseProductOverflowsIsRefused) {
  Write("train-images-idx3-ubyte", BigEndian(2051) + BigEndian(0xFFFFFFFF) + BigEndian(4096) + BigEndian(4096));
  EXPECT_THAT(ErrorOf(), HasSubstr("(truncated)"));
  Write("train-images-idx3-ubyte", BigEndian(2051) + BigEndian(1) + BigEndian(0) + BigEndian(28));
  EXPECT_THAT(ErrorOf(), HasSubstr("an image extent of 0"));
}

TEST_F(Idx, UnequalCountsOfImagesAndLabelsAreRefused) {
  Write("train-labels-idx1-ubyte", Labels(11));
  EXPECT_THAT(ErrorOf(), HasSubstr("found 11 labels, expected 12"));
}

TEST_F(Idx, TestImagesOfAnotherSizeAreRefused) {
  Write("t10k-images-idx3-ubyte", Images(5, 3, 4));
  EXPECT_THAT(ErrorOf(), HasSubstr("found images of 3x4, expected 4x3"));
}

TEST_F(Idx, ALabelOutOfRangeIsNamedWithItsPosition) {
  std::string labels = Labels(12);
  labels[8 + 6] = 10;
  Write("train-labels-idx1-ubyte", labels);
  EXPECT_THAT(ErrorOf(), HasSubstr("label 10 at sample 6, expected labels from 0 to 9"));
}

TEST_F(Idx, AFolderInPlaceOfAFileIsAnError) {
  std::remove((dir_ + "/train-images-idx3-ubyte").c_str());
  std::filesystem::create_directory(dir_ + "/train-images-idx3-ubyte");
  EXPECT_THAT(ErrorOf(), HasSubstr("/train-images-idx3-ubyte: found a folder, expected a regular file"));
}

TEST_F(Idx, APipeInPlaceOfAFileIsRefusedWithoutWaitingForAWriter) {
  std::remove((dir_ + "/train-labels-idx1-ubyte").c_str());
  ASSERT_EQ(mkfifo((dir_ + "/train-labels-idx1-ubyte").c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf(), HasSubstr("/train-labels-idx1-ubyte: found a pipe or a device"));
}

TEST(Dataset, AnUnknownNameListsTheKnownOnes) {
  DataSpec spec;
  spec.set_name("imagenet");
  const auto dataset = LoadDataset(spec);
  ASSERT_FALSE(dataset.ok());
  EXPECT_EQ(dataset.status().message(), "data.name = \"imagenet\": no such dataset; known are mnist, text, synthetic");
}

}  // namespace
}  // namespace ringmaster
