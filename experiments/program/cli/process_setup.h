#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PROCESS_SETUP_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PROCESS_SETUP_H_

namespace ringmaster {

// What of memory and locks holds for all commands and all arms alike, and for programs of the
// user's while they have a session. Before there are threads of ours.
void SetUpMemoryAndLocks();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_PROCESS_SETUP_H_
