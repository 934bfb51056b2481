#include "worker/data/idx.h"

#include <sys/stat.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/data/refusal.h"
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

// QMNIST's: rows of eight numbers, of which the first is the label; the others say who wrote it.
std::string LabelRows(uint32_t count, uint32_t columns = 8) {
  std::string bytes = BigEndian(3074) + BigEndian(count) + BigEndian(columns);
  for (uint32_t i = 0; i < count; ++i) {
    bytes += BigEndian(i % 10);
    for (uint32_t column = 1; column < columns; ++column) bytes += BigEndian(1000 * i + column);
  }
  return bytes;
}

std::string LabelsFrom(const std::vector<int>& labels) {
  std::string bytes = BigEndian(2049) + BigEndian(static_cast<uint32_t>(labels.size()));
  for (const int label : labels) bytes.push_back(static_cast<char>(label));
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

  std::string ErrorOf() { return std::string(RefusalOf(spec_).message()); }

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
  std::vector<float> features(12 * 12);
  for (int64_t i = 0; i < 12; ++i) dataset->train.CopyFeatures(i, features.data() + i * 12);
  EXPECT_EQ(dataset->train.labels[11], 1);
  // Of 0 to 143: mean 71.5 and deviation sqrt((144^2 - 1) / 12) = 41.568, over 255.
  ASSERT_EQ(dataset->facts.mean_size(), 1);
  EXPECT_EQ(dataset->facts.mean(0), 0.2804f);
  EXPECT_EQ(dataset->facts.deviation(0), 0.1630f);
  EXPECT_EQ(dataset->facts.classes(), 10);
  // One rounding each of a quotient, a difference and a quotient: 4 ulp of values below 3.
  EXPECT_NEAR(features[0], -0.2804 / 0.1630, 1e-6);
  EXPECT_NEAR(features[143], (143 / 255.0 - 0.2804) / 0.1630, 1e-6);
}

TEST_F(Idx, ALimitChangesNoPixelsMeaning) {
  const auto whole = LoadDataset(spec_);
  spec_.set_train_limit(2);
  const auto limited = LoadDataset(spec_);
  ASSERT_TRUE(whole.ok() && limited.ok()) << whole.status() << limited.status();
  EXPECT_EQ(limited->train.pixel_values, whole->train.pixel_values);
  EXPECT_EQ(limited->test.pixel_values, whole->train.pixel_values);
  EXPECT_EQ(limited->train.pixels.size(), 24u);
}

TEST_F(Idx, TheSpecsMeanAndDeviationReplaceTheDatasOwn) {
  spec_.add_mean(0.5f);
  spec_.add_deviation(0.25f);
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  std::vector<float> features(12);
  dataset->test.CopyFeatures(0, features.data());
  EXPECT_EQ(features[0], -2.0f);
  EXPECT_EQ(dataset->facts.mean(0), 0.5f);
  EXPECT_EQ(dataset->facts.deviation(0), 0.25f);
}

TEST_F(Idx, ClassesFollowTheTrainingLabelsWhichStayAsTheyAre) {
  // EMNIST's letters: 1 to 26.
  std::vector<int> letters;
  for (int letter = 1; letter <= 26; ++letter) letters.push_back(letter);
  Write("train-images-idx3-ubyte", Images(26, 4, 3));
  Write("train-labels-idx1-ubyte", LabelsFrom(letters));
  Write("t10k-labels-idx1-ubyte", LabelsFrom({26, 1, 2, 3, 4}));
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.shape.classes, 27);
  EXPECT_EQ(dataset->test.shape.classes, 27);
  EXPECT_EQ(dataset->train.labels.back(), 26);
  EXPECT_EQ(dataset->test.labels.front(), 26);
  spec_.set_train_limit(3);
  spec_.set_test_limit(1);
  int64_t train = 0, test = 0;
  const auto shape = InspectDataset(spec_, &train, &test);
  ASSERT_TRUE(shape.ok()) << shape.status();
  EXPECT_EQ(shape->classes, 27);
}

TEST_F(Idx, FewClassesAreTakenAsTheyAre) {
  Write("train-labels-idx1-ubyte", LabelsFrom({0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}));
  Write("t10k-labels-idx1-ubyte", LabelsFrom({1, 1, 1, 1, 1}));
  const auto dataset = LoadDataset(spec_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.shape.classes, 2);
  spec_.set_classes(10);
  EXPECT_EQ(LoadDataset(spec_)->train.shape.classes, 10);
}

TEST_F(Idx, ATestLabelThatTheTrainingSetDoesNotHaveIsNamed) {
  Write("t10k-labels-idx1-ubyte", LabelsFrom({0, 1, 2, 46, 47}));
  EXPECT_THAT(ErrorOf(), HasSubstr("t10k-labels-idx1-ubyte: found label 46 at sample 3, expected "
                                   "labels from 0 to 9 as in the training set"));
}

TEST_F(Idx, LabelsOfRowsAreTheirFirstNumbers) {
  const auto plain = LoadDataset(spec_);
  Write("train-labels-idx1-ubyte", LabelRows(12));
  Write("t10k-labels-idx1-ubyte", LabelRows(5, 1));
  const auto rows = LoadDataset(spec_);
  ASSERT_TRUE(plain.ok() && rows.ok()) << plain.status() << rows.status();
  EXPECT_EQ(rows->train.labels, plain->train.labels);
  EXPECT_EQ(rows->test.labels, plain->test.labels);
  EXPECT_EQ(rows->facts.fingerprint(), plain->facts.fingerprint());
}

TEST_F(Idx, LabelRowsOfAnotherLengthThanTheirHeaderSaysAreRefused) {
  const std::string rows = LabelRows(12);
  Write("train-labels-idx1-ubyte", rows.substr(0, rows.size() - 4));
  EXPECT_THAT(ErrorOf(), HasSubstr("found 392 bytes (truncated), expected 396 bytes for the 12"));
  Write("train-labels-idx1-ubyte", rows + "four");
  EXPECT_THAT(ErrorOf(), HasSubstr("found 400 bytes (oversized), expected 396 bytes for the 12"));
  Write("train-labels-idx1-ubyte", LabelRows(11));
  EXPECT_THAT(ErrorOf(), HasSubstr("found 11 labels, expected 12"));
  Write("train-labels-idx1-ubyte", BigEndian(3074) + BigEndian(12) + BigEndian(0));
  EXPECT_THAT(ErrorOf(), HasSubstr("found label rows of 0, expected 1 to 4096"));
}

TEST_F(Idx, ANegativeLabelOfARowIsNamedWithItsPosition) {
  std::string rows = LabelRows(12);
  rows.replace(12 + 7 * 32, 4, BigEndian(0xFFFFFFFF));
  Write("train-labels-idx1-ubyte", rows);
  EXPECT_THAT(ErrorOf(), HasSubstr("found label -1 at sample 7, expected labels from 0 on"));
}

TEST_F(Idx, FingerprintsTellContentsClassesAndNormalizationApart) {
  const auto facts = [this] {
    const auto dataset = LoadDataset(spec_);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return dataset->facts;
  };
  const DataFacts first = facts();
  EXPECT_EQ(first.fingerprint().size(), 16u);
  EXPECT_EQ(facts().DebugString(), first.DebugString());
  std::string labels = Labels(12);
  std::swap(labels[8], labels[9]);
  Write("train-labels-idx1-ubyte", labels);
  const DataFacts other_labels = facts();
  EXPECT_NE(other_labels.fingerprint(), first.fingerprint());
  EXPECT_NE(other_labels.train_labels(), first.train_labels());
  EXPECT_EQ(other_labels.train_inputs(), first.train_inputs());
  EXPECT_EQ(other_labels.test_labels(), first.test_labels());
  Write("train-labels-idx1-ubyte", Labels(12));
  std::string images = Images(5, 4, 3);
  ++images.back();
  Write("t10k-images-idx3-ubyte", images);
  EXPECT_NE(facts().test_inputs(), first.test_inputs());
  EXPECT_NE(facts().fingerprint(), first.fingerprint());
  Write("t10k-images-idx3-ubyte", Images(5, 4, 3));
  spec_.set_classes(11);
  EXPECT_NE(facts().fingerprint(), first.fingerprint());
  spec_.clear_classes();
  spec_.add_mean(0.5f);
  spec_.add_deviation(0.5f);
  EXPECT_NE(facts().fingerprint(), first.fingerprint());
  EXPECT_EQ(facts().train_inputs(), first.train_inputs());
}

TEST_F(Idx, LabelsAloneAreThoseOfTheWholeSetUnderItsLimits) {
  spec_.set_train_limit(7);
  const auto whole = LoadDataset(spec_);
  const auto labels = LoadDataset(spec_, DatasetPart::kLabels);
  ASSERT_TRUE(whole.ok() && labels.ok()) << whole.status() << labels.status();
  EXPECT_EQ(labels->train.labels, whole->train.labels);
  EXPECT_EQ(labels->test.labels, whole->test.labels);
  EXPECT_EQ(labels->train.shape.features(), whole->train.shape.features());
  EXPECT_TRUE(whole->train.has_features());
  EXPECT_FALSE(labels->train.has_features());
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
  EXPECT_THAT(error, HasSubstr("; point --data-dir at a folder that has it"));
}

TEST_F(Idx, AWrongMagicNumberIsNamedWithTheExpectedOne) {
  Write("train-images-idx3-ubyte", Images(12, 4, 3, 2049));
  EXPECT_THAT(ErrorOf(), HasSubstr("found magic number 2049, expected 2051 (IDX images)"));
  Write("train-images-idx3-ubyte", Images(12, 4, 3));
  Write("train-labels-idx1-ubyte", Labels(12, 2051));
  EXPECT_THAT(ErrorOf(), HasSubstr("found magic number 2051, expected 2049 or 3074 (IDX labels)"));
}

TEST_F(Idx, ACompressedFileIsRecognized) {
  Write("train-labels-idx1-ubyte", "\x1f\x8b and so on");
  EXPECT_THAT(
      ErrorOf(),
      HasSubstr("found a gzip file, expected an uncompressed one; rename it to end in .gz"));
}

// Puts `name`'s twin in gzip in its place.
class CompressedIdx : public Idx {
 protected:
  void Compress(const std::string& name, const std::string& bytes) {
    std::remove((dir_ + "/" + name).c_str());
    gzFile file = gzopen((dir_ + "/" + name + ".gz").c_str(), "wb");
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
              static_cast<int>(bytes.size()));
    ASSERT_EQ(gzclose(file), Z_OK);
  }

  std::string Content(const std::string& name) {
    std::ifstream file(dir_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  // What only reading the whole stream finds.
  std::string LoadingError() {
    const auto dataset = LoadDataset(spec_);
    EXPECT_FALSE(dataset.ok());
    return std::string(dataset.status().message());
  }
};

TEST_F(CompressedIdx, IsTheSameDatasetWhereThePlainFilesAreAbsent) {
  const auto plain = LoadDataset(spec_);
  ASSERT_TRUE(plain.ok()) << plain.status();
  Compress("train-images-idx3-ubyte", Images(12, 4, 3));
  Compress("train-labels-idx1-ubyte", Labels(12));
  Compress("t10k-labels-idx1-ubyte", Labels(5));  // its images stay plain
  const auto compressed = LoadDataset(spec_);
  ASSERT_TRUE(compressed.ok()) << compressed.status();
  EXPECT_EQ(compressed->train.pixels, plain->train.pixels);
  EXPECT_EQ(compressed->train.labels, plain->train.labels);
  EXPECT_EQ(compressed->test.pixels, plain->test.pixels);
  EXPECT_EQ(compressed->test.labels, plain->test.labels);
  spec_.set_train_limit(5);
  const auto limited = LoadDataset(spec_);
  ASSERT_TRUE(limited.ok()) << limited.status();
  EXPECT_EQ(limited->train.count(), 5);
}

TEST_F(CompressedIdx, ThePlainFileWinsWhereBothAreThere) {
  Compress("train-labels-idx1-ubyte", Labels(9));
  Write("train-labels-idx1-ubyte", Labels(12));
  EXPECT_TRUE(LoadDataset(spec_).ok());
}

TEST_F(CompressedIdx, AStreamOfAnotherLengthThanItsHeaderSaysIsRefusedBeforeItIsRead) {
  Compress("train-images-idx3-ubyte", Images(12, 4, 3).substr(0, 159));
  EXPECT_THAT(ErrorOf(), HasSubstr("train-images-idx3-ubyte.gz: found"));
  EXPECT_THAT(
      ErrorOf(),
      HasSubstr("announces 159 bytes uncompressed (truncated or damaged), expected 160 bytes for"));
  Compress("train-images-idx3-ubyte", Images(12, 4, 3) + "x");
  EXPECT_THAT(ErrorOf(), HasSubstr("announces 161 bytes"));
}

TEST_F(CompressedIdx, ATruncatedFileIsRefused) {
  Compress("train-images-idx3-ubyte", Images(12, 4, 3));
  const std::string whole = Content("train-images-idx3-ubyte.gz");
  for (size_t size = 0; size < whole.size(); ++size) {
    Write("train-images-idx3-ubyte.gz", whole.substr(0, size));
    EXPECT_THAT(LoadingError(), HasSubstr("train-images-idx3-ubyte.gz: ")) << size << " bytes";
  }
}

TEST_F(CompressedIdx, AFlippedByteAnywhereIsFoundOrChangesNoPixel) {
  spec_.set_train_limit(3);  // what lies behind the limit is checked too
  const auto plain = LoadDataset(spec_);
  ASSERT_TRUE(plain.ok());
  Compress("train-images-idx3-ubyte", Images(12, 4, 3));
  const std::string whole = Content("train-images-idx3-ubyte.gz");
  int refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    Write("train-images-idx3-ubyte.gz", damaged);
    const auto dataset = LoadDataset(spec_);
    if (!dataset.ok()) {
      EXPECT_THAT(std::string(dataset.status().message()),
                  HasSubstr("train-images-idx3-ubyte.gz: "))
          << "byte " << i;
      ++refused;
    } else {
      EXPECT_EQ(dataset->train.pixels, plain->train.pixels) << "byte " << i;
    }
  }
  // A header's time stamp, level and system, and the bits that fill a stream's last byte, say
  // nothing.
  EXPECT_GE(refused, static_cast<int>(whole.size()) - 8);
}

TEST_F(CompressedIdx, AWrongChecksumBehindALongStreamIsFoundAlsoUnderALimit) {
  // Longer than what zlib reads at once, so that the checksum is met behind the last pixel.
  std::string images = Images(512, 64, 64);
  uint32_t state = 1;
  for (size_t i = 16; i < images.size(); ++i)
    images[i] = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  Compress("train-images-idx3-ubyte", images);
  Write("train-labels-idx1-ubyte", Labels(512));
  Write("t10k-images-idx3-ubyte", Images(5, 64, 64));
  ASSERT_TRUE(LoadDataset(spec_).ok()) << LoadDataset(spec_).status();
  std::string damaged = Content("train-images-idx3-ubyte.gz");
  damaged[damaged.size() - 8] ^= 1;
  Write("train-images-idx3-ubyte.gz", damaged);
  EXPECT_THAT(LoadingError(), HasSubstr(" (incorrect data check), expected "));
  spec_.set_train_limit(1);
  EXPECT_THAT(LoadingError(), HasSubstr(" (incorrect data check), expected "));
}

TEST_F(CompressedIdx, AStreamThatGoesOnBehindWhatItsEndAnnouncesIsRefusedWithoutBeingExpanded) {
  // 64 MiB of zeros behind a header that announces 12 images, with an end that lies.
  std::string bomb = Images(12, 4, 3);
  bomb.resize(bomb.size() + (64 << 20));
  Compress("train-images-idx3-ubyte", bomb);
  std::string lying = Content("train-images-idx3-ubyte.gz");
  ASSERT_LT(lying.size(), 100000u);
  const uint32_t announced = 160;
  for (int byte = 0; byte < 4; ++byte)
    lying[lying.size() - 4 + byte] = static_cast<char>(announced >> (8 * byte));
  Write("train-images-idx3-ubyte.gz", lying);
  EXPECT_THAT(LoadingError(),
              HasSubstr("found more than 160 bytes, expected no more, as its header says"));
}

TEST_F(CompressedIdx, AHeaderThatAnnouncesMoreThanAnyStreamOfItsSizeHoldsIsRefused) {
  // 2^20 images of 4096 x 4096 are 2^44 bytes, 16 modulo 2^32 with the header: what the end
  // announces fits.
  Compress("train-images-idx3-ubyte",
           BigEndian(2051) + BigEndian(1 << 20) + BigEndian(4096) + BigEndian(4096));
  EXPECT_THAT(ErrorOf(), HasSubstr("expected 17592186044432 bytes for the 1048576 samples"));
}

TEST_F(CompressedIdx, AFileThatIsNoGzipStreamIsRefused) {
  std::remove((dir_ + "/train-images-idx3-ubyte").c_str());
  Write("train-images-idx3-ubyte.gz", Images(12, 4, 3));
  EXPECT_THAT(ErrorOf(), HasSubstr("found a file that is no gzip stream"));
}

TEST_F(CompressedIdx, ALabelOutOfRangeIsNamedWithItsPosition) {
  std::string labels = Labels(12);
  labels[8 + 11] = static_cast<char>(255);
  Compress("train-labels-idx1-ubyte", labels);
  EXPECT_THAT(ErrorOf(),
              HasSubstr("train-labels-idx1-ubyte.gz: found label 255 at sample 11, but only 11 "
                        "different labels, expected samples of most classes (if it is right, set "
                        "data.classes=256)"));
}

TEST_F(Idx, ATruncatedFileIsRefusedWithBothSizes) {
  Write("train-images-idx3-ubyte", Images(12, 4, 3).substr(0, 159));
  EXPECT_THAT(ErrorOf(),
              HasSubstr("found 159 bytes (truncated), expected 160 bytes for the 12 samples"));
}

TEST_F(Idx, AnOversizedFileIsRefusedWithBothSizes) {
  Write("t10k-labels-idx1-ubyte", Labels(5) + "x");
  EXPECT_THAT(ErrorOf(), HasSubstr("found 14 bytes (oversized), expected 13 bytes"));
}

TEST_F(Idx, AFileShorterThanItsHeaderIsRefused) {
  Write("train-images-idx3-ubyte", std::string("\0\0\x08", 3));
  EXPECT_THAT(ErrorOf(), HasSubstr("found only 3 bytes from byte 0 on (end of file), expected 4"));
}

TEST_F(Idx, AHeaderWhoseProductOverflowsIsRefused) {
  Write("train-images-idx3-ubyte",
        BigEndian(2051) + BigEndian(0xFFFFFFFF) + BigEndian(4096) + BigEndian(4096));
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
  spec_.set_classes(10);
  EXPECT_THAT(ErrorOf(),
              HasSubstr("label 10 at sample 6, expected labels from 0 to 9 (data.classes)"));
}

TEST_F(Idx, AFolderInPlaceOfAFileIsAnError) {
  std::remove((dir_ + "/train-images-idx3-ubyte").c_str());
  std::filesystem::create_directory(dir_ + "/train-images-idx3-ubyte");
  EXPECT_THAT(ErrorOf(),
              HasSubstr("/train-images-idx3-ubyte: found a folder, expected a regular file"));
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
  EXPECT_EQ(dataset.status().message(),
            "data.name = \"imagenet\": no such dataset; known are mnist, cifar10, text, synthetic, "
            "program");
}

}  // namespace
}  // namespace ringmaster
