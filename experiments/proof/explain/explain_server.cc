#include "experiments/proof/explain/explain_server.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "experiments/proof/explain/ranks_text.h"
#include "proto/optimizer_spec.pb.h"
#include "server/shard_core.h"

namespace ringmaster {
namespace {

using Kind = Holding::Kind;

// A server's state machine for one part of one element: the story is about order and versions, not
// about values.
absl::StatusOr<std::unique_ptr<ShardCore>> NewCore(const ServerScheme& scheme) {
  OptimizerSpec sgd;
  sgd.set_name("sgd");
  sgd.set_learning_rate(1);
  UpdateScope scope;
  scope.count = 1;
  scope.batches = scheme.workers;
  RM_ASSIGN_OR_RETURN(auto update, CreateUpdateRule(sgd, std::move(scope)));
  ShardPlan plan;
  plan.workers = scheme.workers;
  plan.contributions_per_update = scheme.together ? scheme.workers - scheme.backup_workers : 1;
  plan.drops_late = scheme.backup_workers > 0;
  plan.votes = scheme.together && scheme.votes;
  plan.steps_per_push = scheme.local_steps;
  plan.staleness_bound = scheme.together ? std::optional<int64_t>(0) : scheme.staleness_bound;
  plan.global_batch = scheme.workers;
  plan.part_counts = {1};
  return std::make_unique<ShardCore>(std::move(plan), std::move(update), std::vector<float>{0});
}

std::vector<std::string> ActorsOf(const ServerScheme& scheme, int32_t servers) {
  std::vector<std::string> actors;
  for (int32_t worker = 0; worker < scheme.workers; ++worker)
    actors.push_back(absl::StrCat("worker/", worker));
  for (int32_t server = 0; server < servers; ++server)
    actors.push_back(absl::StrCat("server/", server));
  return actors;
}

// One synchronous step.
class TogetherStory {
 public:
  explicit TogetherStory(const ServerScheme& scheme)
      : scheme_(scheme),
        has_new_weights_(scheme.workers, false),
        sent_(Processes()),
        received_(Processes()) {}

  absl::StatusOr<Story> Tell() {
    for (int32_t server = 0; server < scheme_.servers; ++server) {
      RM_ASSIGN_OR_RETURN(auto core, NewCore(scheme_));
      cores_.push_back(std::move(core));
    }
    Story story;
    story.workers = scheme_.workers;
    story.actors = ActorsOf(scheme_, scheme_.servers);
    story.title = absl::StrCat(
        "parameter server, ", scheme_.workers, " workers, ", scheme_.servers,
        scheme_.servers == 1 ? " server" : " servers", scheme_.colocated ? " beside them" : "",
        scheme_.backup_workers == 0
            ? std::string()
            : absl::StrCat(", ", scheme_.backup_workers,
                           scheme_.backup_workers == 1 ? " backup worker" : " backup workers"),
        ", one synchronous step");
    story.summary =
        absl::StrCat("Workers push their gradients, ",
                     scheme_.servers == 1 ? "the server adds" : "each server adds its part of",
                     " them in rank order and updates the weights once ",
                     scheme_.backup_workers > 0
                         ? absl::StrCat("the first ", scheme_.workers - scheme_.backup_workers,
                                        " are there. What comes later is dropped.")
                         : "all are there; then everybody gets the new weights.");
    story.legend =
        "g2: worker 2's gradient. sum 0+1: what a server has added up so far. v1: weights after "
        "one update.";
    for (int32_t part = 0; part < scheme_.servers; ++part)
      story.columns.push_back(scheme_.servers == 1 ? "holds" : absl::StrCat("part ", part));
    story.scenes.push_back(
        {"Everybody has computed its gradient from weights v0", {}, {}, Holdings()});
    // The second worker comes first, so that one can see the order of addition kept.
    std::vector<int32_t> order(scheme_.workers);
    for (int32_t i = 0; i < scheme_.workers; ++i) order[i] = i;
    std::swap(order[0], order[1]);
    for (const int32_t worker : order) {
      Scene scene;
      RM_RETURN_IF_ERROR(Push(worker, &scene));
      if (cores_[0]->was_dropped()) Answer(worker, &scene);
      scene.holdings = Holdings();
      story.scenes.push_back(std::move(scene));
      if (!cores_[0]->updated().empty()) story.scenes.push_back(Answers());
    }
    story.moral = Cost();
    if (scheme_.backup_workers > 0) {
      story.moral.push_back(
          "A late worker goes on with the newest step whose weights it has; the batches of the "
          "steps between are nobody's.");
    }
    return story;
  }

 private:
  int32_t Processes() const { return scheme_.workers + (scheme_.colocated ? 0 : scheme_.servers); }
  int32_t ProcessOf(int32_t server) const {
    return scheme_.colocated ? server : scheme_.workers + server;
  }

  std::vector<std::vector<Holding>> Holdings() const {
    std::vector<std::vector<Holding>> rows;
    for (int32_t worker = 0; worker < scheme_.workers; ++worker) {
      const Holding holding = has_new_weights_[worker]
                                  ? Holding{Kind::kWhole, "v1"}
                                  : Holding{Kind::kOwn, absl::StrCat("g", worker)};
      rows.emplace_back(scheme_.servers, holding);
    }
    for (int32_t server = 0; server < scheme_.servers; ++server) {
      rows.emplace_back(scheme_.servers)[server] = OnServer(server);
    }
    return rows;
  }

  Holding OnServer(int32_t server) const {
    const ShardCore& core = *cores_[server];
    if (core.versions()[0] > 0) return {Kind::kWhole, "v1"};
    std::vector<int32_t> added, waiting;
    for (const int32_t worker : arrived_)
      (worker < core.added(0) ? added : waiting).push_back(worker);
    std::sort(added.begin(), added.end());
    std::sort(waiting.begin(), waiting.end());
    std::string text = added.empty() ? "v0" : absl::StrCat("sum ", SumText(added));
    if (!waiting.empty())
      absl::StrAppend(&text, ", ", RanksText(waiting), waiting.size() == 1 ? " waits" : " wait");
    return {added.empty() ? Kind::kNothing : Kind::kPartial, std::move(text)};
  }

  // A message of one part between a worker and a server, in either direction.
  void Send(int32_t worker, int32_t server, bool up, std::string what, Scene* scene) {
    const int32_t server_actor = scheme_.workers + server;
    const bool local = ProcessOf(server) == worker;
    if (local) what += " (same process)";
    scene->messages.push_back(up ? StoryMessage{worker, server_actor, std::move(what)}
                                 : StoryMessage{server_actor, worker, std::move(what)});
    if (local) return;
    ++sent_[up ? worker : ProcessOf(server)];
    ++received_[up ? ProcessOf(server) : worker];
  }

  absl::Status Push(int32_t worker, Scene* scene) {
    scene->title = absl::StrCat("worker/", worker, " pushes its gradient");
    arrived_.push_back(worker);
    std::vector<Reply> ready;
    for (int32_t server = 0; server < scheme_.servers; ++server) {
      const std::string part =
          absl::StrCat(scheme_.servers == 1 ? "the gradient" : absl::StrCat("part ", server),
                       scheme_.encodes ? ", encoded" : "");
      Send(worker, server, true, part, scene);
      RM_RETURN_IF_ERROR(
          cores_[server]->OnPush({worker, 0, 0, 0, absl::MakeConstSpan(&gradient_, 1)}, &ready));
    }
    const ShardCore& core = *cores_[0];
    const int32_t needed = scheme_.workers - scheme_.backup_workers;
    if (core.was_dropped()) {
      scene->remarks.push_back(
          "The update was made without it: it is dropped, counted, and answered at once.");
    } else if (!core.updated().empty() && scheme_.backup_workers > 0) {
      scene->remarks.push_back(absl::StrCat(
          "The first ", needed, " are there: the weights are updated by their average."));
    } else if (!core.updated().empty()) {
      scene->remarks.push_back(
          absl::StrCat("All contributions are there: the weights are updated once, from ",
                       scheme_.votes ? "the sign of their sum, a majority vote." : "their sum."));
    } else if (scheme_.backup_workers > 0) {
      scene->remarks.push_back(absl::StrCat("Here so far: ", arrived_.size(), " of the ", needed,
                                            " that are waited for."));
    } else if (worker >= core.added(0)) {
      scene->remarks.push_back(absl::StrCat(
          "It waits for worker/", core.added(0),
          ": sums are taken in rank order, so that they never depend on who is fast."));
    } else {
      scene->remarks.push_back(
          absl::StrCat("Added up so far: workers ",
                       core.added(0) == 1 ? "0" : absl::StrCat("0-", core.added(0) - 1),
                       ". Nobody is answered before the update."));
    }
    return absl::OkStatus();
  }

  void Answer(int32_t worker, Scene* scene) {
    for (int32_t server = 0; server < scheme_.servers; ++server) {
      Send(worker, server, false,
           scheme_.servers == 1 ? "weights v1" : absl::StrCat("weights v1, part ", server), scene);
    }
    has_new_weights_[worker] = true;
  }

  std::vector<int32_t> SortedArrivals() const {
    std::vector<int32_t> ranks = arrived_;
    std::sort(ranks.begin(), ranks.end());
    return ranks;
  }

  Scene Answers() {
    Scene scene;
    scene.title = absl::StrCat(scheme_.servers == 1 ? "The server answers" : "The servers answer",
                               scheme_.backup_workers > 0 ? " who was in time" : " everybody");
    for (const int32_t worker : SortedArrivals()) Answer(worker, &scene);
    scene.remarks.push_back(
        "Weights are swapped in whole: nobody computes with a mix of old and new.");
    scene.holdings = Holdings();
    return scene;
  }

  std::vector<std::string> Cost() const {
    if (scheme_.encodes) {
      return {absl::StrCat("In a step every worker's encodings go to the ",
                           scheme_.servers == 1 ? "server" : "servers",
                           ", and all weights come back to every worker.")};
    }
    const auto parts = static_cast<double>(scheme_.servers);
    const auto share = [&](int64_t messages) { return static_cast<double>(messages) / parts; };
    const size_t busiest = std::max_element(received_.begin(), received_.end()) - received_.begin();
    int64_t total = 0;
    for (const int64_t messages : sent_) total += messages;
    const bool even = std::all_of(sent_.begin(), sent_.end(),
                                  [&](int64_t messages) { return messages == sent_[0]; });
    const std::string who = even ? "Every process"
                            : static_cast<int32_t>(busiest) < scheme_.workers
                                ? absl::StrCat("The process of worker/", busiest)
                            : scheme_.servers == 1 ? "The server"
                                                   : "Every server";
    std::vector<std::string> lines = {
        absl::StrFormat("%s sends %.4g times the gradient and receives %.4g times it in a step.",
                        who, share(sent_[busiest]), share(received_[busiest]))};
    if (!even) {
      lines.push_back(absl::StrFormat("worker/%d sends %.4g times the gradient.",
                                      scheme_.workers - 1, share(sent_[scheme_.workers - 1])));
    }
    lines.push_back(absl::StrFormat(
        "All together send %.4g times the gradient; a ring of the same size sends 2(N-1) = %d.",
        share(total), 2 * (scheme_.workers - 1)));
    return lines;
  }

  const ServerScheme scheme_;
  const float gradient_ = 1;  // of everybody; the cores borrow it until the update
  std::vector<std::unique_ptr<ShardCore>> cores_;
  std::vector<int32_t> arrived_;
  std::vector<bool> has_new_weights_;
  // messages of one part, by process: workers, then servers that have their own
  std::vector<int64_t> sent_;
  std::vector<int64_t> received_;
};

// Updates on arrival, over time.
class ArrivalStory {
 public:
  static constexpr int64_t kSlowSteps = 2;  // of worker 0

  // Slow enough for a bound to be felt.
  explicit ArrivalStory(const ServerScheme& scheme)
      : scheme_(scheme),
        slowness_(std::max<int64_t>(3, scheme.staleness_bound.value_or(0) + 2)),
        workers_(scheme.workers) {}

  absl::StatusOr<Story> Tell() {
    RM_ASSIGN_OR_RETURN(core_, NewCore(scheme_));
    Story story;
    story.workers = scheme_.workers;
    story.actors = ActorsOf(scheme_, 1);
    story.title = absl::StrCat(Name(), ", ", scheme_.workers, " workers");
    story.summary = absl::StrCat(
        Summary(), " worker/0 computes ", slowness_, " times as long as the others. ",
        scheme_.staleness_bound.has_value()
            ? absl::StrCat("Nobody may be more than ", *scheme_.staleness_bound,
                           " steps ahead of the slowest.")
            : std::string("Nobody ever waits for another."),
        scheme_.servers > 1 ? " Every server does the same with its own part; one is shown." : "");
    story.legend =
        IsElastic() ? "v5: the center after five pushes. Staleness: pushes of others between two "
                      "exchanges of a worker."
                    : "v5: weights after five updates. Staleness: updates between reading weights "
                      "and applying the gradient.";
    story.columns = {"steps done", IsElastic() ? "center" : "weights", "now"};
    for (int32_t worker = 0; worker < scheme_.workers; ++worker)
      workers_[worker].ends = Duration(worker);
    story.scenes.push_back(
        {"Everybody computes its first step from weights v0", {}, {}, Holdings()});
    while (core_->clocks().clock(0) < kSlowSteps) {
      Scene scene;
      RM_RETURN_IF_ERROR(FinishNext(&scene));
      scene.holdings = Holdings();
      story.scenes.push_back(std::move(scene));
    }
    story.moral = Balance();
    return story;
  }

 private:
  struct Worker {
    int64_t ends = 0;  // when its present step ends
    int64_t read = 0;  // version of its weights
    bool waits = false;
  };

  std::string Name() const {
    if (scheme_.staleness_bound.has_value())
      return absl::StrCat("bounded staleness (SSP, bound ", *scheme_.staleness_bound, ")");
    if (IsElastic())
      return absl::StrCat("elastic averaging after ", scheme_.local_steps, " steps alone");
    if (scheme_.local_steps > 0)
      return absl::StrCat("asynchronous after ", scheme_.local_steps, " steps alone (geo)");
    return absl::StrCat("asynchronous parameter server",
                        scheme_.compensates_delay ? " with delay compensation" : "");
  }
  bool IsElastic() const { return scheme_.attraction > 0; }
  std::string Summary() const {
    if (IsElastic()) {
      return absl::StrFormat(
          "A worker makes %d steps alone and pushes its weights; the server's center goes %.3g of "
          "the way to them and is sent back, and the weights go as far to where the center was.",
          scheme_.local_steps, scheme_.attraction);
    }
    if (scheme_.local_steps == 0) return "The server applies every gradient as it comes.";
    return absl::StrCat("A worker makes ", scheme_.local_steps,
                        " steps alone and pushes how far it has come, over N; the server adds "
                        "that as it comes.");
  }
  // That a push is made of.
  int64_t Steps() const { return std::max(1, scheme_.local_steps); }
  const char* What() const {
    if (IsElastic()) return "weights";
    return scheme_.local_steps > 0 ? "distance" : "gradient";
  }
  // What the server does with it.
  const char* Does() const {
    if (IsElastic()) return "moves its center towards";
    return scheme_.local_steps > 0 ? "adds" : "applies";
  }

  int64_t Duration(int32_t worker) const { return worker == 0 ? slowness_ : 1; }

  std::vector<std::vector<Holding>> Holdings() const {
    std::vector<std::vector<Holding>> rows;
    for (int32_t i = 0; i < scheme_.workers; ++i) {
      const Worker& worker = workers_[i];
      const int64_t done = core_->clocks().clock(i) * Steps();
      const bool newest = worker.read == core_->versions()[0];
      rows.push_back(
          {{Kind::kNothing, absl::StrCat(done)},
           {newest ? Kind::kWhole : Kind::kPartial, absl::StrCat("v", worker.read)},
           {worker.waits ? Kind::kPartial : Kind::kOwn,
            worker.waits ? std::string("waits") : absl::StrCat("computes step ", done + 1)}});
    }
    rows.push_back({{}, {Kind::kWhole, absl::StrCat("v", core_->versions()[0])}, {}});
    return rows;
  }

  // The next step to end, of the lowest worker where several end at once.
  absl::Status FinishNext(Scene* scene) {
    int32_t next = -1;
    for (int32_t i = 0; i < scheme_.workers; ++i) {
      if (workers_[i].waits) continue;
      if (next < 0 || workers_[i].ends < workers_[next].ends) next = i;
    }
    RM_CHECK(next >= 0);
    const int64_t time = workers_[next].ends;
    const int64_t step = core_->clocks().clock(next);
    const int64_t staleness = core_->versions()[0] - workers_[next].read;
    const float gradient = 1;
    std::vector<Reply> ready;
    RM_RETURN_IF_ERROR(core_->OnPush(
        {next, 0, step, workers_[next].read, absl::MakeConstSpan(&gradient, 1)}, &ready));
    scene->title =
        absl::StrCat("Time ", time, ": worker/", next, " finishes step ", (step + 1) * Steps());
    scene->messages.push_back(
        {next, scheme_.workers,
         absl::StrCat(scheme_.encodes ? "encoded " : "", What(), " from v", workers_[next].read)});
    if (scheme_.compensates_delay && staleness > 0) {
      scene->remarks.push_back(absl::StrCat("It was computed from v", workers_[next].read,
                                            ", and the weights are v", core_->versions()[0] - 1,
                                            ": it is corrected by how far they have moved."));
    }
    scene->remarks.push_back(absl::StrCat("The server ", Does(), IsElastic() ? " them" : " it",
                                          ": v", core_->versions()[0], ". Staleness ", staleness,
                                          "."));
    workers_[next].waits = true;
    RM_RETURN_IF_ERROR(core_->OnPull({next, step + 1, false}, &ready));
    for (const Reply& reply : ready) {
      Worker& worker = workers_[reply.worker];
      worker = {time + Duration(reply.worker), core_->versions()[0], false};
      scene->messages.push_back(
          {scheme_.workers, reply.worker,
           absl::StrCat(IsElastic() ? "center v" : "weights v", worker.read)});
    }
    const std::string parked = core_->DescribeParked();
    if (!parked.empty()) scene->remarks.push_back(absl::StrCat("Parked: ", parked, "."));
    return absl::OkStatus();
  }

  std::vector<std::string> Balance() const {
    int64_t updates = core_->versions()[0], steps_most = 0;
    for (int32_t i = 0; i < scheme_.workers; ++i)
      steps_most = std::max(steps_most, core_->clocks().clock(i));
    std::vector<std::string> lines = {
        absl::StrFormat("worker/0 has done %d steps, the furthest worker %d; one synchronous "
                        "update a step would have given everybody %d.",
                        kSlowSteps * Steps(), steps_most * Steps(), kSlowSteps * Steps())};
    std::string histogram;
    const absl::Span<const int64_t> counts = core_->staleness_histogram();
    for (size_t staleness = 0; staleness < counts.size(); ++staleness) {
      if (counts[staleness] == 0) continue;
      absl::StrAppend(&histogram, histogram.empty() ? "" : ", ", counts[staleness],
                      " of staleness ", staleness);
    }
    lines.push_back(absl::StrCat("Of ", updates, " updates: ", histogram, "."));
    lines.push_back(absl::StrCat(
        "A push and an answer carry the whole ", scheme_.encodes ? "encoded " : "", What(),
        " and the whole ", IsElastic() ? "center" : "weights",
        scheme_.local_steps > 0 ? absl::StrCat(", once in ", scheme_.local_steps, " steps")
                                : std::string(),
        ": the server's link carries all of it."));
    if (scheme_.compensates_delay) {
      lines.push_back(
          "The server keeps the last two copies that it has sent each worker: one of them is what "
          "the next gradient is computed from.");
    }
    return lines;
  }

  const ServerScheme scheme_;
  const int64_t slowness_;  // times as long as the others computes worker 0
  std::unique_ptr<ShardCore> core_;
  std::vector<Worker> workers_;
};

}  // namespace

absl::StatusOr<Story> ExplainServer(const ServerScheme& scheme) {
  RM_CHECK(scheme.workers >= 2 && scheme.servers >= 1);
  return scheme.together ? TogetherStory(scheme).Tell() : ArrivalStory(scheme).Tell();
}

}  // namespace ringmaster
