// Excuses gRPC's own threads from ThreadSanitizer: Debian's gRPC is compiled without
// instrumentation, so what orders their work is unseen, while the memory they take and give back is
// not. The threads on which gRPC's server calls the project's handlers are made by libgrpc++.so and
// stay watched; those of libgrpc.so run none of the project's code.

#include <dlfcn.h>

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

namespace {

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
  static const auto real =
      reinterpret_cast<decltype(&MakeGrpcThread)>(dlsym(RTLD_NEXT, GRPC_THREAD));
  if (real == nullptr) {
    std::fprintf(stderr, "third_party/sanitizers: gRPC's libraries have no %s\n", GRPC_THREAD);
    std::abort();
  }
  Dl_info caller{};
  if (dladdr(__builtin_return_address(0), &caller) != 0 &&
      std::strstr(caller.dli_fname, "/libgrpc.so") != nullptr) {
    argument = new Unwatched{body, argument};
    body = &RunUnwatched;
  }
  real(self, name, body, argument, success, options);
}
