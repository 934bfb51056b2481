#ifndef RINGMASTER_COMMON_SCHEME_SCHEME_H_
#define RINGMASTER_COMMON_SCHEME_SCHEME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/message.h"
#include "common/base/partition.h"
#include "common/base/problems.h"
#include "common/collective/gossip.h"
#include "common/params/param_layout.h"

namespace ringmaster {

class RunSpec;
class StrategySpec;

// Who holds the weights that updates are applied to, and applies them.
enum class WeightHolder { kWorkers, kServers };
// What a worker's gradient is divided by: the batches of all workers (N*A), or its own (A).
enum class Divisor { kAllBatches, kOwnBatches };
// When the workers' weights are the same bits: after every step, after Drain, or never. Never is of
// workers around a model that none of them computes with (their average, or a center), or of
// workers without a common model.
enum class Replicas { kEqualAfterStep, kEqualAfterDrain, kOnAverage, kIndependent };
// Whether an update is made from the sum of all workers, or from each gradient as it comes.
enum class Updates { kTogether, kOnArrival };
// Who computes which batches (common/control/dealing.h): each rank its fixed share of every global
// batch, so that all make equal steps; or whoever is free the next lot.
enum class Work { kDealt, kClaimed };
// What a worker exchanges with others, and when.
enum class Exchanged {
  kGradients,     // during backward
  kWeightsAhead,  // its own weights, while it computes the step's gradients
  kWeightsAfter,  // its own weights, once the step's update is in them
};
// What other arms of a comparison are measured against this one for.
enum class Yardstick { kNone, kSpeedUp, kEfficiency };

// What follows from a spec's strategy for everybody else. Views are of registries: they live as
// long as the program.
struct SchemeTraits {
  // Nodes.
  int32_t workers = 0;  // that train: N, or 1 where one computes the batches of all N
  int32_t servers = 0;  // K
  // server k lives with worker k; else in a process of its own
  bool servers_beside_workers = false;
  // 1 for threads and for single, else one a worker and one a dedicated server
  int32_t processes = 0;

  // Training.
  WeightHolder weights = WeightHolder::kWorkers;
  Divisor divisor = Divisor::kAllBatches;
  Replicas replicas = Replicas::kEqualAfterStep;
  Updates updates = Updates::kTogether;
  std::optional<int32_t> staleness_bound;  // clocks that a worker may be ahead, with updates on
                                           // arrival; absent: no bound
  // Steps for which a sum waits: a step's update is made from the gradients of the step so much
  // before. 0: from its own. With Updates::kTogether only.
  int32_t delay = 0;
  // The ranges of the arena that a worker updates itself, ascending, within buckets; what others
  // update comes from them. Null: all of it.
  std::vector<Range> (*updated)(const ParamLayout& layout, int32_t workers, int32_t rank) = nullptr;
  // Of the gradients of a step the last so many are dropped, and a worker that is late skips steps.
  int32_t backup_workers = 0;
  // Steps that a worker makes alone, by an optimizer of its own, before it sends servers how far it
  // has come; 0: they are sent gradients.
  int32_t local_steps = 0;
  // Of such a worker: the share of their distance that its weights and the servers' go towards each
  // other in an exchange (elastic averaging). 0: the servers' weights take the place of its own.
  double attraction = 0;
  bool compensates_delay = false;  // servers correct gradients that are late
  bool weights_encoded = false;    // servers send encoded differences of weights (DownCodecOf)
  Work work = Work::kDealt;        // the spec's to say, for every scheme: TraitsOf sets it
  Yardstick yardstick = Yardstick::kNone;

  // Exchange.
  bool exchanges = true;         // false: no message between workers and servers, ever
  absl::string_view collective;  // the schedule (or "auto") that sums gradients; empty: none does
  int32_t group_size = 0;        // of a collective in groups; 0: it has none
  absl::string_view engine;      // the library that sums them past our transports; empty: none does
  bool sums_in_rounds = false;   // takes codecs that are summed in rounds (CodecTraits::in_rounds)
  Exchanged exchanged = Exchanged::kGradients;  // what the collective, or gossip, sums
  int32_t exchange_every = 1;                   // steps from one exchange to the next, from 1
  // In so many steps at the start gradients are averaged, whatever is exchanged later.
  int64_t synchronous_steps = 0;
  std::optional<GossipGraph> gossip;  // who averages with whom; absent: no worker has neighbours

  // Failures.
  // Whether the others may go on where they are when a worker is lost, and whether they may form a
  // group anew (StrategySpec.on_failure).
  bool may_continue = false;
  bool may_reform = false;

  // Memory.
  // The model at a mark is the average of copies, one of every worker; else all together keep one.
  bool marks_are_averages = false;
  int32_t exchange_arenas = 0;  // floats that a worker keeps for its exchange, in arenas: beside
                                // weights, gradients and what a codec remembers
  // The same of all servers together: beside weights, the sum of gradients, and what arrives.
  int32_t server_arenas = 0;
};

// What workers exchange among themselves in `step`; absent: nothing.
inline std::optional<Exchanged> ExchangedIn(const SchemeTraits& traits, int64_t step) {
  if (step < traits.synchronous_steps) return Exchanged::kGradients;
  if ((step + 1 - traits.synchronous_steps) % traits.exchange_every != 0) return std::nullopt;
  return traits.exchanged;
}

// Whether workers that exchange weights have the same ones after `step`, before any drain.
inline bool AreEqualAfter(const SchemeTraits& traits, int64_t step) {
  return traits.exchanged == Exchanged::kWeightsAfter && ExchangedIn(traits, step).has_value();
}

// The collective (or "auto") that sums weights for the average of all, of a drain and at marks.
inline absl::string_view AverageCollective(const SchemeTraits& traits) {
  return traits.collective.empty() ? "auto" : traits.collective;
}

// Gradient and weight bytes that a node sends and receives, headers and what stays in its place
// left out.
struct RunTraffic {
  int64_t sent = 0;
  int64_t received = 0;
};

// A strategy and codec setting with a name.
struct ArmInfo {
  const char* name;
  const char* summary;  // one sentence, for `list`
  int32_t place;        // in tables, ascending over the arms of all schemes
  bool by_default;      // part of `compare` when no arms are named
  // What it sets: a RunSpec (textproto), in which launch is PROCESSES and the codec "none" unless
  // it says otherwise.
  const char* settings;
  // Fields that it leaves open, or whole messages, comma-separated: where the base sets them, the
  // base's values are kept.
  const char* open_fields;
};

// One synchronization scheme, as constant data: all that is known of it outside worker/strategy and
// server. Functions are pure and thread-safe, and are called with specs whose strategy is this
// scheme's.
struct Scheme {
  const char* name;     // of its field of StrategySpec.kind
  const char* summary;  // for `list`
  absl::Span<const ArmInfo> arms;
  // Sets what is left out of `strategy`, for N workers. Keeps what is set, right or wrong.
  void (*resolve)(int32_t workers, StrategySpec* strategy);
  // Adds what is wrong with the resolved spec, as far as it is the scheme's to say.
  void (*check)(const RunSpec& resolved, Problems* problems);
  // `workers`: N. processes need not be set. Fields that are not resolved yet count as their
  // proto's default.
  SchemeTraits (*traits)(const StrategySpec& strategy, int32_t workers);
  // Of one worker or server of the resolved spec: in the first `steps` steps of a run, 1 or more,
  // of every worker. What a drain brings is left out. Where encodings have no fixed length, the
  // most that they may be. Unimplemented: nobody here knows, for a library does the sums. Null
  // where the scheme exchanges nothing.
  absl::StatusOr<RunTraffic> (*traffic)(const RunSpec& resolved, const ParamLayout& layout,
                                        NodeId node, int64_t steps);
  // What becomes of the weights once all that a step waits for is there: sentences for a reader,
  // with the resolved spec's numbers. Null where the scheme exchanges nothing.
  std::string (*rule)(const RunSpec& resolved);
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_SCHEME_H_
