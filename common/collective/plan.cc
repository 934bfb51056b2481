#include "common/collective/plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/partition.h"

namespace ringmaster {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kPiecesMax = std::numeric_limits<uint16_t>::max();

int64_t RoundUp(int64_t value, int64_t unit) { return CeilDiv(value, unit) * unit; }

class Planner {
 public:
  Planner(const Schedule& schedule, const PlanShape& shape)
      : shape_(shape),
        chunks_(schedule.chunks(shape.ranks)),
        steps_(schedule.StepsOf(shape.rank, shape.ranks)) {
    plan_.senders_max = std::max(1, schedule.senders_max(shape.ranks));
    // So large that a step of all chunks has no more pieces than a tag can tell apart.
    const int64_t bytes = shape.count * shape.element_bytes;
    piece_bytes_ =
        std::max(shape.piece_bytes, RoundUp(CeilDiv(2 * bytes, kPiecesMax - chunks_), kAlignment));
    CutCells();
  }

  Plan Make() {
    for (size_t i = 0; i < steps_.size();) {
      size_t end = i + 1;
      if (steps_[i].op == Step::Op::kReceiveAdd) {
        while (end < steps_.size() && SameRoundAndChunks(steps_[i], steps_[end])) ++end;
      }
      AddSteps(absl::MakeConstSpan(steps_).subspan(i, end - i));
      i = end;
    }
    LinkNext();
    return std::move(plan_);
  }

 private:
  // The unit of waiting: elements that always travel in one message.
  struct Cell {
    Range elements;
    int32_t writer = -1;           // the operation that wrote it last
    std::vector<int32_t> readers;  // since then
    // Of the messages that begin with this cell, those that were added to it.
    std::vector<int32_t> questions;
  };
  struct Edge {
    int32_t before = 0;
    int32_t after = 0;
  };

  static bool SameRoundAndChunks(const Step& a, const Step& b) {
    return b.op == Step::Op::kReceiveAdd && a.round == b.round && a.chunk_begin == b.chunk_begin &&
           a.chunk_count == b.chunk_count;
  }

  void CutCells() {
    const int64_t alignment = kAlignment / shape_.element_bytes;
    for (int32_t chunk = 0; chunk < chunks_; ++chunk) {
      first_cell_.push_back(cells_.size());
      const Range elements = Part(shape_.count, chunks_, chunk);
      if (elements.count == 0) continue;
      const int64_t pieces = CeilDiv(elements.count * shape_.element_bytes, piece_bytes_);
      const int64_t most =
          pieces == 1 ? elements.count : RoundUp(CeilDiv(elements.count, pieces), alignment);
      for (int64_t begin = 0; begin < elements.count; begin += most) {
        cells_.push_back({{elements.begin + begin, std::min(most, elements.count - begin)}});
      }
    }
    first_cell_.push_back(cells_.size());
  }

  // The end of the message of a step that begins with cell `begin`; the step's cells end at `end`.
  size_t MessageEnd(size_t begin, size_t end) const {
    int64_t bytes = 0;
    size_t cell = begin;
    for (; cell < end; ++cell) {
      bytes += cells_[cell].elements.count * shape_.element_bytes;
      if (cell > begin && bytes > piece_bytes_) break;
    }
    return cell;
  }

  // One step, or the additions of several peers' contributions to the same chunks.
  void AddSteps(absl::Span<const Step> steps) {
    const Step& step = steps[0];
    RM_CHECK(step.chunk_begin >= 0 && step.chunk_count > 0 &&
             step.chunk_begin + step.chunk_count <= chunks_);
    RM_CHECK(step.round >= 0 && step.round <= std::numeric_limits<uint16_t>::max());
    const size_t end = first_cell_[step.chunk_begin + step.chunk_count];
    int64_t piece = 0;
    for (size_t begin = first_cell_[step.chunk_begin]; begin < end; ++piece) {
      RM_CHECK(piece <= kPiecesMax);
      const size_t next = MessageEnd(begin, end);
      const absl::Span<Cell> cells = absl::MakeSpan(cells_).subspan(begin, next - begin);
      if (step.op == Step::Op::kSend) AddSend(step, piece, cells);
      if (step.op == Step::Op::kReceive) AddReceive(step, piece, cells);
      if (step.op == Step::Op::kReceiveAdd) AddContributions(steps, piece, cells);
      begin = next;
    }
  }

  PlanOp MessageOp(PlanOp::Kind kind, const Step& step, int64_t piece,
                   absl::Span<const Cell> cells) const {
    PlanOp op;
    op.kind = kind;
    op.peer = step.peer;
    op.round = static_cast<uint16_t>(step.round);
    op.piece = static_cast<uint16_t>(piece);
    op.to = cells.front().elements.begin * shape_.element_bytes;
    op.bytes = cells.back().elements.end() * shape_.element_bytes - op.to;
    return op;
  }

  int32_t Push(const PlanOp& op) {
    plan_.ops.push_back(op);
    return static_cast<int32_t>(plan_.ops.size()) - 1;
  }

  void WaitFor(int32_t after, int32_t before) {
    for (size_t i = edges_.size(); i > 0 && edges_[i - 1].after == after; --i) {
      if (edges_[i - 1].before == before) return;
    }
    edges_.push_back({before, after});
    ++plan_.ops[after].waits_for;
  }

  void AddSend(const Step& step, int64_t piece, absl::Span<Cell> cells) {
    const int32_t op = Push(MessageOp(PlanOp::Kind::kSend, step, piece, cells));
    for (Cell& cell : cells) {
      if (cell.writer >= 0) WaitFor(op, cell.writer);
      cell.readers.push_back(op);
    }
    for (const int32_t question : cells.front().questions) {
      if (plan_.ops[question].bytes == plan_.ops[op].bytes) Answer(question, op);
    }
  }

  // `answer` takes back, or brings back, the bytes of `question`, if that is with the same peer and
  // the round before.
  void Answer(int32_t question, int32_t answer) {
    PlanOp& asked = plan_.ops[question];
    PlanOp& answered = plan_.ops[answer];
    if (asked.peer != answered.peer || asked.round + 1 != answered.round) return;
    asked.answer = answer;
    answered.question = question;
  }

  void AddReceive(const Step& step, int64_t piece, absl::Span<Cell> cells) {
    const PlanOp message = MessageOp(PlanOp::Kind::kReceive, step, piece, cells);
    const std::vector<int32_t> readers = cells.front().readers;
    const bool is_answer = readers.size() == 1 && plan_.ops[readers[0]].to == message.to &&
                           plan_.ops[readers[0]].bytes == message.bytes &&
                           std::all_of(cells.begin(), cells.end(), [&readers](const Cell& cell) {
                             return cell.readers == readers;
                           });
    const int32_t op = AddWrite(message, cells);
    if (is_answer) Answer(readers[0], op);
  }

  int32_t AddWrite(const PlanOp& write, absl::Span<Cell> cells) {
    const int32_t op = Push(write);
    for (Cell& cell : cells) {
      if (cell.writer >= 0) WaitFor(op, cell.writer);
      for (const int32_t reader : cell.readers) WaitFor(op, reader);
      cell.writer = op;
      cell.readers.clear();
    }
    return op;
  }

  // A contribution that waits for its turn in scratch of its own.
  int32_t AddScratchReceive(PlanOp op) {
    op.kind = PlanOp::Kind::kReceive;
    op.to_scratch = true;
    op.to = plan_.scratch_bytes;
    op.to_receive = static_cast<int32_t>(plan_.ops.size());
    plan_.scratch_bytes += RoundUp(op.bytes, kAlignment);
    return Push(op);
  }

  void AddContributions(absl::Span<const Step> steps, int64_t piece, absl::Span<Cell> cells) {
    const size_t lower = std::count_if(
        steps.begin(), steps.end(), [this](const Step& step) { return step.peer < shape_.rank; });
    const bool sum_apart = lower > 1;
    const bool sends_too = std::any_of(cells.begin(), cells.end(), [&](const Cell& cell) {
      return std::any_of(cell.readers.begin(), cell.readers.end(),
                         [&](int32_t reader) { return plan_.ops[reader].round == steps[0].round; });
    });
    int32_t apart = -1;  // what wrote the sum in scratch last
    int32_t apart_receive = -1;
    for (size_t i = 0; i < steps.size(); ++i) {
      PlanOp message = MessageOp(PlanOp::Kind::kReceiveAdd, steps[i], piece, cells);
      if (i == 0 && !sum_apart && !sends_too) {
        cells.front().questions.push_back(AddWrite(message, cells));
        continue;
      }
      const int32_t arrival = AddScratchReceive(message);
      cells.front().questions.push_back(arrival);
      PlanOp add = message;
      add.kind = PlanOp::Kind::kAdd;
      add.from = plan_.ops[arrival].to;
      add.from_receive = arrival;
      if (sum_apart && i == 0) {
        apart = arrival;
        apart_receive = arrival;
      } else if (sum_apart && i < lower) {
        PlanOp into_apart = add;
        into_apart.to_scratch = true;
        into_apart.to = plan_.ops[apart_receive].to;
        into_apart.to_receive = apart_receive;
        const int32_t op = Push(into_apart);
        WaitFor(op, arrival);
        WaitFor(op, apart);
        apart = op;
        if (i + 1 < lower) continue;
        add.from = plan_.ops[apart_receive].to;
        add.from_receive = apart_receive;
        WaitFor(AddWrite(add, cells), apart);
      } else {
        WaitFor(AddWrite(add, cells), arrival);
      }
    }
  }

  void LinkNext() {
    std::stable_sort(edges_.begin(), edges_.end(),
                     [](const Edge& a, const Edge& b) { return a.before < b.before; });
    for (const Edge& edge : edges_) {
      PlanOp& op = plan_.ops[edge.before];
      if (op.next_begin == op.next_end)
        op.next_begin = op.next_end = static_cast<int32_t>(plan_.next.size());
      plan_.next.push_back(edge.after);
      ++op.next_end;
    }
  }

  const PlanShape shape_;
  const int32_t chunks_;
  const std::vector<Step> steps_;
  int64_t piece_bytes_ = 0;
  std::vector<Cell> cells_;
  std::vector<size_t> first_cell_;  // of each chunk, and one past the last
  std::vector<Edge> edges_;
  Plan plan_;
};

}  // namespace

Plan MakePlan(const Schedule& schedule, const PlanShape& shape) {
  RM_CHECK(shape.ranks > 0 && shape.rank >= 0 && shape.rank < shape.ranks);
  RM_CHECK(shape.count >= 0 && shape.element_bytes > 0 && shape.piece_bytes >= kAlignment);
  return Planner(schedule, shape).Make();
}

Plan MakeGatherPlan(int32_t rank, int32_t ranks) {
  Plan plan;
  plan.senders_max = std::max(1, ranks - 1);
  for (int32_t peer = 0; peer < ranks; ++peer) {
    if (peer == rank) continue;
    PlanOp op;
    op.kind = PlanOp::Kind::kGatherReceive;
    op.peer = peer;
    plan.ops.push_back(op);
  }
  // Sends start with the next rank, so that not everybody's first message goes to rank 0.
  for (int32_t k = 1; k < ranks; ++k) {
    PlanOp op;
    op.kind = PlanOp::Kind::kGatherSend;
    op.peer = (rank + k) % ranks;
    plan.ops.push_back(op);
  }
  return plan;
}

}  // namespace ringmaster
