#include "common/collective/collective_core.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/collective/executor.h"
#include "common/collective/plan.h"
#include "common/collective/schedule.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/common/collective/executor_ranks.h"

namespace ringmaster {
namespace {

using Action = CollectiveAction;
using Actions = std::vector<CollectiveAction>;

constexpr int64_t kPieceBytes = 64;
const CollectiveLimits kSmallLimits = {/*in_flight_max=*/3, /*ahead_bytes=*/100};

// One collective that all ranks run: an all-reduce of given[rank], or a gather of messages that
// differ in size.
struct Work {
  const Schedule* schedule = nullptr;  // null: a gather
  std::vector<Floats> given;           // [ranks]
};

// The cores of all ranks in one thread, on a network of which random numbers decide what comes
// next: a collective starts, a send leaves, a message lands, a message is lent instead, or a loan
// is back. Fails the test where memory is written that a send still holds, where an operation is
// done twice or not at all, or where no event is left too early.
class Cluster {
 public:
  enum class Loans { kNever, kSometimes, kAlways };

  Cluster(const std::vector<Work>& works, Loans loans, uint64_t seed)
      : works_(works),
        ranks_(static_cast<int32_t>(works[0].given.size())),
        loans_(loans),
        random_(seed) {
    for (int32_t rank = 0; rank < ranks_; ++rank) nodes_.push_back(std::make_unique<Node>(ranks_));
    for (int32_t rank = 0; rank < ranks_; ++rank) {
      Node& node = *nodes_[rank];
      for (const Work& work : works_) {
        const int64_t count = work.given[rank].size();
        node.plans.push_back(
            work.schedule == nullptr
                ? MakeGatherPlan(rank, ranks_)
                : MakePlan(*work.schedule, {rank, ranks_, count, sizeof(float), kPieceBytes}));
        node.data.push_back(work.given[rank]);
        node.received.emplace_back(ranks_);
        node.finished.push_back(0);
      }
    }
  }

  void Run() {
    while (Next()) {
    }
    for (const auto& node : nodes_) {
      EXPECT_EQ(node->next_work, works_.size());
      EXPECT_EQ(node->core.in_flight(), 0);
      for (const int finished : node->finished) EXPECT_EQ(finished, 1);
    }
    EXPECT_TRUE(sends_.empty() && posts_.empty())
        << sends_.size() << " sends, " << posts_.size() << " receives left";
  }

  const Floats& data(int32_t rank, size_t work) const { return nodes_[rank]->data[work]; }
  const std::vector<Floats>& received(int32_t rank, size_t work) const {
    return nodes_[rank]->received[work];
  }
  int64_t loans() const { return loans_returned_; }

 private:
  using Name = std::tuple<int32_t, int32_t, size_t, int, int>;  // from, to, work, round, piece

  struct Flight {
    size_t work = 0;
    Floats scratch;
    std::vector<absl::Span<float>> lent;  // of each operation
    std::vector<int> done;                // how often
  };
  struct Node {
    explicit Node(int32_t ranks) : core(ranks, kSmallLimits), ahead_bytes(ranks, 0) {}
    CollectiveCore core;
    Flight flights[3];
    std::vector<int64_t> ahead_bytes;  // [ranks]
    size_t next_work = 0;
    std::vector<Plan> plans;                    // [works]
    std::vector<Floats> data;                   // [works]
    std::vector<std::vector<Floats>> received;  // [works][ranks]
    std::vector<int> finished;                  // [works]
  };
  struct Send {
    OpRef op;
    absl::Span<float> payload;  // at the sender
    Floats copy;
    enum class State { kHeld, kLeft, kLent, kReturned } state = State::kHeld;
  };

  // Lets one possible event happen. False when there is none.
  bool Next() {
    std::vector<int32_t> starts;
    for (int32_t rank = 0; rank < ranks_; ++rank) {
      if (nodes_[rank]->next_work < works_.size() && nodes_[rank]->core.HasRoom(ViewOf(rank)))
        starts.push_back(rank);
    }
    std::vector<Name> leaves, lands;
    for (const auto& [name, send] : sends_) {
      if (send.state == Send::State::kReturned) leaves.push_back(name);
      if (send.state == Send::State::kHeld && !MustLend(name)) leaves.push_back(name);
      const bool here =
          send.state == Send::State::kLeft || (send.state == Send::State::kHeld && MayLend(name));
      if (here && posts_.count(name) > 0) lands.push_back(name);
    }
    const uint64_t count = starts.size() + leaves.size() + lands.size();
    if (count == 0) return false;
    uint64_t event = random_.Below(count);
    if (event < starts.size()) {
      Start(starts[event]);
    } else if ((event -= starts.size()) < leaves.size()) {
      Leave(leaves[event]);
    } else {
      Land(lands[event - leaves.size()]);
    }
    return true;
  }

  PlanView ViewOf(int32_t rank) const {
    const Node& node = *nodes_[rank];
    return {&node.plans[node.next_work],
            static_cast<int64_t>(node.data[node.next_work].size() * sizeof(float))};
  }

  bool MayLend(const Name& name) const {
    const Send& send = sends_.at(name);
    return loans_ != Loans::kNever && nodes_[std::get<0>(name)]->core.OpOf(send.op).answer >= 0;
  }
  bool MustLend(const Name& name) const { return loans_ == Loans::kAlways && MayLend(name); }

  void Start(int32_t rank) {
    Node& node = *nodes_[rank];
    Actions actions;
    const CollectiveCore::Started started = node.core.Start(ViewOf(rank), &actions);
    Flight& flight = node.flights[started.flight];
    const Plan& plan = node.plans[node.next_work];
    flight.work = node.next_work++;
    EXPECT_EQ(started.ticket, static_cast<int64_t>(node.next_work));
    flight.scratch.assign(plan.scratch_bytes / sizeof(float), NAN);
    flight.lent.assign(plan.ops.size(), {});
    flight.done.assign(plan.ops.size(), 0);
    Act(rank, actions);
  }

  // A send has left its memory, or is back.
  void Leave(const Name& name) {
    const int32_t rank = std::get<0>(name);
    Node& node = *nodes_[rank];
    Send& send = sends_.at(name);
    const OpRef ref = send.op;
    const PlanOp& op = node.core.OpOf(ref);
    const bool returned = send.state == Send::State::kReturned;
    EXPECT_TRUE(returned || SameBits(send.payload, send.copy))
        << "rank " << rank << " wrote what it was sending";
    node.ahead_bytes[op.peer] -= send.payload.size() * sizeof(float);
    std::vector<int>& done = node.flights[ref.flight].done;
    ++done[ref.op];
    if (returned) ++done[op.answer];
    send.state = Send::State::kLeft;
    if (returned) sends_.erase(name);
    Actions actions;
    node.core.MessageDone(ref, returned, &actions);
    Act(rank, actions);
  }

  // A message is there, or its memory is lent.
  void Land(const Name& name) {
    const int32_t rank = std::get<1>(name);
    Node& node = *nodes_[rank];
    Send& send = sends_.at(name);
    const OpRef ref = posts_.at(name);
    Flight& flight = node.flights[ref.flight];
    const PlanOp& op = node.core.OpOf(ref);
    const bool lent = send.state == Send::State::kHeld;
    if (lent) {
      EXPECT_GE(op.answer, 0) << "one side alone knows of the answer";
      EXPECT_TRUE(SameBits(send.payload, send.copy))
          << "rank " << std::get<0>(name) << " wrote what it lends";
      flight.lent[ref.op] = send.payload;
      send.state = Send::State::kLent;
    } else {
      if (op.kind == PlanOp::Kind::kGatherReceive) {
        node.received[flight.work][op.peer] = send.copy;
      } else if (op.kind == PlanOp::Kind::kReceiveAdd) {
        Add(send.copy, TargetOf(node, ref));
      } else {
        std::copy(send.copy.begin(), send.copy.end(), TargetOf(node, ref).begin());
      }
      sends_.erase(name);
    }
    posts_.erase(name);
    ++flight.done[ref.op];
    Actions actions;
    node.core.MessageDone(ref, lent, &actions);
    Act(rank, actions);
  }

  Name NameOf(int32_t rank, OpRef ref) const {
    const Node& node = *nodes_[rank];
    const PlanOp& op = node.core.OpOf(ref);
    const size_t work = node.flights[ref.flight].work;
    return IsSend(op) ? Name(rank, op.peer, work, op.round, op.piece)
                      : Name(op.peer, rank, work, op.round, op.piece);
  }

  absl::Span<float> DataOf(Node& node, OpRef ref) const {
    const PlanOp& op = node.core.OpOf(ref);
    Floats& data = node.data[node.flights[ref.flight].work];
    if (op.kind == PlanOp::Kind::kGatherSend) return absl::MakeSpan(data);
    return absl::MakeSpan(data).subspan(op.to / sizeof(float), op.bytes / sizeof(float));
  }
  absl::Span<float> ScratchOf(Node& node, OpRef ref) const {
    Flight& flight = node.flights[ref.flight];
    const PlanOp& op = node.core.OpOf(ref);
    if (!flight.lent[ref.op].empty()) return flight.lent[ref.op];
    return absl::MakeSpan(flight.scratch).subspan(op.to / sizeof(float), op.bytes / sizeof(float));
  }
  absl::Span<float> TargetOf(Node& node, OpRef ref) const {
    const PlanOp& op = node.core.OpOf(ref);
    return op.to_scratch ? ScratchOf(node, {ref.flight, op.to_receive}) : DataOf(node, ref);
  }

  void Act(int32_t rank, const Actions& actions) {
    for (const Action& action : actions) Act(rank, action);
  }
  void Act(int32_t rank, const Action& action) {
    Node& node = *nodes_[rank];
    const OpRef ref = action.op;
    Flight& flight = node.flights[ref.flight];
    if (action.kind == Action::Kind::kFinished) {
      ++node.finished[flight.work];
      EXPECT_EQ(flight.done, std::vector<int>(flight.done.size(), 1))
          << "rank " << rank << " work " << flight.work;
      return;
    }
    const PlanOp& op = node.core.OpOf(ref);
    const OpRef question = {ref.flight, op.question};
    switch (action.kind) {
      case Action::Kind::kReceive:
        // The transport may write from the beginning.
        if (op.kind == PlanOp::Kind::kReceive)
          std::fill_n(TargetOf(node, ref).data(), op.bytes / sizeof(float), NAN);
        EXPECT_TRUE(posts_.emplace(NameOf(rank, ref), ref).second) << "expected twice";
        break;
      case Action::Kind::kSend:
        Begin(rank, ref);
        break;
      case Action::Kind::kAdd:
        Add(ScratchOf(node, {ref.flight, op.from_receive}), TargetOf(node, ref));
        ++flight.done[ref.op];
        break;
      case Action::Kind::kAddLent:
        Add(flight.lent[ref.op], TargetOf(node, ref));
        break;
      case Action::Kind::kAddBoth:
        AddToBoth(TargetOf(node, ref), flight.lent[ref.op]);
        break;
      case Action::Kind::kAnswer: {
        const absl::Span<float> sum = DataOf(node, ref);
        std::copy(sum.begin(), sum.end(), flight.lent[op.question].begin());
        break;
      }
      case Action::Kind::kReturn:
        ++flight.done[ref.op];
        ++loans_returned_;
        sends_.at(NameOf(rank, question)).state = Send::State::kReturned;
        break;
      case Action::Kind::kFinished:
        break;
    }
  }

  void Begin(int32_t rank, OpRef ref) {
    Node& node = *nodes_[rank];
    const absl::Span<float> payload = DataOf(node, ref);
    const int64_t bytes = payload.size() * sizeof(float);
    EXPECT_EQ(node.core.SendBytes(ref), bytes);
    int64_t& ahead_bytes = node.ahead_bytes[node.core.OpOf(ref).peer];
    EXPECT_TRUE(ahead_bytes == 0 || ahead_bytes + bytes <= kSmallLimits.ahead_bytes);
    ahead_bytes += bytes;
    Send send = {ref, payload, Floats(payload.begin(), payload.end())};
    EXPECT_TRUE(sends_.emplace(NameOf(rank, ref), std::move(send)).second) << "sent twice";
  }

  static bool SameBits(absl::Span<const float> a, absl::Span<const float> b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
  }

  const std::vector<Work>& works_;
  const int32_t ranks_;
  const Loans loans_;
  Random random_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<Name, Send> sends_;
  std::map<Name, OpRef> posts_;
  int64_t loans_returned_ = 0;
};

// The sums that an executor on a transport leaves, by work; of a gather nothing.
std::vector<Floats> SumsOfExecutor(const std::vector<Work>& works) {
  const int32_t ranks = static_cast<int32_t>(works[0].given.size());
  const auto fabric = InprocFabric(ranks);
  std::vector<std::vector<Floats>> sums(ranks);
  OnAllRanks(ranks, 1, [&](int32_t rank) {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), AllWorkers(ranks),
                                kLimit);
    for (size_t work = 0; work < works.size(); ++work) {
      Floats& sum = sums[rank].emplace_back();
      if (works[work].schedule == nullptr) continue;
      sum = works[work].given[rank];
      const absl::Status status = executor.AllReduce(
          *works[work].schedule, 0, static_cast<int32_t>(work), ElementType::kFloat32, Bytes(sum));
      ASSERT_TRUE(status.ok()) << status;
    }
  });
  return sums[0];
}

TEST(CollectiveCore, EveryOrderOfEventsGivesTheExecutorsBitsAndDoesEachOperationOnce) {
  for (int32_t ranks = 1; ranks <= 8; ++ranks) {
    for (const CollectiveInfo& info : Collectives()) {
      const auto schedule = Create(info.name);
      std::vector<Work> works;
      for (const int64_t count : {517, 0, 3, 200}) {
        works.push_back({schedule.get(), RandomGradients(ranks, count, 10 * count + ranks)});
        // Of rank r's message the size is its own, and rank 0's is empty.
        Work& gather = works.emplace_back();
        for (int32_t rank = 0; rank < ranks; ++rank)
          gather.given.emplace_back(7 * rank, 100.0f * count + rank);
      }
      const std::vector<Floats> sums = SumsOfExecutor(works);
      for (const auto loans :
           {Cluster::Loans::kNever, Cluster::Loans::kSometimes, Cluster::Loans::kAlways}) {
        for (uint64_t seed = 1; seed <= 6; ++seed) {
          SCOPED_TRACE(absl::StrCat(info.name, " ranks=", ranks, " loans=", static_cast<int>(loans),
                                    " seed=", seed));
          Cluster cluster(works, loans, seed);
          cluster.Run();
          for (int32_t rank = 0; rank < ranks; ++rank) {
            for (size_t work = 0; work < works.size(); ++work) {
              if (works[work].schedule != nullptr) {
                ASSERT_EQ(cluster.data(rank, work), sums[work])
                    << "rank " << rank << " work " << work;
                continue;
              }
              std::vector<Floats> expected = works[work].given;
              expected[rank].clear();
              ASSERT_EQ(cluster.received(rank, work), expected)
                  << "rank " << rank << " work " << work;
            }
          }
          // What one of two ranks sends comes back, but where both send all at once, and where it
          // comes back later.
          const bool answers = ranks == 2 && info.name != std::string("recursive_doubling") &&
                               info.name != std::string("double_binary_tree");
          EXPECT_TRUE(cluster.loans() > 0 || !answers || loans != Cluster::Loans::kAlways);
          EXPECT_TRUE(cluster.loans() == 0 || loans != Cluster::Loans::kNever);
          if (HasFailure()) return;
        }
      }
    }
  }
}

// A plan of `sends` messages to rank 1 of a piece each, in rounds of their own.
Plan SendsOf(int sends) {
  Plan plan;
  for (int i = 0; i < sends; ++i) {
    PlanOp op;
    op.kind = PlanOp::Kind::kSend;
    op.peer = 1;
    op.round = static_cast<uint16_t>(i);
    op.bytes = 100;
    plan.ops.push_back(op);
  }
  return plan;
}

TEST(CollectiveCore, TheOldestCollectivesSendsGoFirstAndOfThoseTheLatestRounds) {
  CollectiveCore core(2, {/*in_flight_max=*/2, /*ahead_bytes=*/100});
  const Plan plan = SendsOf(3);
  Actions actions;
  const auto first = core.Start({&plan, 300}, &actions);
  const auto second = core.Start({&plan, 300}, &actions);
  std::vector<std::pair<int64_t, int>> order;  // ticket, round
  for (size_t i = 0; i < actions.size(); ++i) {
    if (actions[i].kind != Action::Kind::kSend) continue;
    const OpRef op = actions[i].op;
    order.emplace_back(core.TicketOf(op), core.OpOf(op).round);
    core.MessageDone(op, false, &actions);
  }
  // The first send found its way free.
  const std::vector<std::pair<int64_t, int>> expected = {{first.ticket, 0},  {first.ticket, 2},
                                                         {first.ticket, 1},  {second.ticket, 2},
                                                         {second.ticket, 1}, {second.ticket, 0}};
  EXPECT_EQ(order, expected);
  EXPECT_EQ(core.in_flight(), 0);
}

TEST(CollectiveCore, WritesASumIntoLentMemoryWithItsAdditionOnlyWhenNothingElseIsStillAdded) {
  // A question, another receive, and the question's answer, which waits for both.
  Plan plan;
  plan.ops.resize(3);
  for (const int32_t receive : {0, 1}) {
    plan.ops[receive] = {PlanOp::Kind::kReceiveAdd, false, 0, static_cast<uint16_t>(receive), 1};
    plan.ops[receive].next_begin = receive;
    plan.ops[receive].next_end = receive + 1;
  }
  plan.ops[0].answer = 2;
  plan.ops[2] = {PlanOp::Kind::kSend, false, 1, 0, 1, /*waits_for=*/2};
  plan.ops[2].question = 0;
  plan.next = {2, 2};
  using Kind = Action::Kind;
  for (const bool question_first : {true, false}) {
    CollectiveCore core(2, CollectiveLimits());
    Actions actions;
    core.Start({&plan, 0}, &actions);
    actions.clear();
    for (const int32_t receive : {question_first ? 0 : 1, question_first ? 1 : 0}) {
      core.MessageDone({0, receive}, /*in_place=*/receive == 0, &actions);
    }
    std::vector<Kind> kinds;
    for (const Action& action : actions) kinds.push_back(action.kind);
    const std::vector<Kind> expected =
        question_first
            ? std::vector<Kind>{Kind::kAddLent, Kind::kAnswer, Kind::kReturn, Kind::kFinished}
            : std::vector<Kind>{Kind::kAddBoth, Kind::kReturn, Kind::kFinished};
    EXPECT_EQ(kinds, expected);
  }
}

TEST(CollectiveCore, HasRoomWhileCollectivesAndTheirBytesStayBelowTheLimits) {
  constexpr int32_t kRanks = 5;
  Plan plan = SendsOf(1), to_one = plan;
  plan.senders_max = kRanks - 1;
  Plan with_scratch = plan;
  with_scratch.scratch_bytes = 1;
  constexpr int64_t kBytesMax = CollectiveCore::kAheadBytesMax / (kRanks - 1);
  CollectiveCore core(kRanks, {/*in_flight_max=*/3, /*ahead_bytes=*/100});
  Actions actions;
  // Alone, one may be as large as it likes.
  EXPECT_TRUE(core.HasRoom({&plan, 2 * kBytesMax}));
  core.Start({&plan, kBytesMax - 10}, &actions);
  EXPECT_TRUE(core.HasRoom({&plan, 10}));
  EXPECT_FALSE(core.HasRoom({&plan, 11}));
  EXPECT_FALSE(core.HasRoom({&with_scratch, 10}));
  core.Start({&plan, 1}, &actions);
  core.Start({&plan, 1}, &actions);
  EXPECT_EQ(core.in_flight(), 3);
  EXPECT_FALSE(core.HasRoom({&plan, 1}));
  core.MessageDone(actions[0].op, false, &actions);
  EXPECT_FALSE(core.InFlight(1));
  EXPECT_TRUE(core.InFlight(2));
  EXPECT_TRUE(core.HasRoom({&plan, kBytesMax - 2}));
  core.Reset();
  EXPECT_EQ(core.in_flight(), 0);
  EXPECT_FALSE(core.InFlight(2));
  EXPECT_TRUE(core.HasRoom({&plan, 2 * kBytesMax}));
  // Where one sends to one, all of the limit is that one's.
  core.Start({&plan, kBytesMax / 4}, &actions);
  EXPECT_FALSE(core.HasRoom({&plan, kBytesMax}));
  EXPECT_TRUE(core.HasRoom({&to_one, 3 * kBytesMax}));
  EXPECT_FALSE(core.HasRoom({&to_one, 4 * kBytesMax}));
}

TEST(CollectiveCoreDeathTest, AMessageIsDoneOnce) {
  const Plan plan = SendsOf(2);
  CollectiveCore core(2, CollectiveLimits());
  Actions actions;
  core.Start({&plan, 200}, &actions);
  core.MessageDone({0, 0}, false, &actions);
  EXPECT_DEATH(core.MessageDone({0, 0}, false, &actions), "waits_for");
}

}  // namespace
}  // namespace ringmaster
