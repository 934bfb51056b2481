#include "common/codec/topk.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/kept_count.h"
#include "common/codec/loops/loops.h"
#include "common/codec/selection.h"
#include "common/codec/topk_columns.h"
#include "common/codec/topk_oracle.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.index_bearing = true;
  traits.feedback_by_default = true;
  traits.device_kind = EncodeKind::kTopk;
  return traits;
}

constexpr CodecOption kOptions[] = {
    {RM_CODEC_FIELD(density),
     /*default_value=*/0.01,
     /*above=*/0,
     /*most=*/1,
     "the share of elements that is sent",
     {0.3, 1}},
    {RM_CODEC_FIELD(chunk),
     /*default_value=*/0,
     /*above=*/-1,
     /*most=*/1 << 30,
     "elements among which one selection is made; 0: all",
     {64, 7}},
    {RM_CODEC_FIELD(rice_indices),
     /*default_value=*/0,
     /*above=*/-1,
     /*most=*/1,
     "1: indices as Rice codes of their distances",
     {1, 0}},
    {RM_CODEC_FIELD(two_bit_values),
     /*default_value=*/0,
     /*above=*/-1,
     /*most=*/1,
     "1: of each value its sign and one of two magnitudes",
     {1, 0}},
};

constexpr int64_t kPairBytes = 8;

// Where one thread's candidates lie: of the largest slice it has encoded, and nothing in it
// outlives a call.
Candidates Scratch(size_t room) {
  thread_local std::vector<int32_t> indices;
  thread_local std::vector<float> values;
  if (values.size() < room) {
    indices.resize(room);
    values.resize(room);
  }
  return {indices.data(), values.data(), 0, room};
}

struct Options {
  double density = 0;
  int64_t chunk = 0;  // elements among which one selection is made; 0: all
  TopkColumns columns;
};

// How many of `count` elements are kept, and of those from `begin` on that are chosen from as one.
int64_t ChunkEnd(const Options& options, int64_t begin, int64_t count) {
  return options.chunk == 0 ? count : std::min(count, begin + options.chunk);
}
int64_t TotalKept(const Options& options, int64_t count) {
  if (options.chunk == 0) return KeptCount(options.density, count);
  return count / options.chunk * KeptCount(options.density, options.chunk) +
         KeptCount(options.density, count % options.chunk);
}

template <typename... Parts>
absl::Status Refusal(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("codec \"topk\": ", parts...));
}

// Room for what one thread has chosen of the slice that it encodes or decodes; nothing in it
// outlives a call.
TopkChosen ChosenRoom(int64_t count, int64_t kept) {
  thread_local std::vector<int32_t> indices;
  thread_local std::vector<float> values;
  if (static_cast<int64_t>(values.size()) < kept) {
    indices.resize(kept);
    values.resize(kept);
  }
  return {count, absl::MakeSpan(indices).first(kept), absl::MakeSpan(values).first(kept)};
}

class Topk : public Codec {
 public:
  explicit Topk(const Options& options) : options_(options) {}

  CodecTraits traits() const override {
    CodecTraits traits = Traits();
    traits.fixed_size = !options_.columns.rice_indices;
    if (options_.chunk != 0 || in_columns()) traits.device_kind.reset();
    return traits;
  }
  int64_t MaxEncodedBytes(int64_t count) const override {
    const int64_t kept = TotalKept(options_, count);
    if (!in_columns()) return kPairBytes * kept;
    return ValueBytes(options_.columns, kept) + MaxIndexBytes(options_.columns, count, kept);
  }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    if (!in_columns()) return encoded.bytes / 2;
    return encoded.bytes - ValueBytes(options_.columns, TotalKept(options_, encoded.count));
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    return Write(Select(in, {}, out.size()), out);
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    const TopkChosen chosen = Select(in, residual, out.size());
    int32_t magnitude = 0;
    for (const float value : chosen.values) magnitude = std::max(magnitude, MagnitudeOf(value));
    const int64_t bytes = Write(chosen, out);
    for (size_t i = 0; i < chosen.indices.size(); ++i)
      residual[chosen.indices[i]] -= 0.0f + chosen.values[i];
    // Infinities and NaNs are the largest of all, so none is left where none is kept.
    if (magnitude >= MagnitudeOf(std::numeric_limits<float>::infinity())) {
      std::fill(residual.begin(), residual.end(), 0.0f);
    }
    return bytes;
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    BestLoops().clear(out.size(), out.data());
    return DecodeAdd(stream, in, out);
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    const auto count = static_cast<int64_t>(out.size());
    const TopkChosen chosen = ChosenRoom(count, TotalKept(options_, count));
    if (in_columns()) {
      const absl::Status status = ReadColumns(options_.columns, in, chosen);
      if (!status.ok()) return Refusal(status.message());
    } else {
      RM_RETURN_IF_ERROR(ReadPairs(in, chosen));
    }
    RM_RETURN_IF_ERROR(CheckChunks(chosen));
    for (size_t i = 0; i < chosen.indices.size(); ++i) out[chosen.indices[i]] += chosen.values[i];
    return absl::OkStatus();
  }

 private:
  bool in_columns() const {
    return options_.columns.rice_indices || options_.columns.two_bit_values;
  }

  // The largest of every chunk. `residual`: empty, or becomes in + residual first, and that is
  // chosen from.
  TopkChosen Select(absl::Span<const float> in, absl::Span<float> residual,
                    size_t room_bytes) const {
    const auto count = static_cast<int64_t>(in.size());
    RM_CHECK(count <= std::numeric_limits<int32_t>::max() &&
             static_cast<int64_t>(room_bytes) >= MaxEncodedBytes(count));
    const TopkChosen chosen = ChosenRoom(count, TotalKept(options_, count));
    size_t place = 0;
    for (int64_t begin = 0; begin < count;) {
      const int64_t end = ChunkEnd(options_, begin, count);
      const auto size = static_cast<size_t>(end - begin);
      const auto kept = static_cast<size_t>(KeptCount(options_.density, end - begin));
      const Candidates largest =
          SelectLargest(in.subspan(begin, size),
                        residual.empty() ? absl::Span<float>() : residual.subspan(begin, size),
                        kept, Scratch(CandidatesRoom(size, kept)));
      for (size_t i = 0; i < largest.count; ++i, ++place) {
        chosen.indices[place] = static_cast<int32_t>(begin) + largest.indices[i];
        chosen.values[place] = largest.values[i];
      }
      begin = end;
    }
    RM_CHECK(place == chosen.indices.size());
    return chosen;
  }

  // Changes the values of columns to what is decoded.
  int64_t Write(const TopkChosen& chosen, absl::Span<std::byte> out) const {
    if (in_columns()) return WriteColumns(options_.columns, chosen, out);
    std::byte* to = out.data();
    for (size_t i = 0; i < chosen.indices.size(); ++i, to += kPairBytes) {
      std::memcpy(to, &chosen.indices[i], 4);
      std::memcpy(to + 4, &chosen.values[i], 4);
    }
    return to - out.data();
  }

  absl::Status ReadPairs(absl::Span<const std::byte> in, const TopkChosen& chosen) const {
    const auto kept = static_cast<int64_t>(chosen.indices.size());
    if (static_cast<int64_t>(in.size()) != kPairBytes * kept) {
      return Refusal(in.size(), " bytes, expected ", kPairBytes * kept, " for ", kept, " of ",
                     chosen.count, " floats (density ", options_.density, ")");
    }
    int32_t previous = -1;
    for (int64_t pair = 0; pair < kept; ++pair) {
      int32_t& index = chosen.indices[pair];
      float& value = chosen.values[pair];
      std::memcpy(&index, in.data() + kPairBytes * pair, 4);
      std::memcpy(&value, in.data() + kPairBytes * pair + 4, 4);
      if (index <= previous || index >= chosen.count) {
        return Refusal("index ", index, " of pair ", pair, ", expected one above ", previous,
                       " and below ", chosen.count);
      }
      if (!std::isfinite(value))
        return Refusal("value ", index, " of ", chosen.count, " is not finite");
      previous = index;
    }
    return absl::OkStatus();
  }

  // Ascending indices: whether every chunk has as many as are kept of it.
  absl::Status CheckChunks(const TopkChosen& chosen) const {
    if (options_.chunk == 0) return absl::OkStatus();
    size_t place = 0;
    for (int64_t begin = 0; begin < chosen.count;) {
      const int64_t end = ChunkEnd(options_, begin, chosen.count);
      place += static_cast<size_t>(KeptCount(options_.density, end - begin));
      const int64_t last = chosen.indices[place - 1];
      const bool is_next_beyond = place == chosen.indices.size() || chosen.indices[place] >= end;
      if (last < begin || last >= end || !is_next_beyond) {
        return Refusal("index ", last, " at place ", place - 1, ", expected the last of elements ",
                       begin, " to ", end - 1);
      }
      begin = end;
    }
    return absl::OkStatus();
  }

  const Options options_;
};

absl::StatusOr<std::unique_ptr<Codec>> CreateTopk(const CodecSpec& spec) {
  const TopkColumns columns{spec.rice_indices(), spec.two_bit_values()};
  return std::unique_ptr<Codec>(
      std::make_unique<Topk>(Options{spec.density(), spec.chunk(), columns}));
}

}  // namespace

constexpr CodecDefinition kTopkCodec = {
    {"topk", "the share `density` of largest magnitude: 8 bytes for each element kept", Traits(),
     &kTopkOracle, kOptions},
    CreateTopk};

}  // namespace ringmaster
