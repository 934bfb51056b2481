#ifndef RINGMASTER_WORKER_LOOP_GRADIENT_ENCODER_H_
#define RINGMASTER_WORKER_LOOP_GRADIENT_ENCODER_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/params/param_layout.h"
#include "common/tensor/tensor.h"
#include "proto/run_spec.pb.h"
#include "worker/kernels/kernel_library.h"
#include "worker/strategy/bucket_encoder.h"

namespace ringmaster {

// Whether a worker's gradients are on a device what is to be sent: where they change on the host first (several batches
// added up, rounded to a grid, running statistics), they must come there.
bool LeaveDeviceAsTheyAre(const RunSpec& resolved, const ParamLayout& layout, Place place);

// Whether they may then be encoded before they are copied: by a codec that has kernels there.
bool MayEncodeOnDevice(const RunSpec& resolved, const ParamLayout& layout, Place place);

// Encodes buckets in a device's memory, which also has the residual of error feedback. The step thread's, but for
// Encoded.
class GradientEncoder final : public BucketEncoder {
 public:
  // `kernels` and `layout` outlive it.
  static absl::StatusOr<std::unique_ptr<GradientEncoder>> Create(KernelLibrary& kernels, const ParamLayout& layout,
                                                                 const CodecSpec& spec);

  // Whether the strategy takes encodings: it has called Prepare.
  bool is_prepared() const { return !slices_.empty(); }

  absl::Status Prepare(std::vector<std::vector<Range>> slices) override;
  absl::Span<std::byte> Encoded(int64_t step, int32_t bucket, size_t slice) override;

  // Has the kernels encode `bucket` of the arena `gradients` on the device, behind all that they have been called for.
  // Returns the copy that brings it to the host, without its points: to the memory of `parity`, that of the step.
  absl::StatusOr<SideCopy> Encode(const float* gradients, const Bucket& bucket, int parity);

 private:
  // Of one slice: what it is of, and where its encoding lies in the memory of all.
  struct Slice {
    Range range;
    int64_t begin_bytes = 0;
    int64_t size_bytes = 0;
  };

  GradientEncoder(KernelLibrary& kernels, const ParamLayout& layout, EncodeKind kind, std::unique_ptr<Codec> codec)
      : kernels_(kernels), layout_(layout), kind_(kind), codec_(std::move(codec)) {}

  KernelLibrary& kernels_;
  const ParamLayout& layout_;
  const EncodeKind kind_;
  const std::unique_ptr<Codec> codec_;
  Buffer residual_;                        // on the device, of the whole arena; empty without error feedback
  std::vector<std::vector<Slice>> slices_;  // by bucket
  Buffer scratch_;                         // on the device, of the largest slice
  Buffer encoded_;                         // on the device
  Buffer host_[2];                         // pinned, by step parity
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_GRADIENT_ENCODER_H_
