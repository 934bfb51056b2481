#!/usr/bin/env python3
"""Measures what taking turns costs: step_ms_p50 of each arm of `compare`, in turns over --no-turns.

  experiments/proof/bench/turns_cost.py PROGRAM [--rounds R] [--json] [-- COMPARE-FLAGS]

PROGRAM is the built `ringmaster`. A round runs one comparison in turns and one with --no-turns, of
the same flags, every other round in reverse, so that what slows the machine for a while slows both.
Printed for each arm: both medians of the rounds, and the median of the rounds' ratios with the
least and the largest. Above 1: steps in turns take longer. The last row is of the seconds of the
whole command, and below it stands when the first table was there. Ends with 1 where a comparison
failed or did not run as it was asked to.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time

from own_flags import split_flags

DEFAULT_FLAGS = ["--arms", "solo,ps,ring", "--workers", "2", "--steps", "400", "--model", "mlp",
                 "--data", "synthetic", "--transport", "shm"]


def compare(program, flags, in_turns):
    """One comparison, of which nothing is kept. Returns {arm: step_ms_p50}, its seconds, and the
    seconds until the first table of arms in turns, None where there was none."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "compare", "--json", "--out", folder] + flags
        if not in_turns:
            command.append("--no-turns")
        begin = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        seconds = time.monotonic() - begin
    if done.returncode != 0:
        sys.exit("error: %s ended with %d: %s" % (" ".join(command), done.returncode, done.stderr))
    said = json.loads(done.stdout)
    if said["turns"] != in_turns:
        sys.exit("error: the arms did not take turns: %s" % said["why_no_turns"])
    first_table = re.search(r"so far, after 1 turn of each arm \((?:(\d+) m )?(\d+) s\)",
                            done.stderr)
    until_table = None
    if first_table:
        until_table = 60 * int(first_table.group(1) or 0) + int(first_table.group(2))
    return {run["arm"]: run["step_ms_p50"] for run in said["runs"]}, seconds, until_table


def measure(program, flags, rounds):
    """Returns {arm: [(step_ms_p50 in turns, without)]}, a pair a round, the same of the seconds of
    the commands, and the seconds until the first tables."""
    pairs = {}
    seconds = []
    until_table = []
    for number in range(rounds):
        order = [True, False] if number % 2 == 0 else [False, True]
        taken = {in_turns: compare(program, flags, in_turns) for in_turns in order}
        for arm, in_turns_ms in taken[True][0].items():
            pairs.setdefault(arm, []).append((in_turns_ms, taken[False][0][arm]))
        seconds.append((taken[True][1], taken[False][1]))
        if taken[True][2] is not None:
            until_table.append(taken[True][2])
    return pairs, seconds, until_table


def figures_of(pairs, unit):
    """Medians and ratios of pairs (in turns, without)."""
    ratios = [with_turns / without for with_turns, without in pairs]
    return {"rounds": len(pairs),
            unit + "_in_turns": statistics.median(pair[0] for pair in pairs),
            unit + "_without": statistics.median(pair[1] for pair in pairs),
            "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.epilog = "flags of compare, behind --: [%s]" % " ".join(DEFAULT_FLAGS)
    own, flags = split_flags(sys.argv[1:])
    arguments = parser.parse_args(own)
    if arguments.rounds < 1:
        sys.exit("error: --rounds %d: expected 1 or more" % arguments.rounds)
    pairs, seconds, until_table = measure(arguments.program, flags or DEFAULT_FLAGS,
                                          arguments.rounds)
    rows = [{"arm": arm, **figures_of(of_arm, "step_ms")} for arm, of_arm in pairs.items()]
    whole = figures_of(seconds, "seconds")
    if arguments.json:
        print(json.dumps({"benchmark": "turns_cost", "rows": rows, "whole": whole,
                          "seconds_until_first_table": until_table}))
        return
    print("%-16s %6s %12s %12s %7s  %s" % ("arm", "rounds", "in turns, ms", "without, ms", "ratio",
                                           "least to most"))
    for row in rows:
        print("%-16s %6d %12.3f %12.3f %7.3f  %.3f to %.3f"
              % (row["arm"], row["rounds"], row["step_ms_in_turns"], row["step_ms_without"],
                 row["ratio"], row["least"], row["most"]))
    print("%-16s %6d %10.1f s %10.1f s %7.3f  %.3f to %.3f"
          % ("whole command", whole["rounds"], whole["seconds_in_turns"], whole["seconds_without"],
             whole["ratio"], whole["least"], whole["most"]))
    if until_table:
        print("first table after %.0f s, at most %.0f s"
              % (statistics.median(until_table), max(until_table)))


if __name__ == "__main__":
    main()
