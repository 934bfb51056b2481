#!/usr/bin/env python3
"""Measures one build's training steps beside another's, both in turns on the same machine.

  experiments/proof/bench/beside_build.py PROGRAM OTHER [--models LIST] [--strategy NAME]
    [--rounds R] [-- FLAGS-OF-BENCH-STEP]

PROGRAM and OTHER are built `ringmaster`s. A round runs `bench step` once in each for each model,
every other round in reverse, so that what slows the machine for a while slows both. Printed: the
medians in milliseconds, and the median of the rounds' ratios, PROGRAM's over OTHER's, with the
least and the largest. Below 1: PROGRAM is faster. ONEDNN_MAX_CPU_ISA=AVX2 in the environment is
for both. Ends with 1 where a run failed.
"""

import argparse
import json
import statistics
import subprocess
import sys

from own_flags import split_flags


def step_ms(program, model, strategy, flags):
    command = [program, "bench", "step", "--model", model, "--strategy", strategy, "--blocks", "1",
               "--json"] + flags
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("error: %s ended with %d: %s" % (" ".join(command), done.returncode, done.stderr))
    rows = json.loads(done.stdout)["rows"]
    return next(row["step_ms"] for row in rows if row["name"] == strategy)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("other")
    parser.add_argument("--models", default="mlp,cnn,transformer")
    parser.add_argument("--strategy", default="solo", help="one arm [solo]")
    parser.add_argument("--rounds", type=int, default=8)
    own, flags = split_flags(sys.argv[1:])
    arguments = parser.parse_args(own)
    if arguments.rounds < 1:
        sys.exit("error: --rounds %d: expected 1 or more" % arguments.rounds)
    print("%-14s %-12s %8s %10s %7s  %s"
          % ("model", "strategy", "ms", "other, ms", "ratio", "least to most"))
    for model in arguments.models.split(","):
        pairs = []
        for number in range(arguments.rounds):
            order = [arguments.program, arguments.other]
            taken = {program: step_ms(program, model, arguments.strategy, flags)
                     for program in (order if number % 2 == 0 else reversed(order))}
            pairs.append((taken[arguments.program], taken[arguments.other]))
        ratios = [own_ms / other_ms for own_ms, other_ms in pairs]
        print("%-14s %-12s %8.2f %10.2f %7.3f  %.3f to %.3f"
              % (model, arguments.strategy, statistics.median(pair[0] for pair in pairs),
                 statistics.median(pair[1] for pair in pairs), statistics.median(ratios),
                 min(ratios), max(ratios)), flush=True)


if __name__ == "__main__":
    main()
