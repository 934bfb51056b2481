#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_BUFFER_FLAGS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_BUFFER_FLAGS_H_

#include <string>
#include <vector>

#include "experiments/program/cli/commands.h"
#include "experiments/proof/bench/bench_buffers.h"

namespace ringmaster {

// Declares --buffers and --unaligned, which set `*buffers`; it outlives the command.
void DeclareBuffers(Command command, BenchBuffers* buffers);

// The flags that say `buffers`, for a process that takes part.
std::vector<std::string> BufferArguments(const BenchBuffers& buffers);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_BUFFER_FLAGS_H_
