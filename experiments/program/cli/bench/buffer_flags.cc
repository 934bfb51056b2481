#include "experiments/program/cli/bench/buffer_flags.h"

namespace ringmaster {

void DeclareBuffers(Command command, BenchBuffers* buffers) {
  command
      .AddOption(
          "--buffers", &buffers->state,
          "warm: in the caches, as they were last used; cold: taken out of all caches before "
          "the clock starts")
      .OneOf({"warm", "cold"})
      .ShowDefault();
  command.AddFlag("--unaligned", &buffers->unaligned,
                  "buffers that begin 4 bytes behind a cache line's begin");
}

std::vector<std::string> BufferArguments(const BenchBuffers& buffers) {
  std::vector<std::string> arguments = {"--buffers", buffers.state};
  if (buffers.unaligned) arguments.push_back("--unaligned");
  return arguments;
}

}  // namespace ringmaster
