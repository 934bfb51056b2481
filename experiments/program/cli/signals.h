#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SIGNALS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SIGNALS_H_

#include <atomic>
#include <functional>

namespace ringmaster {

// How this program takes signals. A thread of its own waits for SIGINT, SIGTERM and SIGHUP, which
// end the process with exit code 128 + signal, and for SIGTSTP (Ctrl-Z), which stops it; what the
// process has started is ended or stopped with it, and goes on with it. A signal that was ignored
// when the program started stays ignored, here and in what it starts.
//
// The end comes at once unless somebody has asked for one of the two:
//  - InterruptFlag: the signal sets it, and whoever runs something has a second and a half to end
//  well.
//  - OnEndSignal: the signal has a function called, which has 0.4 s to tell others of the end.
// A second signal does not wait for either. Files that are not complete are removed.

// Takes signals from now on; those that report an error where a write fails (SIGPIPE, SIGXFSZ) are
// ignored. REQUIRES: the process has one thread.
void HandleSignals();

// Set by the first signal. Asking for it promises to look at it.
const std::atomic<bool>& InterruptFlag();

// `tell` is called once with the signal, on a thread of its own; the process ends when it returns.
void OnEndSignal(std::function<void(int signal)> tell);

// The signal that ends this process; 0: none so far.
int EndSignal();

// Ends the process now: kills what it has started, removes files that are not complete. Threads may
// still run.
[[noreturn]] void EndProcess(int exit_code);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SIGNALS_H_
