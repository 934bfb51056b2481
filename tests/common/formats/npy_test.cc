#include "common/formats/npy.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

std::string BytesOfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream stream;
  stream << file.rdbuf();
  return stream.str();
}

size_t FilesIn(const std::string& folder) {
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++files;
  return files;
}

// The bytes that numpy.save writes for numpy.array([[1, -2], [3, 4]], dtype="<i4").
TEST(Npy, AFileHasTheBytesThatNumpyWrites) {
  const std::string path = NewFolder("npy") + "/a.npy";
  auto writer = NpyWriter::Create(path, NpyType::kInt32, {2, 2});
  ASSERT_TRUE(writer.ok()) << writer.status();
  const std::vector<int32_t> first = {1, -2}, second = {3, 4};
  ASSERT_TRUE((*writer)->Append(first).ok());
  ASSERT_TRUE((*writer)->Append(second).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  std::string expected("\x93NUMPY\x01\x00\x76\x00", 10);
  expected += "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }";
  expected.resize(127, ' ');
  expected += '\n';
  expected += std::string("\x01\x00\x00\x00\xfe\xff\xff\xff\x03\x00\x00\x00\x04\x00\x00\x00", 16);
  EXPECT_EQ(BytesOfFile(path), expected);
}

TEST(Npy, EveryTypeAndShapeComesBackAsItWas) {
  const std::string folder = NewFolder("npy");
  const std::vector<int64_t> wide = {int64_t{1} << 40, -1, 0};
  auto longs = NpyWriter::Create(folder + "/longs.npy", NpyType::kInt64, {3});
  ASSERT_TRUE(longs.ok());
  ASSERT_TRUE((*longs)->Append(wide).ok() && (*longs)->Finish().ok());
  const auto read_longs = ReadNpy(folder + "/longs.npy");
  ASSERT_TRUE(read_longs.ok()) << read_longs.status();
  EXPECT_EQ(read_longs->shape, (std::vector<int64_t>{3}));
  EXPECT_EQ(read_longs->values<int64_t>(), wide);

  const std::vector<float> fractions = {0.5f, -3.25f, 1e-30f, 7.0f, 8.0f, 9.0f};
  auto floats = NpyWriter::Create(folder + "/floats.npy", NpyType::kFloat32, {1, 3, 2});
  ASSERT_TRUE(floats.ok());
  ASSERT_TRUE((*floats)->Append(fractions).ok() && (*floats)->Finish().ok());
  const auto read_floats = ReadNpy(folder + "/floats.npy");
  ASSERT_TRUE(read_floats.ok()) << read_floats.status();
  EXPECT_EQ(read_floats->type, NpyType::kFloat32);
  EXPECT_EQ(read_floats->shape, (std::vector<int64_t>{1, 3, 2}));
  EXPECT_EQ(read_floats->values<float>(), fractions);
}

TEST(Npy, AnUnfinishedArrayLeavesNothingAndWhatStoodThereStays) {
  const std::string folder = NewFolder("npy");
  const std::string path = folder + "/a.npy";
  std::ofstream(path) << "before";
  {
    auto writer = NpyWriter::Create(path, NpyType::kInt64, {2});
    ASSERT_TRUE(writer.ok());
    const std::vector<int64_t> one = {1}, two = {1, 2};
    ASSERT_TRUE((*writer)->Append(one).ok());
    EXPECT_FALSE((*writer)->Append(two).ok());
    EXPECT_FALSE((*writer)->Finish().ok());
  }
  EXPECT_EQ(BytesOfFile(path), "before");
  EXPECT_EQ(FilesIn(folder), 1u);
}

TEST(Npy, FilesOfAnotherFormOrLengthAreRefused) {
  const std::string path = NewFolder("npy") + "/a.npy";
  auto writer = NpyWriter::Create(path, NpyType::kInt32, {4});
  ASSERT_TRUE(writer.ok());
  const std::vector<int32_t> values = {1, 2, 3, 4};
  ASSERT_TRUE((*writer)->Append(values).ok() && (*writer)->Finish().ok());
  const std::string good = BytesOfFile(path);
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& bad :
       {std::string(), good.substr(0, 9), good.substr(0, 40), good.substr(0, good.size() - 1),
        good + "x", with("<i4", "<i2"), with("False", "True "), with("(4,)", "(5,)"),
        with("(4,)", "(-4,"), "\x93NUMPY\x02" + good.substr(7)}) {
    std::ofstream(path, std::ios::binary) << bad;
    EXPECT_FALSE(ReadNpy(path).ok()) << bad;
  }
  EXPECT_FALSE(ReadNpy(path + ".nowhere").ok());
}

TEST(AtomicFile, APlaceThatTakesNoFileIsFoundWithoutLeavingOne) {
  const std::string folder = NewFolder("atomic");
  EXPECT_TRUE(CheckFileCanBeWritten(folder + "/w.safetensors").ok());
  EXPECT_TRUE(CheckFolderCanBeWritten(folder).ok());
  EXPECT_EQ(FilesIn(folder), 0u);
  EXPECT_THAT(std::string(CheckFileCanBeWritten(folder + "/none/w").message()),
              HasSubstr("there is no folder"));
  EXPECT_THAT(std::string(CheckFileCanBeWritten(folder).message()), HasSubstr("it is a folder"));
  EXPECT_THAT(std::string(CheckFolderCanBeWritten(folder + "/none").message()),
              HasSubstr("there is no folder"));
  if (geteuid() == 0) return;  // root writes anywhere
  ASSERT_EQ(chmod(folder.c_str(), 0500), 0);
  EXPECT_EQ(CheckFolderCanBeWritten(folder).code(), absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace ringmaster
