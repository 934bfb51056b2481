#include "common/machine/checkout.h"

#include <unistd.h>

namespace ringmaster {

bool IsInCheckout() {
  return access("run", X_OK) == 0 && access("third_party/setup/setup.sh", R_OK) == 0;
}

}  // namespace ringmaster
