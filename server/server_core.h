#ifndef RINGMASTER_SERVER_SERVER_CORE_H_
#define RINGMASTER_SERVER_SERVER_CORE_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/base/partition.h"
#include "common/exchange/parts.h"
#include "common/exchange/snapshot_store.h"
#include "common/state/state.h"
#include "common/update/update_rule.h"
#include "proto/run_spec.pb.h"
#include "server/shard_core.h"

namespace ringmaster {

// How a server deals with its workers.
struct ServingPlan {
  int32_t index = 0;  // server/`index`
  // Under BSP nobody pulls: every worker waits for the same update of every part, so a part's
  // weights go to all of them as soon as it is updated. Elastic averaging answers a push by the
  // part right after it, before others change it. Otherwise a worker asks at the end of its step,
  // and gets the whole shard as it is then. A drain may ask under all of them.
  bool answers_pushes = false;
  // Pushes are answered from a copy of the part that is the worker's, and not from the shard: an
  // update does not wait for all workers (backup workers, elastic averaging).
  bool copies_answers = false;
  ShardPlan shard;
};

// The plan of server/`index`. `spec` is resolved and its scheme has servers. `parts`: the server's
// (ShardParts). For a simulation without data the caller sets all of plan.shard.part_counts to 0.
ServingPlan ServingPlanOf(const RunSpec& spec, int32_t index, absl::Span<const Range> parts);

// The rule that updates the shard of a server with `parts` (ShardParts), given the statistics of
// the whole arena (ParamLayout::statistics): the optimizer's, as the strategy wants it; what adds,
// where workers push how far they have come; or what goes towards the weights that they push
// (elastic averaging). `spec` as above. Errors as of CreateUpdateRule.
absl::StatusOr<std::unique_ptr<UpdateRule>> ShardRuleOf(const RunSpec& spec,
                                                        absl::Span<const Range> parts,
                                                        absl::Span<const Range> statistics);

// What a push of message `tag` by `worker` is to the core. `gradient`: as Push has it.
Push PushOf(int32_t worker, const Tag& tag, absl::Span<const float> gradient);

// What the core asks for, in this order. `tag` names the message.
struct ServerAction {
  enum class Kind {
    kExpect,  // message `tag` from `worker`: the push of a part (kPush) or a request (kPull)
    kReturn,  // the gradient that part `tag.bucket` was last pushed with by `worker`: nobody reads
              // it any more
    kCopy,    // copy the shard's weights, as they are at this moment, to where replies to `worker`
              // are sent from: all of them, or, where tag.kind is kWeights, those of part
              // `tag.bucket`
    // Message `tag` to `worker`. kWeights, kDrain: the part's weights, from the shard itself where
    // pushes are answered without a copy, else from the worker's copy; the note is their version.
    // kPull: no bytes, the end of an answer; its note is for the caller, who has a clock: how many
    // microseconds have passed since the request, or, where `mark` is one, since the mark's last
    // part was updated; below 0 of a mark that some part has not reached and never will.
    kSend,
  };
  Kind kind = Kind::kExpect;
  int32_t worker = 0;
  Tag tag;
  // kSend: 0 or more: the answer to a request for the copy of that mark. Weights are sent from the
  // copy (ShardCore::part_at_mark), whose messages OnSent is not told of: nobody writes there, and
  // the memory is given up by OnRequest alone.
  int32_t mark = -1;
};

// The server's side of the exchange as a pure state machine around ShardCore: no threads, no I/O,
// no clock. It decides what is expected from whom, which weights are sent to whom and when, and it
// owns what it has sent: memory that a message is still sent from is never written. Under BSP that
// is the part in the shard itself, which lies still until each worker has pushed the part again;
// with backup workers a worker's copy of the part, until that worker has pushed it again; otherwise
// a worker's copy of the shard, which lies still until the worker's next request.
//
// Messages are numbered by a worker's exchanges with its servers: one for each step that it makes,
// or for several (WorkerPlan::local_steps). With backup workers every push is answered too: by the
// update that it is in, or, where it comes too late for that, at once by the part as it is.
//
// A worker's request may overtake pushes that were sent before it. It is kept until they are there:
// the worker's own updates must not be missing from the weights that it gets.
//
// Actions are appended to `actions`. One thread at a time.
class ServerCore {
 public:
  // As ShardCore's constructor. `weights` is the caller's memory, which outlives the core and is
  // its own until then.
  ServerCore(ServingPlan plan, std::unique_ptr<UpdateRule> update, absl::Span<float> weights);

  // ShardCore's. Take: before Start.
  absl::StatusOr<State> Give() const;
  absl::Status Take(const State& state);
  // ShardCore's.
  SnapshotStore ReleaseCopies() { return shard_.ReleaseCopies(); }
  void TakeCopies(SnapshotStore copies) { shard_.TakeCopies(std::move(copies)); }
  void UseCopies(SnapshotStore copies) { shard_.UseCopies(std::move(copies)); }

  // What is expected first of every worker. Once.
  void Start(std::vector<ServerAction>* actions);

  // A push that was expected has arrived; `push.step` is that of its tag. Its gradient is borrowed
  // until kReturn names the part. REQUIRES: !IsSending(push.worker, push.part). Errors as of
  // ShardCore::OnPush; then nothing has changed.
  absl::Status OnPush(const Push& push, std::vector<ServerAction>* actions);

  // A request that was expected has arrived. REQUIRES: nothing IsSending to the worker, unless it
  // says farewell or asks for a mark's copy, and what was sent to the worker from an earlier mark's
  // copy has left. A copy is given up when every worker has asked for a later one, or said
  // farewell. A request for a checkpoint is only answered: the caller keeps Give before.
  // InvalidArgument: a second farewell, or a pull that is no drain where pushes are
  // answered. FailedPrecondition: the mark's copy is not complete, or given up. Otherwise errors as
  // of ShardCore::OnPull.
  absl::Status OnRequest(int32_t worker, const PullNote& request,
                         std::vector<ServerAction>* actions);

  // `worker` is lost: nobody waits for it or for its farewell any more. What still comes of it is
  // taken, and answered to nobody. REQUIRES: it was not lost before, and another worker is left.
  void OnLost(int32_t worker, std::vector<ServerAction>* actions);

  // A message that kSend asked for has left the memory it was sent from. `part`: its tag.bucket,
  // which is 0 of the end of a pull's answer.
  void OnSent(int32_t worker, int32_t part);

  // Whether a message is still sent from the memory that an answer to `worker` is sent from: that
  // of `part` where pushes are answered, else the worker's copy.
  bool IsSending(int32_t worker, int32_t part) const { return sending_[Memory(worker, part)] > 0; }

  // Every worker has said farewell or is lost.
  bool finished() const { return farewells_ == plan_.shard.workers; }
  // The number of the push of `part` that is expected next of `worker`.
  int64_t push_step(int32_t worker, int32_t part) const { return push_steps_[Index(worker, part)]; }
  // How many actions a call appends at most.
  size_t MaxActions() const {
    return 3 * Index(plan_.shard.workers, 0) + 3 * plan_.shard.workers + parts() + 2;
  }
  const ShardCore& shard() const { return shard_; }
  const ServingPlan& plan() const { return plan_; }

 private:
  // A worker as this server sees it.
  struct Peer {
    int64_t pulls = 0;             // answered so far; numbers the tags
    PullNote request;              // the one being answered
    bool ahead_of_pushes = false;  // the request came before pushes that were sent before it
    bool done = false;
    bool lost = false;
    int32_t mark = 0;  // asks for no earlier mark's copy any more
  };

  int32_t parts() const { return static_cast<int32_t>(plan_.shard.part_counts.size()); }
  size_t Index(int32_t worker, int32_t part) const {
    return static_cast<size_t>(worker) * parts() + part;
  }
  // The memory that weights are sent from, as an index of sending_.
  size_t Memory(int32_t worker, int32_t part) const {
    return plan_.answers_pushes ? Index(worker, part) : worker;
  }
  void ExpectPush(int32_t worker, int32_t part, std::vector<ServerAction>* actions) const;
  void ExpectRequest(int32_t worker, std::vector<ServerAction>* actions) const;
  void Send(int32_t worker, const Tag& tag, std::vector<ServerAction>* actions);
  // Hands the worker's request to the shard, once all that it pushed before is there.
  absl::Status PullAfterPushes(int32_t worker);
  // Nobody reads what `worker` has pushed of the part any more: gives it back, and answers it.
  void Return(int32_t worker, int32_t part, std::vector<ServerAction>* actions) const;
  void AnswerPush(int32_t worker, int32_t part, std::vector<ServerAction>* actions);
  // The part has been updated: settles the pushes that it was updated by.
  void SettlePart(int32_t part, std::vector<ServerAction>* actions);
  // Answers a request for the copy of a mark.
  absl::Status SendCopy(int32_t worker, int32_t mark, std::vector<ServerAction>* actions);
  // `worker` asks for no copy of a mark before `mark` any more.
  void PassMark(int32_t worker, int32_t mark);
  // Answers the pulls in ready_.
  void Answer(std::vector<ServerAction>* actions);

  const ServingPlan plan_;
  ShardCore shard_;
  std::vector<Peer> peers_;
  std::vector<int64_t> push_steps_;  // [workers][parts]
  std::vector<bool> owed_;           // [workers][parts]: pushed, neither applied nor dropped
  std::vector<int32_t> sending_;     // by Memory(): messages that have not left
  std::vector<Reply> ready_;
  int32_t farewells_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_SERVER_SERVER_CORE_H_
