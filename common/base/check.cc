#include "common/base/check.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/base/check_context.h"

namespace ringmaster {
namespace {

// Whoever checks something cannot be told for whom: it may be a loop of vecmath. So the two are
// ambient, and nothing but the text of a failed check reads them.
thread_local CheckContext of_this_thread;
std::atomic<const CheckContext*> of_the_process{nullptr};

}  // namespace

void FailCheck(const char* file, int line, const char* condition) {
  CheckContext context = of_this_thread;
  const CheckContext* const process = of_the_process.load();
  if (context.is_empty() && process != nullptr) context = *process;
  char step[32] = "";
  if (context.step() != nullptr) {
    std::snprintf(step, sizeof(step), " step=%lld",
                  static_cast<long long>(context.step()->load(std::memory_order_relaxed)));
  }
  std::fprintf(stderr, "%s:%d: internal error: %s%s%s%s (pid %d)\n", file, line, condition,
               context.is_empty() ? "" : "; ", context.node(), step, static_cast<int>(getpid()));
  std::abort();
}

CheckContext::CheckContext(absl::string_view node, const std::atomic<int64_t>* step) : step_(step) {
  const size_t size = std::min(node.size(), sizeof(node_) - 1);
  std::copy_n(node.begin(), size, node_);
}

CheckContext CheckContext::OfThisThread() { return of_this_thread; }

ScopedCheckContext::ScopedCheckContext(const CheckContext& context) : before_(of_this_thread) {
  of_this_thread = context;
}

ScopedCheckContext::~ScopedCheckContext() { of_this_thread = before_; }

ScopedProcessCheckContext::ScopedProcessCheckContext(absl::string_view node,
                                                     const std::atomic<int64_t>* step)
    : context_(node, step) {
  of_the_process.store(&context_);
}

ScopedProcessCheckContext::~ScopedProcessCheckContext() { of_the_process.store(nullptr); }

}  // namespace ringmaster
