#ifndef RINGMASTER_SERVER_SHARD_SERVICE_H_
#define RINGMASTER_SERVER_SHARD_SERVICE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/partition.h"
#include "common/codec/codec.h"
#include "common/exchange/parts.h"
#include "common/params/param_layout.h"
#include "common/tensor/tensor.h"
#include "common/trace/node_traces.h"
#include "common/trace/phase.h"
#include "common/transport/transport.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "server/shard_core.h"

namespace ringmaster {

// One server of a run: receives pushes and pulls, lets ShardCore decide, sends weights. Run is called once, by the
// server's own thread, and ends when every worker has said farewell.
//
// Under BSP nobody pulls: every worker waits for the same update of every part, so a part's weights go to all of them as
// soon as it is updated, while other parts are still being pushed. They lie where they are sent from until each worker
// has pushed the part again. Otherwise a worker asks at the end of its step, and gets the whole shard as it is then.
class ShardService {
 public:
  // `initial_weights`: the whole arena; the service keeps its shard of it. `spec` is resolved; `transport` is that of
  // server/`index` and outlives the service. `allocate`: where the weights and their copies lie, from where they are sent;
  // the transport's own exchange memory for one. `traces`: where the traced steps are recorded, outlives the service;
  // null: nowhere.
  static absl::StatusOr<std::unique_ptr<ShardService>> Create(const RunSpec& spec, const ParamLayout& layout,
                                                              absl::Span<const float> initial_weights, int32_t index,
                                                              Transport& transport,
                                                              const BufferAllocator& allocate = Buffer::AllocateHost,
                                                              ServerTraces* traces = nullptr);

  // Serves until all workers are done. A server waits for its workers without a deadline of its own: workers watch
  // their own waits, the control plane watches heartbeats, and an abort of the transport ends this one with its status.
  absl::Status Run();

  // After Run.
  ServerReport Report() const;

 private:
  // A worker as this server sees it. Buffers are by part (bucket).
  struct Peer {
    std::vector<std::vector<std::byte>> inbox;   // what is pushed, encoded, where it cannot be read at the worker's
    std::vector<std::vector<float>> decoded;     // empty for the exact codec: the inbox holds the floats
    std::vector<Received> received;
    std::vector<Loan> arriving;                  // of the push that is expected
    std::vector<Loan> borrowed;                  // of the one before, until the update that it is in is done
    std::vector<int64_t> push_step;              // the step whose push is expected next
    Received pull;
    int64_t pulls = 0;                           // requests expected so far; numbers the tags
    PullNote request;                            // the one being answered
    bool ahead_of_pushes = false;                // the request came before pushes that were sent before it
    Clock::time_point asked_at;
    Buffer reply;                                // with snapshots: later updates must not tear it
    std::vector<OpId> sends;                     // of the last reply
    std::vector<OpId> part_sends;                // of the last answer to a push of each part; 0: there is none
    bool done = false;
  };
  // What an operation in ops_ stands for.
  struct Expected {
    int32_t worker = 0;
    int32_t part = 0;  // -1: a pull request
  };

  ShardService(const RunSpec& spec, const ParamLayout& layout, int32_t index, Transport& transport,
               std::unique_ptr<Codec> codec, std::unique_ptr<UpdateRule> update, Buffer weights, ServerTraces* traces);

  // Serves what has come, and records it as of the step whose push or pull it is.
  absl::Status Serve(const Expected& what);
  absl::Status ExpectPush(int32_t worker, int32_t part);
  absl::Status ExpectPull(int32_t worker);
  absl::Status OnPush(int32_t worker, int32_t part);
  absl::Status OnPull(int32_t worker);
  // Hands the worker's pull to the core once all it pushed before is there: messages of one worker may come in any
  // order, and its own updates must not be missing from the weights it gets.
  absl::Status PullAfterPushes(int32_t worker);
  // Gives back the gradients that an update of a part was made from.
  void ReturnGradients(int32_t part);
  absl::Status Answer(const Reply& reply);
  // Sends a part that has just been updated for all workers to all of them.
  absl::Status SendPart(int32_t part);
  // `step`: the worker's, of the training.
  absl::StatusOr<OpId> StartSend(int32_t worker, const Tag& tag, int64_t step, absl::Span<const float> weights);
  // Waits until the last reply has left, or the last answer for a part. The worker has gone on since, so it has what was
  // sent: this is over at once.
  absl::Status FinishReply(Peer& peer);
  absl::Status FinishAnswer(Peer& peer, int32_t part);
  // Records a stretch of this thread's time, up to now.
  void AddSpan(const char* name, int64_t step, int32_t part, Clock::time_point begin);

  const int32_t index_;
  const int32_t workers_;
  const std::vector<Range> parts_;
  const absl::Duration wait_limit_;
  // Under BSP the shard's own memory is sent: an update waits for pushes of all workers, each of which has the weights
  // before it pushes. Otherwise the shard moves on while a reply is under way, and replies are copies.
  const bool answers_pushes_;
  Transport& transport_;
  const std::unique_ptr<Codec> codec_;
  const Buffer weights_;  // the core's
  ShardCore core_;
  std::vector<Peer> peers_;
  // The posted receives, and beside each what it stands for.
  std::vector<OpId> ops_;
  std::vector<Expected> expected_;
  std::vector<Reply> ready_;
  int32_t farewells_ = 0;
  Clock::duration busy_{};
  ServerTraces* const traces_;
  Clock::time_point arrival_;  // of what is served
};

}  // namespace ringmaster

#endif  // RINGMASTER_SERVER_SHARD_SERVICE_H_
