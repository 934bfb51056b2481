#include "common/machine/address_space.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <system_error>

namespace ringmaster {
namespace {

constexpr size_t kTextBytes = 512;

int exit_code_for_lack = 1;
std::terminate_handler other_ends = nullptr;

// Bytes of address space that this process has taken; 0: unknown.
int64_t AddressSpaceInUse() {
  const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[64] = {};
  const ssize_t count = read(file, text, sizeof(text) - 1);
  close(file);
  return count > 0 ? std::atoll(text) * sysconf(_SC_PAGESIZE) : 0;
}

// Writes what DescribeAddressSpaceLimit returns to `text`, of kTextBytes. Allocates nothing: there
// may be no memory.
void WriteLimit(char* text) {
  text[0] = '\0';
  const std::optional<int64_t> limit = AddressSpaceLimit();
  if (!limit.has_value()) return;
  std::snprintf(text, kTextBytes,
                "this process is limited to %lld bytes of address space (ulimit -v, RLIMIT_AS), "
                "and %lld are in use; raise the limit",
                static_cast<long long>(*limit), static_cast<long long>(AddressSpaceInUse()));
}

[[noreturn]] void EndFor(const char* what) {
  char limit[kTextBytes];
  WriteLimit(limit);
  char line[2 * kTextBytes];
  const int size = std::snprintf(
      line, sizeof(line), "error: ringmaster (pid %d): %s: %s\n", static_cast<int>(getpid()), what,
      limit[0] != '\0' ? limit : "this machine, or the limit of its memory, has no more");
  if (size > 0 && write(STDERR_FILENO, line, static_cast<size_t>(size)) < 0)
    _exit(exit_code_for_lack);
  _exit(exit_code_for_lack);
}

void EndForMemory() { EndFor("out of memory"); }

// What the standard library throws where a thread cannot be started reaches nobody: this project
// catches nothing.
void EndForThread() {
  if (const std::exception_ptr thrown = std::current_exception()) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::system_error& error) {
      if (error.code().value() == EAGAIN || error.code().value() == ENOMEM) {
        EndFor("no thread could be started (see also ulimit -u)");
      }
    } catch (const std::bad_alloc&) {
      EndForMemory();
    } catch (...) {
    }
  }
  if (other_ends != nullptr) other_ends();
  std::abort();
}

}  // namespace

std::optional<int64_t> AddressSpaceLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return static_cast<int64_t>(limit.rlim_cur);
}

std::string DescribeAddressSpaceLimit() {
  char text[kTextBytes];
  WriteLimit(text);
  return text;
}

void ExplainLackOfMemory(int exit_code) {
  exit_code_for_lack = exit_code;
  std::set_new_handler(EndForMemory);
  other_ends = std::set_terminate(EndForThread);
}

}  // namespace ringmaster
