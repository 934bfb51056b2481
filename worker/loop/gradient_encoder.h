#ifndef RINGMASTER_WORKER_LOOP_GRADIENT_ENCODER_H_
#define RINGMASTER_WORKER_LOOP_GRADIENT_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/partition.h"
#include "common/codec/codec.h"
#include "common/params/param_layout.h"
#include "common/state/state.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/strategy/bucket_gradient.h"

namespace ringmaster {

class CodecSpec;
class RunSpec;

// The forms in which a worker's gradients may be left on the device, its kernels working in
// `place`. None where they change on the host first (several batches added up, rounded to a grid,
// running statistics) and must come there. Encoded by a codec that has kernels on the device.
GradientOffer OfferGradients(const RunSpec& resolved, const ParamLayout& layout, Place place);

// Encodes buckets in a device's memory, which also has the residual of error feedback. The step
// thread's.
class GradientEncoder {
 public:
  // `slices`: GradientRequest's. `kernels` and `layout` outlive it.
  static absl::StatusOr<std::unique_ptr<GradientEncoder>> Create(
      KernelLibrary& kernels, const ParamLayout& layout, const CodecSpec& spec,
      const std::vector<std::vector<Range>>& slices);

  // Has the kernels encode `bucket` of the arena `gradients` on the device, behind all that they
  // have been called for. Returns the copy that brings it to the host, without its points: to the
  // memory of the step's `slot`, 0 or 1.
  absl::StatusOr<SideCopy> Encode(const float* gradients, const Bucket& bucket, int slot);

  // By slice: where that copy puts the encodings of `bucket`; they stay there until the next step
  // in that slot.
  absl::Span<const absl::Span<std::byte>> encoded(int slot, int32_t bucket) const {
    return encoded_slices_[slot][bucket];
  }

  // The array "residual" of error feedback; nothing without it.
  absl::StatusOr<State> Give() const;
  // InvalidArgument: the state is of another kind or size; what is kept is then unchanged.
  absl::Status Take(const State& state);

 private:
  // Of one slice: what it is of, and where its encoding lies in the memory of all.
  struct Slice {
    Range range;
    int64_t begin_bytes = 0;
    int64_t size_bytes = 0;
  };

  GradientEncoder(KernelLibrary& kernels, const ParamLayout& layout, EncodeKind kind, int64_t block,
                  std::unique_ptr<Codec> codec)
      : kernels_(kernels), layout_(layout), kind_(kind), block_(block), codec_(std::move(codec)) {}

  absl::Status Prepare(const std::vector<std::vector<Range>>& slices);

  KernelLibrary& kernels_;
  const ParamLayout& layout_;
  const EncodeKind kind_;
  const int64_t block_;  // of codecs that have levels
  const std::unique_ptr<Codec> codec_;
  Buffer residual_;  // on the device, of the whole arena; empty without error feedback
  std::vector<std::vector<Slice>> slices_;  // by bucket
  Buffer scratch_;                          // on the device, of the largest slice
  Buffer encoded_;                          // on the device
  Buffer host_[2];                          // pinned, by slot
  // of host_, by bucket and slice
  std::vector<std::vector<absl::Span<std::byte>>> encoded_slices_[2];
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_GRADIENT_ENCODER_H_
