#ifndef RINGMASTER_WORKER_LOOP_STAGER_H_
#define RINGMASTER_WORKER_LOOP_STAGER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/state/state.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/loop/copy_points.h"
#include "worker/loop/gradient_encoder.h"
#include "worker/strategy/bucket_gradient.h"

namespace ringmaster {

class CodecSpec;

// How gradients leave the kernels' memory.
struct StagerOptions {
  // 1/(N*A), 1/A for solo: of running statistics, for which no loss has a scale
  float statistic_scale = 1.0f;
  int32_t workers = 1;  // N, for the bound of exact sums
  bool deterministic = false;
  int32_t deterministic_bits = 0;  // k: scaled gradients are rounded to multiples of 2^-k
  int32_t accumulate = 1;          // A, the gradients of each worker in the sum
  // a form other than kHost only from a device, and then all slots are those of whole steps
  GradientRequest request;
  const CodecSpec* codec = nullptr;  // of kEncoded
};

// Takes gradients from where backward writes them, and gives them in the form that a strategy has
// asked for: the same for all arms. Host gradients live in arenas (slots), which are the caller's
// to assign. From a device a bucket is copied while backward goes on; on the host it is there as it
// is. The step thread's.
class Stager {
 public:
  // `slots`: gradient arenas on the host. `allocate`: where they come from, where kernels work on
  // the host; absent: kernels.AllocateStaging, as on a device.
  static absl::StatusOr<std::unique_ptr<Stager>> Create(KernelLibrary& kernels,
                                                        const ParamLayout& layout,
                                                        const StagerOptions& options, int32_t slots,
                                                        const BufferAllocator& allocate = nullptr);
  // Waits for the copies under way.
  ~Stager();
  Stager(const Stager&) = delete;
  Stager& operator=(const Stager&) = delete;

  // Where backward writes: the host arena of `slot` itself, or device memory, which is one for all
  // slots: a backward may begin when every bucket of the one before has been fetched.
  TensorView gradients(int32_t slot);

  // The host arena of `slot`.
  absl::Span<float> host_gradients(int32_t slot) { return host_[slot].float_span(); }

  // Starts to bring `bucket`, or its encodings, to the host arena of `slot`, behind all that the
  // kernels have been called for so far. Of form kDevice nothing is copied. Does not wait.
  absl::Status StartFetch(int32_t slot, const Bucket& bucket);
  // Of a bucket whose fetch has been started: whether it has arrived; and waits until its gradient
  // is computed, though perhaps not yet copied.
  absl::StatusOr<bool> HasCome(const Bucket& bucket);
  absl::Status AwaitGradient(const Bucket& bucket);
  // Waits for `bucket` of `slot`, whose fetch has been started. Of form kHost, scales its running
  // statistics. The error of a copy names the bucket. OutOfRange under `deterministic` when a value
  // is too large for exact sums: the message names bucket and value.
  absl::StatusOr<BucketGradient> Fetch(int32_t slot, const Bucket& bucket);

  // What is kept of the gradients that were encoded on the device (GradientEncoder); nothing of
  // other forms.
  absl::StatusOr<State> Give() const { return encoder_ == nullptr ? State() : encoder_->Give(); }
  absl::Status Take(const State& state) {
    return encoder_ == nullptr ? state.CopyTo({}) : encoder_->Take(state);
  }

 private:
  Stager(KernelLibrary& kernels, const ParamLayout& layout, const StagerOptions& options)
      : kernels_(kernels), layout_(layout), options_(options) {}

  bool on_device() const { return kernels_.place() == Place::kDevice; }
  void ScaleStatistics(const Bucket& bucket, absl::Span<float> values) const;
  absl::Status RoundToGrid(int32_t bucket, absl::Span<float> values) const;

  KernelLibrary& kernels_;
  const ParamLayout& layout_;
  const StagerOptions options_;
  std::vector<Buffer> host_;                  // by slot
  Buffer device_gradients_;                   // empty on the host
  std::vector<CopyPoints> fetches_;           // by bucket; empty on the host
  std::unique_ptr<GradientEncoder> encoder_;  // of form kEncoded, else null
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_STAGER_H_
