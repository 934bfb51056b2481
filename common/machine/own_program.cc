#include "common/machine/own_program.h"

#include <limits.h>
#include <unistd.h>

namespace ringmaster {

std::string OwnProgramPath() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  return length <= 0 ? std::string() : std::string(path, static_cast<size_t>(length));
}

}  // namespace ringmaster
