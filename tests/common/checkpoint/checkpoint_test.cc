#include "common/checkpoint/checkpoint.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/fingerprint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Checkpoint SmallCheckpoint() {
  Checkpoint checkpoint;
  checkpoint.header = {std::string("told\0", 5), 55, 77, "worker/1", 3, 300};
  checkpoint.state.AddFloats("weights", {1.5f, -0.0f, std::numeric_limits<float>::infinity()});
  checkpoint.state.AddIntegers("versions", {0, -1, std::numeric_limits<int64_t>::max()});
  checkpoint.state.AddInteger("step", 300);
  checkpoint.state.AddFloats("memory/residual", {});
  checkpoint.report = std::string("a\0b", 3);
  return checkpoint;
}

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteBytes(const std::string& path, absl::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class CheckpointFileTest : public testing::Test {
 protected:
  // What is said of a file with these bytes.
  absl::Status StatusOf(absl::string_view bytes) const {
    WriteBytes(path_, bytes);
    return ReadCheckpoint(path_).status();
  }
  // The bytes of the small checkpoint.
  std::string Bytes() const {
    EXPECT_TRUE(WriteCheckpoint(path_, SmallCheckpoint()).ok());
    return ReadBytes(path_);
  }
  // With the checksum that these contents have.
  static std::string Summed(std::string bytes) {
    const size_t end = bytes.size() - sizeof(uint64_t);
    const uint64_t sum = Fingerprint64(absl::string_view(bytes).substr(0, end));
    std::memcpy(&bytes[end], &sum, sizeof(sum));
    return bytes;
  }

  const std::string folder_ = NewFolder("checkpoint");
  const std::string path_ = folder_ + "/worker-1.rmck";
};

TEST_F(CheckpointFileTest, HasBackEveryBitThatItWasGiven) {
  const Checkpoint given = SmallCheckpoint();
  ASSERT_TRUE(WriteCheckpoint(path_, given).ok());
  const absl::StatusOr<Checkpoint> read = ReadCheckpoint(path_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->header.run, given.header.run);
  EXPECT_EQ(read->header.inputs, given.header.inputs);
  EXPECT_EQ(read->header.writer, given.header.writer);
  EXPECT_EQ(read->header.node, given.header.node);
  EXPECT_EQ(read->header.nodes, given.header.nodes);
  EXPECT_EQ(read->header.step, given.header.step);
  EXPECT_EQ(read->report, given.report);
  ASSERT_EQ(read->state.entries().size(), given.state.entries().size());
  for (size_t i = 0; i < given.state.entries().size(); ++i) {
    EXPECT_EQ(read->state.entries()[i].name, given.state.entries()[i].name);
    EXPECT_EQ(read->state.entries()[i].value, given.state.entries()[i].value);
  }
  const auto& floats = std::get<std::vector<float>>(read->state.entries()[0].value);
  EXPECT_TRUE(std::signbit(floats[1])) << "-0 became 0";
}

TEST_F(CheckpointFileTest, IsRefusedWithAnyBitOfItChanged) {
  const std::string bytes = Bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      const absl::Status status = StatusOf(flipped);
      ASSERT_FALSE(status.ok()) << "byte " << i << " bit " << bit;
      ASSERT_THAT(std::string(status.message()), HasSubstr(path_)) << "byte " << i;
    }
  }
}

TEST_F(CheckpointFileTest, IsRefusedAtEveryShorterLength) {
  const std::string bytes = Bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    const absl::Status status = StatusOf(bytes.substr(0, length));
    ASSERT_FALSE(status.ok()) << length << " bytes";
    if (length > 0) ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << length << " bytes";
  }
  EXPECT_THAT(std::string(StatusOf(bytes.substr(0, bytes.size() - 1)).message()),
              HasSubstr("it was cut off"));
}

TEST_F(CheckpointFileTest, NamesTheFault) {
  const std::string bytes = Bytes();
  EXPECT_EQ(StatusOf(bytes + "x").code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(StatusOf(bytes + "x").message()), HasSubstr("something was added"));
  EXPECT_THAT(std::string(StatusOf("weights").message()), HasSubstr("it is no checkpoint"));
  EXPECT_THAT(std::string(StatusOf("").message()), HasSubstr("it is no checkpoint"));
  std::string torn = bytes;
  std::memset(&torn[torn.size() / 2], 0, torn.size() / 4);  // as after a crash of the machine
  EXPECT_EQ(StatusOf(torn).code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(StatusOf(torn).message()), HasSubstr("it is torn"));
  std::string newer = bytes;
  newer[8] = 3;
  EXPECT_EQ(StatusOf(Summed(newer)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(StatusOf(Summed(newer)).message()),
              HasSubstr("it has version 3 of the format, and this program knows 2"));
  EXPECT_EQ(ReadCheckpoint(folder_ + "/none.rmck").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadCheckpoint(folder_).ok());
}

// With a checksum that is right for them: what a program with a mistake would write.
TEST_F(CheckpointFileTest, ContentsThatContradictThemselvesAreRefusedWithoutTakingMemory) {
  const std::string bytes = Bytes();
  const size_t body = 20;  // behind magic, version and length
  int refused = 0;
  for (size_t i = body; i + sizeof(uint64_t) + 8 <= bytes.size(); ++i) {
    std::string huge = bytes;
    const uint64_t length = std::numeric_limits<uint64_t>::max() / 8;
    std::memcpy(&huge[i], &length, sizeof(length));
    refused += StatusOf(Summed(huge)).ok() ? 0 : 1;
  }
  // Every length stands somewhere; in other places any number is a value.
  EXPECT_GE(refused, 9);
  std::string shorter = bytes;
  shorter.erase(shorter.size() - 12, 4);
  const uint64_t length = shorter.size();
  std::memcpy(&shorter[12], &length, sizeof(length));
  EXPECT_EQ(StatusOf(Summed(shorter)).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CheckpointFileTest, AWriteThatFailsLeavesTheOneBeforeAndNothingElse) {
  const std::string before = Bytes();
  Checkpoint large = SmallCheckpoint();
  large.state.AddFloats("more", std::vector<float>(1 << 16));
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto was = std::signal(SIGXFSZ, SIG_IGN);
  rlimit low = old;
  low.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  const absl::Status status = WriteCheckpoint(path_, large);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, was);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path_), HasSubstr("ulimit -f")));
  EXPECT_EQ(ReadBytes(path_), before);
  const auto files = std::filesystem::directory_iterator(folder_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

// Its beginning says how long it is, so no memory is taken for what was added.
TEST_F(CheckpointFileTest, OneThatIsMadeLongerThanMemoryIsRefusedBeforeItIsRead) {
  ASSERT_FALSE(Bytes().empty());
  std::filesystem::resize_file(path_, uint64_t{1} << 40);
  const absl::Status status = ReadCheckpoint(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("something was added"));
}

TEST_F(CheckpointFileTest, APipeInItsPlaceIsNotWaitedFor) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  const absl::Status status = ReadCheckpoint(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no file"));
}

}  // namespace
}  // namespace ringmaster
