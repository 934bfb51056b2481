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

// A place of the table: whose contributions are summed in it, and whether the weights that were
// updated by the whole sum have taken its place.
struct Place {
  std::set<int32_t> ranks;
  bool is_updated = false;
};
using State = std::vector<std::vector<Place>>;  // [workers][chunks]

std::vector<std::vector<Holding>> HoldingsOf(const State& state) {
  std::vector<std::vector<Holding>> holdings;
  for (const std::vector<Place>& places : state) {
    std::vector<Holding>& row = holdings.emplace_back();
    for (const Place& place : places) {
      const Holding::Kind kind = place.ranks.size() == state.size() ? Holding::Kind::kWhole
                                 : place.ranks.size() > 1           ? Holding::Kind::kPartial
                                                                    : Holding::Kind::kOwn;
      row.push_back({kind, place.is_updated ? std::string("v1")
                                            : SumText({place.ranks.begin(), place.ranks.end()})});
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
  bool stores_updated = false;
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
        const Place& arriving = before[step.peer][chunk];
        Place& own = (*state)[rank][chunk];
        if (!adds) own = Place();
        own.is_updated = arriving.is_updated;
        stores_updated = stores_updated || arriving.is_updated;
        for (const int32_t contribution : arriving.ranks) {
          if (own.ranks.insert(contribution).second) continue;
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
  const char* what = stored == 0      ? "what arrives is added to the own"
                     : stores_updated ? "updated weights are passed on"
                     : added == 0     ? "finished sums are passed on"
                                      : "some add what arrives, others take it over";
  absl::StrAppend(&scene->title, ": ", what);
  return absl::OkStatus();
}

// What every worker sends when `schedules` follow each other, as multiples of what is summed: equal
// ones together.
std::vector<std::string> CostOf(absl::Span<const Schedule* const> schedules, int32_t workers,
                                size_t rounds, const std::string& what) {
  // elements; so large that rounding to whole elements does not show
  constexpr int64_t kChunk = 1 << 20;
  std::vector<std::pair<int64_t, std::vector<int32_t>>> sent;  // bytes, who
  int64_t total = 0;
  for (int32_t rank = 0; rank < workers; ++rank) {
    int64_t bytes = 0;
    for (const Schedule* schedule : schedules)
      bytes += SentBytes(*schedule, rank, workers, workers * kChunk, 1);
    total += bytes;
    auto same = std::find_if(sent.begin(), sent.end(),
                             [&](const auto& entry) { return entry.first == bytes; });
    if (same == sent.end()) same = sent.insert(sent.end(), {bytes, {}});
    same->second.push_back(rank);
  }
  const double whole = static_cast<double>(workers) * kChunk;
  std::vector<std::string> lines;
  for (const auto& [bytes, ranks] : sent) {
    const bool all = static_cast<int32_t>(ranks.size()) == workers;
    lines.push_back(absl::StrFormat(
        "%s %s %.4g times the %s in %d rounds.",
        all ? std::string("Every worker")
            : absl::StrCat(ranks.size() == 1 ? "worker " : "workers ", RanksText(ranks)),
        all || ranks.size() == 1 ? "sends" : "send each", bytes / whole, what, rounds));
  }
  lines.push_back(absl::StrFormat(
      "All together send %.4g times the %s; no scheme that sums needs less than 2(N-1) = %d.",
      total / whole, what, 2 * (workers - 1)));
  return lines;
}

// Everybody's own, of `chunks` chunks.
State OwnOfAll(int32_t workers, int32_t chunks) {
  State state(workers, std::vector<Place>(chunks));
  for (int32_t rank = 0; rank < workers; ++rank) {
    for (Place& own : state[rank]) own.ranks.insert(rank);
  }
  return state;
}

// Actors, columns and the first scene.
Story Begun(const State& state, const std::string& what) {
  Story story;
  story.workers = static_cast<int32_t>(state.size());
  for (size_t chunk = 0; chunk < state.front().size(); ++chunk)
    story.columns.push_back(absl::StrCat("chunk ", chunk));
  for (size_t rank = 0; rank < state.size(); ++rank)
    story.actors.push_back(absl::StrCat("worker/", rank));
  story.scenes.push_back(
      {absl::StrCat("At first everybody has its own ", what), {}, {}, HoldingsOf(state)});
  return story;
}

// The rounds of a schedule, a scene each. `before`: rounds that went before, of `all` in all.
absl::Status AddRounds(const std::vector<std::vector<std::vector<Step>>>& rounds, size_t before,
                       size_t all, State* state, Story* story) {
  for (size_t round = 0; round < rounds.size(); ++round) {
    Scene scene;
    scene.title = absl::StrCat("Round ", before + round + 1, " of ", all);
    RM_RETURN_IF_ERROR(PlayRound(rounds[round], state, &scene));
    scene.holdings = HoldingsOf(*state);
    story->scenes.push_back(std::move(scene));
  }
  return absl::OkStatus();
}

// Everybody has the sum of all in every place, or has what was made of it.
absl::Status CheckWhole(const State& state, absl::string_view name) {
  for (size_t rank = 0; rank < state.size(); ++rank) {
    for (size_t chunk = 0; chunk < state[rank].size(); ++chunk) {
      if (state[rank][chunk].ranks.size() == state.size()) continue;
      return absl::InternalError(
          absl::StrCat(name, " leaves worker/", rank, " without the whole sum of chunk ", chunk));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Story> ExplainCollective(const Schedule& schedule, int32_t workers,
                                        const std::string& what) {
  RM_CHECK(workers >= 2);
  State state = OwnOfAll(workers, schedule.chunks(workers));
  Story story = Begun(state, what);
  story.title = absl::StrCat(schedule.name(), " all-reduce, ", workers, " workers");
  story.summary =
      absl::StrCat("Every worker starts with its own ", what, " and ends with the sum of all ",
                   workers, ", cut into ", state.front().size(), " chunks.");
  story.legend =
      absl::StrCat("0+2: the sum of worker 0's and worker 2's ", what, " in that chunk.");
  const auto rounds = RoundsOf(schedule, workers);
  RM_RETURN_IF_ERROR(AddRounds(rounds, 0, rounds.size(), &state, &story));
  RM_RETURN_IF_ERROR(CheckWhole(state, schedule.name()));
  const Schedule* const schedules[] = {&schedule};
  story.moral = CostOf(schedules, workers, rounds.size(), what);
  return story;
}

absl::StatusOr<Story> ExplainHalves(const Halves& halves, int32_t workers) {
  RM_CHECK(workers >= 2);
  State state = OwnOfAll(workers, halves.first.chunks(workers));
  Story story = Begun(state, "gradient");
  story.title = absl::StrCat(halves.first.name(), ", update, ", halves.second.name(), ", ", workers,
                             " workers");
  story.summary = absl::StrCat(
      "Every worker starts with its own gradient, cut into ", state.front().size(),
      " chunks. It gets the sum of one chunk, updates the weights of that chunk by it, and hands "
      "them on.");
  story.legend =
      "0+2: the sum of worker 0's and worker 2's gradients of that chunk. v1: updated weights of "
      "that chunk.";
  const auto first = RoundsOf(halves.first, workers), second = RoundsOf(halves.second, workers);
  const size_t rounds = first.size() + second.size();
  RM_RETURN_IF_ERROR(AddRounds(first, 0, rounds, &state, &story));
  for (int32_t rank = 0; rank < workers; ++rank) {
    for (const int32_t chunk : halves.updated(rank)) {
      Place& place = state[rank][chunk];
      if (static_cast<int32_t>(place.ranks.size()) < workers) {
        return absl::InternalError(absl::StrCat("worker/", rank, " updates chunk ", chunk,
                                                ", of which it has no whole sum"));
      }
      place.is_updated = true;
    }
  }
  story.scenes.push_back({"Everybody updates the weights of the chunk whose sum it has",
                          {},
                          {"The optimizer's state of the other chunks is elsewhere."},
                          HoldingsOf(state)});
  RM_RETURN_IF_ERROR(AddRounds(second, first.size(), rounds, &state, &story));
  RM_RETURN_IF_ERROR(CheckWhole(state, halves.second.name()));
  for (const auto& places : state) {
    if (std::all_of(places.begin(), places.end(), [](const Place& p) { return p.is_updated; }))
      continue;
    return absl::InternalError("a worker ends with weights that nobody has updated");
  }
  const Schedule* const schedules[] = {&halves.first, &halves.second};
  story.moral = CostOf(schedules, workers, rounds, "gradient");
  story.moral.front() += " Half of that is weights.";
  return story;
}

absl::StatusOr<Story> ExplainGather(int32_t workers, bool votes) {
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
  if (votes) {
    story.scenes.back().remarks.push_back(
        "Each element of the sum is then replaced by its sign: -1, 0 or 1, a majority vote.");
  }
  story.moral = {absl::StrCat("Every worker sends its encoding ", messages / workers,
                              " times, in one round.")};
  return story;
}

}  // namespace ringmaster
