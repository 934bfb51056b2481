#ifndef RINGMASTER_COMMON_CODEC_CODEC_H_
#define RINGMASTER_COMMON_CODEC_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/element_type.h"
#include "common/codec/codec_fields.h"
#include "common/codec/encode_kind.h"
#include "common/codec/oracle.h"
#include "common/codec/stream.h"

namespace ringmaster {

class CodecMemory;
class CodecSpec;
struct ReducerDefinition;

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
  // It draws from CodecStream: the bytes depend on the seed, the step and the slice.
  bool is_random = false;
  // How long an encoding is follows from count, options and step alone: Encode returns MaxBytesIn.
  // Not so: from the values too, and MaxBytesIn is a limit.
  bool fixed_size = true;
  // Floats an element that its own memory keeps (CodecDefinition::create_memory); 0: it has none,
  // and error feedback's is used where that is on.
  int32_t memory_floats = 0;
  // Its own memory sums gradients up with a momentum: who holds the weights must have none.
  bool has_momentum = false;
  // What is added up from all senders is replaced by its sign: every element of the gradient that
  // an update is made from is -1, 0 or 1.
  bool majority_vote = false;
  // It has no encodings: a bucket is summed in several rounds (reducer.h), of which only schemes
  // know that say so (SchemeTraits::sums_in_rounds). CreateCodec refuses it.
  bool in_rounds = false;
};

// An encoding: of how many floats, in how many bytes.
struct EncodedLength {
  int64_t count = 0;
  int64_t bytes = 0;
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
  // What CodecInfo says of all codecs of this name, with what the options make of it. Constant.
  virtual CodecTraits traits() const = 0;
  // The room that an encoding of `count` floats takes at most, in any step: for the capacity of
  // buffers. How long an encoding is, Encode says to who sends it, and the message's size to who
  // receives it.
  virtual int64_t MaxEncodedBytes(int64_t count) const = 0;
  // The same of an encoding in `step`, where that decides the length.
  virtual int64_t MaxBytesIn(int64_t step, int64_t count) const { return MaxEncodedBytes(count); }
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
  // How many of the bytes of one encoding, as Encode has made it, are indices rather than values: 0
  // to encoded.bytes.
  virtual int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const = 0;
  // out = the decoded floats, every element written. `stream` is that of the encoding; it comes
  // from the receiver's own count of steps, never from the wire. Never trusts `in`: a length that
  // does not go
  // with out.size(), bytes that Encode does not write, values that are not finite are
  // InvalidArgument; `out` is then unspecified.
  virtual absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                              absl::Span<float> out) const = 0;
  // out += the decoded floats, in one pass where the codec can. Same errors; `out` is then
  // unspecified.
  virtual absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                                 absl::Span<float> out) const = 0;
};

// Whether encodings are halves, whose range and precision a gradient can leave.
inline bool AreHalves(const Codec& codec) {
  return codec.traits().summable_as == ElementType::kFloat16;
}

// The codec that sends gradients as they are: the floats themselves.
inline constexpr char kNoCodec[] = "none";

// A field of CodecSpec that belongs to some codecs: what it is where the spec leaves it out, and
// its range. RM_CODEC_FIELD (codec_fields.h) gives the first four members.
struct CodecOption {
  const char* field;
  bool (*is_set)(const CodecSpec& spec);
  double (*value)(const CodecSpec& spec);
  void (*set)(double value, CodecSpec* spec);
  double default_value;
  double above;  // values are above this,
  double most;   // and this at most
  const char* meaning;
  double proof_values[2];  // with which all that is promised is proved, beside the default
};

struct CodecInfo {
  const char* name;
  const char* summary;
  CodecTraits traits;         // with all options at their defaults
  const CodecOracle* oracle;  // null: it is summed in rounds
  absl::Span<const CodecOption> options;
};

// Of which gradients a sender's memory is.
struct MemoryScope {
  int64_t count = 0;    // elements of the arena
  int32_t workers = 1;  // N
};

// What one codec's header declares: `create` makes the codec of a spec whose options are all set
// and in their range; or `reducer` says how it sums in rounds.
struct CodecDefinition {
  CodecInfo info;
  absl::StatusOr<std::unique_ptr<Codec>> (*create)(const CodecSpec& spec);
  // What its senders keep in place of error feedback's memory; null: that one. `codec` is what
  // `create` made of `spec`, and outlives the memory.
  std::unique_ptr<CodecMemory> (*create_memory)(const Codec& codec, const MemoryScope& scope,
                                                const CodecSpec& spec) = nullptr;
  const ReducerDefinition* reducer = nullptr;
};

// The registry: codecs that have encodings.
absl::Span<const CodecInfo> Codecs();
// These, and those that are summed in rounds: all that codec.name may be.
absl::Span<const CodecInfo> CodecsAndReducers();
// Null: there is no such codec.
const CodecInfo* FindCodec(absl::string_view name);
// The reducer of the codec of that name (reducer.h). Null: the codec has encodings, or there is
// none.
const ReducerDefinition* FindReducer(absl::string_view name);
// For messages: the names of those for which `wanted` holds, each in quotes.
std::string QuotedCodecs(absl::FunctionRef<bool(const CodecInfo&)> wanted,
                         absl::string_view separator);
// Leaves something out, and is summed on the wire all the same.
bool IsLossyAndSummed(const CodecInfo& codec);
const CodecDefinition* FindDefinition(absl::string_view name);
// Null: the codec does not take this field of CodecSpec.
const CodecOption* FindOption(const CodecInfo& codec, absl::string_view field);

// Gives the options of the codec that `spec` names, and error feedback, where they are left out,
// their defaults. An unknown codec has no options and no error feedback.
void SetCodecDefaults(CodecSpec* spec);
// The settings with which a codec's promises are proved: all options at their defaults, then each
// at each of its proof values with the others at their defaults; none of them twice.
std::vector<CodecSpec> ProofSettings(const CodecInfo& codec);

// The codec that the spec names, with its warm-up. Options that are left out have their defaults:
// records of older programs lack newer ones. InvalidArgument: an unknown name, an option that is
// out of range, a warm-up of a codec that is summed on the wire, or a
// codec that is summed in rounds.
absl::StatusOr<std::unique_ptr<Codec>> CreateCodec(const CodecSpec& spec);
// The traits of the codec that the resolved spec names, with its options. None: CreateCodec refuses
// the spec, and not because of rounds.
std::optional<CodecTraits> CodecTraitsOf(const CodecSpec& spec);

// The most bytes of one encoding of `count` floats in each of the first `steps` steps, all
// together.
int64_t MaxBytesOfSteps(const Codec& codec, int64_t count, int64_t steps);

// Whether what an encoding leaves out is added to the next gradient (error feedback), as the
// resolved spec has it. A codec with a memory of its own has that in its place.
bool HasErrorFeedback(const CodecSpec& spec);

// Bytes that a sender keeps between steps (memory.h) for an arena of `count` elements under a
// resolved spec; 0 where the codec is unknown. Pure, thread-safe.
int64_t CodecMemoryBytes(const CodecSpec& spec, int64_t count);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_CODEC_H_
