// A shared object for LD_PRELOAD: the wall clock that a process sees is moved by as many seconds as
// the file named by MOVED_CLOCK holds (an int64), at any time, as if somebody had set it. The
// monotonic clock stays. The kernel still knows the true wall clock, so absolute waits by it are
// moved back.

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

volatile int64_t* OpenOffset() {
  const char* path = std::getenv("MOVED_CLOCK");
  const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* memory = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<volatile int64_t*>(memory);
}

int64_t Offset() {
  static volatile int64_t* const offset = OpenOffset();
  return offset == nullptr ? 0 : *offset;
}

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// Moments of the wall clock are past 2001; what is smaller is a moment of another clock, or a
// duration.
timespec Back(const timespec& seen) {
  timespec real = seen;
  if (real.tv_sec > 1'000'000'000) real.tv_sec -= Offset();
  return real;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) {
  static const auto real = Real<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += Offset();
  return result;
}

int gettimeofday(timeval* now, void*) {
  timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  *now = {precise.tv_sec, precise.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* out) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* until) {
  // Without its version an older function of this name would be found.
  static const auto real =
      reinterpret_cast<int (*)(pthread_cond_t*, pthread_mutex_t*, const timespec*)>(
          dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2"));
  const timespec moved = Back(*until);
  return real(condition, mutex, &moved);
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  static const auto real =
      Real<int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>(
          "pthread_cond_clockwait");
  const timespec moved = clock == CLOCK_REALTIME ? Back(*until) : *until;
  return real(condition, mutex, clock, &moved);
}

// abseil's waits.
long syscall(long number, ...) {
  static const auto real = Real<long (*)(long, ...)>("syscall");
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  timespec moved;
  if (number == SYS_futex && (arguments[1] & FUTEX_CLOCK_REALTIME) != 0 && arguments[3] != 0) {
    moved = Back(*reinterpret_cast<const timespec*>(arguments[3]));
    arguments[3] = reinterpret_cast<long>(&moved);
  }
  return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
              arguments[5]);
}

}  // extern "C"
