#ifndef RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_CLUSTER_H_
#define RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_CLUSTER_H_

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/exchange/parts.h"
#include "gtest/gtest.h"
#include "server/server_core.h"
#include "tests/worker/strategy/ps_cores_messages.h"
#include "tests/worker/strategy/ps_cores_nodes.h"
#include "worker/strategy/ps/worker_core.h"

namespace ringmaster {

// The cores of workers and servers, joined by queues in one thread: a whole cluster under one seed,
// without a transport. Which of `messages` may go on is decided by the seed. Every part has one
// element, or none where there is no data.
class Cluster : public ClusterNodes {
 public:
  Cluster(const Arm& arm, uint64_t seed, bool has_data)
      : ClusterNodes(arm, has_data), random_(seed), borrows_(random_.Below(2) == 0) {
    const RunSpec spec = SpecOf(arm);
    for (int32_t index = 0; index < arm.servers; ++index) {
      servers_.push_back(std::make_unique<Server>());
      Server& server = *servers_.back();
      server.weights.assign(has_data ? kBuckets : 0, 0.0f);
      const std::vector<Range> parts(kBuckets, Range{0, has_data ? 1 : 0});
      server.core = std::make_unique<ServerCore>(ServingPlanOf(spec, index, parts),
                                                 *ShardRuleOf(spec, parts, {}),
                                                 absl::MakeSpan(server.weights));
      server.core->UseCopies(ShardCore::CopiesOf(server.core->plan().shard));
      server.copies.assign(arm.workers, std::vector<float>(kBuckets));
      server.inbox.assign(arm.workers, std::vector<float>(kBuckets));
      server.borrowed.assign(arm.workers, std::vector<bool>(kBuckets));
    }
    for (int32_t rank = 0; rank < arm.workers; ++rank) {
      workers_.push_back(std::make_unique<Worker>(WorkerPlanOf(spec, rank, kBuckets)));
      Worker& worker = *workers_.back();
      for (auto* cells : {&worker.front, &worker.back, &worker.arriving, &worker.recalled})
        cells->resize(arm.servers * kBuckets);
      for (auto& arena : worker.gradients) arena.assign(arm.servers * kBuckets, 0.0f);
    }
    for (int32_t index = 0; index < arm.servers; ++index) {
      std::vector<ServerAction> actions;
      servers_[index]->core->Start(&actions);
      Perform(index, actions);
    }
  }

  // Until nothing can go on; returns the first thing that was wrong.
  std::string Run() {
    while (failure_.empty() && Move()) ++moves_;
    if (!failure_.empty()) return failure_;
    for (int32_t rank = 0; rank < arm_.workers; ++rank) {
      if (workers_[rank]->phase != Phase::kGone)
        return absl::StrCat("worker/", rank, " stands still");
      if (!workers_[rank]->core.idle())
        return absl::StrCat("worker/", rank, " is gone and not idle");
    }
    CheckDropped();
    if (!failure_.empty()) return failure_;
    for (const auto& server : servers_) {
      if (!server->core->finished()) return "a server was not told that all workers are done";
      if (server->core->shard().copies().bytes() > 0) return "a server keeps copies of marks";
    }
    return messages_.empty() ? "" : "messages are left over";
  }

  int64_t moves() const { return moves_; }
  // Of elastic averaging: the centers that a worker took after exchanges, and its exchanges.
  int64_t centers(int32_t rank) const { return workers_[rank]->centers; }
  int64_t exchanges(int32_t rank) const { return workers_[rank]->exchange; }

 private:
  std::vector<Message>& ExpectedAt(const Message& message) {
    return message.to_server ? servers_[message.server]->expected
                             : workers_[message.worker]->expected;
  }
  bool IsExpected(const Message& message) {
    for (const Message& expected : ExpectedAt(message)) {
      if (expected.worker == message.worker && expected.server == message.server &&
          expected.tag == message.tag) {
        return true;
      }
    }
    return false;
  }

  // One event, of those that are possible now.
  bool Move() {
    std::vector<int64_t> possible;  // messages, first to leave and then to arrive; below 0 workers
    const auto count = static_cast<int64_t>(messages_.size());
    for (int64_t i = 0; i < count; ++i) {
      if (!messages_[i].has_left) possible.push_back(i);
      if (MayArrive(messages_[i])) possible.push_back(count + i);
    }
    for (int32_t rank = 0; rank < arm_.workers; ++rank) {
      const Phase phase = workers_[rank]->phase;
      if (phase == Phase::kBegins || phase == Phase::kComputes || phase == Phase::kEnds)
        possible.push_back(-1 - rank);
    }
    if (possible.empty()) return false;
    const int64_t choice = possible[random_.Below(possible.size())];
    if (choice < 0) {
      MoveWorker(static_cast<int32_t>(-1 - choice));
    } else {
      const bool leaves = choice < count;
      Message& message = messages_[choice % count];
      if (!message.has_left && message.memory != nullptr) message.payload = *message.memory;
      (leaves ? message.has_left : message.has_arrived) = true;
      const Message moved = message;
      if (moved.has_left && moved.has_arrived) messages_.erase(messages_.begin() + choice % count);
      leaves ? Leave(moved) : moved.to_server ? ArriveAtServer(moved) : ArriveAtWorker(moved);
    }
    return true;
  }

  bool MayArrive(const Message& message) {
    if (message.has_arrived || !IsExpected(message)) return false;
    // A server first waits until what it sent there before has left.
    for (const Message& sent : messages_) {
      if (sent.is_copy && !sent.has_left && sent.server == message.server &&
          sent.worker == message.worker && message.to_server) {
        return false;
      }
    }
    if (!message.to_server) return true;
    const ServerCore& core = *servers_[message.server]->core;
    if (message.tag.kind != MessageKind::kPull)
      return !core.IsSending(message.worker, message.tag.bucket);
    for (int32_t part = 0; part < kBuckets; ++part) {
      if (core.IsSending(message.worker, part)) return false;
    }
    return true;
  }

  void MoveWorker(int32_t rank) {
    Worker& worker = *workers_[rank];
    std::vector<WorkerAction> actions;
    switch (worker.phase) {
      case Phase::kBegins:
        if (worker.drains == 0 && worker.step >= arm_.first_drain(rank)) {
          AskForDrain(rank, &actions);
          break;
        }
        worker.phase = Phase::kWaits;
        worker.core.StepBegins(worker.step, &actions);
        break;
      case Phase::kComputes:
        for (int32_t server = 0; server < arm_.servers; ++server) {
          worker.gradients[worker.exchange % 2][Index(server, worker.bucket)] = GradientOf(rank);
        }
        if (arm_.local_steps == 0) worker.core.GradientReady(worker.step, worker.bucket, &actions);
        if (++worker.bucket == kBuckets) worker.phase = Phase::kEnds;
        break;
      case Phase::kEnds: {
        CheckRead(rank);
        const bool drains = worker.step + 1 == arm_.steps(rank);
        if (arm_.local_steps == 0) {
          ++worker.exchange;
        } else if (++worker.alone == arm_.local_steps) {
          Measure(rank);
        }
        worker.core.StepEnds(worker.step++, &actions);
        worker.phase = Phase::kBegins;
        if (drains) AskForDrain(rank, &actions);
        break;
      }
      case Phase::kWaits:
      case Phase::kDrains:
      case Phase::kRecalls:
      case Phase::kGone:
        break;
    }
    EXPECT_LE(actions.size(), 2 * worker.core.MaxActions());  // of two calls at most
    Perform(rank, actions);
  }

  // Of steps made alone: what they are worth becomes what is pushed.
  void Measure(int32_t rank) {
    Worker& worker = *workers_[rank];
    for (float& value : worker.gradients[worker.exchange % 2])
      value = -GradientOf(rank) * static_cast<float>(worker.alone);
    ++worker.exchange;
    worker.alone = 0;
  }

  void AskForDrain(int32_t rank, std::vector<WorkerAction>* actions) {
    Worker& worker = *workers_[rank];
    if (worker.alone > 0) Measure(rank);
    worker.phase = Phase::kDrains;
    worker.core.DrainAsked(actions);
  }

  void Perform(int32_t rank, const std::vector<WorkerAction>& actions) {
    Worker& worker = *workers_[rank];
    for (const WorkerAction& action : actions) {
      switch (action.kind) {
        case WorkerAction::Kind::kExpect:
          worker.expected.push_back({false, rank, action.server, action.tag});
          break;
        case WorkerAction::Kind::kSend: {
          Message message{true, rank, action.server, action.tag};
          if (action.tag.kind == MessageKind::kPush) {
            message.memory =
                &worker.gradients[action.tag.step % 2][Index(action.server, action.tag.bucket)];
            message.borrowed = message.has_left = borrows_;
          }
          Send(message);
          break;
        }
        case WorkerAction::Kind::kDeliver:
          if (keeps()) worker.back.swap(worker.arriving);
          break;
        case WorkerAction::Kind::kSwap:
          worker.front.swap(worker.back);
          CheckSwap(rank);
          if (action.tag.kind == MessageKind::kWeights) ++worker.centers;
          break;
        case WorkerAction::Kind::kLetStepBegin:
          LetBegin(rank, action.tag.step);
          break;
        case WorkerAction::Kind::kDrained:
          CheckDrained(rank);
          ++worker.drains;
          worker.phase = Phase::kBegins;
          if (worker.step == arm_.steps(rank)) RecallNext(rank);
          break;
        case WorkerAction::Kind::kRecalled:
          CheckRecalled(rank);
          ++worker.mark;
          RecallNext(rank);
          break;
        case WorkerAction::Kind::kKept:
          Fail("a checkpoint that nobody asked for");
          break;
      }
    }
  }

  void LetBegin(int32_t rank, int64_t step) {
    Worker& worker = *workers_[rank];
    if (worker.phase != Phase::kWaits || step < worker.step ||
        (arm_.backups == 0 && step != worker.step)) {
      Fail("a step was let go that never asked");
    }
    worker.skipped += step - worker.step;
    worker.step = step;
    if (step >= arm_.steps(rank)) {  // the others have ended the last one
      std::vector<WorkerAction> actions;
      AskForDrain(rank, &actions);
      return Perform(rank, actions);
    }
    worker.phase = Phase::kComputes;
    worker.bucket = 0;
    CheckRead(rank);
    // Whoever still reads what was there would see it.
    for (float& value : worker.gradients[worker.exchange % 2]) value = 1e6f;
  }

  // Asks for the next mark's copy, or takes leave after all of them.
  void RecallNext(int32_t rank) {
    Worker& worker = *workers_[rank];
    const bool is_left = worker.mark + 1 < static_cast<int32_t>(marks_.size());
    worker.phase = is_left ? Phase::kRecalls : Phase::kGone;
    std::vector<WorkerAction> actions;
    if (is_left) {
      worker.core.RecallAsked(worker.mark, &actions);
    } else {
      worker.core.FarewellAsked(&actions);
    }
    Perform(rank, actions);
  }

  void Perform(int32_t index, const std::vector<ServerAction>& actions) {
    Server& server = *servers_[index];
    EXPECT_LE(actions.size(), server.core->MaxActions());
    for (const ServerAction& action : actions) {
      const int32_t part = action.tag.bucket;
      switch (action.kind) {
        case ServerAction::Kind::kExpect:
          server.expected.push_back({true, action.worker, index, action.tag});
          break;
        case ServerAction::Kind::kReturn:
          if (!server.borrowed[action.worker][part]) break;
          server.borrowed[action.worker][part] = false;
          TellLeft(action.worker);
          break;
        case ServerAction::Kind::kCopy:
          for (size_t i = 0; i < server.weights.size(); ++i) {
            if (action.tag.kind != MessageKind::kWeights || static_cast<int32_t>(i) == part)
              server.copies[action.worker][i] = server.weights[i];
          }
          break;
        case ServerAction::Kind::kSend: {
          Message message{false, action.worker, index, action.tag};
          if (action.tag.kind != MessageKind::kPull && has_data_) {
            const bool from_shard = together() && arm_.backups == 0;
            message.memory =
                from_shard ? &server.weights[part] : &server.copies[action.worker][part];
            if (action.mark >= 0)
              message.memory = server.core->shard().part_at_mark(action.mark, part).data();
          }
          message.is_copy = action.mark >= 0;
          Send(message);
          break;
        }
      }
    }
  }

  void Send(Message message) {
    if (message.memory != nullptr) message.at_send = *message.memory;
    messages_.push_back(message);
  }

  void Leave(const Message& message) {
    if (message.memory != nullptr && *message.memory != message.at_send) {
      Fail(absl::StrCat(KindName(message.tag.kind), " of worker/", message.worker, " and server/",
                        message.server, ": ", message.at_send, " became ", *message.memory,
                        " before it had left"));
    }
    if (message.to_server) return TellLeft(message.worker);
    if (message.is_copy) return;
    servers_[message.server]->core->OnSent(message.worker, message.tag.bucket);
  }

  void TellLeft(int32_t rank) {
    std::vector<WorkerAction> actions;
    workers_[rank]->core.MessageLeft(&actions);
    Perform(rank, actions);
  }

  void TakeExpected(const Message& message) {
    std::vector<Message>& expected = ExpectedAt(message);
    expected.erase(std::find_if(expected.begin(), expected.end(), [&](const Message& other) {
      return other.worker == message.worker && other.server == message.server &&
             other.tag == message.tag;
    }));
  }

  void ArriveAtServer(const Message& message) {
    TakeExpected(message);
    Server& server = *servers_[message.server];
    const int32_t part = message.tag.bucket;
    std::vector<ServerAction> actions;
    absl::Status status;
    if (message.tag.kind == MessageKind::kPull) {
      status = server.core->OnRequest(message.worker, DecodePullNote(message.tag.note), &actions);
    } else {
      server.inbox[message.worker][part] = message.payload;
      server.borrowed[message.worker][part] = message.borrowed;
      const float* gradient =
          message.borrowed ? message.memory : &server.inbox[message.worker][part];
      status = server.core->OnPush(
          PushOf(message.worker, message.tag, absl::MakeConstSpan(gradient, has_data_ ? 1 : 0)),
          &actions);
    }
    if (!status.ok()) Fail(status.ToString());
    Perform(message.server, actions);
  }

  void ArriveAtWorker(const Message& message) {
    TakeExpected(message);
    Worker& worker = *workers_[message.worker];
    if (message.tag.kind != MessageKind::kPull) {
      const bool recalls = worker.phase == Phase::kRecalls;
      std::vector<Cell>& cells = recalls   ? worker.recalled
                                 : keeps() ? worker.arriving
                                           : worker.back;
      cells[Index(message.server, message.tag.bucket)] = {message.payload, message.tag};
    }
    std::vector<WorkerAction> actions;
    worker.core.MessageArrived(message.server, message.tag, &actions);
    Perform(message.worker, actions);
  }

  Random random_;
  const bool borrows_;             // servers read gradients at the workers'
  std::vector<Message> messages_;  // on their way
  int64_t moves_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_STRATEGY_PS_CORES_CLUSTER_H_
