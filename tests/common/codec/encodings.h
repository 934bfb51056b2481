#ifndef RINGMASTER_TESTS_COMMON_CODEC_ENCODINGS_H_
#define RINGMASTER_TESTS_COMMON_CODEC_ENCODINGS_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/codec/codec.h"
#include "gtest/gtest.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {

// What the tests of codecs do all the time. An expectation fails where a codec cannot be made, or
// does not decode what it should.

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;

// With all options at their defaults.
inline CodecSpec SpecOf(const std::string& name) {
  CodecSpec spec;
  spec.set_name(name);
  SetCodecDefaults(&spec);
  return spec;
}

inline std::unique_ptr<Codec> Create(const CodecSpec& spec) {
  absl::StatusOr<std::unique_ptr<Codec>> codec = CreateCodec(spec);
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}
inline std::unique_ptr<Codec> Create(const std::string& name) { return Create(SpecOf(name)); }

inline Floats RandomFloats(size_t count, uint64_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Normal();
  return values;
}

inline Bytes Encode(const Codec& codec, const Floats& in, const CodecStream& stream = {}) {
  Bytes bytes(codec.MaxEncodedBytes(static_cast<int64_t>(in.size())));
  bytes.resize(codec.Encode(stream, in, absl::MakeSpan(bytes)));
  return bytes;
}

inline Floats Decode(const Codec& codec, const Bytes& bytes, size_t count,
                     const SharedStream& stream = {}) {
  Floats out(count, NAN);
  const absl::Status status = codec.Decode(stream, bytes, absl::MakeSpan(out));
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

// What arrives of `in`.
inline Floats Sent(const Codec& codec, const Floats& in, const CodecStream& stream = {}) {
  return Decode(codec, Encode(codec, in, stream), in.size(), stream);
}

inline double SquaredNorm(const Floats& values) {
  double energy = 0;
  for (const float value : values) energy += static_cast<double>(value) * value;
  return energy;
}

// Decode and DecodeAdd refuse `bytes` with that text.
inline void ExpectRefused(const Codec& codec, const Bytes& bytes, size_t count,
                          const std::string& text) {
  Floats out(count);
  for (const absl::Status& status : {codec.Decode({}, bytes, absl::MakeSpan(out)),
                                     codec.DecodeAdd({}, bytes, absl::MakeSpan(out))}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StrContains(status.message(), text)) << status << "\nlacks: " << text;
  }
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_CODEC_ENCODINGS_H_
