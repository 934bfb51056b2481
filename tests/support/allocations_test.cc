#include "tests/support/allocations.h"

#include <new>
#include <thread>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(ThreadAllocations, CountThoseOfTheCallingThreadButForUncountedOnes) {
  const int64_t before = ThreadAllocations();
  ::operator delete(::operator new(8));
  ::operator delete(::operator new(8, std::nothrow));  // as std::stable_sort does
  EXPECT_EQ(ThreadAllocations() - before, 2);
  void* const memory = Uncounted([] { return ::operator new(8); });
  ::operator delete(memory);
  EXPECT_EQ(ThreadAllocations() - before, 2);
  int64_t of_the_thread = 0;
  std::thread thread([&of_the_thread] {
    const int64_t begin = ThreadAllocations();
    ::operator delete(::operator new(8));
    of_the_thread = ThreadAllocations() - begin;
  });
  const int64_t started = ThreadAllocations();
  thread.join();
  EXPECT_EQ(of_the_thread, 1);
  EXPECT_EQ(ThreadAllocations(), started);
}

}  // namespace
}  // namespace ringmaster
