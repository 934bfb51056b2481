#include "experiments/proof/explain/explain_arm.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/collective/choice.h"
#include "common/collective/halves.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "common/update/update_rule.h"
#include "experiments/proof/explain/codec_facts.h"
#include "experiments/proof/explain/explain_collective.h"
#include "experiments/proof/explain/explain_gossip.h"
#include "experiments/proof/explain/explain_server.h"
#include "experiments/proof/explain/ranks_text.h"
#include "experiments/proof/explain/scheme_facts.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// A scene in which nothing is sent: everybody has `text`.
Scene Everybody(const Story& story, std::string title, const std::string& text,
                Holding::Kind kind) {
  Scene scene;
  scene.title = std::move(title);
  scene.holdings.assign(story.actors.size(),
                        std::vector<Holding>(story.columns.size(), Holding{kind, text}));
  return scene;
}

// Groups of neighbours in words: "{0, 1}, {2, 3}".
std::string GroupsText(int32_t workers, int32_t size) {
  std::string text;
  for (int32_t first = 0; first < workers; first += size) {
    std::vector<int32_t> ranks;
    for (int32_t rank = first; rank < first + size; ++rank) ranks.push_back(rank);
    absl::StrAppend(&text, text.empty() ? "{" : ", {", RanksText(ranks), "}");
  }
  return text;
}

// What comes before and after the rounds in which weights or late gradients are summed.
void FrameSums(const SchemeTraits& traits, Story* story) {
  const int64_t every = traits.exchange_every;
  Scene& first = story->scenes.front();
  if (traits.exchanged == Exchanged::kWeightsAfter) {
    first.title = absl::StrCat("Everybody has made ", every, every == 1 ? " step" : " steps",
                               " alone, from the same weights v0");
    first.remarks.push_back(
        "Each has updated its own weights by its own gradients, and nothing was sent. Now all "
        "exchange, and wait.");
    story->scenes.push_back(Everybody(*story,
                                      "Everybody makes the next weights of the average, alike",
                                      "v1", Holding::Kind::kWhole));
  } else if (traits.exchanged == Exchanged::kWeightsAhead) {
    first.title = absl::StrCat("Step ", every, " begins: everybody sends its own weights");
    first.remarks.push_back(
        every == 1 ? "Meanwhile everybody computes its gradients."
                   : "They differ, since each has trained alone. Meanwhile everybody computes the "
                     "step's gradients.");
    story->scenes.push_back(Everybody(
        *story, absl::StrCat("Step ", every, " ends: workers and center move towards each other"),
        "moved", Holding::Kind::kOwn));
    story->scenes.back().remarks.push_back(
        "The center is the same everywhere. The workers' weights still differ.");
  } else if (traits.delay > 0) {
    first.title = "Step 1 ends: its gradients, of weights v0, are on their way";
    first.remarks.push_back(
        "Nobody waits for them. Step 2 begins from v0 too, and is computed during these rounds.");
    story->scenes.push_back(Everybody(
        *story, absl::StrCat("Step ", 1 + traits.delay, " ends: the sum of step 1 is applied"),
        "v1", Holding::Kind::kWhole));
    story->scenes.back().remarks.push_back(
        absl::StrCat("The gradients of step ", 1 + traits.delay, " are of v0, and will meet v1."));
  } else {
    story->scenes.push_back(
        Everybody(*story, "Everybody updates its weights by the sum", "v1", Holding::Kind::kWhole));
  }
}

// The second and later sums of a codec that needs several.
void AddLaterSums(const RunSpec& spec, const ParamLayout& layout, Story* story) {
  const ReducerDefinition* const reducer = FindReducer(spec.codec().name());
  if (reducer == nullptr) return;
  const Bucket* most = nullptr;
  for (const Bucket& bucket : layout.buckets()) {
    if (most == nullptr || bucket.count > most->count) most = &bucket;
  }
  const std::vector<int64_t> sums =
      reducer->round_elements(spec.codec(), layout, *most, spec.codec().warmup_steps());
  story->scenes.front().remarks.push_back(absl::StrCat(
      "Not the gradient is summed but what ", spec.codec().name(),
      " makes of it: of the largest bucket, ", most->count, " floats, first ", sums.front(), "."));
  for (size_t sum = 1; sum < sums.size(); ++sum) {
    Scene again = Everybody(*story,
                            absl::StrCat("Sum ", sum + 1, " of ", sums.size(),
                                         ": the same rounds once more, of ", sums[sum], " floats"),
                            "", Holding::Kind::kWhole);
    again.holdings = story->scenes.back().holdings;  // sums again
    again.remarks.push_back(
        "Everybody has worked out alike, from the sum before, what is summed now.");
    story->scenes.push_back(std::move(again));
  }
  story->moral.push_back(
      absl::StrCat("Each of a bucket's ", sums.size(), " sums takes these rounds."));
}

absl::StatusOr<Story> TellHalves(const SchemeTraits& traits) {
  const int32_t workers = traits.workers;
  const auto first = CreateRingReduceScatter(), second = CreateRingAllGather();
  Param param;
  param.shape = {workers};  // an element a chunk
  const ParamLayout chunks({param}, workers);
  const auto updated = [&](int32_t rank) {
    std::vector<int32_t> own;
    for (const Range& range : traits.updated(chunks, workers, rank)) {
      for (int64_t chunk = range.begin; chunk < range.end(); ++chunk)
        own.push_back(static_cast<int32_t>(chunk));
    }
    return own;
  };
  return ExplainHalves({*first, *second, updated}, workers);
}

// Stories are of places in the order of ranks; says who stands at them, unless that is in order.
void AddOrder(const RunSpec& spec, const SchemeTraits& traits, Story* story) {
  const std::vector<int32_t> ranks = RanksByPlace(spec.strategy().group_order(), traits.workers);
  if (std::is_sorted(ranks.begin(), ranks.end())) return;
  absl::StrAppend(&story->summary, " Workers stand in the order ", absl::StrJoin(ranks, ","),
                  " (strategy.group_order): what is told of rank r is of the worker at place r, "
                  "from 0.");
}

absl::StatusOr<Story> TellSums(const RunSpec& spec, const SchemeTraits& traits,
                               const ParamLayout& layout) {
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  RM_CHECK(codec.has_value());
  Story story;
  if (traits.updated != nullptr) {
    RM_ASSIGN_OR_RETURN(story, TellHalves(traits));
    AddOrder(spec, traits, &story);
    return story;
  }
  if (!codec->summable_as.has_value() && !codec->in_rounds) {
    RM_ASSIGN_OR_RETURN(story, ExplainGather(traits.workers, codec->majority_vote));
  } else {
    // Of "auto" the one for large buckets.
    RM_ASSIGN_OR_RETURN(const auto schedule,
                        CreateSchedule(traits.collective, {spec.transport().name(), traits.workers,
                                                           int64_t{64} << 20, traits.group_size}));
    const char* const what = traits.exchanged != Exchanged::kGradients ? "weights"
                             : codec->exact                            ? "gradient"
                                                                       : "compressed gradient";
    RM_ASSIGN_OR_RETURN(story, ExplainCollective(*schedule, traits.workers, what));
    if (traits.group_size > 0) {
      absl::StrAppend(&story.summary, " Ranks form groups of ", traits.group_size, ": ",
                      GroupsText(traits.workers, traits.group_size),
                      ". Rings inside the groups sum first, then rings across them.");
    }
    AddLaterSums(spec, layout, &story);
  }
  FrameSums(traits, &story);
  AddOrder(spec, traits, &story);
  return story;
}

absl::StatusOr<Story> TellServers(const RunSpec& spec, const SchemeTraits& traits) {
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  ServerScheme scheme;
  scheme.workers = traits.workers;
  scheme.servers = traits.servers;
  scheme.colocated = traits.servers_beside_workers;
  scheme.together = traits.updates == Updates::kTogether;
  scheme.staleness_bound = traits.staleness_bound;
  scheme.backup_workers = traits.backup_workers;
  scheme.local_steps = traits.local_steps;
  scheme.attraction = traits.attraction;
  scheme.compensates_delay = traits.compensates_delay;
  scheme.votes = codec.has_value() && codec->majority_vote;
  scheme.encodes = codec.has_value() && !codec->exact;
  return ExplainServer(scheme);
}

// Of a node in the steps from `begin` to `end`.
absl::StatusOr<RunTraffic> TrafficBetween(const RunSpec& spec, const ParamLayout& layout,
                                          NodeId node, const Range& steps) {
  RM_ASSIGN_OR_RETURN(RunTraffic traffic, RunTrafficOf(spec, layout, node, steps.end()));
  if (steps.begin == 0) return traffic;
  RM_ASSIGN_OR_RETURN(const RunTraffic before, RunTrafficOf(spec, layout, node, steps.begin));
  traffic.sent -= before.sent;
  traffic.received -= before.received;
  return traffic;
}

// "Every worker sends 5 bytes and receives 6 bytes. ", equal nodes together.
absl::StatusOr<std::string> NodesText(const RunSpec& spec, const ParamLayout& layout, Role role,
                                      int32_t count, const Range& steps) {
  std::vector<std::pair<RunTraffic, std::vector<int32_t>>> alike;
  for (int32_t index = 0; index < count; ++index) {
    RM_ASSIGN_OR_RETURN(const RunTraffic traffic,
                        TrafficBetween(spec, layout, {role, index}, steps));
    auto same = std::find_if(alike.begin(), alike.end(), [&](const auto& entry) {
      return entry.first.sent == traffic.sent && entry.first.received == traffic.received;
    });
    if (same == alike.end()) same = alike.insert(same, {traffic, {}});
    same->second.push_back(index);
  }
  const char* const name = role == Role::kWorker ? "worker" : "server";
  const double weights = static_cast<double>(layout.count() * sizeof(float) * steps.count);
  std::string text;
  for (const auto& [traffic, nodes] : alike) {
    const bool one = nodes.size() == 1;
    const std::string who = static_cast<int32_t>(nodes.size()) == count && !one
                                ? absl::StrCat("every ", name)
                            : one ? absl::StrCat(name, "/", nodes.front())
                                  : absl::StrCat(name, "s ", RanksText(nodes), " each");
    const bool verb_s = one || static_cast<int32_t>(nodes.size()) == count;
    absl::StrAppend(&text, text.empty() ? "" : "; ", who, verb_s ? " sends " : " send ",
                    traffic.sent, " bytes and ", verb_s ? "receives " : "receive ",
                    traffic.received,
                    absl::StrFormat(" (%.4g and %.4g times the weights a step)",
                                    traffic.sent / weights, traffic.received / weights));
  }
  return text;
}

// Of the whole model, once warm-ups are over, in as many steps as it takes until all begins again.
absl::StatusOr<Fact> BytesFact(const RunSpec& spec, const SchemeTraits& traits,
                               const ParamLayout& layout) {
  const int64_t period = std::max<int64_t>(1, std::max(traits.exchange_every, traits.local_steps));
  RM_ASSIGN_OR_RETURN(int64_t settled, SettledStep(spec.codec()));
  if (const CodecSpec* const down = DownCodecOf(spec); down != nullptr) {
    RM_ASSIGN_OR_RETURN(const int64_t settled_down, SettledStep(*down));
    settled = std::max(settled, settled_down);
  }
  // Steps at the start go by other rules, and a period begins after them.
  const int64_t begin = traits.synchronous_steps > 0 ? std::max(settled, traits.synchronous_steps)
                                                     : CeilDiv(settled, period) * period;
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  std::string text = absl::StrCat(
      spec.model().name(), " has ", layout.count(), " floats, ", layout.count() * sizeof(float),
      " bytes. In ", period == 1 ? std::string("a step") : absl::StrCat(period, " steps"),
      begin > 0 ? absl::StrCat(" after the first ", begin) : "",
      codec.has_value() && codec->fixed_size ? " " : ", at most, ");
  RM_ASSIGN_OR_RETURN(const std::string workers,
                      NodesText(spec, layout, Role::kWorker, traits.workers, {begin, period}));
  absl::StrAppend(&text, workers);
  if (traits.servers > 0) {
    RM_ASSIGN_OR_RETURN(const std::string servers,
                        NodesText(spec, layout, Role::kServer, traits.servers, {begin, period}));
    absl::StrAppend(&text, "; ", servers);
  }
  absl::StrAppend(&text, ".");
  if (begin > 0) {
    RM_ASSIGN_OR_RETURN(const std::string first,
                        NodesText(spec, layout, Role::kWorker, traits.workers, {0, 1}));
    absl::StrAppend(&text, " In the first step ", first, ".");
  }
  return Fact{"bytes", text};
}

absl::StatusOr<Story> TellExchange(const RunSpec& spec, const SchemeTraits& traits,
                                   const ParamLayout& layout) {
  if (!traits.engine.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", spec.name(), "\" sums by ", traits.engine,
                     ", a library whose messages are its own; name an arm such as ring"));
  }
  if (!traits.exchanges) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", spec.name(), "\" exchanges nothing; name an arm that does, such as ring or ps"));
  }
  if (traits.servers > 0) return TellServers(spec, traits);
  if (traits.gossip.has_value()) return ExplainGossip(*traits.gossip, traits.workers);
  return TellSums(spec, traits, layout);
}

}  // namespace

absl::StatusOr<Story> ExplainArm(const RunSpec& spec, const ParamLayout& layout) {
  const SchemeTraits traits = TraitsOf(spec);
  RM_ASSIGN_OR_RETURN(Story story, TellExchange(spec, traits, layout));
  RM_ASSIGN_OR_RETURN(const int64_t optimizer_arrays, OptimizerArrays(spec.optimizer()));
  story.title = absl::StrCat(spec.name(), ": ", story.title);
  std::vector<Fact> facts = SchemeFacts(traits, layout, optimizer_arrays);
  RM_ASSIGN_OR_RETURN(const Fact bytes, BytesFact(spec, traits, layout));
  story.facts = {bytes, {"update", RuleOf(spec)}};
  const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
  if (codec.has_value() && codec->majority_vote && traits.updates == Updates::kTogether)
    absl::StrAppend(&story.facts.back().text, " It gets the signs of that alone: a majority vote.");
  std::move(facts.begin(), facts.end(), std::back_inserter(story.facts));
  RM_ASSIGN_OR_RETURN(std::vector<Fact> of_codec, CodecFacts(spec.codec(), traits, layout));
  std::move(of_codec.begin(), of_codec.end(), std::back_inserter(story.facts));
  if (const CodecSpec* const down = DownCodecOf(spec); down != nullptr) {
    RM_ASSIGN_OR_RETURN(of_codec, CodecFacts(*down, traits, layout));
    for (const Fact& fact : of_codec) {
      if (fact.name == "codec" || fact.name == "options")
        story.facts.push_back({absl::StrCat("down ", fact.name), fact.text});
    }
  }
  return story;
}

}  // namespace ringmaster
