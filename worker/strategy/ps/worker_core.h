#ifndef RINGMASTER_WORKER_STRATEGY_PS_WORKER_CORE_H_
#define RINGMASTER_WORKER_STRATEGY_PS_WORKER_CORE_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/exchange/parts.h"

namespace ringmaster {

class RunSpec;

// How a worker deals with its servers. Consistency is data, as in server/shard_core.h.
struct WorkerPlan {
  int32_t rank = 0;
  int32_t servers = 0;
  int32_t buckets = 0;
  // Servers answer every push with the part's new weights (BSP, elastic averaging). Otherwise the
  // worker pulls all weights at a step's end.
  bool answered = false;
  // A step may begin while the exchange of this many steps is under way, its own included. 1: it
  // waits for the weights of the step before. 2: it takes what has arrived and waits for its
  // gradient arena alone, of which there are two.
  int64_t steps_in_flight_max = 1;
  // Steps that a worker makes alone before it pushes how far it has come, all buckets at once
  // (geo). 0: it pushes each step's gradient, bucket by bucket.
  int32_t local_steps = 0;
  // The worker's weights stay its own, and what servers send is a center that they go towards
  // (elastic averaging): it is taken after every exchange, in a drain too, and a drain asks for it
  // once more. With local_steps, and answered.
  bool keeps_own = false;
  // Answers say how far the servers' weights are from what the worker holds, and leave something
  // out: a drain asks for the weights themselves, whatever was answered.
  bool drain_pulls = false;
  // Servers may make an update without this worker (backup workers): it goes on with the newest
  // step whose weights it has got.
  bool may_skip = false;
  // Pushes of gradients say which lot these are of: servers drop what they have made updates of.
  bool says_lots = false;
  // All workers make equal steps. If not, a drain waits for every worker's drain, so a worker asks
  // for weights even before its first step.
  bool equal_steps = true;
};

// The plan of worker/`rank`. `spec` is resolved and its scheme has servers. `buckets`: of the
// layout.
WorkerPlan WorkerPlanOf(const RunSpec& spec, int32_t rank, int32_t buckets);

// What the core asks for, in this order. `tag` names the message; its note is complete.
struct WorkerAction {
  enum class Kind {
    kExpect,  // message `tag` from `server`: a part's weights (kWeights, kDrain), or the end of a
              // pull's answer (kPull)
    kSend,    // message `tag` to `server`: a part of a gradient (kPush), or a request without bytes
              // (kPull)
    kDeliver,  // the expected weights are whole, and stay where they are until kSwap takes them or
               // a drain overwrites them
    kSwap,     // exchange the delivered weights with the front ones; tag.kind is kDrain where a
               // drain takes them, else kWeights
    kLetStepBegin,  // step `tag.step`: the one asked for, or a later one where it may skip
    kDrained,       // the front weights hold every update of finished steps
    kRecalled,      // the copy of the mark that was asked for is whole where it was expected
    kKept,          // every server has kept its state
  };
  Kind kind = Kind::kExpect;
  int32_t server = 0;
  Tag tag;
};

// A worker's side of the parameter server as a pure state machine: no threads, no I/O, no clock. It
// decides which messages are sent and expected and in which order, when weights are whole and when
// they are swapped in, and when a step may begin.
//
// Each bucket is pushed part by part, to the server after the worker's own rank first, so that not
// all begin with one. Under BSP the answer of a part is expected before the part is pushed.
// Otherwise a step ends with a pull of all parts. A step's exchange is over when all its weights
// have arrived and all its pushes have left; what the caller reports meanwhile waits its turn. A
// pull is therefore never under way together with pushes of a later step.
//
// Exchanges with the servers are numbered from 0, and so are their messages: an exchange is what
// follows a step, or, with local steps, so many of them. A drain ends the steps that are made alone
// and pushes what they are worth.
//
// Weights arrive in one place, and wait there until they are taken: by the step that begins next,
// or, before newer ones are pulled, behind the end of a step, when nobody computes with the front
// ones.
//
// Steps count from 0. Actions are appended to `actions`. A call allocates nothing beyond what
// `actions` grows by, at most MaxActions() a call. Every call out of turn is a bug of the caller
// (RM_CHECK). One thread at a time.
class WorkerCore {
 public:
  // RM_CHECKs the plan: at least one server, steps_in_flight_max 1 or 2, and 1 where pushes are
  // answered or steps are local; local steps with answers for own weights alone, and these with
  // both; skipping with answers.
  explicit WorkerCore(const WorkerPlan& plan);

  // Before everything else: `exchanges` exchanges have ended, as ended() says, and the front
  // weights contain `versions` updates of each part.
  //   versions: [servers][buckets], as front_versions().
  void BeginAt(int64_t exchanges, absl::Span<const int64_t> versions);

  // What the step thread asks for. GradientReady is for gradients that are pushed as they are: none
  // with local steps, where StepEnds and DrainAsked push how far the worker has come. StepBegins is
  // followed by kLetStepBegin, at once or from a later call; no step or drain may be asked for in
  // between. A drain comes between StepEnds and the next StepBegins, and is followed by kDrained.
  void StepBegins(int64_t step, std::vector<WorkerAction>* actions);
  // `lot`: that the gradient is of, where plan().says_lots.
  void GradientReady(int64_t step, int32_t bucket, std::vector<WorkerAction>* actions,
                     int64_t lot = 0);
  void StepEnds(int64_t step, std::vector<WorkerAction>* actions);
  void DrainAsked(std::vector<WorkerAction>* actions);
  // After the last drain, while the core is idle: asks every server for the copy of a mark, whose
  // parts arrive as kDrain. Is followed by kRecalled. Neither front weights nor versions change.
  void RecallAsked(int32_t mark, std::vector<WorkerAction>* actions);
  // After a drain, while every worker's core is idle: asks every server to keep its state before
  // `step`. One worker asks, the others wait for it. Is followed by kKept.
  void KeepAsked(int64_t step, std::vector<WorkerAction>* actions);
  // The last call of the step thread: every server is told that this worker is done.
  void FarewellAsked(std::vector<WorkerAction>* actions);

  // A message that kSend asked for has left the memory it was sent from.
  void MessageLeft(std::vector<WorkerAction>* actions);
  // A message that kExpect named has arrived. `tag.note`: the version of the part, or of kPull, how
  // many microseconds the server kept the pull parked.
  void MessageArrived(int32_t server, const Tag& tag, std::vector<WorkerAction>* actions);

  // No message is under way and nothing waits its turn.
  bool idle() const { return expected_ == 0 && unsent_ == 0 && !ending_.has_value(); }
  // Exchanges that are over, those before the first step included.
  int64_t ended() const { return ended_; }
  // Steps that have ended since the last exchange was begun: their push is still to come.
  int32_t local_steps() const { return ended_steps_; }
  // How long before the answer that kRecalled is of, of the servers that answered, the last had
  // passed the mark; as servers say it, in microseconds. Below 0: one of them has not and never
  // will, since a worker is lost.
  int64_t recalled_age_us() const { return recalled_age_us_; }
  // How long servers kept the pulls parked whose weights the last kSwap has brought: of each pull
  // the longest.
  int64_t parked_us() const { return parked_us_; }
  // Of this worker's pulls, in their order, how many had brought their weights when the front
  // weights were taken; drains count too.
  int64_t front_pulls() const { return front_pulls_; }
  // Updates of each part that the front weights contain, [servers][buckets].
  absl::Span<const int64_t> front_versions() const { return front_; }
  const WorkerPlan& plan() const { return plan_; }
  size_t MaxActions() const;

 private:
  struct Task {
    enum class Kind { kBucket, kEndStep, kDrain, kRecall, kKeep, kFarewell };
    Kind kind = Kind::kBucket;
    int64_t step = 0;  // kRecall: the mark
    int32_t bucket = 0;
    int64_t lot = 0;
  };
  // Updates of each part that a set of weights contains.
  using Versions = std::vector<int64_t>;

  size_t Index(int32_t server, int32_t bucket) const {
    return static_cast<size_t>(server) * plan_.buckets + bucket;
  }
  void Expect(int32_t server, const Tag& tag, std::vector<WorkerAction>* actions);
  void Send(int32_t server, const Tag& tag, std::vector<WorkerAction>* actions);
  // Runs `task`, or keeps it until what is ending has ended.
  void Add(const Task& task, std::vector<WorkerAction>* actions);
  void Start(const Task& task, std::vector<WorkerAction>* actions);
  void Push(const Task& task, std::vector<WorkerAction>* actions);
  // Pushes all buckets of the steps made alone.
  void PushAll(std::vector<WorkerAction>* actions);
  void Pull(bool drain, std::vector<WorkerAction>* actions);
  // Sends every server a request, and expects its answer: weights of all parts, as messages of this
  // kind, where it is one, and the answer's end.
  void Request(std::optional<MessageKind> weights, const PullNote& note,
               std::vector<WorkerAction>* actions);
  // Whether a drain asks for weights: answers to pushes hold every update of finished steps
  // already, if updates come together.
  bool DrainPulls() const {
    const bool asks = !plan_.answered || plan_.keeps_own || plan_.drain_pulls;
    return asks && (ended_ > 0 || !plan_.equal_steps);
  }
  // Ends what is ending once nothing is under way, and starts what waits behind it.
  void Advance(std::vector<WorkerAction>* actions);
  void End(const Task& task, std::vector<WorkerAction>* actions);
  void LetStepBegin(std::vector<WorkerAction>* actions);
  void TakeDelivered(MessageKind from, std::vector<WorkerAction>* actions);

  const WorkerPlan plan_;

  Versions arriving_;
  Versions delivered_;
  Versions front_;
  Versions read_[2];            // of the weights that a step computes with, by its parity
  bool has_delivered_ = false;  // weights that nobody has taken
  int64_t delivered_pulls_ = 0;
  int64_t front_pulls_ = 0;
  int64_t arriving_parked_us_ = 0;
  int64_t delivered_parked_us_ = 0;
  int64_t parked_us_ = 0;
  int64_t recalled_age_us_ = std::numeric_limits<int64_t>::max();

  int64_t expected_ = 0;     // messages that have not arrived
  int64_t unsent_ = 0;       // messages that have not left
  int64_t pulls_ = 0;        // so far; numbers the tags
  int64_t ended_ = 0;        // exchanges
  int64_t begun_ = 0;        // exchanges whose first step was let begin
  int32_t begun_steps_ = 0;  // of the exchange last begun, where steps are local
  int32_t ended_steps_ = 0;
  std::optional<Task> ending_;  // a step's end, a drain or a farewell that is under way
  std::vector<Task> waiting_;   // behind it
  size_t next_waiting_ = 0;
  std::optional<int64_t> beginning_;  // the step that wants to begin
  bool draining_ = false;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_PS_WORKER_CORE_H_
