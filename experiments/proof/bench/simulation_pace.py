#!/usr/bin/env python3
"""Measures what a simulated run that learns takes beside the computing alone that it is made of.

  experiments/proof/bench/simulation_pace.py PROGRAM [--rounds R] [--json] [-- SIMULATE-FLAGS]

PROGRAM is the built `ringmaster`. A round runs `simulate --learn` with the flags, and before and
after it real workers of the same model and batch that exchange nothing, one a core. Printed for
each arm: the samples it computed, its seconds, the samples a second of those workers together, and
the ratio: seconds over samples / (samples a second), the median of the rounds with the least and
the largest. 1: the simulation costs nothing beyond the gradients. Scoring is part of its seconds.
Ends with 1 where a run failed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from own_flags import split_flags

DEFAULT_FLAGS = ["--arms", "ring,ps,async", "--workers", "64", "--model", "lenet", "--batch", "32",
                 "--network", "10gbit,50us", "--compute", "20ms", "--epochs", "15",
                 "--evaluate-every", "40960", "--stop-at-accuracy", "0.97"]
# What a worker alone is told too.
SHARED = ["--model", "--batch", "--data", "--data-dir", "--kernels", "--optimizer", "--set"]
SOLO_STEPS = 400


def run(program, command, flags):
    """The records of one call, which are not kept."""
    with tempfile.TemporaryDirectory() as folder:
        words = [program, command, "--json", "--out", folder] + flags
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit("error: %s ended with %d: %s"
                     % (" ".join(words), done.returncode, done.stderr))
        with open(os.path.join(folder, "results.jsonl"), encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]


def solo_rate(program, flags, steps):
    """Samples a second of a worker a core, all together."""
    shared = []
    for flag, value in zip(flags, flags[1:]):
        if flag in SHARED:
            shared += [flag, value]
    workers = len(os.sched_getaffinity(0))
    (solo,) = run(program, "compare", ["--arms", "solo", "--workers", str(workers), "--steps",
                                       str(steps), "--evaluate-every", "0"] + shared)
    return solo["samples_per_second"]


def samples_of(simulated):
    """What the run computed until it ended."""
    marks = simulated["evaluations"]
    if simulated["simulation"].get("stopped_at_accuracy"):
        return marks[-1]["samples_seen"]
    return simulated["steps"] * simulated["global_batch"]


def measure(program, flags, rounds, steps):
    """Returns {arm: [{samples, seconds, rate, ratio}]}, one a round."""
    arms = {}
    for _ in range(rounds):
        before = solo_rate(program, flags, steps)
        simulated = run(program, "simulate", ["--learn"] + flags)
        rate = (before + solo_rate(program, flags, steps)) / 2
        for run_of_arm in simulated:
            samples = samples_of(run_of_arm)
            seconds = run_of_arm["simulation"]["wall_seconds"]
            arms.setdefault(run_of_arm["arm"], []).append(
                {"samples": samples, "seconds": seconds, "rate": rate,
                 "ratio": seconds * rate / samples})
    return arms


def row_of(arm, rounds):
    """What is said of an arm."""
    ratios = [one["ratio"] for one in rounds]
    row = {"arm": arm, "rounds": len(rounds), "samples": rounds[0]["samples"]}
    for name in ("seconds", "rate", "ratio"):
        row[name] = statistics.median(one[name] for one in rounds)
    return dict(row, least=min(ratios), most=max(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--solo-steps", type=int, default=SOLO_STEPS)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.epilog = "flags of simulate, behind --: [%s]" % " ".join(DEFAULT_FLAGS)
    own, flags = split_flags(sys.argv[1:])
    arguments = parser.parse_args(own)
    if arguments.rounds < 1:
        sys.exit("error: --rounds %d: expected 1 or more" % arguments.rounds)
    arms = measure(arguments.program, flags or DEFAULT_FLAGS, arguments.rounds,
                   arguments.solo_steps)
    rows = [row_of(arm, rounds) for arm, rounds in arms.items()]
    if arguments.json:
        print(json.dumps({"benchmark": "simulation_pace", "rows": rows}))
        return
    print("%-16s %6s %9s %9s %14s %7s  %s" % ("arm", "rounds", "samples", "seconds",
                                              "solo, samples/s", "ratio", "least to most"))
    for row in rows:
        print("%-16s %6d %9d %9.1f %14.0f %7.3f  %.3f to %.3f"
              % (row["arm"], row["rounds"], row["samples"], row["seconds"], row["rate"],
                 row["ratio"], row["least"], row["most"]))


if __name__ == "__main__":
    main()
