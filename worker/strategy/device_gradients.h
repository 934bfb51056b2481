#ifndef RINGMASTER_WORKER_STRATEGY_DEVICE_GRADIENTS_H_
#define RINGMASTER_WORKER_STRATEGY_DEVICE_GRADIENTS_H_

namespace ringmaster {

// Gradients that lie in the memory of a GPU, for a collective library that reads them there.
class DeviceGradients {
 public:
  virtual ~DeviceGradients() = default;
  // Where the arena lies, always the same place. From here on gradients do not come to the host: the floats given to
  // GradReady are memory for the strategy alone, and the bucket's gradient is complete in its place in the arena,
  // where it stays until EndStep returns. By the strategy, when it is made.
  virtual const float* Take() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_DEVICE_GRADIENTS_H_
