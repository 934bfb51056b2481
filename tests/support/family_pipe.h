#ifndef RINGMASTER_TESTS_SUPPORT_FAMILY_PIPE_H_
#define RINGMASTER_TESTS_SUPPORT_FAMILY_PIPE_H_

#include <string>

#include "absl/time/time.h"
#include "common/base/fd.h"

namespace ringmaster {

// A process and all whom it starts, and they, directly or not: whether any of them is left, also of
// those whose parents have died. Each holds an end of a pipe. One thread.
class FamilyPipe {
 public:
  FamilyPipe();

  // To be called in the family's first process, before it runs its program.
  void Join() const;
  // To be called once that is started: nobody else may be the last one.
  void Close() { write_ = Fd(); }

  // Waits until none is left; false at the limit.
  bool AwaitTheLast(absl::Duration limit) const;
  // Those who are left: "12 (ringmaster: worker/1, T), ...".
  std::string Members() const;

 private:
  Fd read_;
  Fd write_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_FAMILY_PIPE_H_
