// What ThreadSanitizer asks for at its start: options and excused libraries. TSAN_OPTIONS in the
// environment comes after these and wins.

extern "C" {

const char* __tsan_default_options();
const char* __tsan_default_suppressions();

const char* __tsan_default_options() {
  // halt_on_error: a rank that reports a race ends, and its run and test with it. atexit_sleep_ms:
  // a process would sleep for a second at its end, longer than a rank may take to go.
  return "halt_on_error=1:second_deadlock_stack=1:history_size=4:atexit_sleep_ms=0";
}

const char* __tsan_default_suppressions() {
  // called_from_lib: what a library does with memory by functions of the C library is not looked
  // at. race: nor is an access that has the library, or the function, among its callers. The
  // server's calls of the project's handlers come from libgrpc++.so, which therefore is under no
  // "race".
  return
      // gRPC hands memory from thread to thread, and frees it, in an order that its atomic words
      // alone know.
      "called_from_lib:libgrpc.so\n"
      "called_from_lib:libgrpc++.so\n"
      "called_from_lib:libgpr.so\n"
      "called_from_lib:libupb.so\n"
      "race:libgrpc.so\n"
      // Where Abseil's mutexes keep who waits for whom, under a spin lock of its own.
      "called_from_lib:libabsl_graphcycles_internal\n"
      // The text of an absl::Status that gRPC's threads share.
      "called_from_lib:libabsl_status.so\n"
      // Makes its mutex once, told by an atomic word.
      "race:cctz::time_zone::Impl::LoadTimeZone\n";
}

}  // extern "C"
