// What AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer ask for at their start:
// options and excused libraries. ASAN_OPTIONS and its like in the environment come after these and
// win.

extern "C" {

const char* __asan_default_options();
const char* __lsan_default_options();
const char* __lsan_default_suppressions();
const char* __ubsan_default_options();

const char* __asan_default_options() {
  // verify_asan_link_order: tests/support/moved_clock.cc is preloaded before the runtime.
  // handle_segv and its like stay on: the product has no handlers of these signals.
  return "detect_stack_use_after_return=1:check_initialization_order=1:strict_init_order=1:verify_"
         "asan_link_order=0";
}

const char* __ubsan_default_options() { return "print_stacktrace=1:halt_on_error=1"; }

const char* __lsan_default_options() { return "print_suppressions=0"; }

// Open MPI keeps some memory of MPI_Init and of its plug-ins, which it unloads, until the process
// ends; libevent is what calls those that have a thread.
const char* __lsan_default_suppressions() {
  return "leak:libmpi.so\nleak:libopen-pal.so\nleak:libopen-rte.so\nleak:libevent_core\n";
}

}  // extern "C"
