#include "experiments/proof/explain/explain_collective.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/collective/plan.h"
#include "experiments/proof/explain/ranks_text.h"

namespace ringmaster {
namespace {

using Contributions = std::set<int32_t>;
using State = std::vector<std::vector<Contributions>>;  // [workers][chunks]

std::vector<std::vector<Holding>> HoldingsOf(const State& state) {
  std::vector<std::vector<Holding>> holdings;
  for (size_t rank = 0; rank < state.size(); ++rank) {
    std::vector<Holding>& row = holdings.emplace_back();
    for (const Contributions& sum : state[rank]) {
      const Holding::Kind kind = sum.size() == state.size() ? Holding::Kind::kWhole
                                 : sum.size() > 1           ? Holding::Kind::kPartial
                                                            : Holding::Kind::kOwn;
      row.push_back({kind, SumText({sum.begin(), sum.end()})});
    }
  }
  return holdings;
}

std::string ChunksText(const Step& step, size_t chunks) {
  if (step.chunk_count == static_cast<int32_t>(chunks)) return "everything";
  if (step.chunk_count == 1) return absl::StrCat("chunk ", step.chunk_begin);
  return absl::StrCat("chunks ", step.chunk_begin, "-", step.chunk_begin + step.chunk_count - 1);
}

// All workers' steps, by the rounds in which anything is sent: rounds[r][rank].
std::vector<std::vector<std::vector<Step>>> RoundsOf(const Schedule& schedule, int32_t workers) {
  std::vector<std::vector<std::vector<Step>>> rounds;
  for (int32_t rank = 0; rank < workers; ++rank) {
    for (const Step& step : schedule.StepsOf(rank, workers)) {
      if (static_cast<int32_t>(rounds.size()) <= step.round) rounds.resize(step.round + 1);
      for (auto& round : rounds) round.resize(workers);
      rounds[step.round][rank].push_back(step);
    }
  }
  // A schedule may number rounds that only other counts of workers need.
  const auto is_empty = [](const std::vector<std::vector<Step>>& round) {
    return std::all_of(round.begin(), round.end(),
                       [](const std::vector<Step>& steps) { return steps.empty(); });
  };
  rounds.erase(std::remove_if(rounds.begin(), rounds.end(), is_empty), rounds.end());
  return rounds;
}

bool Matches(const Step& receive, const std::vector<Step>& peers_steps, int32_t rank) {
  return std::any_of(peers_steps.begin(), peers_steps.end(), [&](const Step& step) {
    return step.op == Step::Op::kSend && step.peer == rank &&
           step.chunk_begin == receive.chunk_begin && step.chunk_count == receive.chunk_count;
  });
}

// One round: messages into `scene`, sums into `state`.
absl::Status PlayRound(const std::vector<std::vector<Step>>& round, State* state, Scene* scene) {
  const State before = *state;
  const auto workers = static_cast<int32_t>(before.size());
  const size_t chunks = before.front().size();
  int64_t sent = 0, added = 0, stored = 0;
  for (int32_t rank = 0; rank < workers; ++rank) {
    for (const Step& step : round[rank]) {
      if (step.op == Step::Op::kSend) {
        ++sent;
        continue;
      }
      if (!Matches(step, round[step.peer], rank)) {
        return absl::InternalError(
            absl::StrCat("worker/", rank, " awaits ", ChunksText(step, chunks), " of worker/",
                         step.peer, " in round ", step.round, ", which does not send it"));
      }
      const bool adds = step.op == Step::Op::kReceiveAdd;
      ++(adds ? added : stored);
      scene->messages.push_back(
          {step.peer, rank, absl::StrCat(ChunksText(step, chunks), adds ? ", added" : "")});
      for (int32_t chunk = step.chunk_begin; chunk < step.chunk_begin + step.chunk_count; ++chunk) {
        const Contributions& arriving = before[step.peer][chunk];
        Contributions& own = (*state)[rank][chunk];
        if (!adds) own.clear();
        for (const int32_t contribution : arriving) {
          if (own.insert(contribution).second) continue;
          return absl::InternalError(absl::StrCat("round ", step.round, ": worker/", contribution,
                                                  "'s gradient is added twice in chunk ", chunk,
                                                  " of worker/", rank));
        }
      }
    }
  }
  if (sent != added + stored) {
    return absl::InternalError(
        absl::StrCat(scene->title, ": ", sent, " messages sent, ", added + stored, " received"));
  }
  const char* what = stored == 0  ? "what arrives is added to the own"
                     : added == 0 ? "finished sums are passed on"
                                  : "some add what arrives, others take it over";
  absl::StrAppend(&scene->title, ": ", what);
  return absl::OkStatus();
}

// What every worker sends, as multiples of the gradient: equal ones together.
std::vector<std::string> CostOf(const Schedule& schedule, int32_t workers, size_t rounds) {
  // elements; so large that rounding to whole elements does not show
  constexpr int64_t kChunk = 1 << 20;
  std::vector<std::pair<int64_t, std::vector<int32_t>>> sent;  // bytes, who
  int64_t total = 0;
  for (int32_t rank = 0; rank < workers; ++rank) {
    const int64_t bytes = SentBytes(schedule, rank, workers, workers * kChunk, 1);
    total += bytes;
    auto same = std::find_if(sent.begin(), sent.end(),
                             [&](const auto& entry) { return entry.first == bytes; });
    if (same == sent.end()) same = sent.insert(sent.end(), {bytes, {}});
    same->second.push_back(rank);
  }
  const double gradient = static_cast<double>(workers) * kChunk;
  std::vector<std::string> lines;
  for (const auto& [bytes, ranks] : sent) {
    const bool all = static_cast<int32_t>(ranks.size()) == workers;
    lines.push_back(absl::StrFormat(
        "%s %s %.4g times the gradient in %d rounds.",
        all ? std::string("Every worker")
            : absl::StrCat(ranks.size() == 1 ? "worker " : "workers ", RanksText(ranks)),
        all || ranks.size() == 1 ? "sends" : "send each", bytes / gradient, rounds));
  }
  lines.push_back(absl::StrFormat(
      "All together send %.4g times the gradient; no scheme that sums needs less than 2(N-1) = %d.",
      total / gradient, 2 * (workers - 1)));
  return lines;
}

// One exchange between neighbours: messages into `scene`, who is in whom into `state`.
absl::Status PlayGossip(const Schedule& schedule, int32_t workers, State* state, Scene* scene) {
  const State before = *state;
  for (int32_t rank = 0; rank < workers; ++rank) {
    for (const Step& step : schedule.StepsOf(rank, workers)) {
      if (step.op == Step::Op::kSend) continue;
      if (!Matches(step, schedule.StepsOf(step.peer, workers), rank)) {
        return absl::InternalError(absl::StrCat("worker/", rank, " awaits the weights of worker/",
                                                step.peer, ", which does not send them"));
      }
      scene->messages.push_back({step.peer, rank, "its weights"});
      const Contributions& arriving = before[step.peer][0];
      (*state)[rank][0].insert(arriving.begin(), arriving.end());
    }
  }
  return absl::OkStatus();
}

// What worker 0's weights are made of after `exchanges`: each worker's share.
std::vector<double> SharesAfter(GossipGraph graph, int32_t workers, int32_t exchanges) {
  std::vector<double> shares(workers);
  shares[0] = 1;
  for (int32_t exchange = exchanges - 1; exchange >= 0; --exchange) {
    const std::vector<double> matrix =
        MixingMatrix(graph, workers, exchange % GossipRounds(graph, workers));
    std::vector<double> earlier(workers);
    for (int32_t i = 0; i < workers; ++i) {
      for (int32_t j = 0; j < workers; ++j) earlier[j] += shares[i] * matrix[i * workers + j];
    }
    shares = earlier;
  }
  return shares;
}

}  // namespace

absl::StatusOr<Story> ExplainCollective(const Schedule& schedule, int32_t workers) {
  RM_CHECK(workers >= 2);
  const int32_t chunks = schedule.chunks(workers);
  Story story;
  story.title = absl::StrCat(schedule.name(), " all-reduce, ", workers, " workers");
  story.summary =
      absl::StrCat("Every worker starts with its own gradient and ends with the sum of all ",
                   workers, ". The gradient is cut into ", chunks, " chunks.");
  story.legend = "0+2: the sum of worker 0's and worker 2's gradients of that chunk.";
  story.workers = workers;
  State state(workers, std::vector<Contributions>(chunks));
  for (int32_t chunk = 0; chunk < chunks; ++chunk)
    story.columns.push_back(absl::StrCat("chunk ", chunk));
  for (int32_t rank = 0; rank < workers; ++rank) {
    story.actors.push_back(absl::StrCat("worker/", rank));
    for (Contributions& own : state[rank]) own.insert(rank);
  }
  story.scenes.push_back({"At first everybody has its own gradient", {}, {}, HoldingsOf(state)});
  const auto rounds = RoundsOf(schedule, workers);
  for (size_t round = 0; round < rounds.size(); ++round) {
    Scene scene;
    scene.title = absl::StrCat("Round ", round + 1, " of ", rounds.size());
    RM_RETURN_IF_ERROR(PlayRound(rounds[round], &state, &scene));
    scene.holdings = HoldingsOf(state);
    story.scenes.push_back(std::move(scene));
  }
  for (int32_t rank = 0; rank < workers; ++rank) {
    for (int32_t chunk = 0; chunk < chunks; ++chunk) {
      if (static_cast<int32_t>(state[rank][chunk].size()) == workers) continue;
      return absl::InternalError(absl::StrCat(schedule.name(), " leaves worker/", rank,
                                              " without the whole sum of chunk ", chunk));
    }
  }
  story.moral = CostOf(schedule, workers, rounds.size());
  return story;
}

absl::StatusOr<Story> ExplainGossip(GossipGraph graph, int32_t workers) {
  RM_CHECK(workers >= 2);
  Story story;
  story.title = absl::StrCat("gossip ", graph == GossipGraph::kRing ? "on a ring" : "with one peer",
                             ", ", workers, " workers");
  story.summary =
      "Every worker averages its weights with those that come, all counting the same, and nobody "
      "ever has the average of all.";
  story.legend = "0+2: weights into which worker 0's and worker 2's have gone.";
  story.workers = workers;
  story.columns = {"weights"};
  State state(workers, std::vector<Contributions>(1));
  for (int32_t rank = 0; rank < workers; ++rank) {
    story.actors.push_back(absl::StrCat("worker/", rank));
    state[rank][0].insert(rank);
  }
  story.scenes.push_back({"At first everybody has its own weights", {}, {}, HoldingsOf(state)});
  const int32_t rounds = GossipRounds(graph, workers);
  const auto is_whole = [workers](const std::vector<Contributions>& row) {
    return static_cast<int32_t>(row[0].size()) == workers;
  };
  int32_t exchange = 0;
  for (; !std::all_of(state.begin(), state.end(), is_whole); ++exchange) {
    Scene scene;
    scene.title = absl::StrCat("Exchange ", exchange + 1, ": the average of what is here");
    RM_RETURN_IF_ERROR(
        PlayGossip(*CreateGossipSchedule(graph, exchange % rounds), workers, &state, &scene));
    scene.holdings = HoldingsOf(state);
    story.scenes.push_back(std::move(scene));
  }
  const std::vector<double> shares = SharesAfter(graph, workers, exchange);
  const auto [least, most] = std::minmax_element(shares.begin(), shares.end());
  const int64_t neighbours = static_cast<int64_t>(GossipSources(graph, workers, 0, 0).size()) - 1;
  story.moral = {
      absl::StrFormat("Every worker sends %d times the weights in an exchange; an all-reduce of "
                      "them sends %.4g times.",
                      neighbours, 2.0 * (workers - 1) / workers),
      *most - *least < 1e-12
          ? absl::StrFormat("After %d exchanges all have the average of all.", exchange)
          : absl::StrFormat("After %d exchanges everybody's weights are in everybody's, but not "
                            "alike: in worker 0's they count from %.3g to %.3g; alike is %.3g.",
                            exchange, *least, *most, 1.0 / workers)};
  return story;
}

absl::StatusOr<Story> ExplainGather(int32_t workers) {
  RM_CHECK(workers >= 2);
  std::vector<Plan> plans;
  for (int32_t rank = 0; rank < workers; ++rank) plans.push_back(MakeGatherPlan(rank, workers));
  Story story;
  story.title = absl::StrCat("all-gather of encoded gradients, ", workers, " workers");
  story.summary = absl::StrCat(
      "Every worker encodes its own gradient. Encodings cannot be added on the wire, so everybody "
      "gets all ",
      workers, ", decodes them in rank order, its own too, and adds.");
  story.legend = "e2: worker 2's encoded gradient. 0+2: the sum of decoded gradients.";
  story.workers = workers;
  std::vector<std::vector<Holding>> holdings(workers, std::vector<Holding>(workers));
  std::vector<int32_t> everybody;
  for (int32_t rank = 0; rank < workers; ++rank) {
    everybody.push_back(rank);
    story.actors.push_back(absl::StrCat("worker/", rank));
    story.columns.push_back(absl::StrCat("of worker/", rank));
    holdings[rank][rank] = {Holding::Kind::kOwn, absl::StrCat("e", rank)};
  }
  story.scenes.push_back({"Everybody has encoded its own gradient", {}, {}, holdings});
  Scene gather{"Everybody sends its encoding to everybody", {}, {}, {}};
  for (int32_t rank = 0; rank < workers; ++rank) {
    for (const PlanOp& op : plans[rank].ops) {
      if (!IsSend(op)) continue;
      const auto& theirs = plans[op.peer].ops;
      const bool is_awaited = std::any_of(theirs.begin(), theirs.end(), [&](const PlanOp& other) {
        return other.kind == PlanOp::Kind::kGatherReceive && other.peer == rank;
      });
      if (!is_awaited)
        return absl::InternalError(
            absl::StrCat("worker/", op.peer, " does not await what worker/", rank, " sends it"));
      gather.messages.push_back({rank, op.peer, "its encoding, whole"});
      holdings[op.peer][rank] = {Holding::Kind::kPartial, absl::StrCat("e", rank)};
    }
  }
  const size_t messages = gather.messages.size();
  gather.holdings = holdings;
  story.scenes.push_back(std::move(gather));
  for (auto& row : holdings) {
    row.assign(workers, Holding());
    row[0] = {Holding::Kind::kWhole, SumText(everybody)};
  }
  story.scenes.push_back({"Everybody decodes all of them and adds", {}, {}, holdings});
  story.moral = {absl::StrCat("Every worker sends its encoding ", messages / workers,
                              " times, in one round.")};
  return story;
}

}  // namespace ringmaster
