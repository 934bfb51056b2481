// Excuses gRPC's own threads from ThreadSanitizer: Debian's gRPC is compiled without
// instrumentation, so what orders their work is unseen, while the memory they take and give back is
// not. The threads on which gRPC's server calls the project's handlers are made by libgrpc++.so and
// stay watched; those of libgrpc.so run none of the project's code.
//
// Tells it, too, that an operation's completion comes after its start: gRPC's headers keep what an
// operation needs in the project's objects, which one thread fills and another reads at the end.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// Of the runtime, in no header. Between begin and end the accesses of a thread are not looked at;
// what it synchronizes is.
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);

// grpc_core::Thread::Thread(const char*, void (*)(void*), void*, bool*, const Options&), of a
// header that is not installed.
#define GRPC_THREAD "_ZN9grpc_core6ThreadC1EPKcPFvPvES3_PbRKNS0_7OptionsE"
extern "C" void MakeGrpcThread(void* self, const char* name, void (*body)(void*), void* argument,
                               bool* success, const void* options) __asm__(GRPC_THREAD);

// As in grpc/grpc.h, whose headers belong to others here.
struct GrpcEvent {
  int type;
  int success;
  void* tag;
};
struct GrpcTime {
  int64_t seconds;
  int32_t nanoseconds;
  int clock;
};
extern "C" int grpc_call_start_batch(void* call, const void* ops, size_t count, void* tag,
                                     void* reserved);
extern "C" GrpcEvent grpc_completion_queue_next(void* queue, GrpcTime deadline, void* reserved);
extern "C" GrpcEvent grpc_completion_queue_pluck(void* queue, void* tag, GrpcTime deadline,
                                                 void* reserved);

namespace {

// The library's own definition.
template <typename Function>
Function* FindNext(Function*, const char* symbol) {
  void* const found = dlsym(RTLD_NEXT, symbol);
  if (found == nullptr) {
    std::fprintf(stderr, "third_party/sanitizers: gRPC's libraries have no %s\n", symbol);
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

GrpcEvent AfterItsStart(const GrpcEvent& event) {
  if (event.tag != nullptr) __tsan_acquire(event.tag);
  return event;
}

struct Unwatched {
  void (*body)(void*);
  void* argument;
};

void RunUnwatched(void* argument) {
  auto* const unwatched = static_cast<Unwatched*>(argument);
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  unwatched->body(unwatched->argument);
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  delete unwatched;
}

}  // namespace

void MakeGrpcThread(void* self, const char* name, void (*body)(void*), void* argument,
                    bool* success, const void* options) {
  static const auto real = FindNext(&MakeGrpcThread, GRPC_THREAD);
  Dl_info caller{};
  if (dladdr(__builtin_return_address(0), &caller) != 0 &&
      std::strstr(caller.dli_fname, "/libgrpc.so") != nullptr) {
    argument = new Unwatched{body, argument};
    body = &RunUnwatched;
  }
  real(self, name, body, argument, success, options);
}

int grpc_call_start_batch(void* call, const void* ops, size_t count, void* tag, void* reserved) {
  static const auto real = FindNext(&grpc_call_start_batch, "grpc_call_start_batch");
  if (tag != nullptr) __tsan_release(tag);
  return real(call, ops, count, tag, reserved);
}

GrpcEvent grpc_completion_queue_next(void* queue, GrpcTime deadline, void* reserved) {
  static const auto real = FindNext(&grpc_completion_queue_next, "grpc_completion_queue_next");
  return AfterItsStart(real(queue, deadline, reserved));
}

GrpcEvent grpc_completion_queue_pluck(void* queue, void* tag, GrpcTime deadline, void* reserved) {
  static const auto real = FindNext(&grpc_completion_queue_pluck, "grpc_completion_queue_pluck");
  return AfterItsStart(real(queue, tag, deadline, reserved));
}
