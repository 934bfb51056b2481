#ifndef RINGMASTER_SERVER_SHARD_CORE_H_
#define RINGMASTER_SERVER_SHARD_CORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/exchange/snapshot_store.h"
#include "common/state/state.h"
#include "common/update/update_rule.h"
#include "server/clock_table.h"

namespace ringmaster {

// Consistency as data: BSP, SSP and asynchronous are one state machine.
struct ShardPlan {
  int32_t workers = 0;
  // N: one update from the sum of all workers (BSP). 1: an update per arrival (SSP, asynchronous).
  // In between, or 1, with drops_late: one update a step, from the first so many.
  int32_t contributions_per_update = 0;
  // A pull at clock c sees every update of clocks <= c - bound - 1; absent: it never waits. BSP: 0.
  std::optional<int64_t> staleness_bound;
  int64_t global_batch = 0;  // samples of one clock of all workers together, for the learning rate
  // Sizes of the parts of the buckets that this shard holds, in bucket order; the shard's arena is
  // their concatenation. A part of 0 elements (a bucket smaller than K) is pushed like any other.
  std::vector<int64_t> part_counts;
  // Versions, ascending, at which every part is copied, right after that update; of the last only
  // the moment counts, for after it the weights lie still. Where contributions are of several steps
  // these are steps, and the update is the first with so many. See common/config/describe.h.
  std::vector<int64_t> marks;
  // Whether all workers make equal steps. If not, a drain waits until every worker drains, each at
  // a clock of its own.
  bool equal_steps = true;
  // Whether an update of all workers' sum is made from its signs, -1, 0 or 1 (signSGD with majority
  // vote). Only with contributions_per_update of all workers.
  bool votes = false;
  // For a rule that compensates delays: how many of the copies last sent to each worker the shard
  // keeps, the one that its next gradient is computed from among them. 0: none.
  int32_t sent_kept = 0;
  // Backup workers: an update is made from the first contributions_per_update contributions to a
  // step, and is their average; those that come later are dropped.
  bool drops_late = false;
  // No copy of a mark is given up: a run that goes back to a step asks for it again.
  bool keeps_copies = false;
  // A contribution is how far a worker has come in so many steps, or in fewer (geo): marks count
  // steps. 0: it is a gradient, and marks count updates.
  int32_t steps_per_push = 0;
  // Where lots of a lost worker are dealt again: how many lots there are in the run. A push is of
  // one, and of a part of a lot that was updated by another push of it nothing is made. 0: no lot
  // is dealt again, and nobody looks.
  int64_t lots = 0;
};

// A worker's gradient of one part, already scaled by 1/N and decoded.
struct Push {
  int32_t worker = 0;
  int32_t part = 0;          // bucket
  int64_t step = 0;          // the worker's clock when it computed it
  int64_t read_version = 0;  // updates of this part in the weights it was computed from
  // Borrowed for the call; where contributions are summed up until versions()[part] > step, when
  // the update is done. Unchanged.
  absl::Span<const float> gradient;
  // Of PushNote (common/exchange/parts.h): steps that it lacks, and whether its worker knew that it
  // comes too late.
  int32_t missing_steps = 0;
  bool late = false;
  int64_t lot = 0;  // where plan().lots are counted
};

// A worker that has finished `clock` steps asks for weights.
struct Pull {
  int32_t worker = 0;
  int64_t clock = 0;
  // Drain: wait for every update of clocks <= clock - 1, whatever the bound; without equal steps,
  // for the updates of every worker's finished steps.
  bool drain = false;
};

// Tells the caller to send the shard's weights as they are at this moment to `worker`.
struct Reply {
  int32_t worker = 0;
  int64_t clock = 0;   // of the pull it answers
  bool drain = false;  // whether that pull drains
};

// The server as a pure state machine: no threads, no I/O, no clock of its own, so that every
// interleaving is a unit test. Under BSP contributions are added in rank order, the longest prefix
// present at a time, whatever their arrival: the update has the bits of ((g0 + g1) + g2) + ..., and
// is applied on the last, which is added on the way, block by block. Otherwise each is applied as
// it comes.
//
// With backup workers contributions are added in rank order once the last that is needed is there,
// and the sum is scaled to be the average of those it has. Each part counts for itself: a worker's
// gradient may be in the update of one part and come too late for another, on one server or on
// several. Source: Chen et al. 2016, "Revisiting distributed synchronous SGD", section 3.1.
//
// The learning rate follows the samples seen: an update of a part comes after (updates of that part
// so far) times contributions_per_update times the samples of one contribution, global_batch /
// workers. With backup workers it follows the samples of the stream, dropped ones among them: the
// rate of a step is that of any other synchronous scheme.
//
// Where gradients are clipped by their global norm, no part of a step is updated before the sums of
// all its parts are complete: the shard must hold the whole arena, parts being buckets, and update
// from the sum of all workers. The norm adds up the parts in order, whatever the order of arrival.
//
// A refused call changes nothing. One thread at a time.
class ShardCore {
 public:
  // `weights`: the shard's part of the initial weights, [sum of part_counts]; `update` is for as
  // many elements. RM_CHECKs that the plan is possible: at least one worker and part,
  // contributions_per_update 1 or all workers (then with bound 0), a bound of 0 or more, a global
  // batch that the workers share evenly, and, where `update` clips, contributions_per_update of all
  // workers with bound 0.
  ShardCore(ShardPlan plan, std::unique_ptr<UpdateRule> update, std::vector<float> weights);
  // The same in memory of the caller's, which outlives the core and is its own until then.
  ShardCore(ShardPlan plan, std::unique_ptr<UpdateRule> update, absl::Span<float> weights);

  // The memory of the copies that a shard of `plan` keeps.
  static SnapshotStore CopiesOf(const ShardPlan& plan);
  // Gives it that memory, before the first push. Without it nothing is copied at marks.
  void UseCopies(SnapshotStore copies) { copies_ = std::move(copies); }

  // Gives its copies up, to a shard of the same parts that goes on from a state of this one: that
  // one has those of the marks that it has passed by then. TakeCopies: after Take.
  SnapshotStore ReleaseCopies() { return std::move(copies_); }
  void TakeCopies(SnapshotStore copies);

  // Takes a contribution; appends to `ready` the parked pulls that may now be answered, in
  // ascending order of worker. A worker brings each part step by step, parts of one step in any
  // order; parts of the next step may come before the last part of this one. InvalidArgument: an
  // unknown worker or part, a step that is not the worker's next for this part, a wrong size, a
  // read_version that the part has not had, or whose weights are asked for and not kept, more
  // missing steps than a push has, and, where
  // the update needs all workers, a step whose predecessor's update is not done (nobody can have
  // had its weights).
  absl::Status OnPush(const Push& push, std::vector<Reply>* ready);

  // Answers at once (appends to `ready`) or parks the pull until the clock table allows it. A pull
  // without a bound is never parked unless it drains. InvalidArgument: an unknown worker, a clock
  // below 0 or below that of the worker's last pull. FailedPrecondition: the worker's last pull is
  // still parked.
  absl::Status OnPull(const Pull& pull, std::vector<Reply>* ready);

  // `worker` is lost: its clock leaves the gate, its own pull is forgotten, and a drain waits for
  // the others alone. Appends to `ready` the parked pulls that may now be answered, in ascending
  // order of worker. What it has pushed stays, and what still comes of it is taken as before.
  // REQUIRES: it was not lost before, and another worker is left.
  void Lose(int32_t worker, std::vector<Reply>* ready);

  // The weights as they are now are sent to `worker`: its gradients of a version that they have are
  // computed from them. Remembered where plan().sent_kept says so, in place of the oldest; else
  // nothing happens.
  void OnSent(int32_t worker);

  // What the shard keeps from step to step: weights, versions, clocks and the update rule's arrays.
  // Another shard of the same plan and optimizer that takes it before its first push or pull goes
  // on with the same bits; its staleness histogram counts its own contributions alone.
  // FailedPrecondition: a contribution waits for others, or a pull is parked.
  absl::StatusOr<State> Give() const;
  // InvalidArgument: the state is of another plan or optimizer, or no shard's; nothing is changed
  // then.
  absl::Status Take(const State& state);

  // The last accepted OnPush came after its update, or one of its lot, and has changed no weights:
  // nobody reads its gradient.
  bool was_dropped() const { return was_dropped_; }
  // Contributions that were dropped so far for coming too late, and for being of a lot whose update
  // of the part had been made.
  int64_t dropped() const { return dropped_; }
  int64_t repeated() const { return repeated_; }
  // What marks count, of a part: updates, or steps of contributions.
  int64_t progress(int32_t part) const { return progress_[part]; }

  // Parts updated by the last accepted OnPush, in ascending order. Under BSP every worker may be
  // sent them.
  absl::Span<const int32_t> updated() const { return updated_; }

  // The shard's arena. Stays in place; read it before the next OnPush.
  absl::Span<const float> weights() const { return weights_; }
  absl::Span<const float> part_weights(int32_t part) const {
    return weights_.subspan(parts_[part].begin, parts_[part].count);
  }
  // Updates applied to each part.
  absl::Span<const int64_t> versions() const { return versions_; }
  // How many updates every part has; absent: some have more than others.
  std::optional<int64_t> step() const;
  // histogram[s]: contributions applied with staleness s (updates of the same part between read and
  // apply).
  absl::Span<const int64_t> staleness_histogram() const { return staleness_histogram_; }
  const ClockTable& clocks() const { return clocks_; }
  // The mark, an index of the plan's, that the last accepted OnPush brought at least one part to.
  std::optional<int32_t> passed_mark() const { return passed_mark_; }
  // Whether every part was copied at `mark`, and the copies are still there.
  bool HasCopy(int32_t mark) const;
  // Some part will never pass `mark`, once all workers that are left have drained: a lost worker's
  // pushes are missing.
  bool IsUnreached(int32_t mark) const {
    return mark >= freed_ && mark < copies_.marks() && lacking_[mark] > 0 && left_ < plan_.workers;
  }
  // The part as it was right after update plan.marks[mark]; any numbers of one that
  // is unreached. REQUIRES: HasCopy or IsUnreached.
  absl::Span<const float> part_at_mark(int32_t mark, int32_t part) const {
    return copies_.at(mark).subspan(parts_[part].begin, parts_[part].count);
  }
  // Gives up the copies of the marks before `mark`.
  void FreeCopiesBefore(int32_t mark);
  const SnapshotStore& copies() const { return copies_; }
  const ShardPlan& plan() const { return plan_; }

  // Of the next update of `part` from the sum of all workers: how many ranks' contributions are
  // added so far, in rank order from 0.
  int32_t added(int32_t part) const { return parts_[part].added; }
  // The pulls that wait and for whom, for the text of a timeout: "worker/1 at clock 7 awaits clock
  // 5 of worker/0 (at 4)".
  std::string DescribeParked() const;

 private:
  struct Part {
    int64_t begin = 0;  // in the shard's arena
    int64_t count = 0;
    double squares = 0;  // with clipping: the sum of squares of a sum that is complete
    int32_t added = 0;   // ranks 0..added-1 are in the sum; all: it waits for the other parts' sums
    absl::Span<const float> sum;  // of those: rank 0's gradient itself, or the part's slice of sum_
    std::vector<std::optional<Push>> waiting;  // [workers]; arrived, not yet applied
  };

  // Weights that a worker was sent, and how many updates of each part they have.
  struct Sent {
    std::vector<float> weights;
    std::vector<int64_t> versions;
  };

  absl::Status Check(const Push& push) const;
  absl::Status CheckToSum(const Push& push) const;
  // Whether the update that the push is for was made without it.
  bool IsTooLate(const Push& push) const;
  // Whether the part has been updated by the push's lot; from now on it has.
  bool IsRepeated(const Push& push);
  // The first contributions to a part's update are there: adds them up.
  void AddFirst(int32_t part_index);
  // Of what was last sent to the push's worker, that whose part the gradient was computed from;
  // null: it is not kept. REQUIRES: plan_.sent_kept > 0.
  const Sent* FindRead(const Push& push) const;
  absl::StatusOr<std::vector<int64_t>> ReadProgress(const State& state) const;
  State GiveSent() const;
  // What sent_ becomes by the state that GiveSent gave.
  absl::StatusOr<std::vector<std::vector<Sent>>> ReadSent(const State& state) const;
  void AddPrefix(int32_t part_index);
  // Adds one contribution to those before it, in the part's slice of sum_.
  void AddToSum(absl::Span<const float> gradient, Part* part);
  // The sum of a part is complete: updates the part, or, where gradients are clipped, all parts
  // once all sums are.
  void SumComplete(int32_t part_index);
  // The update of a part by its sum, or by its sum and `last`, where that is not empty.
  void UpdateFromSum(int32_t part_index, absl::Span<const float> last, float clip);
  UpdateStep NextUpdate(int32_t part_index, float clip) const;
  void ApplyOnArrival(const Push& push);
  // One more update of a part is in its weights.
  void CountUpdate(int32_t part_index, int64_t progress);
  void Count(const Push& push);
  // The clock that the slowest worker must have reached; absent: none.
  std::optional<int64_t> ClockNeeded(const Pull& pull) const;
  bool MayAnswer(const Pull& pull) const;
  void ReleaseParked(std::vector<Reply>* ready);
  // Without equal steps: answers all drains once those of all workers that are left are there.
  void ReleaseDrains(std::vector<Reply>* ready);

  const ShardPlan plan_;
  const std::unique_ptr<UpdateRule> update_;
  // Contributions are summed up before the update: there are several, or the sums of all parts are
  // needed to clip.
  const bool sums_;
  const float scale_;               // of a sum, so that it is the average of all that are in it
  std::vector<float> own_weights_;  // empty where the caller has the memory
  const absl::Span<float> weights_;
  std::vector<float> sum_;    // of contributions so far, where sums of two and more are kept
  std::vector<float> block_;  // of a sum on its way into an update
  int32_t complete_ = 0;      // with clipping: parts whose sum waits for the others
  std::vector<Part> parts_;
  std::vector<int64_t> versions_;
  std::vector<int64_t> progress_;  // by part
  std::vector<int32_t> updated_;
  bool was_dropped_ = false;
  int64_t dropped_ = 0;
  int64_t repeated_ = 0;
  std::vector<std::vector<bool>> made_;  // [parts][lots]: an update of the part by the lot
  SnapshotStore copies_;
  std::vector<int32_t> next_marks_;  // by part: that it has not passed
  std::vector<int32_t> lacking_;     // by mark: parts that have not passed it
  std::optional<int32_t> passed_mark_;
  int32_t freed_ = 0;  // marks whose copies were given up
  std::vector<int64_t> staleness_histogram_;
  std::vector<std::vector<Sent>> sent_;  // [workers][sent_kept], the last one first
  ClockTable clocks_;
  std::vector<std::optional<Pull>> parked_;  // [workers]
  std::vector<int64_t> pulled_clocks_;       // [workers], of the last pull
  int32_t drains_ = 0;                       // of parked_, without equal steps
  int32_t left_ = 0;                         // workers that are not lost
};

// What a shard with `workers` workers has given, for one with those of them that are `left` alone,
// ranks in ascending order, which are numbered anew. Where updates come together nothing else of it
// is a worker's. InvalidArgument: no shard of so many has given it.
absl::StatusOr<State> ShardStateOf(absl::Span<const int32_t> left, int32_t workers, State state);

}  // namespace ringmaster

#endif  // RINGMASTER_SERVER_SHARD_CORE_H_
