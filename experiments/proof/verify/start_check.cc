#include "experiments/proof/verify/start_check.h"

#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/control/control_client.h"
#include "common/control/coordinator.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(10);
constexpr char kToken[] = "start-check";

absl::Status Attend(const HostPort& endpoint, int32_t process, uint64_t weights) {
  Join join;
  join.set_process(process);
  join.set_processes(2);
  join.set_weights_fingerprint(weights);
  join.set_kernel_target("any");
  NodeName* name = join.add_nodes();
  name->set_index(process);
  RM_ASSIGN_OR_RETURN(auto client, ControlClient::Attend(
                                       endpoint, {kToken, nullptr}, join, MonotonicNow() + kLimit,
                                       [](const absl::Status&) {}, [] { return Heartbeat(); },
                                       absl::Milliseconds(100)));
  return client->Finish(ProcessReport());
}

}  // namespace

absl::Status StartWith(uint64_t weights_of_worker0, uint64_t weights_of_worker1) {
  CoordinatorOptions options;
  options.credentials.token = kToken;
  options.processes = 2;
  options.join_limit = kLimit;
  options.silence_limit = kLimit;
  RM_ASSIGN_OR_RETURN(auto coordinator, Coordinator::Start(options));
  const uint64_t weights[] = {weights_of_worker0, weights_of_worker1};
  std::vector<std::thread> workers;
  std::vector<absl::Status> ends(2);
  for (int32_t process = 0; process < 2; ++process) {
    workers.emplace_back([&, process] {
      ends[process] = Attend(coordinator->endpoint(), process, weights[process]);
    });
  }
  for (std::thread& worker : workers) worker.join();
  if (!coordinator->WaitFor(kLimit))
    return absl::DeadlineExceededError("the coordinator does not end the run");
  RM_RETURN_IF_ERROR(coordinator->Result().status());
  for (const absl::Status& end : ends) RM_RETURN_IF_ERROR(end);
  return absl::OkStatus();
}

absl::StatusOr<std::string> CheckStart() {
  RM_RETURN_IF_ERROR(Annotate(StartWith(7, 7), "two workers with equal weights"));
  const absl::Status refused = StartWith(7, 8);
  if (refused.ok())
    return absl::FailedPreconditionError("two workers with unequal weights were let in");
  for (const char* expected : {"weights", "worker/0", "worker/1"}) {
    if (absl::StrContains(refused.message(), expected)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("two workers with unequal weights: expected a refusal that names ", expected,
                     ", found: ", refused.message()));
  }
  return std::string("equal fingerprints join, unequal ones are refused by name");
}

}  // namespace ringmaster
