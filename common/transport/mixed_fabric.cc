#include "common/transport/mixed_fabric.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/frame.h"
#include "common/transport/membership.h"
#include "common/transport/shm/layout.h"
#include "common/transport/shm/shm_links.h"
#include "common/transport/tcp/tcp_links.h"

namespace ringmaster {
namespace {

class MixedFabric : public FabricBase {
 public:
  MixedFabric(const FabricOptions& options, std::string endpoint, std::vector<Wire> wires,
              std::vector<bool> shares_memory)
      : FabricBase(options),
        endpoint_(std::move(endpoint)),
        joined_(std::move(wires)),
        shares_memory_(std::move(shares_memory)),
        tcp_(options.segment_bytes,
             {[this](int32_t process, const FrameHeader& header) {
                return BeginFrame(process, header);
              },
              [this](int32_t process, const absl::Status& why) { Break("tcp", process, why); }}),
        shm_(options.wait == "spin",
             {[this](int32_t process, NodeId from, NodeId to) {
                return Recipient(process, from, to);
              },
              [this](int32_t process, const absl::Status& why) { Break("shm", process, why); },
              [this] { return LookAtSockets(); }}) {}

  ~MixedFabric() override {
    if (helper_.joinable()) {
      stopping_.store(true);
      tcp_.Rouse();
      helper_.join();
    }
    shm_.Close();
  }

  std::string endpoint() const override { return endpoint_; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    RM_CHECK(shares_memory_.size() == processes.size() && joined_.size() == processes.size());
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    const Membership membership = {
        options().name,    options().credentials,       options().segment_bytes, processes, self,
        /*stream_port=*/0, [this] { return aborted(); }};
    std::vector<Wire> near(processes.size()), far(processes.size());
    for (size_t process = 0; process < processes.size(); ++process)
      (shares_memory_[process] ? near : far)[process] = std::move(joined_[process]);
    RM_RETURN_IF_ERROR(tcp_.Open(std::move(far)));
    RM_RETURN_IF_ERROR(shm_.Open(std::move(near), membership, deadline));
    StartHelper();
    return Connected();
  }

  int64_t HeaderBytes(NodeId peer, int64_t payload_bytes) const override {
    return SharesMemory(ProcessOf(peer))
               ? sizeof(Descriptor)
               : kFrameHeaderBytes * FrameCount(payload_bytes, options().segment_bytes);
  }

  std::string WireTo(NodeId peer) const override {
    return SharesMemory(ProcessOf(peer)) ? "shm" : "tcp";
  }

  absl::StatusOr<Buffer> AllocateExchange(int64_t size_bytes) override {
    return shm_.AllocateExchange(size_bytes);
  }

 protected:
  void SendRemote(int32_t process, const OutgoingMessage& message) override {
    SharesMemory(process) ? shm_.Send(process, message) : tcp_.Send(process, message);
  }
  void OnPost(int32_t process, NodeId from, NodeId to, const Tag& tag) override {
    if (SharesMemory(process)) shm_.OnPost(process, from, to, tag);
  }
  void ReturnLoan(int32_t process, const Loan& loan) override { shm_.Return(process, loan); }
  void OnChange() override { shm_.Ring(); }
  void OnAbort() override {
    tcp_.DropSends();
    shm_.DropSends();
  }
  void OnForget(int32_t process) override {
    SharesMemory(process) ? shm_.Forget(process) : tcp_.Forget(process);
  }
  absl::StatusOr<int> WaitForAny(Matcher& matcher, absl::Span<const OpId> ops,
                                 MonotonicTime deadline) override {
    return shm_.Wait(matcher, ops, deadline);
  }

 private:
  // Nodes of one process share it, too.
  bool SharesMemory(int32_t process) const { return process == self() || shares_memory_[process]; }

  // Moves what the sockets have, unless another thread does; whether there was any.
  bool LookAtSockets() {
    if (!seat_.TryLock()) return false;
    const uint64_t before = changes();
    const bool any = tcp_.Look();
    seat_.Unlock();
    if (changes() != before) shm_.Ring();
    return any;
  }

  // The helper takes no signals: they are the main thread's to handle.
  void StartHelper() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    helper_ = std::thread([this] { RunHelper(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(helper_.native_handle(), "tcp-helper");
  }

  // Sleeps on the sockets. What lies there keeps it awake, whoever else looks and stops looking; so
  // nobody who sleeps on the bell misses a message.
  void RunHelper() {
    TcpLinks::Events events;
    while (!stopping_.load()) {
      const int count = tcp_.Await(absl::Minutes(1), &events);
      const uint64_t before = changes();
      {
        absl::MutexLock lock(&seat_);
        tcp_.Serve(absl::MakeSpan(events).first(count));
      }
      if (changes() != before) shm_.Ring();
    }
  }

  void Break(const char* wire, int32_t process, const absl::Status& status) {
    ConnectionEnded(Annotate(status, absl::StrCat(wire, ": connection to ", Describe(process))));
  }

  const std::string endpoint_;
  std::vector<Wire> joined_;  // by process, until Connect takes them
  const std::vector<bool> shares_memory_;
  absl::Mutex seat_;  // of who moves what the sockets have
  TcpLinks tcp_;
  ShmLinks shm_;
  std::atomic<bool> stopping_{false};
  std::thread helper_;
};

}  // namespace

std::unique_ptr<Fabric> CreateMixedFabricOver(const FabricOptions& options, std::string endpoint,
                                              std::vector<Wire> wires,
                                              std::vector<bool> shares_memory) {
  return std::make_unique<MixedFabric>(options, std::move(endpoint), std::move(wires),
                                       std::move(shares_memory));
}

}  // namespace ringmaster
