#include "common/codec/powersgd_oracle.h"

#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

// Of an n by m matrix r n floats in the first round and r m in the second, where that is less than
// n m; of everything else all of it, in the first.
std::vector<int64_t> RoundElements(const CodecSpec& spec, const ParamLayout& layout,
                                   const Bucket& bucket, int64_t step) {
  if (step < spec.warmup_steps()) return {bucket.count};
  int64_t first = 0, second = 0;
  for (const Param& param : layout.params()) {
    if (param.begin < bucket.begin || param.begin >= bucket.begin + bucket.count) continue;
    int64_t columns = 1;
    for (size_t dimension = 1; dimension < param.shape.size(); ++dimension)
      columns *= param.shape[dimension];
    const int64_t rows = param.shape[0];
    const bool is_small = rows * columns < spec.min_tensor_elements();
    const bool shrinks = spec.rank() * rows + spec.rank() * columns < rows * columns;
    if (param.shape.size() > 1 && shrinks && !is_small) {
      first += spec.rank() * rows;
      second += spec.rank() * columns;
    } else {
      first += rows * columns;
    }
  }
  return second == 0 ? std::vector<int64_t>{first} : std::vector<int64_t>{first, second};
}

}  // namespace

constexpr ReducerOracle kPowersgdOracle = {RoundElements};

}  // namespace ringmaster
