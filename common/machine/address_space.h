#ifndef RINGMASTER_COMMON_MACHINE_ADDRESS_SPACE_H_
#define RINGMASTER_COMMON_MACHINE_ADDRESS_SPACE_H_

#include <cstdint>
#include <optional>
#include <string>

namespace ringmaster {

// The limit of this process's address space (ulimit -v), in bytes; none where there is no limit.
std::optional<int64_t> AddressSpaceLimit();

// For the text of an error that a lack of memory has caused: that limit, what of it is in use, and
// what to do. Empty where there is no limit.
std::string DescribeAddressSpaceLimit();

// From here on a failed `new` and a thread that cannot be started end the process with `exit_code`,
// after one line on standard error that says what was wanted of which limit; without this they end
// it with SIGABRT and a line that names nothing. Once, at the start of the program.
void ExplainLackOfMemory(int exit_code);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_ADDRESS_SPACE_H_
