#ifndef RINGMASTER_TESTS_CLUSTER_SMALL_RUN_H_
#define RINGMASTER_TESTS_CLUSTER_SMALL_RUN_H_

#include <string>
#include <vector>

namespace ringmaster {

// Arguments of `command` ("compare", "node") for a model and a data set so small that a step takes
// well under a millisecond, with several buckets of sizes that do not divide; `more` comes last.
inline std::vector<std::string> SmallRun(const std::string& command,
                                         const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {command};
  for (const char* argument : {"--data",  "synthetic",
                               "--model", "mlp",
                               "--batch", "8",
                               "--set",   "data.synthetic.train_samples=500",
                               "--set",   "data.synthetic.test_samples=67",
                               "--set",   "data.synthetic.height=9",
                               "--set",   "data.synthetic.width=7",
                               "--set",   "model.mlp_hidden=31",
                               "--set",   "training.bucket_bytes=3000",
                               "--set",   "training.kernels=cpu"}) {
    arguments.push_back(argument);
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_SMALL_RUN_H_
