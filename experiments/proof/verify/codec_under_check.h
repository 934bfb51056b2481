#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_UNDER_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_UNDER_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/codec/codec.h"

namespace ringmaster {

class CodecSpec;

// What is checked: the codec that `make` makes, held against what is promised of the registry's
// codec `name` (of any other name: against what its traits promise). Every call makes a new one, as
// every rank of a run does.
struct CodecUnderCheck {
  std::string name;
  std::function<std::unique_ptr<Codec>()> make;
  // Resolved: whose promise it is. Shared by copies of this, since the checks run apart.
  std::shared_ptr<const CodecSpec> spec;
};

struct CodecInput {
  std::string name;  // "denormal, 63 floats"
  std::vector<float> values;
};

// Inputs on which codecs go wrong: zeros of both signs, constants, denormals, the largest floats,
// magnitudes over 60 powers of two, ties, halfway between two that can be sent, one element
// alone; of 0 to 2500 floats, sizes that are no
// multiple of anything.
std::vector<CodecInput> CodecInputs(uint64_t seed);

// That of the checks' encodings: step, slice and lot all differ, so a codec that takes the one for
// the other is found.
CodecStream CheckStream(uint64_t seed);

// The encoded bytes, in memory of exactly their size; of CheckStream.
std::vector<std::byte> EncodeWith(const Codec& codec, const std::vector<float>& in, uint64_t seed);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_UNDER_CHECK_H_
