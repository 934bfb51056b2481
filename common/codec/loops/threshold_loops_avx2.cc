#include "common/codec/loops/threshold_loops_body.h"
#include "common/codec/loops/vectors_avx2.h"

namespace ringmaster {
namespace {

constexpr ThresholdLoops kLoops = ThresholdLoopsOf<Avx2>("avx2");

}  // namespace

const ThresholdLoops& Avx2ThresholdLoops() { return kLoops; }

}  // namespace ringmaster
