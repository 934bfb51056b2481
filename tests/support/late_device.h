#ifndef RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_
#define RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/types/span.h"
#include "worker/kernels/kernel_library.h"
#include "worker/kernels/reference/reference_library.h"
#include "worker/kernels/segments.h"

namespace ringmaster {

struct LateDeviceOptions {
  // A look at a copy finds it done when at least this many have been started after it. Absent: it
  // is done only once somebody waits for it.
  std::optional<int64_t> lag;
  // The copy to the host, counted from 0, that fails; -1: none.
  int64_t failing_fetch = -1;
  // Told of each copy to the host when it is started, by its number.
  std::function<void(int64_t fetch)> fetch_started;
  // Told the bytes of each copy from the host when it is started.
  std::function<void(int64_t bytes)> upload_started;
  // Told of each encoding that is called for.
  std::function<void(const EncodeCall& call)> encoding;
  // Told what it has done with segments when it ends.
  std::function<void(const SegmentCounts& counts)> ended;
};

// A device whose memory is the host's and whose operations are the reference's, with copies beside
// them that come as late as a test wants, in their order: until then where they go to holds NaN,
// and what they read is read only when they come. So a gradient that is used too soon, or
// overwritten too soon, gives other bits than the reference does. Segments that come again are
// replayed from copies of their operations, as "cublas" replays graphs. One thread.
class LateDevice final : public KernelLibrary {
 public:
  explicit LateDevice(LateDeviceOptions options = {}) : options_(std::move(options)) {}
  ~LateDevice() override {
    if (options_.ended) options_.ended(counts_);
  }

  absl::string_view name() const override { return "late"; }
  Place place() const override { return Place::kDevice; }
  std::string target() const override { return operations_.target(); }
  int64_t fast_scratch_bytes() const override { return operations_.fast_scratch_bytes(); }
  absl::StatusOr<Buffer> Allocate(int64_t size_bytes) override;
  absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) override;

  int64_t convolution_scratch_floats(const ConvShape& largest,
                                     int64_t out_channels) const override {
    return operations_.convolution_scratch_floats(largest, out_channels);
  }
  absl::Status CopyToHost(const void* from, void* to, int64_t size_bytes) override {
    return operations_.CopyToHost(from, to, size_bytes);
  }
  absl::Status CopyFromHost(const void* from, void* to, int64_t size_bytes) override {
    return operations_.CopyFromHost(from, to, size_bytes);
  }
  absl::Status StartCopyToHost(const SideCopy& copy) override;
  absl::Status StartCopyFromHost(const SideCopy& copy) override;
  absl::StatusOr<std::unique_ptr<WorkPoint>> CreatePoint() override;
  absl::Status Mark(WorkPoint& point) override;
  absl::Status OrderAfter(WorkPoint& point) override;
  SegmentCounts segment_counts() const override { return counts_; }
  absl::Status Finish() override { return absl::OkStatus(); }

 protected:
  absl::Status Make(const Operation& operation) override;
  absl::Status MakeSegment(absl::Span<const Operation> operations) override;

 private:
  class Point;
  struct Waiting {
    SideCopy copy;
    bool fails = false;
  };

  void Start(const SideCopy& copy, bool fails);
  // Lets the copies up to `copy` come.
  absl::Status Complete(int64_t copy);

  const LateDeviceOptions options_;
  ReferenceLibrary operations_;
  std::deque<Waiting> waiting_;  // the copies under way, the oldest first
  int64_t started_ = 0;
  int64_t fetches_ = 0;

  SegmentTable<Operations> segments_;
  SegmentCounts counts_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_
