// libringmaster_cuda_ipc.so: all-reduce between ranks that share a GPU, through its memory.

#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/engine/cuda_ipc/board.h"
#include "common/engine/cuda_ipc/ipc_offer.h"
#include "common/engine/cuda_ipc/ipc_stream.h"
#include "common/engine/cuda_ipc/ipc_sum.h"
#include "common/engine/cuda_ipc/sum_ranks.h"
#include "common/engine/engine.h"
#include "common/engine/export.h"

namespace ringmaster {
namespace {

static_assert(sizeof(IpcOffer::Handle) == sizeof(cudaIpcMemHandle_t));
static_assert(sizeof(IpcOffer::Handle) == sizeof(cudaIpcEventHandle_t));

constexpr size_t kMemoryBytes = kIpcSlots * kIpcSlotFloats * sizeof(float);
// cudaMalloc cuts its memory from blocks of this size, and a handle opens the whole block: a block
// of its own shows the peers nothing else, and its address is the block's.
static_assert(kMemoryBytes % (size_t{2} << 20) == 0);

absl::Status StatusOf(cudaError_t code, absl::string_view what) {
  if (code == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();
  return absl::UnavailableError(
      absl::StrCat(what, ": ", cudaGetErrorName(code), ", ", cudaGetErrorString(code)));
}

// Of this process alone: its number might be another's in another container.
uint64_t ProcessNumber() {
  static const uint64_t number = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  return number;
}

// A device that exists and takes part in interprocess communication: its name, "GPU-3f2a... (NVIDIA
// H100)".
absl::StatusOr<std::string> UsableDevice(int device) {
  int devices = 0;
  const cudaError_t counted = cudaGetDeviceCount(&devices);
  if (counted != cudaSuccess || devices == 0) {
    return absl::UnavailableError(absl::StrCat(
        "no GPU here (", counted == cudaSuccess ? "0 devices" : cudaGetErrorString(counted),
        "), and CUDA IPC sums in device memory; use \"mpi\", \"gloo\" or \"ring\""));
  }
  if (device < 0 || device >= devices) {
    return absl::InvalidArgumentError(
        absl::StrCat("device ", device, " does not exist: there are devices 0 to ", devices - 1));
  }
  int unified_addressing = 0, events = 0;
  RM_RETURN_IF_ERROR(
      StatusOf(cudaDeviceGetAttribute(&unified_addressing, cudaDevAttrUnifiedAddressing, device),
               "cudaDeviceGetAttribute of unified addressing"));
  RM_RETURN_IF_ERROR(StatusOf(cudaDeviceGetAttribute(&events, cudaDevAttrIpcEventSupport, device),
                              "cudaDeviceGetAttribute of interprocess events"));
  cudaDeviceProp properties;
  RM_RETURN_IF_ERROR(
      StatusOf(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties"));
  const absl::string_view uuid(properties.uuid.bytes, sizeof(properties.uuid.bytes));
  const std::string name =
      absl::StrCat("GPU-", absl::BytesToHexString(uuid), " (", properties.name, ")");
  if (unified_addressing == 0 || events == 0) {
    return absl::UnavailableError(
        absl::StrCat("device ", device, ", ", name,
                     ", has no interprocess memory and events (CUDA IPC); use \"mpi\", \"gloo\" or "
                     "\"ring\""));
  }
  return name;
}

// A rank's stream on the device, its own memory and events, and those of its peers.
class CudaStream final : public IpcStream {
 public:
  CudaStream(int device, int32_t rank) : device_(device), rank_(rank) {}
  // Frees what it may: memory and events that peers may still be using are left to the end of the
  // process, since freeing them before they are closed there is undefined, and so is all else while
  // the stream is not done, which it never is when it waits for a peer that is gone.
  ~CudaStream() override {
    if (cudaSetDevice(device_) != cudaSuccess) return;
    if (stream_ != nullptr && cudaStreamQuery(stream_) != cudaSuccess) return;
    ClosePeers().IgnoreError();
    if (is_shared_) return;
    FreeOwn();
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  // Makes what is offered. The device is the thread's current one from here on.
  absl::Status Prepare(IpcOffer* offer) {
    RM_RETURN_IF_ERROR(StatusOf(cudaSetDevice(device_), "cudaSetDevice"));
    RM_RETURN_IF_ERROR(
        StatusOf(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"));
    void* memory = nullptr;
    RM_RETURN_IF_ERROR(StatusOf(cudaMalloc(&memory, kMemoryBytes),
                                absl::StrCat("cudaMalloc of ", kMemoryBytes, " bytes")));
    own_.memory = static_cast<float*>(memory);
    cudaIpcMemHandle_t memory_handle;
    RM_RETURN_IF_ERROR(
        StatusOf(cudaIpcGetMemHandle(&memory_handle, memory), "cudaIpcGetMemHandle"));
    std::memcpy(offer->memory_handle.data(), &memory_handle, sizeof(memory_handle));
    offer->memory = reinterpret_cast<uintptr_t>(memory);
    for (int moment = 0; moment < kIpcMoments; ++moment) {
      for (int slot = 0; slot < kIpcSlots; ++slot) {
        cudaEvent_t& event = own_.events[moment][slot];
        RM_RETURN_IF_ERROR(StatusOf(
            cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventInterprocess),
            "cudaEventCreate of an interprocess event"));
        cudaIpcEventHandle_t event_handle;
        RM_RETURN_IF_ERROR(
            StatusOf(cudaIpcGetEventHandle(&event_handle, event), "cudaIpcGetEventHandle"));
        std::memcpy(offer->event_handles[moment][slot].data(), &event_handle, sizeof(event_handle));
        offer->events[moment][slot] = reinterpret_cast<uintptr_t>(event);
      }
    }
    is_shared_ = true;
    return absl::OkStatus();
  }

  // Opens what the peers have offered.
  absl::Status OpenPeers(const std::vector<IpcOffer>& offers) {
    ranks_.resize(offers.size());
    ranks_[rank_] = own_;
    for (size_t rank = 0; rank < offers.size(); ++rank) {
      if (static_cast<int32_t>(rank) == rank_) continue;
      RM_RETURN_IF_ERROR(
          Annotate(Open(offers[rank], IsSameProcess(offers[rank], offers[rank_]), &ranks_[rank]),
                   absl::StrCat("what rank ", rank, " offers")));
    }
    return absl::OkStatus();
  }

  absl::Status ClosePeers() {
    absl::Status first;
    for (Memory& peer : ranks_) {
      if (!peer.is_opened) continue;
      peer.is_opened = false;
      if (peer.memory != nullptr)
        first.Update(StatusOf(cudaIpcCloseMemHandle(peer.memory), "cudaIpcCloseMemHandle"));
      for (cudaEvent_t event : peer.AllEvents()) {
        if (event != nullptr) first.Update(StatusOf(cudaEventDestroy(event), "cudaEventDestroy"));
      }
    }
    return first;
  }

  // All peers have closed what is this rank's.
  void Release() { is_shared_ = false; }

  absl::Status Select() { return StatusOf(cudaSetDevice(device_), "cudaSetDevice"); }

  absl::Status CopyIn(int slot, absl::Span<const float> piece) override {
    // From the host or from the device, and below to either: unified addressing tells.
    return StatusOf(cudaMemcpyAsync(own_.Slot(slot), piece.data(), piece.size() * sizeof(float),
                                    cudaMemcpyDefault, stream_),
                    absl::StrCat("copying ", piece.size(), " floats to be summed"));
  }
  absl::Status Record(IpcMoment moment, int slot) override {
    return StatusOf(cudaEventRecord(own_.Event(moment, slot), stream_), "cudaEventRecord");
  }
  absl::Status WaitFor(int32_t rank, IpcMoment moment, int slot) override {
    return StatusOf(cudaStreamWaitEvent(stream_, ranks_[rank].Event(moment, slot), 0),
                    "cudaStreamWaitEvent");
  }
  absl::Status Sum(int slot, const Range& chunk) override {
    RankFloats inputs = {};
    for (size_t rank = 0; rank < ranks_.size(); ++rank)
      inputs.of_rank[rank] = ranks_[rank].Slot(slot) + chunk.begin;
    return StatusOf(LaunchSumRanks(inputs, static_cast<int32_t>(ranks_.size()), chunk.count,
                                   own_.Slot(slot) + chunk.begin, stream_),
                    absl::StrCat("sum of ", chunk.count, " floats over ", ranks_.size(), " ranks"));
  }
  absl::Status CopyOut(int32_t rank, int slot, const Range& chunk, absl::Span<float> to) override {
    return StatusOf(cudaMemcpyAsync(to.data(), ranks_[rank].Slot(slot) + chunk.begin,
                                    chunk.count * sizeof(float), cudaMemcpyDefault, stream_),
                    absl::StrCat("copying ", chunk.count, " summed floats"));
  }
  absl::StatusOr<bool> Done() override {
    const cudaError_t code = cudaStreamQuery(stream_);
    if (code == cudaErrorNotReady) return false;
    RM_RETURN_IF_ERROR(StatusOf(code, "the stream of the all-reduce"));
    return true;
  }

 private:
  // Of one rank, as this process reaches it.
  struct Memory {
    float* memory = nullptr;  // [kIpcSlots, kIpcSlotFloats]
    cudaEvent_t events[kIpcMoments][kIpcSlots] = {};
    bool is_opened = false;  // another process's, to be closed here

    float* Slot(int slot) const { return memory + slot * kIpcSlotFloats; }
    cudaEvent_t Event(IpcMoment moment, int slot) const {
      return events[static_cast<int>(moment)][slot];
    }
    absl::Span<cudaEvent_t> AllEvents() { return {&events[0][0], kIpcMoments * kIpcSlots}; }
  };

  static absl::Status Open(const IpcOffer& offer, bool is_same_process, Memory* peer) {
    if (is_same_process) {
      peer->memory = reinterpret_cast<float*>(offer.memory);
      for (int moment = 0; moment < kIpcMoments; ++moment) {
        for (int slot = 0; slot < kIpcSlots; ++slot) {
          peer->events[moment][slot] = reinterpret_cast<cudaEvent_t>(offer.events[moment][slot]);
        }
      }
      return absl::OkStatus();
    }
    peer->is_opened = true;
    cudaIpcMemHandle_t memory_handle;
    std::memcpy(&memory_handle, offer.memory_handle.data(), sizeof(memory_handle));
    void* memory = nullptr;
    RM_RETURN_IF_ERROR(
        StatusOf(cudaIpcOpenMemHandle(&memory, memory_handle, cudaIpcMemLazyEnablePeerAccess),
                 "cudaIpcOpenMemHandle"));
    peer->memory = static_cast<float*>(memory);
    for (int moment = 0; moment < kIpcMoments; ++moment) {
      for (int slot = 0; slot < kIpcSlots; ++slot) {
        cudaIpcEventHandle_t event_handle;
        std::memcpy(&event_handle, offer.event_handles[moment][slot].data(), sizeof(event_handle));
        RM_RETURN_IF_ERROR(
            StatusOf(cudaIpcOpenEventHandle(&peer->events[moment][slot], event_handle),
                     "cudaIpcOpenEventHandle"));
      }
    }
    return absl::OkStatus();
  }

  void FreeOwn() {
    for (cudaEvent_t event : own_.AllEvents()) {
      if (event != nullptr) cudaEventDestroy(event);
    }
    if (own_.memory != nullptr) cudaFree(own_.memory);
  }

  const int device_;
  const int32_t rank_;
  cudaStream_t stream_ = nullptr;
  Memory own_;
  std::vector<Memory> ranks_;  // the own one too
  bool is_shared_ = false;     // peers may be using what is this rank's
};

class CudaIpcEngine final : public Engine {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineSeat& seat) {
    RM_ASSIGN_OR_RETURN(const std::string device, UsableDevice(seat.device));
    std::unique_ptr<CudaIpcEngine> engine(new CudaIpcEngine(seat));
    RM_RETURN_IF_ERROR(engine->Connect(seat, device));
    return std::unique_ptr<Engine>(std::move(engine));
  }

  std::string library() const override { return library_; }
  std::string wire() const override { return "device memory"; }
  std::string handicap() const override { return ""; }
  absl::Span<const std::string> algorithms() const override { return algorithms_; }

  absl::Status AllReduce(int32_t algorithm, const float* from, absl::Span<float> data) override {
    RM_RETURN_IF_ERROR(stream_.Select());
    const absl::Status summed = sum_->Run(from, data);
    // The peers wait for this rank no longer than it would for them.
    if (!summed.ok()) board_->GiveUp(rank_);
    return summed;
  }

  void Abort(const absl::Status& why) override {
    if (!why.ok()) board_->GiveUp(rank_);
  }

  absl::Status Finish() override {
    RM_RETURN_IF_ERROR(stream_.Select());
    RM_RETURN_IF_ERROR(stream_.ClosePeers());
    board_->Show(rank_, BoardRow::kLeft, 1);
    RM_RETURN_IF_ERROR(board_->WaitForAll(BoardRow::kLeft, 1, MonotonicNow() + wait_limit_));
    stream_.Release();
    return absl::OkStatus();
  }

 private:
  explicit CudaIpcEngine(const EngineSeat& seat)
      : rank_(seat.rank), wait_limit_(seat.wait_limit), stream_(seat.device, seat.rank) {}

  absl::Status Connect(const EngineSeat& seat, const std::string& device) {
    IpcOffer offer = {};
    const size_t length = std::min(device.size(), sizeof(offer.device) - 1);
    std::memcpy(offer.device, device.data(), length);
    offer.process = ProcessNumber();
    RM_RETURN_IF_ERROR(stream_.Prepare(&offer));
    if (rank_ == 0) {
      RM_ASSIGN_OR_RETURN(Board board, Board::Create(seat.ranks));
      board_.emplace(std::move(board));
      offer.board = board_->name();
    }
    RM_ASSIGN_OR_RETURN(const std::vector<std::string> messages,
                        seat.all_gather(EncodeIpcOffer(offer)));
    RM_ASSIGN_OR_RETURN(const std::vector<IpcOffer> offers, DecodeIpcOffers(messages));
    if (rank_ != 0) {
      auto board = Board::Open(offers[0].board, seat.ranks);
      RM_RETURN_IF_ERROR(Annotate(board.status(), "the board of rank 0"));
      board_.emplace(*std::move(board));
    }
    RM_RETURN_IF_ERROR(stream_.OpenPeers(offers));
    int version = 0;
    RM_RETURN_IF_ERROR(StatusOf(cudaRuntimeGetVersion(&version), "cudaRuntimeGetVersion"));
    library_ = absl::StrCat("CUDA ", version / 1000, ".", version % 1000 / 10, " IPC");
    sum_.emplace(IpcSeat{rank_, seat.ranks, kIpcSlotFloats, seat.wait_limit}, &*board_, &stream_);
    return absl::OkStatus();
  }

  const int32_t rank_;
  const absl::Duration wait_limit_;
  const std::vector<std::string> algorithms_ = {"in rank order"};
  std::string library_;
  CudaStream stream_;
  std::optional<Board> board_;
  std::optional<IpcSum> sum_;
};

}  // namespace
}  // namespace ringmaster

RINGMASTER_EXPORT_ENGINE(ringmaster::CudaIpcEngine::Create)
