// What ThreadSanitizer asks for at its start: options and excused libraries. TSAN_OPTIONS in the
// environment comes after these and wins.

extern "C" {

const char* __tsan_default_options();
const char* __tsan_default_suppressions();

const char* __tsan_default_options() {
  // halt_on_error: a rank that reports a race ends, and its run and test with it.
  return "halt_on_error=1:second_deadlock_stack=1:history_size=4";
}

const char* __tsan_default_suppressions() { return ""; }

}  // extern "C"
