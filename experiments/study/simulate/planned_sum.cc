#include "experiments/study/simulate/planned_sum.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "common/base/check.h"
#include "common/vecmath/element_bytes.h"

namespace ringmaster {
namespace {

// What a rank has at some place: what a rank began with, below the number of ranks; or a sum.
using Term = int32_t;
struct Sum {
  Term first = 0, second = 0;  // the first is no lower
  int32_t height = 0;
};

// Plays the plans of all ranks on terms in place of numbers.
class TermsOfPlans {
 public:
  explicit TermsOfPlans(const std::vector<Plan>& plans)
      : plans_(plans), scratch_(plans.size()), waits_for_(plans.size()) {
    for (const Plan& plan : plans) {
      for (const PlanOp& op : plan.ops) {
        RM_CHECK(op.kind != PlanOp::Kind::kGatherSend && op.kind != PlanOp::Kind::kGatherReceive);
        if (!op.to_scratch) bounds_.insert(bounds_.end(), {op.to, op.to + op.bytes});
      }
    }
    std::sort(bounds_.begin(), bounds_.end());
    bounds_.erase(std::unique(bounds_.begin(), bounds_.end()), bounds_.end());
    const size_t slices = bounds_.empty() ? 0 : bounds_.size() - 1;
    for (size_t rank = 0; rank < plans.size(); ++rank) {
      data_.emplace_back(slices, static_cast<Term>(rank));
      scratch_[rank].resize(plans[rank].ops.size());
      for (size_t op = 0; op < plans[rank].ops.size(); ++op) {
        waits_for_[rank].push_back(plans[rank].ops[op].waits_for);
        if (waits_for_[rank].back() == 0) ready_.push_back({rank, op});
      }
    }
    while (!ready_.empty()) {
      const Ref ref = ready_.back();
      ready_.pop_back();
      if (Do(ref)) Done(ref);
    }
    RM_CHECK(expected_.empty() && sent_.empty());
  }

  size_t slices() const { return bounds_.empty() ? 0 : bounds_.size() - 1; }
  Range slice(size_t index) const { return {bounds_[index], bounds_[index + 1] - bounds_[index]}; }
  // Once all messages are through.
  Term At(int32_t rank, size_t slice) const { return data_[rank][slice]; }

  bool IsSum(Term term) const { return term >= static_cast<Term>(plans_.size()); }
  const Sum& SumOf(Term term) const { return sums_[term - plans_.size()]; }

 private:
  using Terms = std::vector<Term>;  // of slices that follow each other
  struct Ref {
    size_t rank = 0;
    size_t op = 0;
  };
  using MessageName = std::tuple<size_t, size_t, uint16_t, uint16_t>;  // from, to, round, piece

  const PlanOp& OpOf(const Ref& ref) const { return plans_[ref.rank].ops[ref.op]; }

  absl::Span<Term> Data(size_t rank, const PlanOp& op) {
    const auto begin = std::lower_bound(bounds_.begin(), bounds_.end(), op.to);
    const auto end = std::lower_bound(begin, bounds_.end(), op.to + op.bytes);
    return absl::MakeSpan(data_[rank]).subspan(begin - bounds_.begin(), end - begin);
  }

  // Where the operation leaves what it has, which is `count` terms.
  absl::Span<Term> Target(size_t rank, const PlanOp& op, size_t count) {
    if (!op.to_scratch) return Data(rank, op);
    Terms& scratch = scratch_[rank][op.to_receive];
    scratch.resize(count);
    return absl::MakeSpan(scratch);
  }

  int32_t HeightOf(Term term) const { return IsSum(term) ? SumOf(term).height : 0; }

  void Add(const Terms& from, absl::Span<Term> to) {
    RM_CHECK(from.size() == to.size());
    for (size_t i = 0; i < to.size(); ++i) {
      Sum sum = {to[i], from[i]};
      // Addition of two commutes.
      if (HeightOf(sum.first) < HeightOf(sum.second)) std::swap(sum.first, sum.second);
      sum.height = HeightOf(sum.first) + 1;
      to[i] = static_cast<Term>(plans_.size() + sums_.size());
      sums_.push_back(sum);
    }
  }

  // False: it is a receive whose message has not been sent, and is ready again when it has.
  bool Do(const Ref& ref) {
    const PlanOp& op = OpOf(ref);
    const auto peer = static_cast<size_t>(op.peer);
    if (op.kind == PlanOp::Kind::kAdd) {
      const Terms& from = scratch_[ref.rank][op.from_receive];
      Add(from, Target(ref.rank, op, from.size()));
      return true;
    }
    if (IsSend(op)) {
      const MessageName name = {ref.rank, peer, op.round, op.piece};
      const absl::Span<const Term> terms = Data(ref.rank, op);
      sent_[name].assign(terms.begin(), terms.end());
      const auto expected = expected_.find(name);
      if (expected == expected_.end()) return true;
      ready_.push_back(expected->second);
      expected_.erase(expected);
      return true;
    }
    const MessageName name = {peer, ref.rank, op.round, op.piece};
    const auto sent = sent_.find(name);
    if (sent == sent_.end()) {
      expected_[name] = ref;
      return false;
    }
    const absl::Span<Term> target = Target(ref.rank, op, sent->second.size());
    if (op.kind == PlanOp::Kind::kReceiveAdd) {
      Add(sent->second, target);
    } else {
      RM_CHECK(sent->second.size() == target.size());
      std::copy(sent->second.begin(), sent->second.end(), target.begin());
    }
    sent_.erase(sent);
    return true;
  }

  void Done(const Ref& ref) {
    const PlanOp& op = OpOf(ref);
    for (int32_t next = op.next_begin; next < op.next_end; ++next) {
      const auto after = static_cast<size_t>(plans_[ref.rank].next[next]);
      if (--waits_for_[ref.rank][after] == 0) ready_.push_back({ref.rank, after});
    }
  }

  const std::vector<Plan>& plans_;
  std::vector<int64_t> bounds_;              // of slices that no operation cuts, in bytes
  std::vector<Terms> data_;                  // by rank and slice
  std::vector<std::vector<Terms>> scratch_;  // by rank and receive
  std::vector<Sum> sums_;
  std::vector<std::vector<int32_t>> waits_for_;  // by rank and operation
  std::vector<Ref> ready_;
  std::map<MessageName, Terms> sent_;    // and not received
  std::map<MessageName, Ref> expected_;  // and not sent
};

}  // namespace

// Says how to come by a term of one slice.
class PlannedSum::Compiler {
 public:
  Compiler(const TermsOfPlans& terms, std::vector<Action>* actions)
      : terms_(terms), actions_(*actions) {}

  // Leaves the term in the slot, and nothing in those below it.
  void Leave(Term term, int32_t slot) {
    if (!terms_.IsSum(term)) {
      actions_.push_back({slot, /*adds=*/false, term});
      return;
    }
    const Sum& sum = terms_.SumOf(term);
    Leave(sum.first, slot);
    if (terms_.IsSum(sum.second)) {
      Leave(sum.second, slot + 1);
      actions_.push_back({slot, /*adds=*/true, /*rank=*/-1});
    } else {
      actions_.push_back({slot, /*adds=*/true, sum.second});
    }
  }

 private:
  const TermsOfPlans& terms_;
  std::vector<Action>& actions_;
};

PlannedSum::PlannedSum(const std::vector<Plan>& plans, int32_t rank) : rank_(rank) {
  const TermsOfPlans terms(plans);
  for (size_t index = 0; index < terms.slices(); ++index) {
    Slice& slice = slices_.emplace_back(Slice{terms.slice(index), {}});
    Compiler(terms, &slice.actions).Leave(terms.At(rank, index), 0);
    slice_bytes_max_ = std::max(slice_bytes_max_, slice.bytes.count);
    for (const Action& action : slice.actions) slots_ = std::max(slots_, action.slot + 1);
  }
}

void PlannedSum::Run(ElementType type, absl::Span<const absl::Span<const std::byte>> values,
                     absl::Span<std::byte> sum) const {
  if (slices_.empty()) {  // of one rank, which sends nothing
    std::copy(values[rank_].begin(), values[rank_].end(), sum.begin());
    return;
  }
  std::vector<std::byte> room((slots_ - 1) * slice_bytes_max_);
  for (const Slice& slice : slices_) {
    const auto begin = static_cast<size_t>(slice.bytes.begin);
    const auto bytes = static_cast<size_t>(slice.bytes.count);
    const auto slot = [&](int32_t index) {
      return index == 0 ? sum.subspan(begin, bytes)
                        : absl::MakeSpan(room).subspan((index - 1) * slice_bytes_max_, bytes);
    };
    for (const Action& action : slice.actions) {
      const absl::Span<std::byte> to = slot(action.slot);
      const absl::Span<const std::byte> from =
          action.rank < 0 ? slot(action.slot + 1) : values[action.rank].subspan(begin, bytes);
      if (action.adds) {
        AddBytes(type, from, to);
      } else {
        std::copy(from.begin(), from.end(), to.begin());
      }
    }
  }
}

const PlannedSum& PlannedSums::Of(const std::vector<Plan>& plans) {
  const auto known = sums_.find(&plans);
  if (known != sums_.end()) return known->second;
  return sums_.emplace(&plans, PlannedSum(plans, /*rank=*/0)).first->second;
}

}  // namespace ringmaster
