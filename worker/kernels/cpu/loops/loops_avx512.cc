// What the pragma compiles must be seen by this file alone, so everything else comes before it.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "common/base/partition.h"
#include "worker/kernels/cpu/copy_row.h"
#include "worker/kernels/cpu/loops/loops.h"

// The compiler's own header fills unused lanes with what it has not set.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")

#include "worker/kernels/cpu/loops/loops_body.h"
#include "worker/kernels/cpu/loops/vectors_avx512.h"

namespace ringmaster::cpu {

extern const Loops kAvx512Loops;
constexpr Loops kAvx512Loops = LoopsOf<Avx512>("avx512");

}  // namespace ringmaster::cpu
