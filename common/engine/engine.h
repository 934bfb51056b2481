#ifndef RINGMASTER_COMMON_ENGINE_ENGINE_H_
#define RINGMASTER_COMMON_ENGINE_ENGINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace ringmaster {

// One rank's place among the others, and how they find each other.
struct EngineSeat {
  int32_t rank = 0;
  int32_t ranks = 0;
  int device = 0;  // GPU, for an engine that computes on one
  // Numeric. An engine that opens sockets of its own opens them there, and on no other card.
  std::string listen_address = "127.0.0.1";
  // how long a call may take, where the library has limits
  absl::Duration wait_limit = absl::Minutes(1);
  // Brings every rank's message, of at most kMessageBytesMax, to every rank: the result is by rank.
  // All ranks call it as often, from the thread that creates the engine.
  static constexpr int64_t kMessageBytesMax = 64 << 10;
  std::function<absl::StatusOr<std::vector<std::string>>(absl::string_view own)> all_gather;
};

// A collective library that is not ours: it sums over the ranks with algorithms, connections and
// threads of its own. Calls come from one thread, but for Abort; all ranks make the same calls in
// the same order.
class Engine {
 public:
  virtual ~Engine() = default;

  // Name and version of the library, for tables and records: "Open MPI v4.1.4".
  virtual std::string library() const = 0;
  // What carries its bytes, for tables and records: "self,tcp".
  virtual std::string wire() const = 0;

  // What decides over which wires and interfaces its bytes go, and who summed how: names as the
  // library knows them, and their values; for the record.
  virtual std::map<std::string, std::string> settings() const { return {}; }

  // What keeps it from its usual speed in this process, as far as it knows, for the side of every
  // ratio to it: "no single copy". Empty: nothing.
  virtual std::string handicap() const = 0;

  // The algorithms that AllReduce can be told to take, by index; 0 is the library's own choice or
  // its usual one.
  virtual absl::Span<const std::string> algorithms() const = 0;

  // data = the sum over all ranks of `from`, of the same size: data itself, or other memory that is
  // unchanged until the call returns. Both lie on the host or, for an engine that sums on a GPU
  // (EngineInfo::gpus), in memory of the seat's device, where they are complete. The sum is the
  // same bits on all ranks where the algorithm sums each element once (all but Gloo's old "ring"),
  // and on two ranks in any case, since addition commutes. The order of addition is the library's.
  // After an error `data` is unspecified and every later call fails.
  virtual absl::Status AllReduce(int32_t algorithm, const float* from, absl::Span<float> data) = 0;

  // Makes later calls fail, and one in progress as far as the library can be told so: NCCL gives it
  // up; CUDA IPC fails in all ranks; Gloo closes its connections, so that the peers' calls fail at
  // once, and this rank's own when its peers close theirs; MPI can be told nothing. The process
  // ends with status 1 when a call of Gloo or MPI has not returned a second or two later. Any
  // thread; never waits.
  virtual void Abort(const absl::Status& why) = 0;

  // Takes leave of the library after the last call, together with all ranks, so that none finds its
  // peers gone. Not called after an error; the destructor alone never waits for a peer.
  virtual absl::Status Finish() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_ENGINE_H_
