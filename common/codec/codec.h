#ifndef RINGMASTER_COMMON_CODEC_CODEC_H_
#define RINGMASTER_COMMON_CODEC_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What decides which strategies may use a codec; read by validation, not at run time.
struct CodecTraits {
  bool exact = false;             // Decode(Encode(x)) == x
  bool unbiased = false;          // in expectation
  bool summable_on_wire = false;  // encoded values are float16 elements that may be added as such
  bool index_bearing = false;     // part of the encoded bytes are indices
};

// Gradient compression: pure, role-blind, seeded. Thread-safe (no state); the memory of error feedback is another
// object, on the sender. Numbers on the wire are little-endian; encoded bytes may lie at any address.
//
// A gradient that is not finite is the sign of a run that diverges. Encode has nobody to tell, so it passes the
// infinity or NaN on, and Decode, on whichever rank, refuses it.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual CodecTraits traits() const = 0;
  // An upper bound on Encode's result for `count` floats. Tight: the codecs of the registry use exactly these.
  virtual int64_t MaxEncodedBytes(int64_t count) const = 0;
  // Encodes `in` (finite values) into `out` (at least MaxEncodedBytes); returns bytes used. Same inputs, same bytes.
  virtual int64_t Encode(absl::Span<const float> in, uint64_t seed, absl::Span<std::byte> out) const = 0;
  // One step of error feedback: encodes c[i] = residual[i] + in[i] as Encode does, then residual[i] = c[i] - d[i], where d
  // is what Decode makes of the encoding; all zeros where Decode refuses it. The same bits as those four steps, in as few
  // passes over memory as the codec can. `residual` has in.size() elements.
  virtual int64_t EncodeCorrected(absl::Span<const float> in, uint64_t seed, absl::Span<float> residual,
                                  absl::Span<std::byte> out) const = 0;
  // How many of `encoded_bytes` are indices rather than values.
  virtual int64_t IndexBytes(int64_t encoded_bytes) const = 0;
  // out = the decoded floats, every element written. Never trusts `in`: a length that does not go with out.size(), bytes
  // that Encode does not write, values that are not finite are InvalidArgument; `out` is then unspecified.
  virtual absl::Status Decode(absl::Span<const std::byte> in, absl::Span<float> out) const = 0;
  // out += the decoded floats, in one pass where the codec can. Same errors; `out` is then unspecified.
  virtual absl::Status DecodeAdd(absl::Span<const std::byte> in, absl::Span<float> out) const = 0;
};

// The codec that the resolved spec names; "none" is the exact codec whose encoding is the floats themselves.
// InvalidArgument: an unknown name, or a density out of range.
absl::StatusOr<std::unique_ptr<Codec>> CreateCodec(const CodecSpec& spec);

// The registry, for `list`, validation and contract tests.
struct CodecInfo {
  const char* name;
  const char* summary;
  CodecTraits traits;
};
absl::Span<const CodecInfo> Codecs();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_CODEC_H_
