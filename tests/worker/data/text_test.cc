#include "worker/data/text.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/data/refusal.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Text : public ::testing::Test {
 protected:
  Text()
      : path_(std::string(std::getenv("TEST_TMPDIR")) + "/" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    spec_.set_name("text");
    spec_.mutable_text()->set_file(path_);
    spec_.mutable_text()->set_context(4);
    spec_.mutable_text()->set_test_share(0.3);
  }

  void Write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }

  absl::Status Error() { return RefusalOf(spec_); }

  const std::string path_;
  DataSpec spec_;
};

TEST_F(Text, SamplesAreTheBytesAndLabelsTheBytesOneFurther) {
  Write("abcdefghijklmnopqrst");  // 20 bytes: a..n to train on, o..t to test on
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const Samples& train = dataset->train;
  EXPECT_EQ(train.count(), 3);  // (14 - 1) div 4
  EXPECT_EQ(train.shape.context, 4);
  EXPECT_EQ(train.shape.classes, 256);
  EXPECT_EQ(train.shape.features(), 0);
  EXPECT_TRUE(train.features.empty());
  EXPECT_THAT(train.tokens,
              ElementsAre('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'));
  EXPECT_THAT(train.labels,
              ElementsAre('b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm'));
  EXPECT_EQ(dataset->test.count(), 1);
  EXPECT_THAT(dataset->test.tokens, ElementsAre('o', 'p', 'q', 'r'));
  EXPECT_THAT(dataset->test.labels, ElementsAre('p', 'q', 'r', 's'));
}

TEST_F(Text, EveryByteIsAClassOfItsOwn) {
  spec_.mutable_text()->set_context(255);
  spec_.mutable_text()->set_test_share(0.5);
  std::string bytes;
  for (int i = 0; i < 512; ++i) bytes.push_back(static_cast<char>(i));
  Write(bytes);
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_EQ(dataset->train.count(), 1);
  for (int i = 0; i < 255; ++i) {
    EXPECT_EQ(dataset->train.tokens[i], i);
    EXPECT_EQ(dataset->train.labels[i], i + 1);
  }
}

TEST_F(Text, TheLastLabelOfTrainingLiesBeforeTheTestSplit) {
  for (int size = 20; size < 60; ++size) {
    std::string bytes(size, 'a');
    const int test_bytes = static_cast<int>(size * 0.3);
    for (int i = size - test_bytes; i < size; ++i) bytes[i] = 'z';
    Write(bytes);
    const auto dataset = LoadDataset(spec_);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    for (const int32_t label : dataset->train.labels) EXPECT_EQ(label, 'a') << "size " << size;
    for (const int32_t token : dataset->test.tokens) EXPECT_EQ(token, 'z') << "size " << size;
  }
}

TEST_F(Text, InspectionAgreesWithLoadingUnderLimits) {
  Write(std::string(100, 'x'));
  spec_.set_train_limit(2);
  spec_.set_test_limit(3);
  int64_t train = 0, test = 0;
  const auto shape = InspectDataset(spec_, &train, &test);
  ASSERT_TRUE(shape.ok()) << shape.status();
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(train, 2);
  EXPECT_EQ(test, 3);
  EXPECT_EQ(dataset->train.count(), 2);
  EXPECT_EQ(dataset->test.count(), 3);
  spec_.set_test_limit(8);
  EXPECT_THAT(std::string(Error().message()), HasSubstr("data.test_limit = 8: expected 1 to 7"));
}

TEST_F(Text, AMissingFileNamesPathAndTheFieldThatNamesAnother) {
  const absl::Status error = Error();
  EXPECT_TRUE(absl::IsNotFound(error));
  EXPECT_THAT(std::string(error.message()), HasSubstr(path_));
  EXPECT_THAT(std::string(error.message()),
              HasSubstr("name a text of yours with --set data.text.file=PATH"));
}

TEST_F(Text, AnEmptyFileIsRefused) {
  Write("");
  EXPECT_THAT(std::string(Error().message()),
              HasSubstr(path_ + ": found an empty file, expected a text"));
}

TEST_F(Text, AFileWithoutASampleForEachSplitIsRefusedWithTheSizes) {
  Write("abcdefghijklmno");  // 15 bytes: 11 and 4, and the test split needs 5
  EXPECT_THAT(
      std::string(Error().message()),
      HasSubstr("found 15 bytes, 11 to train on and 4 to test on, expected at least 5 of each"));
  spec_.mutable_text()->set_test_share(0.9);  // 2 and 13
  EXPECT_THAT(std::string(Error().message()), HasSubstr("2 to train on and 13 to test on"));
  Write("a");
  EXPECT_THAT(std::string(Error().message()), HasSubstr("found 1 bytes"));
}

TEST_F(Text, AFolderAndAPipeAreRefusedWithoutBeingOpened) {
  std::filesystem::create_directory(path_);
  EXPECT_THAT(std::string(Error().message()), HasSubstr("found a folder, expected a regular file"));
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(std::string(Error().message()), HasSubstr("found a pipe or a device"));
}

TEST_F(Text, AFileTooLargeForMemoryIsRefusedByItsSize) {
  Write("a");
  // a hole: takes no space
  std::filesystem::resize_file(path_, static_cast<uintmax_t>(kTextBytesMax) + 1);
  EXPECT_THAT(std::string(Error().message()),
              HasSubstr("found 1073741825 bytes, expected at most 1073741824"));
}

}  // namespace
}  // namespace ringmaster
