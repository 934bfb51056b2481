#include "common/codec/loops/loops_body.h"
#include "common/codec/loops/vectors_avx2.h"

namespace ringmaster {
namespace {

constexpr CodecLoops kLoops = LoopsOf<Avx2>("avx2");

}  // namespace

const CodecLoops& Avx2Loops() { return kLoops; }

}  // namespace ringmaster
