#ifndef RINGMASTER_TESTS_CONTRACT_CODECS_CODEC_TWINS_H_
#define RINGMASTER_TESTS_CONTRACT_CODECS_CODEC_TWINS_H_

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/codec/codec.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {

// The registry's codec `name` with its defaults; density 0.3 and threshold 0.5 where it takes one.
inline CodecSpec RealSpec(const std::string& name) {
  CodecSpec spec;
  spec.set_name(name);
  spec.set_density(0.3);
  spec.set_threshold(0.5);
  SetCodecDefaults(&spec);
  return spec;
}

// A real codec whose calls may be bent.
class CodecTwin : public Codec {
 public:
  explicit CodecTwin(const CodecSpec& spec) : codec_(*CreateCodec(spec)) {}

  CodecTraits traits() const override { return codec_->traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return codec_->MaxEncodedBytes(count); }
  int64_t MaxBytesIn(int64_t step, int64_t count) const override {
    return codec_->MaxBytesIn(step, count);
  }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return codec_->IndexBytes(stream, encoded);
  }
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    return codec_->Encode(stream, in, out);
  }
  // By the definition, from the twin's own Encode and Decode.
  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    for (size_t i = 0; i < in.size(); ++i) residual[i] += in[i];
    const int64_t bytes = Encode(stream, residual, out);
    std::vector<float> decoded(in.size());
    const bool is_refused = !Decode(stream, out.first(bytes), absl::MakeSpan(decoded)).ok();
    for (size_t i = 0; i < in.size(); ++i)
      residual[i] = is_refused ? 0.0f : residual[i] - decoded[i];
    return bytes;
  }
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    return codec_->Decode(stream, in, out);
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return codec_->DecodeAdd(stream, in, out);
  }

 protected:
  const std::unique_ptr<Codec> codec_;
};

// Decodes everything `factor` times too large.
class ScaledDecoder : public CodecTwin {
 public:
  ScaledDecoder(const CodecSpec& spec, float factor) : CodecTwin(spec), factor_(factor) {}
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    const absl::Status status = CodecTwin::Decode(stream, in, out);
    for (float& value : out) value *= factor_;
    return status;
  }

 private:
  const float factor_;
};

// Loses the element of largest magnitude.
class LosesLargest : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    std::vector<float> bent(in.begin(), in.end());
    const auto largest = std::max_element(
        bent.begin(), bent.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
    if (largest != bent.end()) *largest = 0.0f;
    return CodecTwin::Encode(stream, bent, out);
  }
};

// Of equal magnitudes keeps the last ones: encodes the reversed input and turns the (index, value)
// pairs round.
class LastTieWins : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    const std::vector<float> reversed(in.rbegin(), in.rend());
    const int64_t bytes = CodecTwin::Encode(stream, reversed, out);
    std::vector<std::byte> pairs(out.begin(), out.begin() + bytes);
    for (int64_t at = 0; at < bytes; at += 8) {
      int32_t index;
      std::memcpy(&index, &pairs[at], 4);
      index = static_cast<int32_t>(in.size()) - 1 - index;
      std::memcpy(&pairs[at], &index, 4);
      std::memcpy(out.data() + (bytes - 8 - at), &pairs[at], 8);
    }
    return bytes;
  }
};

// Breaks ties by what it did last: two replicas differ.
class RemembersCalls : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    std::vector<float> bent(in.begin(), in.end());
    if (++calls_ % 2 == 0 && bent.size() > 1) std::swap(bent.front(), bent.back());
    return CodecTwin::Encode(stream, bent, out);
  }

 private:
  static inline int calls_ = 0;
};

// The sender and the receiver decode the same bytes differently: every second decoding is doubled.
class DecodesByTurns : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    const absl::Status status = CodecTwin::Decode(stream, in, out);
    if (++calls_ % 2 == 0) {
      for (float& value : out) value *= 2;
    }
    return status;
  }

 private:
  mutable int calls_ = 0;
};

// Takes a payload of any length: the missing is zero, the surplus is ignored.
class TakesAnyLength : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    std::vector<std::byte> padded(in.begin(), in.end());
    padded.resize(MaxEncodedBytes(static_cast<int64_t>(out.size())));
    return CodecTwin::Decode(stream, padded, out);
  }
};

// Takes whatever floats the bytes are.
class TakesAnyBits : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    if (in.size() != 4 * out.size()) return CodecTwin::Decode(stream, in, out);
    if (!in.empty()) std::memcpy(out.data(), in.data(), in.size());
    return absl::OkStatus();
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return Decode(stream, in, out);
  }
};

// Writes one element beyond the output.
class WritesBeyond : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    const absl::Status status = CodecTwin::Decode(stream, in, out);
    if (!out.empty()) *(out.data() + out.size()) = 0.0f;
    return status;
  }
};

// Stores where it should add.
class StoresForAdds : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return CodecTwin::Decode(stream, in, out);
  }
};

// Sends one byte more than it needs.
class PadsByOne : public CodecTwin {
 public:
  using CodecTwin::CodecTwin;
  int64_t MaxEncodedBytes(int64_t count) const override {
    return CodecTwin::MaxEncodedBytes(count) + 1;
  }
  int64_t MaxBytesIn(int64_t step, int64_t count) const override {
    return CodecTwin::MaxBytesIn(step, count) + 1;
  }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return CodecTwin::IndexBytes(stream, {encoded.count, encoded.bytes - 1});
  }
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    const int64_t bytes = CodecTwin::Encode(stream, in, out);
    out[bytes] = std::byte{0};
    return bytes + 1;
  }
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    if (in.empty()) return absl::InvalidArgumentError("no byte, expected at least one");
    return CodecTwin::Decode(stream, in.first(in.size() - 1), out);
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    if (in.empty()) return absl::InvalidArgumentError("no byte, expected at least one");
    return CodecTwin::DecodeAdd(stream, in.first(in.size() - 1), out);
  }
};

// How error feedback's step goes wrong: what was kept is not added, or it is kept for nothing, or
// the gradient is added twice.
enum class Feedback { kForgets, kKeepsNothing, kAddsTwice };
class BrokenFeedback : public CodecTwin {
 public:
  BrokenFeedback(const CodecSpec& spec, Feedback how) : CodecTwin(spec), how_(how) {}
  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    if (how_ == Feedback::kForgets) std::fill(residual.begin(), residual.end(), 0.0f);
    if (how_ == Feedback::kAddsTwice) {
      for (size_t i = 0; i < in.size(); ++i) residual[i] += in[i];
    }
    const int64_t bytes = CodecTwin::EncodeCorrected(stream, in, residual, out);
    if (how_ == Feedback::kKeepsNothing) std::fill(residual.begin(), residual.end(), 0.0f);
    return bytes;
  }

 private:
  const Feedback how_;
};

// What it draws follows from the stream as `stream_of` bends it, at both ends.
class OtherStream : public CodecTwin {
 public:
  OtherStream(const CodecSpec& spec, std::function<CodecStream(CodecStream)> stream_of)
      : CodecTwin(spec), stream_of_(std::move(stream_of)) {}
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    return CodecTwin::Encode(stream_of_(stream), in, out);
  }
  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    return CodecTwin::Decode(Shared(stream), in, out);
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return CodecTwin::DecodeAdd(Shared(stream), in, out);
  }

 private:
  SharedStream Shared(const SharedStream& stream) const {
    CodecStream whole;
    static_cast<SharedStream&>(whole) = stream;
    return stream_of_(whole);
  }

  const std::function<CodecStream(CodecStream)> stream_of_;
};

// Encodes a gradient that was bent before, or bends what was encoded.
struct Bends {
  std::function<void(std::vector<float>* in)> in;
  std::function<void(const CodecStream& stream, absl::Span<const float> in, std::byte* bytes)>
      bytes;
};
class BentEncoder : public CodecTwin {
 public:
  BentEncoder(const CodecSpec& spec, Bends bends) : CodecTwin(spec), bends_(std::move(bends)) {}
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    std::vector<float> bent(in.begin(), in.end());
    if (bends_.in != nullptr) bends_.in(&bent);
    const int64_t bytes = CodecTwin::Encode(stream, bent, out);
    if (bends_.bytes != nullptr && !in.empty()) bends_.bytes(stream, in, out.data());
    return bytes;
  }

 private:
  const Bends bends_;
};

// Keeps every element with probability 1/4, times `factor`: unbiased for 4. On the wire as floats.
class RandomQuarter : public CodecTwin {
 public:
  RandomQuarter(const CodecSpec& spec, float factor, bool says_unbiased = true)
      : CodecTwin(RealSpec("none")), factor_(factor), says_unbiased_(says_unbiased) {}
  CodecTraits traits() const override {
    CodecTraits traits;
    traits.unbiased = says_unbiased_;
    return traits;
  }
  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    Random random(stream.Seed());
    std::vector<float> kept(in.begin(), in.end());
    for (float& value : kept) {
      const float scaled = std::clamp(factor_ * value, -std::numeric_limits<float>::max(),
                                      std::numeric_limits<float>::max());
      const bool keep = random.Below(4) == 0;
      if (std::isfinite(value)) value = keep ? scaled : 0.0f;
    }
    return CodecTwin::Encode(stream, kept, out);
  }

 private:
  const float factor_;
  const bool says_unbiased_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_CODECS_CODEC_TWINS_H_
