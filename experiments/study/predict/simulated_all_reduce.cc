#include "experiments/study/predict/simulated_all_reduce.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/element_type.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
#include "common/collective/schedule.h"
#include "common/scheme/registry.h"

namespace ringmaster {
absl::StatusOr<AllReducePlan> PlanAllReduce(const RunSpec& spec, absl::Span<const Bucket> buckets,
                                            const CodecCosts& costs) {
  RM_ASSIGN_OR_RETURN(const auto codec, CreateCodec(spec.codec()));
  const SchemeTraits traits = TraitsOf(spec);
  const int32_t workers = traits.workers;
  const bool exact = codec->traits().exact;
  const bool summed = codec->traits().summable_as.has_value();
  const int64_t element_bytes = summed ? ElementBytes(*codec->traits().summable_as) : 0;
  AllReducePlan plan;
  const auto bucket_count = static_cast<int32_t>(buckets.size());
  plan.encoded_max = exact || workers == 1 ? 0 : std::min(kEncodedInFlightMax, bucket_count);
  std::map<std::string, std::shared_ptr<const std::vector<Plan>>> known;
  for (const Bucket& bucket : buckets) {
    AllReducePlan::OfBucket& own = plan.buckets.emplace_back();
    own.bytes = summed ? bucket.count * element_bytes : codec->MaxEncodedBytes(bucket.count);
    if (workers > 1) {
      own.encode = costs.encode * static_cast<double>(bucket.count);
      own.decode = costs.decode * static_cast<double>(bucket.count) * (summed ? 1 : workers);
    }
    auto& plans = known[summed ? absl::StrCat(bucket.count) : ""];
    if (plans == nullptr) {
      std::unique_ptr<Schedule> schedule;  // null: gathered
      if (summed) {
        RM_ASSIGN_OR_RETURN(schedule,
                            CreateSchedule(traits.collective, {spec.transport().name(), workers,
                                                               bucket.count * element_bytes}));
      }
      std::vector<Plan> of_ranks;
      for (int32_t rank = 0; rank < workers; ++rank) {
        if (workers == 1) {
          of_ranks.emplace_back();
        } else if (summed) {
          of_ranks.push_back(MakePlan(*schedule, {rank, workers, bucket.count, element_bytes}));
        } else {
          of_ranks.push_back(MakeGatherPlan(rank, workers));
        }
      }
      plans = std::make_shared<const std::vector<Plan>>(std::move(of_ranks));
    }
    own.plans = plans;
  }
  return plan;
}

SimulatedAllReduce::SimulatedAllReduce(int32_t rank, const AllReducePlan* plan,
                                       const std::vector<SimulatedAllReduce*>* ranks,
                                       SimulatedNetwork* network, EventQueue* queue, RankData* data)
    : rank_(rank),
      plan_(*plan),
      ranks_(*ranks),
      network_(network),
      queue_(queue),
      data_(data),
      core_(static_cast<int32_t>(ranks->size()), CollectiveLimits()),
      flights_(CollectiveLimits().in_flight_max) {}

void SimulatedAllReduce::GradReady(int64_t step, int32_t bucket) {
  tasks_.push_back({step, bucket});
  Work();
}

void SimulatedAllReduce::EndStep(int64_t step, EventQueue::Action go) {
  waiting_ = std::move(go);
  Work();
}

void SimulatedAllReduce::Work() {
  while (!busy_ && WorkOnce()) {
  }
  const bool idle = !busy_ && tasks_.empty() && core_.in_flight() == 0 && encodings_ == 0;
  if (waiting_ && idle) std::exchange(waiting_, nullptr)();
}

// In the order of ExchangeThread and of what it runs: messages that have arrived are decoded before
// anything else is looked at, and tasks come before messages.
bool SimulatedAllReduce::WorkOnce() {
  if (!landed_.empty()) {
    const int32_t flight = landed_.front();
    landed_.pop_front();
    Decode(flight);
    return true;
  }
  if (!tasks_.empty() && StartTask()) return true;
  if (done_.empty()) return false;
  const OpRef ref = done_.front();
  done_.pop_front();
  core_.MessageDone(ref, /*in_place=*/false, &actions_);
  Act();
  return true;
}

bool SimulatedAllReduce::StartTask() {
  const Task task = tasks_.front();
  const AllReducePlan::OfBucket& bucket = plan_.buckets[task.bucket];
  if (plan_.encoded_max > 0 && !is_encoded_) {
    if (encodings_ == plan_.encoded_max) return false;
    ++encodings_;
    is_encoded_ = busy_ = true;
    queue_->After(bucket.encode, [this, task] {
      if (data_ != nullptr) data_->Encode(task.step, task.bucket);
      busy_ = false;
      Work();
    });
    return true;
  }
  if (!core_.HasRoom({&(*bucket.plans)[rank_], bucket.bytes})) return false;
  tasks_.pop_front();
  is_encoded_ = false;
  Launch(task);
  return true;
}

void SimulatedAllReduce::Launch(const Task& task) {
  const AllReducePlan::OfBucket& bucket = plan_.buckets[task.bucket];
  const Plan& plan = (*bucket.plans)[rank_];
  const CollectiveCore::Started started = core_.Start({&plan, bucket.bytes}, &actions_);
  flights_[started.flight] = task;
  if (data_ != nullptr) data_->Start(started.flight, task.step, task.bucket, plan);
  Act();
}

void SimulatedAllReduce::Act() {
  using Kind = CollectiveAction::Kind;
  for (const CollectiveAction& action : actions_) {
    const OpRef ref = action.op;
    switch (action.kind) {
      case Kind::kReceive: {
        const PlanOp& op = core_.OpOf(ref);
        const MessageName name = NameOf(ref, op.peer);
        const auto early = early_.find(name);
        if (early == early_.end()) {
          posted_[name] = ref;
          break;
        }
        const Payload payload = std::move(early->second);
        early_.erase(early);
        Take(ref, payload);
        break;
      }
      case Kind::kSend:
        Send(ref);
        break;
      case Kind::kAdd:
        if (data_ != nullptr) data_->Add(ref.flight, core_.OpOf(ref));
        break;
      case Kind::kFinished:
        landed_.push_back(ref.flight);
        break;
      case Kind::kAddLent:
      case Kind::kAddBoth:
      case Kind::kAnswer:
      case Kind::kReturn:
        RM_CHECK(false);  // nothing is lent here
    }
  }
  actions_.clear();
}

SimulatedAllReduce::MessageName SimulatedAllReduce::NameOf(OpRef ref, int32_t from) const {
  const PlanOp& op = core_.OpOf(ref);
  const auto ticket = static_cast<uint16_t>(core_.TicketOf(ref));
  return uint64_t{ticket} << 48 | uint64_t{static_cast<uint16_t>(from)} << 32 |
         uint64_t{op.round} << 16 | op.piece;
}

void SimulatedAllReduce::Send(OpRef ref) {
  const PlanOp& op = core_.OpOf(ref);
  const Payload payload = data_ != nullptr ? data_->Send(ref.flight, op) : nullptr;
  network_->Send(
      rank_, op.peer, core_.SendBytes(ref),
      [this, ref, payload] {
        CheckUnchanged(payload);
        done_.push_back(ref);
        Work();
      },
      [peer = ranks_[op.peer], name = NameOf(ref, rank_), payload] {
        peer->OnMessage(name, payload);
      });
}

void SimulatedAllReduce::OnMessage(MessageName name, const Payload& payload) {
  const auto posted = posted_.find(name);
  if (posted == posted_.end()) {
    early_[name] = payload;
    return;
  }
  const OpRef ref = posted->second;
  posted_.erase(posted);
  Take(ref, payload);
  Work();
}

// A transport puts the bytes where they belong as soon as they are there and expected; the thread
// hears of it later.
void SimulatedAllReduce::Take(OpRef ref, const Payload& payload) {
  if (data_ != nullptr) data_->Receive(ref.flight, core_.OpOf(ref), payload);
  done_.push_back(ref);
}

void SimulatedAllReduce::Decode(int32_t flight) {
  if (plan_.encoded_max == 0) {
    if (data_ != nullptr) data_->Finish(flight);
    return;
  }
  busy_ = true;
  queue_->After(plan_.buckets[flights_[flight].bucket].decode, [this, flight] {
    if (data_ != nullptr) data_->Finish(flight);
    --encodings_;
    busy_ = false;
    Work();
  });
}

}  // namespace ringmaster
