#ifndef RINGMASTER_COMMON_CONTROL_WAIT_JUDGE_H_
#define RINGMASTER_COMMON_CONTROL_WAIT_JUDGE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/control.pb.h"

namespace ringmaster {

struct WaitLimits {
  // How long a wait may last in which nobody who matters to it gets any further.
  absl::Duration wait = absl::InfiniteDuration();
  // How long a node that others wait for may compute without getting any further. Absent:
  // DefaultComputeLimit.
  std::optional<absl::Duration> compute;
  // Servers answer without waiting for other workers, but for drains.
  bool asynchronous = false;
};

// Of a rank whose slowest step so far took this long without its waits: 20 times that, and at least
// a minute.
absl::Duration DefaultComputeLimit(absl::Duration slowest_step);

// Decides which waits of a run go on. A wait that has lasted limits.wait is followed from node to
// node, by who waits for whom, to the nodes that are really waited for:
//   - one that computes, within its compute limit: the wait goes on, and for limits.wait after
//     that, since what it sends takes its time;
//   - one that computes for longer: the run ends, and the status names it and
//     limits.compute_seconds;
//   - all wait and none has got any further within limits.wait (a lost message, a deadlock): the
//     run ends, and the status names the chain and limits.wait_seconds.
// A server waits for the workers whose pushes are the furthest behind. A node that says nothing is
// not judged here.
//
// Pure: time is what the caller says, as a duration since any fixed moment. Not thread-safe.
class WaitJudge {
 public:
  explicit WaitJudge(const WaitLimits& limits) : limits_(limits) {}

  // A node of process `pid` takes part. Once for each, before Heard.
  void Add(const NodeName& node, int64_t pid, absl::Duration now);

  // What a node said of itself. Unknown nodes are ignored.
  void Heard(const NodeActivity& activity, absl::Duration now);

  // The node's process has sent its result.
  void Finished(const NodeName& node, absl::Duration now);

  // The node's process is lost, and nobody waits for it.
  void Forget(const NodeName& node);

  // DeadlineExceeded: a wait that must not go on, and why. To be asked again and again, several
  // times in limits.wait: it remembers until when each wait had an excuse.
  absl::Status Judge();

  // What the nodes that are not in `told` ("worker/1") do, for the text of a timeout: "; meanwhile
  // worker/0 at step=3 phase=exchange waits for worker/1 (collective step=3 bucket=0) since 2.0s;
  // ...". Workers come first; of many nodes the first are told. Empty: nothing is known of any
  // other.
  std::string Meanwhile(const std::set<std::string>& told) const;

  // For how long the node is known to have got no further; zero: it is unknown.
  absl::Duration StillOf(const NodeName& node) const;

 private:
  struct Node {
    int64_t pid = 0;
    bool was_heard = false;
    NodeActivity last;
    absl::Duration heard;  // when it spoke last
    absl::Duration moved;  // when it was first heard that it had got where it is
    // The last moment when somebody that its wait is really for was known to compute, or got
    // further.
    absl::Duration excused;
  };
  struct Step {
    std::string node;
    const AwaitedMessage* message =
        nullptr;        // that is waited for from it; null: its arrival or its end
    int32_t from = -1;  // index of the step before
  };

  static bool Waits(const Node& node);
  // For how long the node is known to have got no further.
  static absl::Duration Still(const Node& node) { return node.heard - node.moved; }
  absl::Duration ComputeLimit(const Node& node) const;
  // What `step`'s node waits for itself, as far as it matters to who waits for it. `nothing_left`:
  // its wait is over.
  std::vector<Step> Next(const std::vector<Step>& steps, const Step& step,
                         bool* nothing_left) const;
  // `asked`: the message that `asker` waits for from it, or that it has for `asker`; null: its end.
  std::vector<Step> NextOfServer(const Node& node, const Node& asker,
                                 const AwaitedMessage* asked) const;
  // Whether the worker may push more before it drains.
  bool StillTrains(const NodeName& worker) const;
  // Who has not come to the barrier, or the end, that `node` has come to.
  std::vector<Step> OthersNotYet(const Node& node) const;
  absl::Status JudgeFrom(const std::string& name, Node* waiting) const;

  std::string Where(const std::string& name) const;
  absl::Status ComputesTooLong(const std::vector<Step>& steps, int32_t last) const;
  absl::Status NobodyMoves(const std::vector<Step>& steps) const;

  const WaitLimits limits_;
  std::map<std::string, Node> nodes_;  // "worker/1"
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_WAIT_JUDGE_H_
