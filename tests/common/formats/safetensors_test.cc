#include "common/formats/safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string BytesOfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream stream;
  stream << file.rdbuf();
  return stream.str();
}

// A file of `header` and `data`, with a length that may lie.
std::string FileOf(const std::string& header, const std::string& data, uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(length >> 8 * i));
  return bytes + header + data;
}

class SafetensorsTest : public testing::Test {
 protected:
  absl::StatusOr<Safetensors> Read(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return ReadSafetensors(path_);
  }
  std::string ErrorOf(const std::string& bytes) {
    const auto file = Read(bytes);
    EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << bytes;
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(path_));
    return std::string(file.status().message());
  }
  std::string ErrorOfHeader(const std::string& header, size_t data_bytes = 16) {
    return ErrorOf(FileOf(header, std::string(data_bytes, '\0'), header.size()));
  }
  const std::string path_ = NewFolder("safetensors") + "/w.safetensors";
};

TEST_F(SafetensorsTest, TensorsAndMetadataComeBackAsTheyWere) {
  const std::vector<float> weight = {1.5f, -2.0f, 3e-40f, 0.0f, -0.0f, 1e38f};
  const std::vector<float> bias = {7.0f};
  ASSERT_TRUE(WriteSafetensors(path_, {{"model", "mlp"}, {"quote\"", "\n"}},
                               {{"fc1.weight", {2, 3}, weight}, {"bias", {}, bias}})
                  .ok());
  const auto file = ReadSafetensors(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata,
            (std::map<std::string, std::string>{{"model", "mlp"}, {"quote\"", "\n"}}));
  ASSERT_EQ(file->tensors.size(), 2u);
  EXPECT_EQ(file->tensors[0].name, "fc1.weight");
  EXPECT_EQ(file->tensors[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file->tensors[0].values, weight);
  EXPECT_TRUE(std::signbit(file->tensors[0].values[4]));
  EXPECT_EQ(file->tensors[1].shape, std::vector<int64_t>{});
  EXPECT_EQ(file->tensors[1].values, bias);
}

// A file with one tensor of two-byte elements.
std::string HalvesFile(const std::string& dtype, const std::vector<uint16_t>& bits) {
  const std::string header =
      absl::StrCat(R"({"a":{"dtype":")", dtype, R"(","shape":[)", bits.size(),
                   R"(],"data_offsets":[0,)", 2 * bits.size(), "]}}");
  std::string data;
  for (const uint16_t value : bits) {
    data.push_back(static_cast<char>(value & 0xff));
    data.push_back(static_cast<char>(value >> 8));
  }
  return FileOf(header, data, header.size());
}

// IEEE binary16 by its definition.
double HalfValue(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -size : size;
}

TEST_F(SafetensorsTest, EveryFiniteFloat16AndBfloat16BecomesTheSameNumber) {
  std::vector<uint16_t> halves, bfloats;
  for (uint32_t bits = 0; bits < 1 << 16; ++bits) {
    if ((bits >> 10 & 31) != 31) halves.push_back(static_cast<uint16_t>(bits));
    if ((bits >> 7 & 255) != 255) bfloats.push_back(static_cast<uint16_t>(bits));
  }
  const auto from_halves = Read(HalvesFile("F16", halves));
  ASSERT_TRUE(from_halves.ok()) << from_halves.status();
  EXPECT_EQ(from_halves->tensors[0].dtype, "F16");
  ASSERT_EQ(from_halves->tensors[0].values.size(), halves.size());
  for (size_t i = 0; i < halves.size(); ++i) {
    const float value = from_halves->tensors[0].values[i];
    ASSERT_EQ(value, HalfValue(halves[i])) << halves[i];  // a half is a float, subnormal ones too
    ASSERT_EQ(std::signbit(value), (halves[i] >> 15) != 0) << halves[i];
  }
  const auto from_bfloats = Read(HalvesFile("BF16", bfloats));
  ASSERT_TRUE(from_bfloats.ok()) << from_bfloats.status();
  ASSERT_EQ(from_bfloats->tensors[0].values.size(), bfloats.size());
  for (size_t i = 0; i < bfloats.size(); ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, &from_bfloats->tensors[0].values[i], sizeof(bits));
    ASSERT_EQ(bits, uint32_t{bfloats[i]} << 16);
  }
}

TEST_F(SafetensorsTest, HalvesThatAreNoFiniteNumbersAreRefused) {
  for (const uint16_t bits : {0x7c00, 0xfc00, 0x7e00, 0xfdff}) {
    EXPECT_THAT(ErrorOf(HalvesFile("F16", {0, bits})), HasSubstr("tensor \"a\": element 1 is"))
        << bits;
  }
  for (const uint16_t bits : {0x7f80, 0xff80, 0x7fc0, 0xff81}) {
    EXPECT_THAT(ErrorOf(HalvesFile("BF16", {0, bits})), HasSubstr("tensor \"a\": element 1 is"))
        << bits;
  }
}

TEST_F(SafetensorsTest, OtherTypesAreRefusedByNameWithWhatToDo) {
  for (const char* dtype : {"F64", "I64", "I32", "U8", "BOOL", "F8_E4M3"}) {
    EXPECT_THAT(ErrorOf(HalvesFile(dtype, {1, 2})),
                AllOf(HasSubstr(absl::StrCat("tensor \"a\": dtype \"", dtype, "\"")),
                      HasSubstr("expected F32, F16 or BF16"), HasSubstr("tensor.float()")));
  }
  EXPECT_THAT(ErrorOf("PK\x03\x04 and so on"),
              HasSubstr("as torch.save writes; expected .safetensors"));
}

TEST_F(SafetensorsTest, BatchCountersAreLeftOutWhereverTheyStand) {
  const std::string header =
      R"({"bn.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},)"
      R"("num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[12,20]}})";
  const auto file = Read(
      FileOf(header, std::string(8, '\xff') + std::string("\0\0\x80\x3f", 4) + std::string(8, '\1'),
             header.size()));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->counters,
            (std::vector<std::string>{"bn.num_batches_tracked", "num_batches_tracked"}));
  ASSERT_EQ(file->tensors.size(), 1u);
  EXPECT_EQ(file->tensors[0].values, std::vector<float>{1.0f});
  // Another name, or more than one number, is something else.
  EXPECT_THAT(
      ErrorOfHeader(R"({"num_batches":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8),
      HasSubstr("dtype"));
  EXPECT_THAT(
      ErrorOfHeader(R"({"num_batches_tracked":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}})"),
      HasSubstr("not one number"));
}

TEST_F(SafetensorsTest, AHeaderIsReadWithoutValues) {
  const std::vector<float> one = {std::numeric_limits<float>::quiet_NaN()};
  ASSERT_TRUE(WriteSafetensors(path_, {{"model", "mlp"}}, {{"a", {1}, one}}).ok());
  const auto file = ReadSafetensorsHeader(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata.at("model"), "mlp");
  EXPECT_EQ(file->tensors[0].shape, std::vector<int64_t>{1});
  EXPECT_TRUE(file->tensors[0].values.empty());
}

TEST_F(SafetensorsTest, TheBytesAreThoseOfTheFormat) {
  const std::vector<float> one = {1.0f};
  ASSERT_TRUE(WriteSafetensors(path_, {}, {{"a", {1}, one}}).ok());
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  std::string padded = header;
  padded.resize((padded.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(BytesOfFile(path_), FileOf(padded, std::string("\0\0\x80\x3f", 4), padded.size()));
}

TEST_F(SafetensorsTest, WhatIsWrongWithAHeaderIsNamed) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("a file of 0 bytes"));
  EXPECT_THAT(ErrorOf("1234567"), HasSubstr("a file of 7 bytes"));
  EXPECT_THAT(ErrorOf(FileOf("{}", "", 3)), HasSubstr("a header of 3 bytes in a file of 10"));
  EXPECT_THAT(ErrorOf(FileOf("{}", "", 100'000'001)), HasSubstr("at most 100000000 are read"));
  EXPECT_THAT(ErrorOf(FileOf("{}", "", UINT64_MAX)), HasSubstr("at most 100000000 are read"));
  EXPECT_THAT(ErrorOfHeader("[1]"), HasSubstr("does not begin with"));
  EXPECT_THAT(ErrorOfHeader(""), HasSubstr("does not begin with"));
  EXPECT_THAT(ErrorOfHeader("{\"a\":"), HasSubstr("no JSON object"));
  EXPECT_THAT(ErrorOfHeader("{} {}"), HasSubstr("no JSON object"));
  EXPECT_THAT(ErrorOfHeader("{\"\xff\":1}"), HasSubstr("no JSON object"));
  EXPECT_THAT(ErrorOfHeader("{\"a\":" + std::string(100000, '[')), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOfHeader(R"({"__metadata__":{"a":1}})"),
              HasSubstr("__metadata__: \"a\" is no string"));
  EXPECT_THAT(ErrorOfHeader(R"({"__metadata__":[]})"), HasSubstr("__metadata__ is no object"));
  EXPECT_THAT(ErrorOfHeader("{}"), HasSubstr("the tensors end at byte 0 of 16"));
  EXPECT_THAT(ErrorOfHeader(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},)"
                            R"("a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})"),
              HasSubstr("has the name \"a\" twice"));
  EXPECT_THAT(
      ErrorOfHeader(R"({"a":{"dtype":"F32","dtype":"F32","shape":[4],"data_offsets":[0,16]}})"),
      HasSubstr("has the name \"dtype\" twice"));
}

TEST_F(SafetensorsTest, WhatIsWrongWithATensorIsNamed) {
  const auto error = [this](const std::string& dtype, const std::string& shape,
                            const std::string& offsets) {
    return ErrorOfHeader(absl::StrCat("{\"fc1.weight\":{\"dtype\":", dtype, ",\"shape\":", shape,
                                      ",\"data_offsets\":", offsets, "}}"));
  };
  EXPECT_THAT(error("\"F64\"", "[2]", "[0,16]"),
              HasSubstr("tensor \"fc1.weight\": dtype \"F64\"; expected F32"));
  EXPECT_THAT(error("32", "[4]", "[0,16]"), HasSubstr("dtype is no string"));
  EXPECT_THAT(error("\"F32\"", "4", "[0,16]"), HasSubstr("shape is no list"));
  EXPECT_THAT(error("\"F32\"", "[-4]", "[0,16]"), HasSubstr("shape holds something else"));
  EXPECT_THAT(error("\"F32\"", "[4.0]", "[0,16]"), HasSubstr("shape holds something else"));
  EXPECT_THAT(error("\"F32\"", "[3]", "[0,16]"),
              HasSubstr("shape [3] takes 12 bytes, data_offsets give 16"));
  EXPECT_THAT(error("\"F32\"", "[4294967296,4294967296]", "[0,16]"),
              HasSubstr("more elements than can be counted"));
  EXPECT_THAT(error("\"F32\"", "[9223372036854775808]", "[0,16]"),
              HasSubstr("more elements than can be counted"));
  EXPECT_THAT(error("\"F32\"", "[0,5]", "[0,16]"), HasSubstr("takes 0 bytes"));
  EXPECT_THAT(error("\"F32\"", "[4]", "[0]"), HasSubstr("data_offsets are not two"));
  EXPECT_THAT(error("\"F32\"", "[4]", "[0,-16]"), HasSubstr("data_offsets are not two"));
  EXPECT_THAT(error("\"F32\"", "[4]", "[16,0]"), HasSubstr("data_offsets [16, 0) of 16 bytes"));
  EXPECT_THAT(error("\"F32\"", "[8]", "[0,32]"), HasSubstr("data_offsets [0, 32) of 16 bytes"));
  EXPECT_THAT(ErrorOfHeader(R"({"a":{"dtype":"F32","shape":[4]}})"),
              HasSubstr("expected exactly dtype"));
  EXPECT_THAT(ErrorOfHeader(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":1}})"),
              HasSubstr("expected exactly dtype"));
  EXPECT_THAT(ErrorOfHeader(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                            R"("b":{"dtype":"F32","shape":[3],"data_offsets":[4,16]}})"),
              HasSubstr("overlap"));
  EXPECT_THAT(ErrorOfHeader(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                            R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})"),
              HasSubstr("leave a gap"));
}

TEST_F(SafetensorsTest, AValueThatIsNotFiniteIsNamedByTensorAndElement) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    const std::vector<float> good = {1, 2}, bad = {3, 4, value, 5};
    ASSERT_TRUE(
        WriteSafetensors(path_, {}, {{"fc1.weight", {2}, good}, {"fc2.weight", {2, 2}, bad}}).ok());
    EXPECT_THAT(ErrorOf(BytesOfFile(path_)), HasSubstr("tensor \"fc2.weight\": element 2 is "));
  }
}

TEST_F(SafetensorsTest, FilesThatAreNoneAreNamed) {
  EXPECT_EQ(ReadSafetensors(path_ + ".nowhere").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadSafetensors(testing::TempDir()).ok());
}

TEST_F(SafetensorsTest, AnOutputThatCannotBeWrittenIsAnError) {
  const std::vector<float> one = {1.0f};
  EXPECT_EQ(WriteSafetensors(path_ + "/below-a-file", {}, {{"a", {1}, one}}).code(),
            absl::StatusCode::kNotFound);
}

// What any accepted file must hold, by another reading of it than the reader's.
void ExpectSound(const std::string& bytes, const Safetensors& file) {
  uint64_t length = 0;
  for (int i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  ASSERT_LE(length, bytes.size() - 8);
  const nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length), nullptr, false);
  ASSERT_TRUE(header.is_object());
  EXPECT_EQ(header.size(), file.tensors.size() + header.count("__metadata__"));
  std::vector<int> covered(bytes.size() - 8 - length, 0);
  for (const LoadedTensor& tensor : file.tensors) {
    ASSERT_TRUE(header.contains(tensor.name)) << tensor.name;
    const auto& entry = header[tensor.name];
    EXPECT_EQ(entry["dtype"], "F32");
    EXPECT_EQ(entry["shape"].get<std::vector<int64_t>>(), tensor.shape);
    size_t count = 1;
    for (const int64_t extent : tensor.shape) count *= extent;
    EXPECT_EQ(count, tensor.values.size());
    const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    ASSERT_LE(end, covered.size());
    EXPECT_EQ(end - begin, 4 * count);
    for (size_t i = begin; i < end; ++i) ++covered[i];
    for (const float value : tensor.values) EXPECT_TRUE(std::isfinite(value));
  }
  EXPECT_TRUE(std::all_of(covered.begin(), covered.end(), [](int times) { return times == 1; }));
}

TEST_F(SafetensorsTest, NoChangeOfBytesCrashesTheReaderOrGetsPastItsChecks) {
  const std::vector<float> weight = {1, 2, 3, 4, 5, 6}, bias = {7, 8};
  ASSERT_TRUE(
      WriteSafetensors(
          path_, {{"model", "mlp"}},
          {{"fc1.weight", {2, 3}, weight}, {"fc1.bias", {2}, bias}, {"fc2.weight", {1, 2}, bias}})
          .ok());
  const std::string good = BytesOfFile(path_);
  // Characters that a header is made of come more often: other ones rarely get past the JSON
  // parser.
  const std::string likely = "0123456789[]{},:\"F32 \\u-e.";
  constexpr uint64_t kSeed = 20240607;
  Random random(kSeed);
  int accepted = 0;
  constexpr int kRounds = 6000;
  for (int round = 0; round < kRounds; ++round) {
    std::string bytes = good;
    for (uint64_t edits = 1 + random.Below(4); edits > 0 && !bytes.empty(); --edits) {
      const size_t at = random.Below(bytes.size());
      const char value = random.Below(3) > 0 ? likely[random.Below(likely.size())]
                                             : static_cast<char>(random.Below(256));
      switch (random.Below(6)) {
        case 0:
          bytes.erase(at, 1 + random.Below(4));
          break;
        case 1:
          bytes.insert(at, 1, value);
          break;
        case 2:
          bytes.resize(at);
          break;
        case 3:
          bytes.insert(at, bytes.substr(random.Below(bytes.size()), random.Below(24)));
          break;
        default:
          bytes[at] = value;
          break;
      }
    }
    SCOPED_TRACE(absl::StrCat("seed ", kSeed, " round ", round));
    const auto file = Read(bytes);
    if (!file.ok()) continue;
    ++accepted;
    ExpectSound(bytes, *file);
    if (HasFatalFailure()) return;
  }
  // Neither everything nor nothing: a changed value or name is still a file.
  EXPECT_GT(accepted, kRounds / 100);
  EXPECT_LT(accepted, kRounds / 2);
}

}  // namespace
}  // namespace ringmaster
