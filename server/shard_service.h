#ifndef RINGMASTER_SERVER_SHARD_SERVICE_H_
#define RINGMASTER_SERVER_SHARD_SERVICE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/partition.h"
#include "common/codec/codec.h"
#include "common/exchange/parts.h"
#include "common/exchange/kept_marks.h"
#include "common/exchange/snapshot_store.h"
#include "common/params/param_layout.h"
#include "common/state/kept_steps.h"
#include "common/state/state.h"
#include "common/tensor/tensor.h"
#include "common/trace/node_traces.h"
#include "common/trace/phase.h"
#include "common/transport/transport.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "server/down_link.h"
#include "server/server_core.h"

namespace ringmaster {

// One server of a run: the shell of ServerCore on a transport, which receives, decodes and sends.
// Run is called once, by the server's own thread, and ends when every worker has said farewell.
class ShardService {
 public:
  // `initial_weights`: the whole arena; the service keeps its shard of it. `spec` is resolved;
  // `transport` is that of server/`index` and outlives the service. `allocate`: where the weights
  // and their copies lie, from where they are sent; the transport's own exchange memory for one.
  // `traces`: where what it does is recorded, outlives the service; null: nowhere. `copies`:
  // CopiesOf, which it takes over; null: it takes that memory itself.
  static absl::StatusOr<std::unique_ptr<ShardService>> Create(
      const RunSpec& spec, const ParamLayout& layout, absl::Span<const float> initial_weights,
      int32_t index, Transport& transport, const BufferAllocator& allocate = Buffer::AllocateHost,
      ServerTraces* traces = nullptr, SnapshotStore* copies = nullptr);

  // The memory of what server/`index` copies at marks. A process takes it before it joins the
  // others, none of whose clocks runs then.
  static SnapshotStore CopiesOf(const RunSpec& spec, const ParamLayout& layout, int32_t index);

  // The shard's (ShardCore), and as the part "down" what workers hold, where they are sent
  // differences. Take: before Run. Give: after it.
  absl::Status Take(const State& state);
  absl::StatusOr<State> Give() const;

  // Gets the service's state, and what it has reported so far, when a worker asks for a checkpoint
  // before `step`; by the thread in Run, and the worker waits for it. Before Run; absent: nobody
  // wants them.
  using Keeper = std::function<void(int64_t step, State state, const ServerReport& report)>;
  void SetKeeper(Keeper keeper) { keeper_ = std::move(keeper); }
  // What it had reported when the state was given that it took: is part of its own report. Before
  // Run.
  void ReportAfter(const ServerReport& before) { before_ = before; }

  // Keeps its state before every step, for a run that goes back to one when a process is lost:
  // where updates come together, when all parts have the step's version. Before Run; the steps
  // outlive it.
  void KeepStepsIn(KeptSteps* steps) { kept_steps_ = steps; }
  // Gives the copies at marks up to a service that goes on from one of these states, by whichever
  // thread; nothing is to be asked of this one any more. TakeMarks: after Take, before Run; of a
  // KeptMarks that nobody has filled nothing is taken.
  KeptMarks ReleaseMarks() { return {core_.ReleaseCopies(), std::move(mark_times_)}; }
  void TakeMarks(KeptMarks marks);

  // Serves until all workers are done. A server waits for its workers without a deadline of its
  // own: workers watch their own waits, the control plane watches heartbeats, and an abort of the
  // transport ends this one with its status.
  absl::Status Run();

  // After Run.
  ServerReport Report() const;

  // The pulls that wait and for whom (ShardCore::DescribeParked). For the thread that called Run.
  std::string DescribeParked() const { return core_.shard().DescribeParked(); }

 private:
  // A worker as this server sees it. Buffers are by part (bucket).
  struct Peer {
    // What is pushed, encoded, where it cannot be read at the worker's. Not initialized: what is
    // never written to takes no memory.
    std::vector<Buffer> inbox;
    // None for the exact codec, whose floats are read as they have come, nor where updates are made
    // on arrival.
    std::vector<std::vector<float>> decoded;
    std::vector<Received> received;
    std::vector<Loan> arriving;  // of the push that is expected
    std::vector<Loan> borrowed;  // of the one before, until the update that it is in is done
    Received pull;
    PullNote request;  // the last
    bool lost = false;
    Clock::time_point asked_at;
    Buffer reply;  // the core's copy: later updates must not tear a reply
    // Of the last reply, or of the last answer to a push of each part: by part, then the end of a
    // reply. 0: it has left.
    std::vector<OpId> sends;
    std::vector<OpId> copy_sends;  // of the last answer from a mark's copy
  };
  // What an operation in ops_ stands for.
  struct Expected {
    int32_t worker = 0;
    int32_t part = 0;  // -1: a pull request
  };

  // Of what workers push.
  absl::Status AllocateInboxes();
  ShardService(const RunSpec& spec, const ParamLayout& layout, int32_t index, Transport& transport,
               std::unique_ptr<Codec> codec, std::unique_ptr<UpdateRule> update, Buffer weights,
               ServerTraces* traces);

  // Serves the push or pull that has arrived, and records it under its step.
  absl::Status Serve(const Expected& what);
  // Its worker is lost: what was expected of it did not arrive. It says so of each message.
  absl::Status OnLost(int32_t worker);
  bool IsLost(const Expected& what) const;
  absl::Status OnPush(int32_t worker, int32_t part);
  absl::Status OnPull(int32_t worker);
  // Where all parts have a version that none of the kept steps has.
  absl::Status KeepStep();
  // Has the state before `step` kept.
  absl::Status Keep(int64_t step) const;
  // Does what the core has asked for.
  absl::Status Perform();
  absl::Status Expect(int32_t worker, const Tag& tag);
  // The name and note of the push that has arrived.
  Tag PushTag(int32_t worker, int32_t part) const;
  // Gives back the gradient that the worker has pushed, which nobody reads any more.
  void ReturnGradient(int32_t worker, int32_t part);
  // Copies the weights that a reply is about to be sent from; `tag`: of the action.
  void CopyWeights(int32_t worker, const Tag& tag);
  // Where one of the shard's parts begins in its arena.
  size_t PartBegin(absl::Span<const float> part) const;
  // Sends what actions_ lists from `first` on; returns the index behind it. `begin`: when the first
  // message began to be made. It is one part for all workers, or a reply for one of them.
  absl::StatusOr<size_t> SendRow(size_t first, Clock::time_point begin);
  absl::Status Send(const ServerAction& action, int64_t step);
  // What a message is of; empty for the end of a reply.
  absl::Span<const float> WeightsFor(const ServerAction& action) const;
  // What it is sent from.
  absl::StatusOr<absl::Span<const std::byte>> PayloadFor(const ServerAction& action);
  // Waits until what the worker was sent has left: the weights of one part, or a whole reply. The
  // worker has gone on since, so it has what was sent: this is over at once.
  absl::Status FinishSend(int32_t worker, int32_t part);
  absl::Status FinishReply(int32_t worker);
  // The same of what was sent from a mark's copy.
  absl::Status FinishCopy(int32_t worker);
  // Keeps what was done (ServerReport.arrivals), while there is room.
  void Note(int32_t arrival);
  // Records a stretch of this thread's time, up to now, of the exchange of that number.
  void AddSpan(const char* name, int64_t exchange, int32_t part, Clock::time_point begin);

  const int32_t index_;
  const int32_t servers_;
  const int32_t workers_;
  const uint64_t run_seed_;
  const std::vector<Range> parts_;
  const absl::Duration wait_limit_;
  Transport& transport_;
  const std::unique_ptr<Codec> codec_;
  const Buffer weights_;  // the core's
  ServerCore core_;
  std::unique_ptr<DownLink> down_;  // null: weights go as floats
  std::vector<Peer> peers_;
  // Where updates are made on arrival: a gradient while its update is made.
  std::vector<float> decoded_;
  // The posted receives, and beside each what it stands for.
  std::vector<OpId> ops_;
  std::vector<Expected> expected_;
  std::vector<ServerAction> actions_;
  std::vector<int32_t> arrivals_;  // ServerReport's; nothing where updates come together
  Clock::duration busy_{};
  std::vector<Clock::time_point> mark_times_;  // by mark: when the last part has passed it
  bool has_lost_ = false;                      // workers
  Keeper keeper_;
  ServerReport before_;
  KeptSteps* kept_steps_ = nullptr;  // null: nobody goes back
  ServerTraces* const traces_;
  Clock::time_point arrival_;  // of what is served
};

}  // namespace ringmaster

#endif  // RINGMASTER_SERVER_SHARD_SERVICE_H_
