// Tells ThreadSanitizer what absl::Mutex, absl::Notification and the references to an absl::Status
// order. Debian's Abseil is compiled without instrumentation and waits on futexes, so the sanitizer
// would see no lock at all and report every access that one guards. The definitions here come
// before those of libabsl_synchronization.so. Each tells the sanitizer and calls the library's own.
//
// Between "pre" and "post" the sanitizer ignores what the calling thread does. The condition of an
// Await is evaluated there, also by other threads that unlock, on behalf of the waiting one.

#include <dlfcn.h>
#include <link.h>
#include <sanitizer/tsan_interface.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/base/options.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace {

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

// Mangled names hold Abseil's inline namespace, which each packager chooses.
constexpr char kNamespace[] = TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME);

// The library's own definition. `qualifiers` is "K" for a const member function; `mangled` follows
// the namespaces.
void* FindNext(const char* qualifiers, const char* mangled) {
  char symbol[256];
  std::snprintf(symbol, sizeof(symbol), "_ZN%s4absl%zu%s%s", qualifiers, sizeof(kNamespace) - 1,
                kNamespace, mangled);
  void* const found = dlsym(RTLD_NEXT, symbol);
  if (found == nullptr) {
    std::fprintf(stderr, "third_party/sanitizers: Abseil's libraries have no %s\n", symbol);
    std::abort();
  }
  return found;
}

// Code of Debian's libraries, which are not instrumented: gRPC makes and hands on mutexes unseen,
// so theirs are told as what they order, and not as mutexes.
class LibraryCode {
 public:
  LibraryCode() {
    dl_iterate_phdr(
        [](dl_phdr_info* module, size_t, void* self) {
          if (std::strncmp(module->dlpi_name, "/usr/lib", 8) != 0 &&
              std::strncmp(module->dlpi_name, "/lib", 4) != 0)
            return 0;
          for (int i = 0; i < module->dlpi_phnum; ++i) {
            const ElfW(Phdr)& segment = module->dlpi_phdr[i];
            if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
            static_cast<LibraryCode*>(self)->Add(module->dlpi_addr + segment.p_vaddr,
                                                 segment.p_memsz);
          }
          return 0;
        },
        this);
  }
  bool Contains(const void* code) const {
    const auto at = reinterpret_cast<uintptr_t>(code);
    for (int i = 0; i < count_; ++i) {
      if (at - ranges_[i].begin < ranges_[i].size) return true;
    }
    return false;
  }

 private:
  static constexpr int kCountMax = 1000;
  struct Range {
    uintptr_t begin;
    uintptr_t size;
  };
  void Add(uintptr_t begin, uintptr_t size) {
    if (count_ < kCountMax) ranges_[count_++] = {begin, size};
  }

  Range ranges_[kCountMax];
  int count_ = 0;
};

// Depth of the calls below on this thread: the library's functions call each other, and only the
// outermost counts.
thread_local int depth = 0;

enum class Caller { kOurs, kLibrary, kNested };

class Call {
 public:
  explicit Call(const void* from) {
    static const LibraryCode* const library = new LibraryCode();
    if (++depth > 1) {
      caller_ = Caller::kNested;
    } else if (library->Contains(from)) {
      caller_ = Caller::kLibrary;
    }
  }
  ~Call() { --depth; }
  Caller caller() const { return caller_; }

 private:
  Caller caller_ = Caller::kOurs;
};

enum Flags : unsigned { kExclusive = 0, kShared = __tsan_mutex_read_lock };

template <typename Real>
void Acquire(const void* from, absl::Mutex* mutex, unsigned flags, Real real) {
  const Call call(from);
  if (call.caller() == Caller::kOurs) __tsan_mutex_pre_lock(mutex, flags);
  real();
  if (call.caller() == Caller::kOurs) __tsan_mutex_post_lock(mutex, flags, 0);
  if (call.caller() == Caller::kLibrary) __tsan_acquire(mutex);
}

template <typename Real>
bool AcquireAndTell(const void* from, absl::Mutex* mutex, unsigned flags, Real real) {
  bool told = false;
  Acquire(from, mutex, flags, [&] { told = real(); });
  return told;
}

template <typename Real>
bool TryToAcquire(const void* from, absl::Mutex* mutex, unsigned flags, Real real) {
  const Call call(from);
  flags |= __tsan_mutex_try_lock;
  if (call.caller() == Caller::kOurs) __tsan_mutex_pre_lock(mutex, flags);
  const bool acquired = real();
  if (!acquired) flags |= __tsan_mutex_try_lock_failed;
  if (call.caller() == Caller::kOurs) __tsan_mutex_post_lock(mutex, flags, 0);
  if (call.caller() == Caller::kLibrary && acquired) __tsan_acquire(mutex);
  return acquired;
}

template <typename Real>
void Release(const void* from, absl::Mutex* mutex, unsigned flags, Real real) {
  const Call call(from);
  if (call.caller() == Caller::kOurs) __tsan_mutex_pre_unlock(mutex, flags);
  if (call.caller() == Caller::kLibrary) __tsan_release(mutex);
  real();
  if (call.caller() == Caller::kOurs) __tsan_mutex_post_unlock(mutex, flags);
}

// Gives the mutex up, waits in `real`, and has it again.
template <typename Real>
bool Wait(const void* from, absl::Mutex* mutex, Real real) {
  const Call call(from);
  if (call.caller() == Caller::kLibrary) __tsan_release(mutex);
  if (call.caller() == Caller::kOurs) {
    __tsan_mutex_pre_unlock(mutex, kExclusive);
    __tsan_mutex_post_unlock(mutex, kExclusive);
    __tsan_mutex_pre_lock(mutex, kExclusive);
  }
  const bool told = real();
  if (call.caller() == Caller::kOurs) __tsan_mutex_post_lock(mutex, kExclusive, 0);
  if (call.caller() == Caller::kLibrary) __tsan_acquire(mutex);
  return told;
}

#define FROM __builtin_return_address(0)

// A call of the library's own member function with the arguments of this one.
#define REAL(result, qualifiers, mangled, types, ...)            \
  [&]() -> result {                                              \
    static void* const real = FindNext(qualifiers, mangled);     \
    return reinterpret_cast<result(*) types>(real)(__VA_ARGS__); \
  }

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

using Mu = Mutex*;

Mutex::~Mutex() {
  REAL(void, "", "5MutexD1Ev", (Mu), this)();
  const Call call(FROM);
  if (call.caller() == Caller::kOurs) __tsan_mutex_destroy(this, 0);
}

void Mutex::Lock() { Acquire(FROM, this, kExclusive, REAL(void, "", "5Mutex4LockEv", (Mu), this)); }

void Mutex::Unlock() {
  Release(FROM, this, kExclusive, REAL(void, "", "5Mutex6UnlockEv", (Mu), this));
}

bool Mutex::TryLock() {
  return TryToAcquire(FROM, this, kExclusive, REAL(bool, "", "5Mutex7TryLockEv", (Mu), this));
}

void Mutex::ReaderLock() {
  Acquire(FROM, this, kShared, REAL(void, "", "5Mutex10ReaderLockEv", (Mu), this));
}

void Mutex::ReaderUnlock() {
  Release(FROM, this, kShared, REAL(void, "", "5Mutex12ReaderUnlockEv", (Mu), this));
}

bool Mutex::ReaderTryLock() {
  return TryToAcquire(FROM, this, kShared, REAL(bool, "", "5Mutex13ReaderTryLockEv", (Mu), this));
}

void Mutex::LockWhen(const Condition& condition) {
  Acquire(
      FROM, this, kExclusive,
      REAL(void, "", "5Mutex8LockWhenERKNS0_9ConditionE", (Mu, const Condition&), this, condition));
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  return AcquireAndTell(
      FROM, this, kExclusive,
      REAL(bool, "", "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE",
           (Mu, const Condition&, Duration), this, condition, timeout));
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  return AcquireAndTell(FROM, this, kExclusive,
                        REAL(bool, "", "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE",
                             (Mu, const Condition&, Time), this, condition, deadline));
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  Acquire(FROM, this, kShared,
          REAL(void, "", "5Mutex14ReaderLockWhenERKNS0_9ConditionE", (Mu, const Condition&), this,
               condition));
}

void Mutex::Await(const Condition& condition) {
  const auto real =
      REAL(void, "", "5Mutex5AwaitERKNS0_9ConditionE", (Mu, const Condition&), this, condition);
  ::Wait(FROM, this, [&] { return real(), true; });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  return ::Wait(FROM, this,
                REAL(bool, "", "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE",
                     (Mu, const Condition&, Duration), this, condition, timeout));
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  return ::Wait(FROM, this,
                REAL(bool, "", "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE",
                     (Mu, const Condition&, Time), this, condition, deadline));
}

void CondVar::Wait(Mutex* mutex) {
  const auto real = REAL(void, "", "7CondVar4WaitEPNS0_5MutexE", (CondVar*, Mu), this, mutex);
  ::Wait(FROM, mutex, [&] { return real(), true; });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  return ::Wait(FROM, mutex,
                REAL(bool, "", "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE",
                     (CondVar*, Mu, Duration), this, mutex, timeout));
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  return ::Wait(FROM, mutex,
                REAL(bool, "", "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE",
                     (CondVar*, Mu, Time), this, mutex, deadline));
}

// Who gives its reference up comes before who gives the last one up, and frees what they shared.
void Status::UnrefNonInlined(uintptr_t shared) {
  __tsan_release(reinterpret_cast<void*>(shared));
  __tsan_acquire(reinterpret_cast<void*>(shared));
  REAL(void, "", "6Status15UnrefNonInlinedEm", (uintptr_t), shared)();
}

// The library's own calls of a notification's mutex are part of these: the last one may jump there
// and return to here, as if it were ours.
void Notification::Notify() {
  const Call call(FROM);
  __tsan_release(this);
  REAL(void, "", "12Notification6NotifyEv", (Notification*), this)();
}

void Notification::WaitForNotification() const {
  const Call call(FROM);
  REAL(void, "K", "12Notification19WaitForNotificationEv", (const Notification*), this)();
  __tsan_acquire(const_cast<Notification*>(this));
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  const Call call(FROM);
  const bool told = REAL(bool, "K", "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
                         (const Notification*, Duration), this, timeout)();
  if (told) __tsan_acquire(const_cast<Notification*>(this));
  return told;
}

ABSL_NAMESPACE_END
}  // namespace absl
