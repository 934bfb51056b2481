#include "worker/loop/device_replica.h"

#include <cstddef>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceReplica>> DeviceReplica::Create(
    KernelLibrary& kernels, const RunSpec& spec, const ParamLayout& layout, int32_t rank,
    absl::Span<const float> weights, PhaseTimes& times) {
  RM_CHECK(static_cast<int64_t>(weights.size()) == layout.count());
  RM_CHECK(kernels.place() == Place::kDevice);
  RM_ASSIGN_OR_RETURN(UpdateShare share, UpdateShareOf(spec, layout, rank));
  std::unique_ptr<DeviceReplica> replica(new DeviceReplica(
      kernels, layout, std::move(share.plan), std::move(share.slices), share.global_batch, times));
  RM_RETURN_IF_ERROR(Annotate(replica->Allocate(), "weights on the device"));
  std::memcpy(replica->host_.data(), weights.data(), weights.size() * sizeof(float));
  RM_RETURN_IF_ERROR(replica->ToKernels());
  return replica;
}

DeviceReplica::DeviceReplica(KernelLibrary& kernels, const ParamLayout& layout, UpdatePlan plan,
                             std::vector<UpdateShare::Slice> slices, int64_t global_batch,
                             PhaseTimes& times)
    : LoopReplica(global_batch),
      kernels_(kernels),
      layout_(layout),
      plan_(std::move(plan)),
      slices_(std::move(slices)),
      times_(times) {}

absl::Status DeviceReplica::Allocate() {
  const int64_t bytes = layout_.count() * kFloatBytes;
  RM_ASSIGN_OR_RETURN(weights_, kernels_.Allocate(bytes));
  RM_ASSIGN_OR_RETURN(gradients_, kernels_.Allocate(bytes));
  RM_ASSIGN_OR_RETURN(host_, kernels_.AllocateStaging(bytes));
  for (size_t i = 0; i < plan_.arrays().size(); ++i) {
    RM_ASSIGN_OR_RETURN(state_[i], kernels_.Allocate(plan_.states() * kFloatBytes));
    RM_RETURN_IF_ERROR(kernels_.Run(FillZeroCall{state_[i].floats(), plan_.states()}));
  }
  RM_ASSIGN_OR_RETURN(upload_, CreateCopyPoints(kernels_));
  RM_ASSIGN_OR_RETURN(updated_, kernels_.CreatePoint());
  for (size_t i = 0; i < slices_.size(); ++i) {
    RM_ASSIGN_OR_RETURN(CopyPoints points, CreateCopyPoints(kernels_));
    gradient_uploads_.push_back(std::move(points));
  }
  return absl::OkStatus();
}

// Errors have nobody left to hear them. What is not made when Create fails is null.
DeviceReplica::~DeviceReplica() {
  if (upload_.end != nullptr) upload_.end->Await().IgnoreError();
  for (const CopyPoints& points : gradient_uploads_) points.end->Await().IgnoreError();
}

absl::Status DeviceReplica::StartUpload(const CopyPoints& points, const float* from, float* to,
                                        int64_t count) const {
  SideCopy copy;
  copy.from = from;
  copy.to = to;
  copy.size_bytes = count * kFloatBytes;
  copy.begin = points.begin.get();
  copy.end = points.end.get();
  return kernels_.StartCopyFromHost(copy);
}

WeightsView DeviceReplica::weights() const {
  const TensorView device{weights_.floats(), 1, layout_.count(), Place::kDevice};
  const TensorView host{host_.floats(), 1, layout_.count(), Place::kHostPinned};
  return {host_is_newer_ ? host : device, version_};
}

void DeviceReplica::AwaitUpload() const {
  if (!upload_is_under_way_) return;
  failed_.Update(Annotate(upload_.end->Await(), "weights to the device"));
  upload_is_under_way_ = false;
}

void DeviceReplica::Download(absl::Span<const Range> ranges) const {
  AwaitUpload();
  if (host_version_ == version_) return;
  ScopedPhase phase(times_, Phase::kUpdate);
  AwaitUpdate();
  absl::Status status;
  for (const Range& range : ranges) {
    status.Update(kernels_.CopyToHost(weights_.floats() + range.begin, host_.floats() + range.begin,
                                      range.count * kFloatBytes));
  }
  status.Update(kernels_.Finish());
  failed_.Update(Annotate(status, "weights from the device"));
}

absl::Span<const float> DeviceReplica::OnHost() const {
  Download({{0, layout_.count()}});
  host_version_ = version_;
  return host_.float_span();
}

absl::Span<float> DeviceReplica::Edit() {
  std::vector<Range> own;
  for (const UpdateShare::Slice& slice : slices_) own.push_back(slice.elements);
  Download(own);
  host_version_ = ++version_;
  host_is_newer_ = true;
  return host_.float_span();
}

void DeviceReplica::Replace(std::vector<float>* weights) {
  RM_CHECK(static_cast<int64_t>(weights->size()) == layout_.count());
  AwaitUpload();
  std::memcpy(host_.data(), weights->data(), weights->size() * sizeof(float));
  host_version_ = ++version_;
  host_is_newer_ = true;
}

absl::Status DeviceReplica::ToKernels() {
  RM_RETURN_IF_ERROR(failed_);
  if (!host_is_newer_) return absl::OkStatus();
  const absl::Status started =
      StartUpload(upload_, host_.floats(), weights_.floats(), layout_.count());
  RM_RETURN_IF_ERROR(Annotate(started, "weights to the device"));
  host_is_newer_ = false;
  upload_is_under_way_ = true;
  return kernels_.OrderAfter(*upload_.end);
}

void DeviceReplica::AwaitUpdate() const {
  if (!updates_are_under_way_) return;
  failed_.Update(Annotate(updated_->Await(), "update on the device"));
  updates_are_under_way_ = false;
}

absl::Status DeviceReplica::AwaitUpdates() {
  ScopedPhase phase(times_, Phase::kUpdate);
  AwaitUpdate();
  return failed_;
}

absl::Status DeviceReplica::ApplyAfter(int64_t samples_seen, int64_t step,
                                       absl::Span<const BucketGradient> average) {
  Tell(step, average);
  ScopedPhase phase(times_, Phase::kUpdate);
  RM_RETURN_IF_ERROR(ToKernels());
  // All copies are started before the first update, behind which a copy that is started waits.
  for (size_t i = 0; i < slices_.size(); ++i) RM_RETURN_IF_ERROR(StartGradient(i, average));
  RM_ASSIGN_OR_RETURN(const float clip, ClipFactorOf(average));
  for (size_t i = 0; i < slices_.size(); ++i) {
    const UpdateShare::Slice& slice = slices_[i];
    RM_RETURN_IF_ERROR(
        Annotate(Update(i, average, {slice.elements.begin, samples_seen, step, clip}),
                 absl::StrCat("update of bucket ", slice.bucket, " on the device")));
  }
  ++version_;
  updates_are_under_way_ = true;
  return kernels_.Mark(*updated_);
}

absl::Status DeviceReplica::StartGradient(size_t slice, absl::Span<const BucketGradient> average) {
  const auto& [bucket, elements] = slices_[slice];
  if (average[bucket].form() == GradientForm::kDevice) return absl::OkStatus();
  const int64_t in_bucket = elements.begin - layout_.buckets()[bucket].begin;
  return Annotate(StartUpload(gradient_uploads_[slice], average[bucket].host().data() + in_bucket,
                              gradients_.floats() + elements.begin, elements.count),
                  absl::StrCat("bucket ", bucket, " to the device"));
}

// Of gradients on the device it is worked out on the host too: in the one order that there is.
absl::StatusOr<float> DeviceReplica::ClipFactorOf(absl::Span<const BucketGradient> average) {
  if (!plan_.clips()) return 1;
  for (const BucketGradient& gradient : average) {
    if (gradient.form() != GradientForm::kDevice) continue;
    const absl::Span<float> host = gradient.sum();
    RM_RETURN_IF_ERROR(kernels_.CopyToHost(gradient.device(), host.data(),
                                           static_cast<int64_t>(host.size()) * kFloatBytes));
  }
  if (average.front().form() == GradientForm::kDevice) RM_RETURN_IF_ERROR(kernels_.Finish());
  double sum = 0;
  for (const Bucket& bucket : layout_.buckets())
    sum += plan_.SumOfSquares(bucket.begin, average[bucket.id].sum());
  return plan_.ClipFactor(sum);
}

absl::Status DeviceReplica::Update(size_t slice, absl::Span<const BucketGradient> average,
                                   const UpdateStep& step) {
  const auto& [bucket, elements] = slices_[slice];
  const float* gradient = gradients_.floats() + elements.begin;
  if (average[bucket].form() == GradientForm::kDevice) {
    gradient = average[bucket].device() + (elements.begin - layout_.buckets()[bucket].begin);
  } else {
    RM_RETURN_IF_ERROR(kernels_.OrderAfter(*gradient_uploads_[slice].end));
  }
  absl::Status status;
  plan_.ForEachRun(step, elements.count, [&, begin = elements.begin](const UpdatePlan::Run& run) {
    const int arrays = StateArraysOf(run.update.kind);
    UpdateCall call{run.update, run.elements.count};
    call.gradient = gradient + (run.elements.begin - begin);
    call.weights = weights_.floats() + run.elements.begin;
    if (arrays > 0) call.first = state_[0].floats() + run.state_begin;
    if (arrays > 1) call.second = state_[1].floats() + run.state_begin;
    status.Update(kernels_.Run(call));
  });
  return status;
}

absl::Status DeviceReplica::CopyState(absl::Span<std::vector<float>> arrays, bool to_host) const {
  for (size_t i = 0; i < arrays.size(); ++i) {
    const int64_t bytes = plan_.states() * kFloatBytes;
    float* const device = state_[i].floats();
    RM_RETURN_IF_ERROR(to_host ? kernels_.CopyToHost(device, arrays[i].data(), bytes)
                               : kernels_.CopyFromHost(arrays[i].data(), device, bytes));
  }
  return kernels_.Finish();
}

absl::StatusOr<State> DeviceReplica::Give() const {
  const absl::Span<const float> weights = OnHost();
  RM_RETURN_IF_ERROR(failed_);
  std::vector<std::vector<float>> arrays(plan_.arrays().size(), std::vector<float>(plan_.states()));
  RM_RETURN_IF_ERROR(Annotate(CopyState(absl::MakeSpan(arrays), /*to_host=*/true),
                              "the optimizer's state from the device"));
  State state, rule;
  state.AddFloats("weights", weights);
  for (size_t i = 0; i < arrays.size(); ++i) rule.AddFloats(plan_.arrays()[i], arrays[i]);
  state.AddPart("rule", std::move(rule));
  return state;
}

absl::Status DeviceReplica::Take(const State& state) {
  State own = state;
  const State rule = own.TakePart("rule");
  std::vector<float> weights(layout_.count());
  std::vector<std::vector<float>> arrays(plan_.arrays().size(), std::vector<float>(plan_.states()));
  std::vector<StateSlot> slots;
  for (size_t i = 0; i < arrays.size(); ++i)
    slots.push_back({plan_.arrays()[i], absl::MakeSpan(arrays[i])});
  RM_RETURN_IF_ERROR(own.CopyTo({{"weights", absl::MakeSpan(weights)}}));
  RM_RETURN_IF_ERROR(rule.CopyTo(slots));
  RM_RETURN_IF_ERROR(Annotate(CopyState(absl::MakeSpan(arrays), /*to_host=*/false),
                              "the optimizer's state to the device"));
  Replace(&weights);
  return absl::OkStatus();
}

int64_t DeviceReplica::state_bytes() const {
  return static_cast<int64_t>(plan_.arrays().size()) * plan_.states() * kFloatBytes;
}

}  // namespace ringmaster
