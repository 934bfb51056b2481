#ifndef RINGMASTER_TESTS_CONTRACT_TRANSPORT_FABRIC_GROUP_H_
#define RINGMASTER_TESTS_CONTRACT_TRANSPORT_FABRIC_GROUP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/security/tls_identity.h"
#include "common/transport/fabric.h"
#include "common/transport/transport.h"
#include "tests/support/patience.h"

// Ends the test unless the status is OK.
#define ASSERT_OK(expression)                       \
  do {                                              \
    const absl::Status status_of_it = (expression); \
    ASSERT_TRUE(status_of_it.ok()) << status_of_it; \
  } while (false)

namespace ringmaster {

// Long enough for a slow machine under a sanitizer; a test that reaches it has failed.
inline MonotonicTime Soon() { return MonotonicNow() + Patience(30); }

inline Tag TestTag(int64_t step, int32_t bucket = 0) {
  return {MessageKind::kTest, 0, bucket, step};
}
inline NodeId Worker(int32_t rank) { return {Role::kWorker, rank}; }

// Every transport of the registry, and each that joins processes under a shaped network too, as
// "shaped_tcp", and by TLS, as "tls_tcp", where that carries the messages; and those of
// HostTransports.
std::vector<std::string> TransportsUnderTest();

// "auto" of processes on several hosts, of which this machine has but one: which of them share
// memory is a table. "hosts": processes 0 and 1 are on one host, 2 and 3 on the next. "mixed_near"
// is the same with the mixed fabric in every process, whatever its pairs; "mixed_far" the same
// where even processes are on one host and odd ones on another; "tls_mixed_far" that by TLS.
std::vector<std::string> HostTransports();

// Whether two processes share memory by a transport under test.
bool SharesMemory(const std::string& name, int32_t process, int32_t other);

// Sets what one of these names means. The shaped network is faster than the wire most of the time,
// with some latency and jitter: messages overtake each other.
void SetTransport(const std::string& name, FabricOptions* options);

// CreateFabric, of HostTransports too.
absl::StatusOr<std::unique_ptr<Fabric>> CreateTestFabric(const FabricOptions& options);

// One for all tests of a program.
std::shared_ptr<const TlsIdentity> TestIdentity();

// Workers on fabrics of one kind in this process, each fabric playing a process of its own (inproc:
// all in one), joined by real sockets on loopback ports that the system chooses.
struct FabricGroup {
  std::vector<ProcessAddress> processes;
  std::vector<std::unique_ptr<Fabric>> fabrics;
  std::vector<int32_t> homes;  // the process of worker i

  Transport& worker(int32_t rank) { return fabrics[homes[rank]]->transport(Worker(rank)); }
};

// `workers_by_process[p]`: how many workers live in process p; ranks are given out in order.
// Connects all at once.
absl::StatusOr<FabricGroup> JoinFabrics(FabricOptions options,
                                        const std::vector<int>& workers_by_process);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_TRANSPORT_FABRIC_GROUP_H_
