#include "experiments/proof/explain/scheme_facts.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/collective/gossip.h"
#include "common/scheme/gradient_arenas.h"

namespace ringmaster {
namespace {

std::string Steps(int64_t count) { return absl::StrCat(count, count == 1 ? " step" : " steps"); }

// "every step", "every 8th step".
std::string Every(int64_t steps) {
  if (steps == 1) return "every step";
  const int64_t tens = steps % 100;
  const char* ending = tens >= 11 && tens <= 13 ? "th"
                       : steps % 10 == 1        ? "st"
                       : steps % 10 == 2        ? "nd"
                       : steps % 10 == 3        ? "rd"
                                                : "th";
  return absl::StrCat("every ", steps, ending, " step");
}

// Of the whole arena.
std::string Arrays(int64_t count, const ParamLayout& layout) {
  return absl::StrCat(count, count == 1 ? " array" : " arrays", " as large as the weights (",
                      count * layout.count() * static_cast<int64_t>(sizeof(float)), " bytes)");
}

bool HasBound(const SchemeTraits& traits) { return traits.staleness_bound.has_value(); }
bool UpdatesAlone(const SchemeTraits& traits) {
  return traits.exchanged != Exchanged::kGradients || traits.local_steps > 0;
}

std::string Exchange(const SchemeTraits& traits) {
  std::string text;
  if (traits.attraction > 0) {
    text = absl::StrCat("A worker's own weights, after ", Every(traits.local_steps),
                        " of its own; the servers' center comes back, and both go ",
                        traits.attraction, " of the way towards each other.");
  } else if (traits.local_steps > 0) {
    text = absl::StrCat("How far a worker's weights have come in ", Steps(traits.local_steps),
                        " that it makes alone.");
  } else if (traits.exchanged == Exchanged::kGradients) {
    text =
        "The gradients of every step, bucket by bucket, each as soon as backward has finished it.";
  } else if (traits.exchanged == Exchanged::kWeightsAfter) {
    text = absl::StrCat("The workers' own weights, after the update of ",
                        Every(traits.exchange_every), ".");
  } else {
    text = absl::StrCat("The workers' own weights as they are when ", Every(traits.exchange_every),
                        " begins, while its gradients are computed.");
  }
  if (traits.weights_encoded) {
    absl::StrAppend(&text,
                    " What comes back from servers are encoded differences to what the worker "
                    "holds.");
  }
  if (traits.synchronous_steps > 0) {
    absl::StrAppend(&text, " In the first ", Steps(traits.synchronous_steps),
                    " gradients are averaged, as by an all-reduce.");
  }
  return text;
}

// Of the workers that a gossiping worker hears, in each exchange of a period.
std::string Neighbours(GossipGraph graph, int32_t workers) {
  std::string text;
  for (int32_t round = 0; round < GossipRounds(graph, workers); ++round) {
    const char* before = round == 0 ? "worker/" : ", then worker/";
    for (const int32_t source : GossipSources(graph, workers, round, 0)) {
      if (source == 0) continue;
      absl::StrAppend(&text, before, source);
      before = " and worker/";
    }
  }
  return text;
}

std::string WaitsForServers(const SchemeTraits& traits) {
  if (traits.local_steps > 0) {
    return absl::StrCat("After ", Steps(traits.local_steps),
                        " a worker waits for the server's answer, never for another worker.");
  }
  if (HasBound(traits)) {
    return absl::StrCat(
        "Before each step a worker waits for the server's answer, which the server holds back "
        "while the worker is more than ",
        *traits.staleness_bound, " steps ahead of the slowest.");
  }
  if (traits.updates == Updates::kOnArrival) {
    return "Never for another worker: a step begins with the newest weights that have arrived. It "
           "waits for the server alone, where two exchanges are still under way.";
  }
  if (traits.backup_workers > 0) {
    return absl::StrCat(
        "Before each step for the weights that the first ", traits.workers - traits.backup_workers,
        " of ", traits.workers, " gradients have made; nobody waits for the last ",
        traits.backup_workers,
        ". A late worker goes on with the newest step whose weights it has; the batches of the "
        "steps between are nobody's.");
  }
  return absl::StrCat(
      "Before each step for the new weights, which are made when the gradients of "
      "all ",
      traits.workers, " workers are there: the slowest decides.");
}

std::string Waits(const SchemeTraits& traits) {
  if (traits.servers > 0) return WaitsForServers(traits);
  if (traits.gossip.has_value()) {
    return absl::StrCat("At the end of ", Every(traits.exchange_every),
                        " for its neighbours alone: worker/0 for ",
                        Neighbours(*traits.gossip, traits.workers),
                        ", and so around. A slow worker holds up its neighbours, and they theirs.");
  }
  const std::string slowest = absl::StrCat("all ", traits.workers, ": the slowest decides.");
  if (traits.delay > 0) {
    return absl::StrCat("At the end of a step for the sum of the gradients of ",
                        traits.delay == 1 ? "the step before, of "
                                          : absl::StrCat(Steps(traits.delay), " before, of "),
                        slowest, " That sum has had the whole step for its way.");
  }
  if (traits.exchanged == Exchanged::kGradients) {
    return absl::StrCat("At the end of every step for the sum of the gradients of ", slowest,
                        traits.updated == nullptr
                            ? ""
                            : " Then for what the others have updated: nothing hides that.");
  }
  return absl::StrCat(
      "At the end of ", Every(traits.exchange_every), " for the sum of the weights of ", slowest,
      traits.exchanged == Exchanged::kWeightsAhead ? " It is under way while that step is computed."
                                                   : " Nothing hides it.",
      traits.exchange_every > 1 ? " In the steps between nobody waits." : "");
}

// Elements of the arena that `rank` updates.
int64_t UpdatedCount(const SchemeTraits& traits, const ParamLayout& layout, int32_t rank) {
  int64_t count = 0;
  for (const Range& range : traits.updated(layout, traits.workers, rank)) count += range.count;
  return count;
}

std::string Weights(const SchemeTraits& traits, const ParamLayout& layout) {
  if (traits.weights == WeightHolder::kServers) {
    const std::string who = traits.servers == 1
                                ? "The server holds them and updates them"
                                : absl::StrCat("Each of ", traits.servers, " servers holds 1/",
                                               traits.servers, " of every bucket and updates it");
    return absl::StrCat(who, traits.servers_beside_workers ? ", in a worker's own process" : "",
                        traits.attraction > 0
                            ? ". Every worker has weights of its own and updates them itself."
                        : traits.updated == nullptr
                            ? ". Every worker computes with a copy, which it updates itself "
                              "meanwhile."
                            : ". Every worker computes with a copy.");
  }
  if (traits.updated != nullptr) {
    return absl::StrCat("Every worker holds all of them and updates its share; worker/0 ",
                        UpdatedCount(traits, layout, 0), " of ", layout.count(),
                        ". The rest comes updated from the others.");
  }
  return absl::StrCat("Every worker holds all of them and updates them ",
                      UpdatesAlone(traits) ? "by its own gradients." : "by the average.");
}

std::string Model(const SchemeTraits& traits) {
  std::string text;
  switch (traits.replicas) {
    case Replicas::kEqualAfterStep:
      text = "After every step all workers have the same bits, and these are the model.";
      break;
    case Replicas::kEqualAfterDrain:
      text = traits.weights == WeightHolder::kServers
                 ? "The model is what the servers have. The workers have the same bits of it only "
                   "after the last step, once all updates have reached all."
                 : "The workers have the same bits only after an exchange; the model is their "
                   "average.";
      break;
    case Replicas::kOnAverage:
      text = traits.marks_are_averages
                 ? "The model is the average of all workers' weights, which none of them has; at "
                   "the end it costs an all-reduce."
                 : "The model is the center. No worker computes with it.";
      absl::StrAppend(&text,
                      " The record says how far the workers are from it "
                      "(--columns consensus_distance).");
      break;
    case Replicas::kIndependent:
      text = "There is no common model.";
      break;
  }
  return absl::StrCat(text, " At a mark (--evaluate-every) ",
                      traits.marks_are_averages ? "every worker keeps a copy of its weights."
                      : traits.weights == WeightHolder::kServers
                          ? "the servers together keep one copy."
                          : "the workers together keep one copy.");
}

std::string Staleness(const SchemeTraits& traits) {
  if (traits.delay > 0) {
    return absl::StrCat(traits.delay, traits.delay == 1 ? " update" : " updates",
                        ", always: a gradient is applied to weights so much newer than those that "
                        "it was computed from. With momentum 0.9 that lowers the largest stable "
                        "rate much (docs/THEORY.md, momentum under delay).");
  }
  if (traits.local_steps > 0) {
    return absl::StrCat("Between a worker's answers the others push too: ", traits.workers - 1,
                        " pushes of ", Steps(traits.local_steps),
                        " each where all are equally fast, and any number where not.");
  }
  if (HasBound(traits)) {
    return absl::StrCat(
        "Updates of others between a read and the update by its gradient: at most "
        "(N-1)(2 bound + 1) = ",
        StalenessMax(*traits.staleness_bound, traits.workers), ".");
  }
  if (traits.updates == Updates::kOnArrival) {
    return absl::StrCat(
        "Updates of others between a read and the update by its gradient: about "
        "N-1 = ",
        traits.workers - 1, " where all are equally fast, and no limit where not.");
  }
  if (UpdatesAlone(traits)) {
    return absl::StrCat(
        "0: a gradient is applied by the worker that computed it. What the others "
        "have learned since the last exchange, up to ",
        Steps(traits.exchange_every), ", it does not know.");
  }
  return traits.backup_workers > 0
             ? "0: a late gradient is dropped and counted, never applied."
             : "0: every gradient is applied to the weights that it was computed from.";
}

std::string Memory(const SchemeTraits& traits, const ParamLayout& layout,
                   int64_t optimizer_arrays) {
  const std::string beside =
      absl::StrCat(" beside weights and the gradients of ",
                   GradientArenas(traits) == 1 ? "one step." : Steps(GradientArenas(traits)) + ".");
  std::string text = absl::StrCat(
      "For the exchange a worker keeps ",
      traits.exchange_arenas == 0 ? "nothing" : Arrays(traits.exchange_arenas, layout), beside);
  if (traits.servers > 0) {
    absl::StrAppend(
        &text, " The ", traits.servers == 1 ? "server keeps " : "servers together keep ",
        traits.server_arenas == 0 ? std::string("no copies for the workers.")
                                  : absl::StrCat(Arrays(traits.server_arenas, layout),
                                                 " of copies beside weights and what arrives."));
  }
  const bool at_servers = traits.weights == WeightHolder::kServers && traits.updated != nullptr;
  absl::StrAppend(
      &text,
      optimizer_arrays == 0
          ? std::string(" This optimizer keeps no state; another's would lie ")
          : absl::StrCat(" The optimizer's state, ", Arrays(optimizer_arrays, layout), ", lies "),
      at_servers && traits.servers == 1 ? "at the server, once."
      : at_servers                      ? "at the servers, once in all."
      : traits.updated != nullptr ? absl::StrCat("at the workers, 1/", traits.workers, " at each.")
                                  : std::string("at every worker, whole."));
  return text;
}

std::string Momentum(const SchemeTraits& traits) {
  if (UpdatesAlone(traits)) {
    return "Momentum and moments are the worker's own: they follow its gradients alone, and no "
           "exchange touches them.";
  }
  if (traits.updates == Updates::kOnArrival) {
    return "Refused unless optimizer.allow_momentum_on_arrival says so: N updates with momentum "
           "are not one update of the mean.";
  }
  return "Momentum and moments follow the averaged gradient, as with one worker.";
}

// Of which gradient optimizer.clip_norm would measure the norm.
std::string Clip(const SchemeTraits& traits) {
  const bool is_shared = traits.updated != nullptr && traits.servers == 0;
  if (traits.updates == Updates::kOnArrival || traits.servers > 1 || is_shared) {
    return "optimizer.clip_norm is refused: nobody sees the whole gradient, averaged over all "
           "workers, before an update is made.";
  }
  if (traits.divisor == Divisor::kOwnBatches) {
    return "optimizer.clip_norm measures the norm of each worker's own gradient, since each "
           "updates its weights by that alone.";
  }
  return absl::StrCat(
      "optimizer.clip_norm measures the norm of the decoded average: what ",
      traits.servers > 0 ? "the server" : "every worker",
      " has once all gradients are decoded, added and divided, never one worker's own.");
}

std::string Rate(const SchemeTraits& traits) {
  return traits.divisor == Divisor::kOwnBatches
             ? "A worker's gradient is the mean of its own batches. So the learning rate is that "
               "of "
               "one worker."
             : "A worker's gradient is 1/N of the mean of its batches. So the learning rate is "
               "that of the global batch.";
}

std::string Batches(const SchemeTraits& traits) {
  return traits.work == Work::kClaimed
             ? "A worker claims its next batch when it is free: faster ones compute more of them."
             : "Every worker has its fixed share of the global batch, so all make equal steps.";
}

// What may follow when a worker is lost.
std::string AfterALoss(const SchemeTraits& traits) {
  if (traits.may_continue) {
    return absl::StrCat(
        "A worker that is lost ends the run, or the others go on where they are, or all processes "
        "are started again from the newest checkpoint.",
        traits.gossip.has_value() ? " Who hears that a neighbour is lost then counts itself once "
                                    "more in its place."
        : traits.local_steps > 0  ? " What it has been dealt and has not pushed is lost with it."
                                  : "");
  }
  return absl::StrCat(
      "A worker that is lost ends the run, or ",
      traits.may_reform ? "the others form a group anew and make the step again, or " : "",
      "all processes are started again from the newest checkpoint.");
}

}  // namespace

int64_t StalenessMax(int64_t bound, int32_t workers) { return (workers - 1) * (2 * bound + 1); }

std::vector<Fact> SchemeFacts(const SchemeTraits& traits, const ParamLayout& layout,
                              int64_t optimizer_arrays) {
  RM_CHECK(traits.exchanges && traits.engine.empty() && traits.workers >= 2);
  return {
      {"exchanged", Exchange(traits)},
      {"waits", Waits(traits)},
      {"weights", Weights(traits, layout)},
      {"model", Model(traits)},
      {"staleness", Staleness(traits)},
      {"memory", Memory(traits, layout, optimizer_arrays)},
      {"rate", Rate(traits)},
      {"momentum", Momentum(traits)},
      {"clipping", Clip(traits)},
      {"batches", Batches(traits)},
      {"a loss", AfterALoss(traits)},
  };
}

}  // namespace ringmaster
