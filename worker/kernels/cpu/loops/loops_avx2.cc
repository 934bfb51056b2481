#include "worker/kernels/cpu/loops/loops_body.h"
#include "worker/kernels/cpu/loops/vectors_avx2.h"

namespace ringmaster::cpu {
namespace {

constexpr Loops kLoops = LoopsOf<Avx2>("avx2");

}  // namespace

const Loops& Avx2Loops() { return kLoops; }

}  // namespace ringmaster::cpu
