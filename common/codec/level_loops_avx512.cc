// What the pragma compiles must be seen by this file alone, so everything else comes before it.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/codec/level_loops.h"
#include "common/codec/loops.h"

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")

#include "common/codec/level_loops_body.h"

namespace ringmaster {

extern const LevelLoops kAvx512LevelLoops;
constexpr LevelLoops kAvx512LevelLoops = MakeLevelLoops("avx512");

}  // namespace ringmaster
