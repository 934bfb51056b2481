#include "worker/loop/lot_order.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr double kClaimSeconds = 0.004;
constexpr int32_t kClaimLotsMax = 16;

}  // namespace

LotOrder::LotOrder(const Plan& plan, Conductor* conductor, WorkerProgress* progress)
    : plan_(plan),
      conductor_(*conductor),
      progress_(*progress),
      count_max_((plan.steps - plan.first_step) * (plan.claims ? plan.ranks : plan.shares)) {
  if (plan_.claims && plan_.asks_early) Ask();
}

absl::StatusOr<std::optional<int64_t>> LotOrder::Next() {
  if (!plan_.claims) return NextDealt();
  return NextClaimed();
}

std::optional<int64_t> LotOrder::NextDealt() {
  if (given_ == count_max_) return std::nullopt;
  const int64_t step = plan_.first_step + given_ / plan_.shares;
  const auto share = static_cast<int32_t>(given_ % plan_.shares);
  ++given_;
  return Dealing{plan_.ranks, 1}.LotOf(step, plan_.rank + share);
}

absl::StatusOr<std::optional<int64_t>> LotOrder::NextClaimed() {
  if (claim_.count == 0) {
    if (!asked_) Ask();
    TellBeforeWaiting();
    progress_.awaits_lots.store(true, std::memory_order_relaxed);
    absl::StatusOr<LotClaim> answer = conductor_.AwaitLots(plan_.rank);
    progress_.awaits_lots.store(false, std::memory_order_relaxed);
    RM_RETURN_IF_ERROR(answer.status());
    asked_ = false;
    claim_ = *answer;
    // Others may be kept waiting by the lots under way once none are left.
    if (claim_.count > 0) tells_at_once_.store(false, std::memory_order_relaxed);
    // One of these short steps would be too little time for an answer.
    if (claim_.count > 1) Ask();
  }
  if (claim_.count == 0) return std::nullopt;
  const int64_t lot = claim_.first++;
  if (--claim_.count == 0 && plan_.asks_early && !asked_) Ask();
  return lot;
}

void LotOrder::TellBeforeWaiting() {
  if (!plan_.settles) return;
  tells_at_once_.store(true, std::memory_order_seq_cst);
  conductor_.SettleLots(plan_.rank, settled_.load(std::memory_order_seq_cst));
}

void LotOrder::NoteSettled(int64_t count) {
  settled_.store(count, std::memory_order_seq_cst);
  if (tells_at_once_.load(std::memory_order_seq_cst)) conductor_.SettleLots(plan_.rank, count);
}

void LotOrder::Ask() {
  if (plan_.settles) conductor_.SettleLots(plan_.rank, settled_.load(std::memory_order_relaxed));
  const double lots = kClaimSeconds / std::max(1e-6, step_seconds_.load(std::memory_order_relaxed));
  asked_ = true;
  conductor_.AskForLots(plan_.rank,
                        static_cast<int32_t>(std::clamp<double>(lots, 1, kClaimLotsMax)));
}

void LotOrder::Stop() {
  if (plan_.claims) conductor_.ForgetLots(plan_.rank);
}

}  // namespace ringmaster
