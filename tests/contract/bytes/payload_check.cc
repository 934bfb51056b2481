#include "tests/contract/bytes/payload_check.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/scheme/registry.h"
#include "experiments/proof/verify/payload_formula.h"
#include "proto/record.pb.h"

namespace ringmaster {
namespace {

TrafficCount WithoutDrain(const std::map<MessageKind, TrafficCount>& counts) {
  TrafficCount sum;
  for (const auto& [kind, count] : counts) {
    if (kind == MessageKind::kDrain) continue;
    sum.messages += count.messages;
    sum.payload_bytes += count.payload_bytes;
    sum.header_bytes += count.header_bytes;
  }
  return sum;
}

absl::Status CheckEqual(int32_t rank, const char* direction, int64_t metered, int64_t expected) {
  if (metered == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("worker/", rank, " ", direction, ": ", metered,
                                                    " bytes metered, the formula says ", expected));
}

// Over all wires the payload of each kind is what was metered of it.
absl::Status CheckWires(int32_t rank, const Traffic& traffic) {
  std::map<MessageKind, int64_t> sent, received;
  for (const auto& [wire, payload] : traffic.by_wire) {
    for (const auto& [kind, bytes] : payload.sent_bytes) sent[kind] += bytes;
    for (const auto& [kind, bytes] : payload.received_bytes) received[kind] += bytes;
  }
  for (const auto& [by_kind, by_wire] :
       {std::pair(&traffic.sent, &sent), std::pair(&traffic.received, &received)}) {
    for (const auto& [kind, count] : *by_kind) {
      if ((*by_wire)[kind] == count.payload_bytes) continue;
      return absl::FailedPreconditionError(absl::StrCat("worker/", rank, ": ", (*by_wire)[kind],
                                                        " bytes of a kind over all wires, ",
                                                        count.payload_bytes, " metered"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunSteps(StrategyGroup* group, int64_t steps) {
  return group->Run([steps](GroupWorker& worker) {
    const auto source = [](int32_t rank, int64_t step, const Bucket& bucket,
                           absl::Span<float> out) {
      for (size_t i = 0; i < out.size(); ++i) {
        out[i] = 1e-6f * static_cast<float>((i * 7919 + 31 * rank + 17 * step + bucket.id) % 1009);
      }
    };
    RM_RETURN_IF_ERROR(worker.Steps(0, steps, source));
    return worker.strategy().Drain();
  });
}

TrafficCount SentInSteps(const Traffic& traffic) { return WithoutDrain(traffic.sent); }
TrafficCount ReceivedInSteps(const Traffic& traffic) { return WithoutDrain(traffic.received); }

absl::Status CheckGroupPayload(StrategyGroup* group, int64_t steps) {
  std::vector<EncodedSums> sums;
  for (int32_t rank = 0; rank < group->workers(); ++rank) {
    sums.push_back({group->encoded_bytes()[rank], group->index_bytes()[rank]});
    for (int32_t index = 0; index < TraitsOf(group->spec()).servers; ++index) {
      const ServerReport report = group->server(index).Report();
      if (report.encoded_bytes_down_size() > 0) sums.back().down += report.encoded_bytes_down(rank);
    }
  }
  for (int32_t rank = 0; rank < group->workers(); ++rank) {
    RM_ASSIGN_OR_RETURN(const Payload formula,
                        ExpectedPayload(group->spec(), group->layout(), rank,
                                        steps - group->worker(rank).skipped(), sums));
    const Traffic traffic = group->worker(rank).traffic();
    RM_RETURN_IF_ERROR(CheckEqual(rank, "up", SentInSteps(traffic).payload_bytes, formula.up));
    RM_RETURN_IF_ERROR(
        CheckEqual(rank, "down", ReceivedInSteps(traffic).payload_bytes, formula.down));
    RM_RETURN_IF_ERROR(CheckWires(rank, traffic));
    RM_RETURN_IF_ERROR(CheckEqual(rank, "index", group->index_bytes()[rank], formula.index_up));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
