// Clusters of the cores of workers and servers, and of who deals lots, each under one seed: a
// worker is lost at any event, and the others go on.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/control/dealing.h"
#include "common/exchange/parts.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "server/server_core.h"
#include "worker/strategy/ps/worker_core.h"

namespace ringmaster {
namespace {

constexpr int32_t kWorkers = 4;
constexpr int32_t kServers = 2;
constexpr int32_t kBuckets = 3;
constexpr int64_t kSteps = 8;

enum class Kind { kClaims, kBounded, kBackup, kElastic, kGeo };

RunSpec SpecOf(Kind kind) {
  RunSpec spec;
  TrainingSpec* const training = spec.mutable_training();
  training->set_workers(kWorkers);
  training->set_batch_per_worker(1);
  training->set_accumulate(1);
  training->set_steps(kSteps);
  StrategySpec* const strategy = spec.mutable_strategy();
  strategy->set_on_failure(StrategySpec::CONTINUE);
  if (kind == Kind::kElastic) {
    strategy->mutable_elastic()->set_mode(ElasticSpec::ASYNCHRONOUS);
    strategy->mutable_elastic()->set_alpha(0.5);
    strategy->mutable_elastic()->set_period(3);
    strategy->mutable_elastic()->set_servers(kServers);
    strategy->set_work(StrategySpec::CLAIMED);
  } else {
    ParameterServerSpec* const ps = strategy->mutable_parameter_server();
    ps->set_servers(kServers);
    ps->set_consistency(kind == Kind::kBounded  ? ParameterServerSpec::SSP
                        : kind == Kind::kBackup ? ParameterServerSpec::BSP
                                                : ParameterServerSpec::ASYNCHRONOUS);
    if (kind == Kind::kBounded) ps->set_staleness_bound(1);
    if (kind == Kind::kBackup) ps->set_backup_workers(1);
    if (kind == Kind::kGeo) ps->set_local_steps(3);
    if (kind == Kind::kClaims || kind == Kind::kGeo) strategy->set_work(StrategySpec::CLAIMED);
  }
  spec.mutable_optimizer()->set_name("sgd");
  spec.mutable_optimizer()->set_learning_rate(1);
  return spec;
}

struct Message {
  bool to_server = false;
  int32_t worker = 0;
  int32_t server = 0;
  Tag tag;
};

class Cluster {
 public:
  Cluster(Kind kind, uint64_t seed)
      : kind_(kind),
        random_(seed),
        spec_(SpecOf(kind)),
        dealer_({0, kSteps * kWorkers, kWorkers, /*deals_again=*/kind == Kind::kClaims}),
        dies_at_(static_cast<int64_t>(random_.Below(IsAlone(kind) ? 400 : 900))),
        victim_(static_cast<int32_t>(random_.Below(kWorkers))),
        made_(static_cast<size_t>(kServers) * kBuckets),
        victims_(static_cast<size_t>(kServers) * kBuckets) {
    for (int32_t server = 0; server < kServers; ++server) {
      const std::vector<Range> parts(kBuckets, Range{0, 0});
      servers_.push_back(
          {std::make_unique<ServerCore>(ServingPlanOf(spec_, server, parts),
                                        *ShardRuleOf(spec_, parts, {}), absl::Span<float>()),
           {},
           false});
      std::vector<ServerAction> actions;
      servers_[server].core->Start(&actions);
      Perform(server, actions);
    }
    for (int32_t rank = 0; rank < kWorkers; ++rank)
      workers_.push_back({std::make_unique<WorkerCore>(WorkerPlanOf(spec_, rank, kBuckets))});
  }

  // Until nothing can go on; returns the first thing that was wrong.
  std::string Run() {
    for (int64_t event = 0; failure_.empty() && Move(); ++event) {
      if (event == dies_at_ && workers_[victim_].phase != Phase::kGone) Die();
    }
    if (!failure_.empty()) return failure_;
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      if (!workers_[rank].dead && workers_[rank].phase != Phase::kGone)
        return absl::StrCat("worker/", rank, " stands still");
    }
    for (const Server& server : servers_) {
      if (!server.core->finished()) return "a server waits for who is lost";
      if (kind_ == Kind::kClaims && dealt_again_ == 0 && server.core->shard().repeated() > 0)
        return "a lot was dropped that was dealt once";
      repeated_ += server.core->shard().repeated();
    }
    return CheckLots();
  }

  bool has_lost() const { return workers_[victim_].dead; }
  int64_t dealt_again() const { return dealt_again_; }
  int64_t repeated() const { return repeated_; }

 private:
  enum class Phase { kWantsLot, kAwaitsLot, kBegins, kWaits, kComputes, kEnds, kDrains, kGone };
  struct Worker {
    std::unique_ptr<WorkerCore> core;
    Phase phase = Phase::kWantsLot;
    int64_t step = 0;
    int32_t bucket = 0;
    int64_t lot = 0;
    std::vector<int64_t> lots;  // in the order in which they were dealt
    bool dead = false;
    std::vector<Message> expected;
  };
  struct Server {
    std::unique_ptr<ServerCore> core;
    std::vector<Message> expected;
    bool has_forgotten = false;
  };

  // Workers make steps alone, by an optimizer of their own.
  static bool IsAlone(Kind kind) { return kind == Kind::kElastic || kind == Kind::kGeo; }
  bool claims() const { return kind_ == Kind::kClaims || IsAlone(kind_); }

  // No lot is computed twice, and none is left out but that which the lost worker had claimed. Each
  // part has all steps of those left, and of the lost worker those that it had pushed there.
  std::string CheckSteps() const {
    int64_t computed = 0, left = 0;
    for (const Worker& worker : workers_) {
      computed += worker.step;
      if (!worker.dead) left += worker.step;
    }
    const int64_t claimed = has_lost() ? 1 : 0;
    if (computed > kSteps * kWorkers || computed < kSteps * kWorkers - claimed)
      return absl::StrCat(computed, " lots were computed");
    for (int32_t part = 0; part < kServers * kBuckets; ++part) {
      const ShardCore& shard = servers_[part / kBuckets].core->shard();
      const int64_t lost = has_lost() ? victims_[part] : 0;
      if (shard.progress(part % kBuckets) != left + lost) {
        return absl::StrCat("part ", part, " has ", shard.progress(part % kBuckets),
                            " steps, expected ", left, " and ", lost, " of who is lost");
      }
    }
    return "";
  }

  // Every lot in each part exactly once, whoever made it.
  std::string CheckLots() const {
    if (IsAlone(kind_)) return CheckSteps();
    if (kind_ != Kind::kClaims) return "";
    for (size_t part = 0; part < made_.size(); ++part) {
      if (made_[part].size() != kSteps * kWorkers)
        return absl::StrCat("part ", part, " has ", made_[part].size(), " lots");
    }
    for (const Server& server : servers_) {
      for (const int64_t version : server.core->shard().versions()) {
        if (version != kSteps * kWorkers) return "a lot was applied twice";
      }
    }
    return "";
  }

  void Fail(const std::string& text) {
    if (failure_.empty()) failure_ = text;
  }

  void Die() {
    workers_[victim_].dead = true;
    news_ = 1 + kServers;
  }

  // The coordinator hears of it first, then the servers in any order.
  void Spread() {
    if (news_ == 1 + kServers) {
      if (claims()) dealt_again_ = dealer_.Lose(victim_);
      --news_;
      return Answer();
    }
    auto server = static_cast<int32_t>(random_.Below(kServers));
    while (servers_[server].has_forgotten) server = (server + 1) % kServers;
    servers_[server].has_forgotten = true;
    --news_;
    const auto is_its = [&](const Message& message) {
      return message.worker == victim_ && message.server == server;
    };
    messages_.erase(std::remove_if(messages_.begin(), messages_.end(), is_its), messages_.end());
    std::vector<Message>& expected = servers_[server].expected;
    expected.erase(std::remove_if(expected.begin(), expected.end(), is_its), expected.end());
    // What was sent there counts as gone.
    std::vector<ServerAction> actions;
    servers_[server].core->OnLost(victim_, &actions);
    Perform(server, actions);
  }

  bool MayArrive(const Message& message) const {
    const std::vector<Message>& expected =
        message.to_server ? servers_[message.server].expected : workers_[message.worker].expected;
    return std::any_of(expected.begin(), expected.end(), [&](const Message& other) {
      return other.worker == message.worker && other.server == message.server &&
             other.tag == message.tag;
    });
  }

  bool Move() {
    std::vector<int64_t> possible;
    const auto count = static_cast<int64_t>(messages_.size());
    for (int64_t i = 0; i < count; ++i) {
      const Message& message = messages_[i];
      if (!message.to_server && workers_[message.worker].dead) continue;
      if (MayArrive(message)) possible.push_back(i);
    }
    for (int32_t rank = 0; rank < kWorkers; ++rank) {
      const Phase phase = workers_[rank].phase;
      const bool moves = phase == Phase::kWantsLot || phase == Phase::kBegins ||
                         phase == Phase::kComputes || phase == Phase::kEnds;
      if (moves && !workers_[rank].dead) possible.push_back(-1 - rank);
    }
    if (news_ > 0) possible.push_back(-1 - kWorkers);
    if (possible.empty()) return false;
    const int64_t choice = possible[random_.Below(possible.size())];
    if (choice == -1 - kWorkers) {
      Spread();
    } else if (choice < 0) {
      MoveWorker(static_cast<int32_t>(-1 - choice));
    } else {
      const Message message = messages_[choice];
      messages_.erase(messages_.begin() + choice);
      message.to_server ? ArriveAtServer(message) : ArriveAtWorker(message);
    }
    return true;
  }

  void MoveWorker(int32_t rank) {
    Worker& worker = workers_[rank];
    std::vector<WorkerAction> actions;
    switch (worker.phase) {
      case Phase::kWantsLot:
        if (claims()) {
          worker.phase = Phase::kAwaitsLot;
          Settle(rank);
          const absl::StatusOr<LotClaim> claim = dealer_.Ask(rank, 1);
          if (!claim.ok()) return Fail(claim.status().ToString());
          if (!claim->waits) Take(*claim);
          return Answer();
        }
        return Take({rank, worker.step * kWorkers + rank, worker.step < kSteps ? 1 : 0});
      case Phase::kBegins:
        worker.phase = Phase::kWaits;
        worker.core->StepBegins(worker.step, &actions);
        break;
      case Phase::kComputes:
        if (worker.core->plan().local_steps == 0)
          worker.core->GradientReady(worker.step, worker.bucket, &actions, worker.lot);
        if (++worker.bucket == kBuckets) worker.phase = Phase::kEnds;
        break;
      case Phase::kEnds:
        worker.core->StepEnds(worker.step++, &actions);
        worker.phase = Phase::kWantsLot;
        break;
      default:
        return;
    }
    Perform(rank, actions);
    Settle(rank);
    Answer();
  }

  // Tells who deals which of the worker's lots are settled.
  void Settle(int32_t rank) {
    Worker& worker = workers_[rank];
    if (kind_ != Kind::kClaims || worker.dead) return;
    const absl::Status status = dealer_.Settle(rank, worker.core->ended());
    if (!status.ok()) Fail(status.ToString());
  }

  void Answer() {
    while (const std::optional<LotClaim> claim = dealer_.TakeAnswer()) Take(*claim);
  }

  void Take(const LotClaim& claim) {
    Worker& worker = workers_[claim.rank];
    if (worker.dead) return;
    if (claim.count == 0) {
      worker.phase = Phase::kDrains;
      std::vector<WorkerAction> actions;
      worker.core->DrainAsked(&actions);
      return Perform(claim.rank, actions);
    }
    worker.lot = claim.first;
    worker.phase = Phase::kBegins;
  }

  void Perform(int32_t rank, const std::vector<WorkerAction>& actions) {
    Worker& worker = workers_[rank];
    for (const WorkerAction& action : actions) {
      switch (action.kind) {
        case WorkerAction::Kind::kExpect:
          worker.expected.push_back({false, rank, action.server, action.tag});
          break;
        case WorkerAction::Kind::kSend:
          messages_.push_back({true, rank, action.server, action.tag});
          break;
        case WorkerAction::Kind::kLetStepBegin:
          LetBegin(rank, action.tag.step);
          break;
        case WorkerAction::Kind::kDrained: {
          worker.phase = Phase::kGone;
          std::vector<WorkerAction> last;
          worker.core->FarewellAsked(&last);
          Perform(rank, last);
          break;
        }
        default:
          break;
      }
    }
  }

  void LetBegin(int32_t rank, int64_t step) {
    Worker& worker = workers_[rank];
    worker.step = step;
    worker.bucket = 0;
    worker.phase = Phase::kComputes;
    if (step >= kSteps && kind_ == Kind::kBackup) return Take({rank, 0, 0});
    if (kind_ != Kind::kBounded) return;
    for (const Server& server : servers_) {
      for (int32_t other = 0; other < kWorkers; ++other) {
        const ClockTable& clocks = server.core->shard().clocks();
        if (clocks.is_lost(other) || clocks.clock(other) >= step - 1) continue;
        Fail(absl::StrCat("worker/", rank, " begins step ", step, ", worker/", other, " is at ",
                          clocks.clock(other)));
      }
    }
  }

  void Perform(int32_t index, const std::vector<ServerAction>& actions) {
    Server& server = servers_[index];
    EXPECT_LE(actions.size(), server.core->MaxActions());
    for (const ServerAction& action : actions) {
      const bool is_lost = server.has_forgotten && action.worker == victim_;
      if (action.kind == ServerAction::Kind::kExpect && !is_lost)
        server.expected.push_back({true, action.worker, index, action.tag});
      if (action.kind != ServerAction::Kind::kSend) continue;
      // Its memory is left at once.
      server.core->OnSent(action.worker, action.tag.bucket);
      if (is_lost) Fail("what nobody takes is sent");
      messages_.push_back({false, action.worker, index, action.tag});
    }
  }

  void ArriveAtServer(const Message& message) {
    Server& server = servers_[message.server];
    TakeExpected(message, &server.expected);
    if (!workers_[message.worker].dead) {
      std::vector<WorkerAction> left;
      workers_[message.worker].core->MessageLeft(&left);
      Perform(message.worker, left);
    }
    std::vector<ServerAction> actions;
    absl::Status status;
    if (message.tag.kind == MessageKind::kPull) {
      status = server.core->OnRequest(message.worker, DecodePullNote(message.tag.note), &actions);
    } else {
      const Push push = PushOf(message.worker, message.tag, {});
      status = server.core->OnPush(push, &actions);
      if (message.worker == victim_) {
        const int32_t steps = server.core->plan().shard.steps_per_push;
        victims_[message.server * kBuckets + push.part] += steps - push.missing_steps;
      }
      if (kind_ == Kind::kClaims && !server.core->shard().was_dropped()) {
        std::set<int64_t>& made = made_[message.server * kBuckets + push.part];
        if (!made.insert(push.lot).second) Fail(absl::StrCat("lot ", push.lot, " came twice"));
      }
    }
    if (!status.ok()) Fail(status.ToString());
    Perform(message.server, actions);
    Settle(message.worker);
    Answer();
  }

  void ArriveAtWorker(const Message& message) {
    Worker& worker = workers_[message.worker];
    TakeExpected(message, &worker.expected);
    std::vector<WorkerAction> actions;
    worker.core->MessageArrived(message.server, message.tag, &actions);
    Perform(message.worker, actions);
    Settle(message.worker);
    Answer();
  }

  static void TakeExpected(const Message& message, std::vector<Message>* expected) {
    expected->erase(std::find_if(expected->begin(), expected->end(), [&](const Message& other) {
      return other.worker == message.worker && other.server == message.server &&
             other.tag == message.tag;
    }));
  }

  const Kind kind_;
  Random random_;
  const RunSpec spec_;
  ClaimDealer dealer_;
  const int64_t dies_at_;  // after which event
  const int32_t victim_;
  int32_t news_ = 0;  // who has yet to hear of it
  std::vector<Server> servers_;
  std::vector<Worker> workers_;
  std::vector<Message> messages_;
  std::vector<std::set<int64_t>> made_;  // by server and part
  std::vector<int64_t> victims_;         // steps pushed by the victim, by server and part
  int64_t dealt_again_ = 0;
  int64_t repeated_ = 0;
  std::string failure_;
};

TEST(CoresThatLoseAWorker, GoOnToTheEndWithEveryClaimedLotInEachPartOnceAndClocksWithinTheBound) {
  for (const Kind kind :
       {Kind::kClaims, Kind::kBounded, Kind::kBackup, Kind::kElastic, Kind::kGeo}) {
    int64_t lost = 0, dealt_again = 0, repeated = 0;
    for (uint64_t seed = 0; seed < 400; ++seed) {
      SCOPED_TRACE(absl::StrCat("kind ", static_cast<int>(kind), " seed ", seed));
      Cluster cluster(kind, seed);
      ASSERT_EQ(cluster.Run(), "");
      lost += cluster.has_lost() ? 1 : 0;
      dealt_again += cluster.dealt_again();
      repeated += cluster.repeated();
    }
    EXPECT_GT(lost, 200) << static_cast<int>(kind);
    EXPECT_EQ(dealt_again > 100, kind == Kind::kClaims);
    // Some that were dealt again had been applied in part.
    EXPECT_EQ(repeated > 50, kind == Kind::kClaims);
  }
}

}  // namespace
}  // namespace ringmaster
