// What the pragma compiles must be seen by this file alone, so everything else comes before it.
#include <immintrin.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/codec/loops/loops.h"

// The compiler's own header fills unused lanes with what it has not set.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")

#include "common/codec/loops/loops_body.h"
#include "common/codec/loops/vectors_avx512.h"

namespace ringmaster {

extern const CodecLoops kAvx512Loops;
constexpr CodecLoops kAvx512Loops = LoopsOf<Avx512>("avx512");

}  // namespace ringmaster
