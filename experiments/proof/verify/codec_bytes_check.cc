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
  const int64_t index_bytes =
      codec.IndexBytes({seed}, {static_cast<int64_t>(count), static_cast<int64_t>(encoded_bytes)});
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
  const int64_t bytes = other.Encode({seed}, absl::MakeConstSpan(moved).subspan(1),
                                     absl::MakeSpan(room).subspan(1, room.size() - 2));
  if (bytes != static_cast<int64_t>(encoded.size()) ||
      !std::equal(encoded.begin(), encoded.end(), room.begin() + 1)) {
    return Broken("two replicas encode the same input to different bytes");
  }
  if (room.front() != std::byte{0xAB} || room.back() != std::byte{0xAB}) {
    return Broken("Encode writes beyond MaxEncodedBytes");
  }
  Floats here(in.size(), kNaN), there(in.size() + 1, kNaN);
  RM_RETURN_IF_ERROR(codec.Decode({seed}, encoded, absl::MakeSpan(here)));
  RM_RETURN_IF_ERROR(other.Decode({seed}, absl::MakeConstSpan(room).subspan(1, bytes),
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
  RM_RETURN_IF_ERROR(other.DecodeAdd({seed}, encoded, absl::MakeSpan(sum)));
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

absl::Status CheckOtherLengthsRefused(const CodecUnderCheck& codec) {
  const std::unique_ptr<Codec> made = codec.make();
  for (const size_t count : {0, 1, 9, 100}) {
    const Bytes encoded = EncodeWith(*made, Floats(count, 1.0f), 1);
    Floats out(count);
    for (size_t bytes = 0; bytes < encoded.size() + 9; ++bytes) {
      if (bytes == encoded.size()) continue;
      Bytes other = encoded;
      other.resize(bytes);
      if (IsRefusal(made->Decode({1}, other, absl::MakeSpan(out))) &&
          IsRefusal(made->DecodeAdd({1}, other, absl::MakeSpan(out)))) {
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
      if (IsRefusal(made->Decode({1}, encoded, absl::MakeSpan(out))) &&
          IsRefusal(made->DecodeAdd({1}, encoded, absl::MakeSpan(out)))) {
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
    const absl::Status status = random.Below(2) == 0 ? made->Decode({own_seed}, encoded, out)
                                                     : made->DecodeAdd({own_seed}, encoded, out);
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
