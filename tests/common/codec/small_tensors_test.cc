#include "common/codec/small_tensors.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/codec/error_feedback.h"
#include "gtest/gtest.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;

// Two buckets: 40 + 5 + 60 elements, and 3 + 2. Tensors of fewer than 10 are small.
ParamLayout Layout() {
  std::vector<Param> params;
  for (const int64_t count : {40, 5, 60, 3, 2}) {
    Param param;
    param.name = std::to_string(params.size());
    param.shape = {count};
    params.push_back(param);
  }
  return ParamLayout(std::move(params), 100, BucketLayout::kWholeTensors);
}

CodecSpec SpecOf(const std::string& name) {
  CodecSpec spec;
  spec.set_name(name);
  spec.set_density(0.1);
  spec.set_min_tensor_elements(10);
  SetCodecDefaults(&spec);
  return spec;
}

std::unique_ptr<Codec> Create(const CodecSpec& spec, int32_t parts) {
  auto codec = CreateCodecOf(spec, Layout(), parts);
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

Floats RandomFloats(size_t count, uint64_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Normal();
  return values;
}

TEST(SmallTensors, GoAsFloatsAndTheOthersAreEncodedAsIfTheyLaySideBySide) {
  const CodecSpec spec = SpecOf("topk");
  const auto codec = Create(spec, 1);
  const auto plain = *CreateCodec(spec);
  const Floats in = RandomFloats(105, 1);
  const CodecStream stream = BucketStream(1, {0, 0}, 0);
  Bytes bytes(codec->MaxEncodedBytes(105));
  bytes.resize(codec->Encode(stream, in, absl::MakeSpan(bytes)));
  EXPECT_EQ(bytes.size(), 5 * 4 + 10 * 8u);
  EXPECT_EQ(codec->IndexBytes(stream, {105, static_cast<int64_t>(bytes.size())}), 40);
  EXPECT_EQ(MaxBytesOfSlice(spec, *plain, Layout(), {0, 105}, 3), 300);
  Floats out(105, NAN), sum(105, 1.0f);
  ASSERT_TRUE(codec->Decode(stream, bytes, absl::MakeSpan(out)).ok());
  ASSERT_TRUE(codec->DecodeAdd(stream, bytes, absl::MakeSpan(sum)).ok());
  Floats large(in.begin(), in.begin() + 40), decoded(100);
  large.insert(large.end(), in.begin() + 45, in.end());
  Bytes others(plain->MaxEncodedBytes(100));
  plain->Encode(stream, large, absl::MakeSpan(others));
  ASSERT_TRUE(plain->Decode(stream, others, absl::MakeSpan(decoded)).ok());
  for (size_t i = 0; i < 105; ++i) {
    const bool is_small = i >= 40 && i < 45;
    EXPECT_EQ(out[i], is_small ? in[i] : decoded[i < 40 ? i : i - 5]) << i;
    EXPECT_EQ(sum[i], 1 + out[i]) << i;
  }
}

TEST(SmallTensors, EverySliceAndStepHasTheBytesThatAreStated) {
  for (const char* name : {"topk", "onebit"}) {
    CodecSpec spec = SpecOf(name);
    spec.set_warmup_steps(1);
    const auto plain = *CreateCodec(spec);
    const ParamLayout layout = Layout();
    for (const int32_t parts : {1, 3}) {
      const auto codec = Create(spec, parts);
      for (const Bucket& bucket : layout.buckets()) {
        for (int32_t part = 0; part < parts; ++part) {
          Range slice = Part(bucket.count, parts, part);
          slice.begin += bucket.begin;
          int64_t bytes = 0;
          for (int64_t step = 0; step < 2; ++step) {
            const CodecStream stream = PartStream(1, {step, 0}, {bucket.id, part, parts});
            const Floats in = RandomFloats(static_cast<size_t>(slice.count), 3);
            Bytes room(codec->MaxEncodedBytes(slice.count));
            const int64_t used = codec->Encode(stream, in, absl::MakeSpan(room));
            room.resize(used);
            bytes += used;
            Floats out(in.size());
            EXPECT_TRUE(codec->Decode(stream, room, absl::MakeSpan(out)).ok());
            room.push_back(std::byte{0});
            EXPECT_TRUE(absl::IsInvalidArgument(codec->Decode(stream, room, absl::MakeSpan(out))));
            EXPECT_TRUE(absl::IsInvalidArgument(codec->Decode(stream, {}, absl::MakeSpan(out))));
          }
          EXPECT_EQ(bytes, MaxBytesOfSlice(spec, *plain, layout, slice, 2))
              << name << " bucket " << bucket.id << " part " << part;
        }
      }
    }
  }
}

TEST(SmallTensors, LeaveNothingToErrorFeedbackAndTheOthersWhatTheyLack) {
  const auto codec = Create(SpecOf("topk"), 1);
  ErrorFeedback feedback(*codec, 110);
  const Floats in = RandomFloats(105, 2);
  const CodecStream stream = BucketStream(1, {0, 0}, 0);
  Bytes bytes(codec->MaxEncodedBytes(105));
  bytes.resize(feedback.Encode(stream, 0, in, absl::MakeSpan(bytes)));
  Floats out(105);
  ASSERT_TRUE(codec->Decode(stream, bytes, absl::MakeSpan(out)).ok());
  for (size_t i = 0; i < 105; ++i) EXPECT_EQ(out[i] + feedback.residual()[i], in[i]) << i;
  // Of a slice that is refused nothing is kept, whichever part of it is not finite.
  for (const size_t where : {size_t{0}, size_t{42}}) {
    Floats bad = in;
    bad[where] = NAN;
    Bytes room(codec->MaxEncodedBytes(105));
    room.resize(feedback.Encode(stream, 0, bad, absl::MakeSpan(room)));
    EXPECT_TRUE(absl::IsInvalidArgument(codec->Decode(stream, room, absl::MakeSpan(out))));
    for (size_t i = 0; i < 105; ++i) EXPECT_EQ(feedback.residual()[i], 0.0f) << where;
  }
}

TEST(SmallTensors, OfCodecsThatAreSummedOrRememberThemselvesAreRefused) {
  for (const char* name : {"none", "fp16", "randomk", "dgc"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CreateCodecOf(SpecOf(name), Layout(), 1).status())) << name;
  }
}

}  // namespace
}  // namespace ringmaster
