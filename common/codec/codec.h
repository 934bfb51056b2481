#ifndef RINGMASTER_COMMON_CODEC_CODEC_H_
#define RINGMASTER_COMMON_CODEC_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/element_type.h"
#include "common/codec/encode_kind.h"
#include "common/codec/oracle.h"
#include "common/codec/stream.h"

namespace ringmaster {

class CodecSpec;

// What everybody else asks of a codec instead of its name.
struct CodecTraits {
  bool exact = false;          // Decode(Encode(x)) == x
  bool unbiased = false;       // in expectation
  bool index_bearing = false;  // part of the encoded bytes are indices
  // The encoding of count floats is count elements of this type, which may be added as such on the
  // wire. None: encodings are gathered, decoded and then added.
  std::optional<ElementType> summable_as;
  // What it leaves out is most of the gradient: error feedback is on unless the spec says
  // otherwise.
  bool feedback_by_default = false;
  // As what devices encode. None: they have no kernels for it.
  std::optional<EncodeKind> device_kind;
};

// Gradient compression: pure, role-blind, seeded. Thread-safe (no state); what a sender keeps
// between steps is another object (memory.h). Numbers on the wire are little-endian; encoded bytes
// may lie at any address.
//
// A gradient that is not finite is the sign of a run that diverges. Encode has nobody to tell, so
// it passes the infinity or NaN on, and Decode, on whichever rank, refuses it.
class Codec {
 public:
  virtual ~Codec() = default;
  // What CodecInfo says of all codecs of this name. Constant.
  virtual CodecTraits traits() const = 0;
  // The room that an encoding of `count` floats takes at most, in any step: for the capacity of
  // buffers. How long an encoding is, Encode says to who sends it, and the message's size to who
  // receives it.
  virtual int64_t MaxEncodedBytes(int64_t count) const = 0;
  // Encodes `in` (finite values) into `out` (at least MaxEncodedBytes); returns bytes used. Same
  // inputs, same bytes.
  virtual int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                         absl::Span<std::byte> out) const = 0;
  // One step of error feedback: encodes c[i] = residual[i] + in[i] as Encode does, then residual[i]
  // = c[i] - d[i], where d is what Decode makes of the encoding; all zeros where Decode refuses it.
  // The same bits as those four steps, in as few passes over memory as the codec can. `residual`
  // has in.size() elements.
  virtual int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                                  absl::Span<float> residual, absl::Span<std::byte> out) const = 0;
  // How many of the `encoded_bytes` bytes of one encoding are indices rather than values: 0 to
  // encoded_bytes.
  virtual int64_t IndexBytes(int64_t encoded_bytes) const = 0;
  // out = the decoded floats, every element written. Never trusts `in`: a length that does not go
  // with out.size(), bytes that Encode does not write, values that are not finite are
  // InvalidArgument; `out` is then unspecified.
  virtual absl::Status Decode(absl::Span<const std::byte> in, absl::Span<float> out) const = 0;
  // out += the decoded floats, in one pass where the codec can. Same errors; `out` is then
  // unspecified.
  virtual absl::Status DecodeAdd(absl::Span<const std::byte> in, absl::Span<float> out) const = 0;
};

// The codec that sends gradients as they are: the floats themselves.
inline constexpr char kNoCodec[] = "none";

// A field of CodecSpec that belongs to some codecs: what it is where the spec leaves it out, and
// its range.
struct CodecOption {
  const char* field;
  bool (CodecSpec::*is_set)() const;
  double (CodecSpec::*value)() const;
  void (CodecSpec::*set)(double value);
  double default_value;
  double above;  // values are above this,
  double most;   // and this at most
  const char* meaning;
};

// The registry.
struct CodecInfo {
  const char* name;
  const char* summary;
  CodecTraits traits;
  const CodecOracle* oracle;
  absl::Span<const CodecOption> options;
};
absl::Span<const CodecInfo> Codecs();
// Null: there is no such codec.
const CodecInfo* FindCodec(absl::string_view name);
// For messages: the names of those for which `wanted` holds, each in quotes.
std::string QuotedCodecs(absl::FunctionRef<bool(const CodecInfo&)> wanted,
                         absl::string_view separator);
// Leaves something out, and is summed on the wire all the same.
bool IsLossyAndSummed(const CodecInfo& codec);
// Null: the codec does not take this field of CodecSpec.
const CodecOption* FindOption(const CodecInfo& codec, absl::string_view field);

// The codec that the resolved spec names. InvalidArgument: an unknown name, or an option that is
// missing or out of range.
absl::StatusOr<std::unique_ptr<Codec>> CreateCodec(const CodecSpec& spec);

// Bytes that a sender keeps between steps (memory.h) for an arena of `count` elements under a
// resolved spec; 0 where the codec is unknown. Pure, thread-safe.
int64_t CodecMemoryBytes(const CodecSpec& spec, int64_t count);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_CODEC_H_
