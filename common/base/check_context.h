#ifndef RINGMASTER_COMMON_BASE_CHECK_CONTEXT_H_
#define RINGMASTER_COMMON_BASE_CHECK_CONTEXT_H_

#include <atomic>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace ringmaster {

// For which node a thread works, so that a failed RM_CHECK can say so.
class CheckContext {
 public:
  // Of nobody.
  CheckContext() = default;
  // Of "worker/1"; longer names are cut. `step` outlives all threads that have this context; null:
  // the node counts no steps.
  explicit CheckContext(absl::string_view node, const std::atomic<int64_t>* step = nullptr);

  // That of the calling thread, to give to a thread that it starts.
  static CheckContext OfThisThread();

  bool is_empty() const { return node_[0] == '\0'; }
  const char* node() const { return node_; }
  const std::atomic<int64_t>* step() const { return step_; }

 private:
  char node_[48] = {};
  const std::atomic<int64_t>* step_ = nullptr;
};

// The calling thread works for that node while this object lives.
class ScopedCheckContext {
 public:
  explicit ScopedCheckContext(const CheckContext& context);
  explicit ScopedCheckContext(absl::string_view node, const std::atomic<int64_t>* step = nullptr)
      : ScopedCheckContext(CheckContext(node, step)) {}
  ~ScopedCheckContext();
  ScopedCheckContext(const ScopedCheckContext&) = delete;
  ScopedCheckContext& operator=(const ScopedCheckContext&) = delete;

 private:
  const CheckContext before_;
};

// While this object lives, threads without a context of their own (those of libraries, of the data
// plane) have this one. One at a time in a process.
class ScopedProcessCheckContext {
 public:
  explicit ScopedProcessCheckContext(absl::string_view node,
                                     const std::atomic<int64_t>* step = nullptr);
  ~ScopedProcessCheckContext();
  ScopedProcessCheckContext(const ScopedProcessCheckContext&) = delete;
  ScopedProcessCheckContext& operator=(const ScopedProcessCheckContext&) = delete;

 private:
  const CheckContext context_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_CHECK_CONTEXT_H_
