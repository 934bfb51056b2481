#ifndef RINGMASTER_TESTS_COMMON_CONFIG_KNOWN_NAMES_H_
#define RINGMASTER_TESTS_COMMON_CONFIG_KNOWN_NAMES_H_

#include "common/config/validate.h"

namespace ringmaster {

// Names as the program's registries have them.
inline KnownNames TestNames() {
  KnownNames known;
  known.models = {"lenet", "mlp", "cnn", "resnet", "transformer", "program"};
  known.datasets = {"mnist", "cifar10", "text", "synthetic", "program"};
  known.kernels = {"reference", "cpu", "cublas", "cublas_tf32"};
  known.transports = {"auto", "grpc", "inproc", "shm", "tcp"};
  return known;
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_CONFIG_KNOWN_NAMES_H_
