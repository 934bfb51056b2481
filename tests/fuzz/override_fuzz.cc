// What --set is given.

#include "common/config/load.h"
#include "common/config/override.h"
#include "common/base/check.h"
#include "proto/run_spec.pb.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {

std::vector<std::string> Seeds() {
  return {"training.steps=100",
          "model.mlp_hidden=256,128",
          "strategy.launch=THREADS",
          "strategy.all_reduce={}",
          "optimizer.momentum=0.9",
          "training.deterministic=true",
          "transport.network={ megabits_per_second: 100 nodes { node: 'worker/1' } }"};
}

bool TryInput(absl::string_view input) {
  RunSpec spec;
  spec.mutable_training()->set_workers(3);
  const std::string before = SerializeRunSpec(spec);
  const bool is_taken = SetField(input, &spec).ok();
  if (!is_taken) RM_CHECK(SerializeRunSpec(spec) == before);
  return is_taken;
}

}  // namespace ringmaster
