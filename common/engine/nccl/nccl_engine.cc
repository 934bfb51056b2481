// libringmaster_nccl.so: ncclAllReduce, through memory of the rank's GPU.

#include <cuda_runtime.h>
#include <dlfcn.h>
#include <nccl.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/engine/engine.h"
#include "common/engine/export.h"
#include "common/engine/interfaces.h"
#include "common/engine/one_device_each.h"

namespace ringmaster {
namespace {

constexpr char kLibrary[] = "libnccl.so.2";
constexpr char kInterfaceVariable[] = "NCCL_SOCKET_IFNAME";

absl::Status StatusOf(cudaError_t code, absl::string_view what) {
  if (code == cudaSuccess) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(what, ": ", cudaGetErrorString(code)));
}

// The functions of NCCL that are used. It is large and often in a folder of its own, so it is
// loaded by name.
struct Nccl {
  decltype(&ncclGetErrorString) error_string = nullptr;
  decltype(&ncclGetVersion) version = nullptr;
  decltype(&ncclGetUniqueId) unique_id = nullptr;
  decltype(&ncclCommInitRank) init_rank = nullptr;
  decltype(&ncclCommAbort) abort = nullptr;
  decltype(&ncclCommDestroy) destroy = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;

  static absl::StatusOr<Nccl> Load() {
    void* handle = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
      return absl::UnavailableError(
          absl::StrCat(kLibrary, " does not load: ", dlerror(),
                       "; install NCCL, or add its folder to LD_LIBRARY_PATH"));
    }
    Nccl nccl;
    bool all = true;
    const auto find = [&](const char* name, auto* function) {
      *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(dlsym(handle, name));
      all = all && *function != nullptr;
    };
    find("ncclGetErrorString", &nccl.error_string);
    find("ncclGetVersion", &nccl.version);
    find("ncclGetUniqueId", &nccl.unique_id);
    find("ncclCommInitRank", &nccl.init_rank);
    find("ncclCommAbort", &nccl.abort);
    find("ncclCommDestroy", &nccl.destroy);
    find("ncclAllReduce", &nccl.all_reduce);
    if (!all)
      return absl::UnavailableError(
          absl::StrCat(kLibrary, " lacks functions of NCCL 2; install a newer one"));
    return nccl;
  }

  absl::Status StatusOf(ncclResult_t code, absl::string_view what) const {
    if (code == ncclSuccess) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(what, ": ", error_string(code)));
  }
};

class NcclEngine : public Engine {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineSeat& seat) {
    int devices = 0;
    const cudaError_t counted = cudaGetDeviceCount(&devices);
    if (counted != cudaSuccess || devices == 0) {
      return absl::UnavailableError(absl::StrCat(
          "no GPU here (", counted == cudaSuccess ? "0 devices" : cudaGetErrorString(counted),
          "), and NCCL sums in device memory; use \"mpi\", \"gloo\" or \"ring\""));
    }
    if (seat.device >= devices) {
      return absl::InvalidArgumentError(absl::StrCat(
          "device ", seat.device, " does not exist: there are devices 0 to ", devices - 1));
    }
    // Between hosts it opens its sockets at our address, unless somebody has said where; within one
    // it has none.
    const std::string interface = InterfaceOf(seat.listen_address);
    if (!interface.empty() && interface != "lo")
      setenv(kInterfaceVariable, ("=" + interface).c_str(), /*overwrite=*/0);
    std::unique_ptr<NcclEngine> engine(new NcclEngine(seat.device));
    engine->settings_["address"] = seat.listen_address;
    if (const char* const said = std::getenv(kInterfaceVariable); said != nullptr)
      engine->settings_[kInterfaceVariable] = said;
    RM_ASSIGN_OR_RETURN(engine->nccl_, Nccl::Load());
    RM_RETURN_IF_ERROR(engine->Connect(seat));
    return std::unique_ptr<Engine>(std::move(engine));
  }

  ~NcclEngine() override {
    if (cudaSetDevice(device_) != cudaSuccess) return;
    if (communicator_ != nullptr) nccl_.abort(communicator_);
    if (memory_ != nullptr) cudaFree(memory_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  std::string library() const override { return library_; }
  std::string wire() const override { return "its own choice"; }
  std::map<std::string, std::string> settings() const override { return settings_; }
  std::string handicap() const override { return ""; }
  absl::Span<const std::string> algorithms() const override { return algorithms_; }

  absl::Status AllReduce(int32_t algorithm, const float* from, absl::Span<float> data) override {
    RM_RETURN_IF_ERROR(StatusOf(cudaSetDevice(device_), "cudaSetDevice"));
    const size_t bytes = data.size() * sizeof(float);
    // What lies on the device is read and written there; what does not passes through `memory_`.
    RM_ASSIGN_OR_RETURN(const bool reads_device, IsOnDevice(from));
    RM_ASSIGN_OR_RETURN(const bool writes_device, IsOnDevice(data.data()));
    if (bytes > capacity_ && !(reads_device && writes_device)) RM_RETURN_IF_ERROR(Reserve(bytes));
    if (!reads_device) {
      RM_RETURN_IF_ERROR(StatusOf(
          cudaMemcpyAsync(memory_, from, bytes, cudaMemcpyHostToDevice, stream_), "to the device"));
    }
    RM_RETURN_IF_ERROR(nccl_.StatusOf(
        nccl_.all_reduce(reads_device ? from : memory_, writes_device ? data.data() : memory_,
                         data.size(), ncclFloat, ncclSum, communicator_, stream_),
        "ncclAllReduce"));
    if (!writes_device) {
      RM_RETURN_IF_ERROR(
          StatusOf(cudaMemcpyAsync(data.data(), memory_, bytes, cudaMemcpyDeviceToHost, stream_),
                   "from the device"));
    }
    // Not cudaStreamSynchronize: a peer that is gone would keep it for ever.
    for (cudaError_t done = cudaStreamQuery(stream_); done != cudaSuccess;
         done = cudaStreamQuery(stream_)) {
      if (done != cudaErrorNotReady) return StatusOf(done, "ncclAllReduce");
      if (aborted_) return absl::CancelledError("ncclAllReduce given up: the run has ended");
      std::this_thread::yield();
    }
    return absl::OkStatus();
  }

  void Abort(const absl::Status& why) override { aborted_ = aborted_ || !why.ok(); }

  absl::Status Finish() override {
    RM_RETURN_IF_ERROR(StatusOf(cudaSetDevice(device_), "cudaSetDevice"));
    return nccl_.StatusOf(nccl_.destroy(std::exchange(communicator_, nullptr)), "ncclCommDestroy");
  }

 private:
  explicit NcclEngine(int device) : device_(device) {}

  absl::Status Connect(const EngineSeat& seat) {
    RM_RETURN_IF_ERROR(StatusOf(cudaSetDevice(device_), "cudaSetDevice"));
    RM_ASSIGN_OR_RETURN(const std::string name, DeviceName());
    RM_ASSIGN_OR_RETURN(const std::vector<std::string> devices, seat.all_gather(name));
    RM_RETURN_IF_ERROR(CheckOneDeviceEach(devices));
    RM_RETURN_IF_ERROR(
        StatusOf(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"));
    ncclUniqueId id = {};
    if (seat.rank == 0) RM_RETURN_IF_ERROR(nccl_.StatusOf(nccl_.unique_id(&id), "ncclGetUniqueId"));
    RM_ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                        seat.all_gather(absl::string_view(id.internal, sizeof(id.internal))));
    std::memcpy(id.internal, ids[0].data(), sizeof(id.internal));
    RM_RETURN_IF_ERROR(
        nccl_.StatusOf(nccl_.init_rank(&communicator_, seat.ranks, id, seat.rank),
                       absl::StrCat("ncclCommInitRank on device ", device_, " (", name, ")")));
    int version = 0;
    RM_RETURN_IF_ERROR(nccl_.StatusOf(nccl_.version(&version), "ncclGetVersion"));
    library_ = absl::StrCat("NCCL ", version / 10000, ".", version / 100 % 100, ".", version % 100);
    return absl::OkStatus();
  }

  // "GPU-3f2a... (NVIDIA H100)": no other device has this name, on whichever machine.
  absl::StatusOr<std::string> DeviceName() const {
    cudaDeviceProp properties;
    RM_RETURN_IF_ERROR(
        StatusOf(cudaGetDeviceProperties(&properties, device_), "cudaGetDeviceProperties"));
    const absl::string_view uuid(properties.uuid.bytes, sizeof(properties.uuid.bytes));
    return absl::StrCat("GPU-", absl::BytesToHexString(uuid), " (", properties.name, ")");
  }

  // Whether `memory` lies on a device, as opposed to the host's, pinned or not.
  static absl::StatusOr<bool> IsOnDevice(const float* memory) {
    cudaPointerAttributes attributes;
    RM_RETURN_IF_ERROR(
        StatusOf(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes"));
    return attributes.type == cudaMemoryTypeDevice;
  }

  absl::Status Reserve(size_t bytes) {
    if (memory_ != nullptr)
      RM_RETURN_IF_ERROR(StatusOf(cudaFree(std::exchange(memory_, nullptr)), "cudaFree"));
    capacity_ = 0;
    RM_RETURN_IF_ERROR(
        StatusOf(cudaMalloc(&memory_, bytes), absl::StrCat("cudaMalloc of ", bytes, " bytes")));
    capacity_ = bytes;
    return absl::OkStatus();
  }

  const int device_;
  const std::vector<std::string> algorithms_ = {"default"};
  std::string library_;
  std::map<std::string, std::string> settings_;
  Nccl nccl_;
  cudaStream_t stream_ = nullptr;
  ncclComm_t communicator_ = nullptr;
  void* memory_ = nullptr;
  size_t capacity_ = 0;
  std::atomic<bool> aborted_ = false;
};

}  // namespace
}  // namespace ringmaster

RINGMASTER_EXPORT_ENGINE(ringmaster::NcclEngine::Create)
