#include "worker/kernels/kernel_library.h"

#include "absl/strings/str_cat.h"

namespace ringmaster {

absl::Status KernelLibrary::Missing(absl::string_view operation) const {
  return absl::UnimplementedError(absl::StrCat("kernel library \"", name(), "\" has no ", operation));
}

}  // namespace ringmaster
