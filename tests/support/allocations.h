#ifndef RINGMASTER_TESTS_SUPPORT_ALLOCATIONS_H_
#define RINGMASTER_TESTS_SUPPORT_ALLOCATIONS_H_

#include <cstdint>

namespace ringmaster {

// How often the calling thread has called operator new, which a program that links this counts in
// every thread.
int64_t& ThreadAllocations();

// What `call` returns; what it allocates in this thread is not counted.
template <typename Call>
auto Uncounted(const Call& call) {
  const int64_t before = ThreadAllocations();
  auto result = call();
  ThreadAllocations() = before;
  return result;
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_ALLOCATIONS_H_
