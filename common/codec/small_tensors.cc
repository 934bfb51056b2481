#include "common/codec/small_tensors.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/none.h"
#include "common/vecmath/vecmath.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = 4;

// Of one slice: which of its elements go as floats.
struct SliceSplit {
  int64_t count = 0;
  int64_t floats = 0;
  std::vector<Range> small;  // in the slice, ascending
};

SliceSplit SplitOf(const ParamLayout& layout, int64_t min_tensor_elements, const Range& slice) {
  SliceSplit split;
  split.count = slice.count;
  for (const Param& param : layout.params()) {
    if (param.count >= min_tensor_elements) continue;
    const int64_t begin = std::max(param.begin, slice.begin);
    const int64_t end = std::min(param.begin + param.count, slice.end());
    if (begin >= end) continue;
    split.floats += end - begin;
    split.small.push_back({begin - slice.begin, end - begin});
  }
  return split;
}

class SmallTensors : public Codec {
 public:
  // `splits`: by slice of the streams.
  SmallTensors(std::unique_ptr<Codec> floats, std::unique_ptr<Codec> codec,
               std::vector<SliceSplit> splits)
      : floats_(std::move(floats)), codec_(std::move(codec)), splits_(std::move(splits)) {}

  CodecTraits traits() const override {
    CodecTraits traits = codec_->traits();
    traits.device_kind.reset();
    traits.fixed_size = false;  // it follows from the slice too
    return traits;
  }
  // Of whichever slice: all its elements as floats, and the largest encoding beside them.
  int64_t MaxEncodedBytes(int64_t count) const override {
    return floats_->MaxEncodedBytes(count) + codec_->MaxEncodedBytes(count);
  }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    const SliceSplit& split = SplitFor(stream, encoded.count);
    if (split.floats == split.count) return 0;
    return codec_->IndexBytes(
        stream, {split.count - split.floats, encoded.bytes - kFloatBytes * split.floats});
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    const SliceSplit& split = SplitFor(stream, static_cast<int64_t>(in.size()));
    std::vector<float>& taken = Scratch(0);
    Take(split, in, &taken);
    const absl::Span<const float> values = taken;
    const int64_t bytes = floats_->Encode(stream, values.first(split.floats), out);
    if (split.floats == split.count) return bytes;
    return bytes + codec_->Encode(stream, values.subspan(split.floats), out.subspan(bytes));
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    const SliceSplit& split = SplitFor(stream, static_cast<int64_t>(in.size()));
    std::vector<float>&taken = Scratch(0), &left = Scratch(1);
    Take(split, in, &taken);
    Take(split, residual, &left);
    const absl::Span<const float> values = taken;
    const absl::Span<float> rest = absl::MakeSpan(left);
    int64_t bytes =
        floats_->EncodeCorrected(stream, values.first(split.floats), rest.first(split.floats), out);
    if (split.floats != split.count) {
      bytes += codec_->EncodeCorrected(stream, values.subspan(split.floats),
                                       rest.subspan(split.floats), out.subspan(bytes));
    }
    // None of the slice is decoded then.
    if (FirstNotFinite(values.first(split.floats)) != static_cast<size_t>(split.floats))
      std::fill(left.begin(), left.end(), 0.0f);
    Put(split, left, residual);
    return bytes;
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    const SliceSplit& split = SplitFor(stream, static_cast<int64_t>(out.size()));
    std::vector<float>& values = Scratch(0);
    RM_RETURN_IF_ERROR(DecodeInto(stream, split, in, &values));
    Put(split, values, out);
    return absl::OkStatus();
  }

  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    const SliceSplit& split = SplitFor(stream, static_cast<int64_t>(out.size()));
    std::vector<float>&values = Scratch(0), &whole = Scratch(1);
    RM_RETURN_IF_ERROR(DecodeInto(stream, split, in, &values));
    whole.resize(out.size());
    Put(split, values, absl::MakeSpan(whole));
    for (size_t i = 0; i < out.size(); ++i) out[i] += whole[i];
    return absl::OkStatus();
  }

 private:
  // One thread's, until its next call.
  static std::vector<float>& Scratch(int which) {
    thread_local std::vector<float> scratch[2];
    return scratch[which];
  }

  const SliceSplit& SplitFor(const SharedStream& stream, int64_t count) const {
    RM_CHECK(stream.slice >= 0 && stream.slice < static_cast<int64_t>(splits_.size()));
    const SliceSplit& split = splits_[stream.slice];
    RM_CHECK(split.count == count);
    return split;
  }

  // Calls visit(begin in the slice, begin in the encoding's order, count) for all stretches.
  template <typename Visit>
  static void ForStretches(const SliceSplit& split, Visit visit) {
    int64_t at = 0, small = 0, other = split.floats;
    for (const Range& range : split.small) {
      if (range.begin > at) visit(at, other, range.begin - at);
      other += range.begin - at;
      visit(range.begin, small, range.count);
      small += range.count;
      at = range.end();
    }
    if (split.count > at) visit(at, other, split.count - at);
  }
  static void Take(const SliceSplit& split, absl::Span<const float> in, std::vector<float>* out) {
    out->resize(in.size());
    ForStretches(split, [&](int64_t from, int64_t to, int64_t count) {
      std::copy_n(in.begin() + from, count, out->begin() + to);
    });
  }
  static void Put(const SliceSplit& split, const std::vector<float>& in, absl::Span<float> out) {
    ForStretches(split, [&](int64_t to, int64_t from, int64_t count) {
      std::copy_n(in.begin() + from, count, out.begin() + to);
    });
  }

  absl::Status DecodeInto(const SharedStream& stream, const SliceSplit& split,
                          absl::Span<const std::byte> in, std::vector<float>* values) const {
    const int64_t bytes = kFloatBytes * split.floats;
    if (static_cast<int64_t>(in.size()) < bytes) {
      return absl::InvalidArgumentError(absl::StrCat(in.size(), " bytes, expected at least ", bytes,
                                                     " of ", split.floats,
                                                     " floats of small tensors"));
    }
    values->resize(split.count);
    const absl::Span<float> out = absl::MakeSpan(*values);
    RM_RETURN_IF_ERROR(floats_->Decode(stream, in.first(bytes), out.first(split.floats)));
    if (split.floats != split.count)
      return codec_->Decode(stream, in.subspan(bytes), out.subspan(split.floats));
    if (static_cast<int64_t>(in.size()) == bytes) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(in.size(), " bytes, expected ", bytes,
                                                   ": all tensors of the slice are small"));
  }

  const std::unique_ptr<Codec> floats_;
  const std::unique_ptr<Codec> codec_;
  const std::vector<SliceSplit> splits_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> CreateCodecOf(const CodecSpec& spec,
                                                     const ParamLayout& layout, int32_t parts) {
  RM_ASSIGN_OR_RETURN(std::unique_ptr<Codec> codec, CreateCodec(spec));
  if (spec.min_tensor_elements() <= 1) return codec;
  const CodecTraits traits = codec->traits();
  if (traits.summable_as.has_value() || traits.memory_floats > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("codec.min_tensor_elements ", spec.min_tensor_elements(), ": codec \"",
                     spec.name(), "\" is summed on the wire, or has a memory of its own"));
  }
  std::vector<SliceSplit> splits;
  for (const Bucket& bucket : layout.buckets()) {
    for (int32_t part = 0; part < parts; ++part) {
      Range slice = Part(bucket.count, parts, part);
      slice.begin += bucket.begin;
      splits.push_back(SplitOf(layout, spec.min_tensor_elements(), slice));
    }
  }
  return std::unique_ptr<Codec>(std::make_unique<SmallTensors>(
      *kNoneCodec.create(CodecSpec()), std::move(codec), std::move(splits)));
}

int64_t SmallTensorElements(const CodecSpec& spec, const ParamLayout& layout, const Range& slice) {
  return SplitOf(layout, spec.min_tensor_elements(), slice).floats;
}

int64_t MaxBytesOfSlice(const CodecSpec& spec, const Codec& codec, const ParamLayout& layout,
                        const Range& slice, int64_t steps) {
  const int64_t floats = SmallTensorElements(spec, layout, slice);
  const int64_t others = slice.count - floats;
  return steps * kFloatBytes * floats + (others == 0 ? 0 : MaxBytesOfSteps(codec, others, steps));
}

}  // namespace ringmaster
