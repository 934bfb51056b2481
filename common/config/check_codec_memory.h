#ifndef RINGMASTER_COMMON_CONFIG_CHECK_CODEC_MEMORY_H_
#define RINGMASTER_COMMON_CONFIG_CHECK_CODEC_MEMORY_H_

#include "common/base/problems.h"

namespace ringmaster {

class RunSpec;

// Adds what is wrong with what the resolved spec's codec keeps from step to step: error feedback
// and its decay, the warm-up, the update rule beside a codec that has a momentum of its own; and
// tensors that go as floats. An unknown codec is somebody else's to say.
void CheckCodecMemory(const RunSpec& resolved, Problems* problems);

// Adds what is wrong with the codec of the weights' way from servers to workers
// (strategy.parameter_server.down_codec). Both ends keep what a worker holds, and no other memory
// goes with it.
void CheckDownCodec(const RunSpec& resolved, Problems* problems);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_CHECK_CODEC_MEMORY_H_
