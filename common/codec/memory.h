#ifndef RINGMASTER_COMMON_CODEC_MEMORY_H_
#define RINGMASTER_COMMON_CODEC_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/state/state.h"

namespace ringmaster {

// What a sender keeps of the gradients that it has encoded, and adds to those that come: nothing,
// what encodings left out (error_feedback.h), or whatever else changes a gradient on its way into
// the codec, as a velocity does that is summed up before the largest are chosen. It calls the codec
// itself, so it knows what was sent. One thread at a time.
class CodecMemory {
 public:
  virtual ~CodecMemory() = default;

  // Encodes the gradient with what is kept of its slice, and keeps what the next step is to have.
  //   begin: the slice's first element in the arena.   gradient: [n], unchanged.
  //   out: at least MaxEncodedBytes(n).
  // Returns bytes used. A gradient that is not finite is encoded all the same, for the receiver to
  // refuse.
  virtual int64_t Encode(const CodecStream& stream, int64_t begin, absl::Span<const float> gradient,
                         absl::Span<std::byte> out) = 0;

  // All that is kept, of the whole arena. Taken by another memory of the same kind, codec and
  // arena, it goes on with the same bits.
  virtual State Give() const = 0;
  // Bytes of that state. Where it is large, no copy is made to count it.
  virtual int64_t state_bytes() const { return Give().bytes(); }
  // InvalidArgument: the state is of another kind or size; what is kept is then unchanged.
  virtual absl::Status Take(const State& state) = 0;
};

// The memory for an arena of `count` elements: error feedback where it is asked for and the codec
// is lossy, else none. `codec` outlives it.
std::unique_ptr<CodecMemory> CreateCodecMemory(const Codec& codec, int64_t count,
                                               bool error_feedback);
// The one that the resolved spec asks for: the codec's own if it has one (CodecDefinition), else
// error feedback or none.
std::unique_ptr<CodecMemory> CreateCodecMemory(const Codec& codec, const MemoryScope& scope,
                                               const CodecSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_MEMORY_H_
