#include "common/base/fd.h"

#include <unistd.h>

namespace ringmaster {

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace ringmaster
