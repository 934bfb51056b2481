#include "experiments/proof/verify/codec_bytes_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kGuard = 42.0f;
constexpr size_t kGuards = 16;  // floats on each side

template <typename... Parts>
absl::Status Broken(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

bool SameBits(absl::Span<const float> a, absl::Span<const float> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

bool IsRefusal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument;
}

absl::Status CheckSizes(const Codec& codec, uint64_t seed, size_t count, size_t encoded_bytes) {
  const int64_t index_bytes = codec.IndexBytes(
      CheckStream(seed), {static_cast<int64_t>(count), static_cast<int64_t>(encoded_bytes)});
  const bool has_indices = codec.traits().index_bearing && count > 0;
  // How many of the values are sent may depend on them, and be none, or so many that indices are
  // left out.
  const bool may_have_none = has_indices && !codec.traits().fixed_size && index_bytes == 0;
  if (((index_bytes > 0) == has_indices || may_have_none) && index_bytes >= 0 &&
      index_bytes <= static_cast<int64_t>(encoded_bytes)) {
    return absl::OkStatus();
  }
  return Broken(index_bytes, " of ", encoded_bytes, " bytes are said to be indices");
}

// `other`, with everything one element or byte further on, does the same as `codec`.
absl::Status CheckTwins(const Codec& codec, const Codec& other, const Floats& in, uint64_t seed) {
  const Bytes encoded = EncodeWith(codec, in, seed);
  RM_RETURN_IF_ERROR(CheckSizes(codec, seed, in.size(), encoded.size()));
  Floats moved(in.size() + 1, kNaN);
  std::copy(in.begin(), in.end(), moved.begin() + 1);
  Bytes room(other.MaxEncodedBytes(static_cast<int64_t>(in.size())) + 2, std::byte{0xAB});
  const int64_t bytes = other.Encode(CheckStream(seed), absl::MakeConstSpan(moved).subspan(1),
                                     absl::MakeSpan(room).subspan(1, room.size() - 2));
  if (bytes != static_cast<int64_t>(encoded.size()) ||
      !std::equal(encoded.begin(), encoded.end(), room.begin() + 1)) {
    return Broken("two replicas encode the same input to different bytes");
  }
  if (room.front() != std::byte{0xAB} || room.back() != std::byte{0xAB}) {
    return Broken("Encode writes beyond MaxEncodedBytes");
  }
  Floats here(in.size(), kNaN), there(in.size() + 1, kNaN);
  RM_RETURN_IF_ERROR(codec.Decode(CheckStream(seed), encoded, absl::MakeSpan(here)));
  RM_RETURN_IF_ERROR(other.Decode(CheckStream(seed), absl::MakeConstSpan(room).subspan(1, bytes),
                                  absl::MakeSpan(there).subspan(1)));
  if (FirstNotFinite(here) != in.size())
    return Broken("Decode leaves element ", FirstNotFinite(here), " unwritten");
  if (!SameBits(here, absl::MakeConstSpan(there).subspan(1))) {
    return Broken("two replicas decode the same bytes to different floats");
  }
  Random random(seed);
  Floats sum(in.size());
  for (float& value : sum) value = random.Normal();
  Floats expected = sum;
  Add(here, absl::MakeSpan(expected));
  RM_RETURN_IF_ERROR(other.DecodeAdd(CheckStream(seed), encoded, absl::MakeSpan(sum)));
  return SameBits(sum, expected) ? absl::OkStatus()
                                 : Broken("DecodeAdd is not Decode and then an addition");
}

}  // namespace

absl::Status CheckReplicasAgree(const CodecUnderCheck& codec, uint64_t seed) {
  const std::unique_ptr<Codec> one = codec.make(), other = codec.make();
  for (const CodecInput& input : CodecInputs(seed)) {
    RM_RETURN_IF_ERROR(
        Annotate(CheckTwins(*one, *other, input.values, seed),
                 absl::StrCat("codec \"", codec.name, "\" seed ", seed, " on ", input.name)));
  }
  return absl::OkStatus();
}

namespace {

// Of `count` floats in `step`: what the codec says, what the oracle says, and what it is.
absl::Status CheckSizesIn(const CodecUnderCheck& of, const Codec& codec, int64_t step,
                          int64_t count) {
  const CodecOracle& oracle = *FindCodec(of.name)->oracle;
  const int64_t most = oracle.size(*of.spec, count).bytes;
  const EncodedSize expected = oracle.size_in == nullptr ? oracle.size(*of.spec, count)
                                                         : oracle.size_in(*of.spec, step, count);
  if (codec.MaxEncodedBytes(count) != most || codec.MaxBytesIn(step, count) != expected.bytes) {
    return Broken("says at most ", codec.MaxEncodedBytes(count), " bytes, ",
                  codec.MaxBytesIn(step, count), " in this step, expected ", most, " and ",
                  expected.bytes);
  }
  CodecStream stream = CheckStream(1);
  stream.step = step;
  Random random(MixSeed(count, step));
  Floats in(count);
  for (float& value : in) value = random.Normal();
  Bytes room(most);
  const EncodedSize used = {codec.Encode(stream, in, absl::MakeSpan(room)), 0};
  const int64_t index_bytes = codec.IndexBytes(stream, {count, used.bytes});
  const bool is_fixed = codec.traits().fixed_size;
  if (is_fixed ? used.bytes == expected.bytes && index_bytes == expected.index_bytes
               : used.bytes <= expected.bytes && index_bytes <= used.bytes) {
    return absl::OkStatus();
  }
  return Broken(used.bytes, " bytes, of them ", index_bytes, " of indices, expected ",
                is_fixed ? "" : "at most ", expected.bytes, " and ", expected.index_bytes);
}

}  // namespace

absl::Status CheckCodecSizes(const CodecUnderCheck& codec) {
  if (FindCodec(codec.name) == nullptr) return absl::OkStatus();
  const std::unique_ptr<Codec> made = codec.make();
  for (const int64_t step : {0, 1, 24, 25, 50, 74, 75, 99, 100, 1000}) {
    for (const int64_t count : {1, 2, 7, 8, 9, 63, 100, 1000, 1025}) {
      RM_RETURN_IF_ERROR(
          Annotate(CheckSizesIn(codec, *made, step, count),
                   absl::StrCat("codec \"", codec.name, "\" step ", step, ", ", count, " floats")));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSumsOnTheWire(const CodecUnderCheck& codec, uint64_t seed) {
  const std::unique_ptr<Codec> one = codec.make(), other = codec.make();
  const CodecInfo* const info = FindCodec(codec.name);
  if (info == nullptr || one->traits().summable_as != ElementType::kFloat32)
    return absl::OkStatus();
  constexpr int64_t kCount = 500;
  CodecStream stream = CheckStream(seed), of_other = stream;
  ++of_other.lot;
  Random random(seed);
  Floats a(kCount), b(kCount), expected(kCount), out(kCount);
  for (float& value : a) value = random.Normal();
  for (float& value : b) value = random.Normal();
  Bytes sum(one->MaxEncodedBytes(kCount)), added(sum.size());
  one->Encode(stream, a, absl::MakeSpan(sum));
  other->Encode(of_other, b, absl::MakeSpan(added));
  RM_RETURN_IF_ERROR(one->Decode(stream, added, absl::MakeSpan(out)));
  RM_RETURN_IF_ERROR(Annotate(
      info->oracle->check_bound(*codec.spec, b, out, static_cast<int64_t>(added.size())),
      absl::StrCat("codec \"", codec.name, "\" seed ", seed, ", what another rank sends")));
  RM_RETURN_IF_ERROR(one->Decode(stream, sum, absl::MakeSpan(expected)));
  Add(out, absl::MakeSpan(expected));
  for (size_t at = 0; at < sum.size(); at += sizeof(float)) {
    float x, y;
    std::memcpy(&x, &sum[at], sizeof(x));
    std::memcpy(&y, &added[at], sizeof(y));
    x += y;
    std::memcpy(&sum[at], &x, sizeof(x));
  }
  RM_RETURN_IF_ERROR(one->Decode(stream, sum, absl::MakeSpan(out)));
  if (SameBits(out, expected)) return absl::OkStatus();
  return Broken("codec \"", codec.name, "\" seed ", seed,
                ": the sum of two encodings does not decode to the sum of both");
}

absl::Status CheckOtherLengthsRefused(const CodecUnderCheck& codec) {
  const std::unique_ptr<Codec> made = codec.make();
  for (const size_t count : {0, 1, 9, 100}) {
    const Bytes encoded = EncodeWith(*made, Floats(count, 1.0f), 1);
    Floats out(count);
    for (size_t bytes = 0; bytes < encoded.size() + 9; ++bytes) {
      if (bytes == encoded.size()) continue;
      Bytes other = encoded;
      other.resize(bytes);
      if (IsRefusal(made->Decode(CheckStream(1), other, absl::MakeSpan(out))) &&
          IsRefusal(made->DecodeAdd(CheckStream(1), other, absl::MakeSpan(out)))) {
        continue;
      }
      return Broken("codec \"", codec.name, "\" accepts ", bytes, " bytes for ", count,
                    " floats, which take ", encoded.size());
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNotFiniteRefused(const CodecUnderCheck& codec) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::unique_ptr<Codec> made = codec.make();
  for (const float bad : {kInfinity, -kInfinity, kNaN}) {
    for (const size_t where : {0, 5, 1999}) {
      Floats in(2000, 1.0f), out(2000);
      in[where] = bad;
      const Bytes encoded = EncodeWith(*made, in, 1);
      if (IsRefusal(made->Decode(CheckStream(1), encoded, absl::MakeSpan(out))) &&
          IsRefusal(made->DecodeAdd(CheckStream(1), encoded, absl::MakeSpan(out)))) {
        continue;
      }
      return Broken("codec \"", codec.name, "\" accepts a gradient whose element ", where, " is ",
                    bad);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CheckMutatedBytes(const CodecUnderCheck& codec, uint64_t seed,
                                          int64_t count) {
  const std::unique_ptr<Codec> made = codec.make();
  int64_t refused = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t own_seed = MixSeed(seed, i);
    const std::string where =
        absl::StrCat("codec \"", codec.name, "\" seed ", seed, " mutation ", i);
    Random random(own_seed);
    const size_t size = random.Below(100);
    Floats in(size);
    for (float& value : in) value = random.Normal();
    Bytes encoded = EncodeWith(*made, in, own_seed);
    if (random.Below(2) == 0) encoded.resize(random.Below(encoded.size() + 20));
    for (uint64_t changes = random.Below(8); changes > 0 && !encoded.empty(); --changes) {
      encoded[random.Below(encoded.size())] = static_cast<std::byte>(random.Next());
    }
    encoded.shrink_to_fit();
    Floats memory(size + 2 * kGuards, kGuard);
    const absl::Span<float> out = absl::MakeSpan(memory).subspan(kGuards, size);
    const absl::Status status = random.Below(2) == 0
                                    ? made->Decode(CheckStream(own_seed), encoded, out)
                                    : made->DecodeAdd(CheckStream(own_seed), encoded, out);
    if (!status.ok() && !IsRefusal(status))
      return Broken(where, ": ", status.ToString(), ", expected InvalidArgument");
    if (status.ok() && FirstNotFinite(out) != size)
      return Broken(where, ": decodes to numbers that are not finite");
    if (!status.ok()) ++refused;
    for (size_t k = 0; k < kGuards; ++k) {
      if (memory[k] != kGuard || memory[kGuards + size + k] != kGuard)
        return Broken(where, ": writes beyond the output");
    }
  }
  if (refused < count / 3)
    return Broken("codec \"", codec.name, "\": only ", refused, " of ", count, " are refused");
  return refused;
}

}  // namespace ringmaster
