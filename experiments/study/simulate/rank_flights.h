#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_RANK_FLIGHTS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_RANK_FLIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "common/base/element_type.h"
#include "common/collective/plan.h"
#include "experiments/study/predict/simulated_data.h"

namespace ringmaster {

// The bytes that one rank's collectives in flight send, receive and add, as their plans say. A
// flight is the core's (common/collective/collective_core.h). One thread.
class RankFlights {
 public:
  // Of a collective of so many ranks. `watched`: as of PayloadOf.
  RankFlights(int32_t ranks, bool watched);

  // `data` and `plan` stay until the flight has finished. `summed_as`: the elements of what is
  // summed; absent: it is gathered.
  void Start(int32_t flight, absl::Span<std::byte> data, const Plan& plan,
             std::optional<ElementType> summed_as);
  Payload Send(int32_t flight, const PlanOp& op) const;
  void Receive(int32_t flight, const PlanOp& op, const Payload& payload);
  void Add(int32_t flight, const PlanOp& op);

  // Of the flight, or of the last one that was there until the next starts.
  absl::Span<std::byte> data(int32_t flight) const { return flights_[flight].data; }
  // Of a gather, by rank; the rank's own is empty.
  std::vector<std::vector<std::byte>>& received(int32_t flight) {
    return flights_[flight].received;
  }

 private:
  struct Flight {
    const Plan* plan = nullptr;
    std::optional<ElementType> summed_as;
    absl::Span<std::byte> data;
    std::vector<std::byte> scratch;
    std::vector<std::vector<std::byte>> received;
  };

  static absl::Span<std::byte> Scratch(Flight& flight, int32_t receive);
  static absl::Span<std::byte> Target(Flight& flight, const PlanOp& op);

  const int32_t ranks_;
  const bool watched_;
  std::vector<Flight> flights_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_RANK_FLIGHTS_H_
