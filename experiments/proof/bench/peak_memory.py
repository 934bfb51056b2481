#!/usr/bin/env python3
"""Measures the memory that an arm's processes take, at its peak: of one build, or beside another.

  experiments/proof/bench/peak_memory.py PROGRAM [--against OTHER] [--arms LIST] [-- COMPARE-FLAGS]

PROGRAM and OTHER are built `ringmaster`s. A round runs each arm with the flags and with a model of
some kilobytes in its place, in each program. Of every process the proportional set size (PSS: what
processes share is divided among them) is read each 10 ms; of an arm and a role the largest peak of
its processes counts, less that of the tiny model. Printed: MiB, medians of the rounds; beside
OTHER also the ratio, PROGRAM's over OTHER's. Ends with 1 where a run failed.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from own_flags import split_flags

DEFAULT_FLAGS = ["--workers", "2", "--model", "mlp", "--set", "model.mlp_hidden=4096,4096",
                 "--data", "synthetic", "--transport", "shm", "--batch", "16", "--steps", "8"]
TINY_MODEL = ["--set", "model.mlp_hidden=8"]
PERIOD_SECONDS = 0.01


def children_of(process):
    """The PIDs of the processes that it has started."""
    found = []
    for listing in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += listing.read_text().split()
        except OSError:
            pass  # it has ended
    return found


def pss_mib(process):
    try:
        for line in pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def role_of(process, workers):
    """"worker" or "server"; None: it is no rank. Builds whose ranks have no names ("rm:worker/0")
    number them from the workers on."""
    try:
        name = pathlib.Path(f"/proc/{process}/comm").read_text().strip()
        words = pathlib.Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except OSError:
        return None  # it has ended
    if name.startswith("rm:") and "/" in name:
        return name.split("/")[0].removeprefix("rm:")
    if "--rank" not in words:
        return None
    return "worker" if int(words[words.index("--rank") + 1]) < workers else "server"


def takes_turns(program):
    """Whether its arms take turns unless told otherwise."""
    helped = subprocess.run([program, "compare", "--help"], capture_output=True, text=True)
    return "--no-turns" in helped.stdout


def peaks(program, arm, flags):
    """{role: MiB}: the largest peak of its processes."""
    largest = {}
    workers = int(flags[flags.index("--workers") + 1]) if "--workers" in flags else 2
    alone = ["--no-turns"] if takes_turns(program) else []
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "compare", "--arms", arm, "--out", folder] + alone + flags
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
        while running.poll() is None:
            for process in children_of(running.pid):
                role = role_of(process, workers)
                if role:
                    largest[role] = max(largest.get(role, 0.0), pss_mib(process))
            time.sleep(PERIOD_SECONDS)
        errors = running.stderr.read()
    if running.returncode != 0 or not largest:
        sys.exit("error: %s ended with %d: %s" % (" ".join(command), running.returncode, errors))
    return largest


def net_peaks(program, arm, flags):
    own, tiny = peaks(program, arm, flags), peaks(program, arm, flags + TINY_MODEL)
    return {role: own[role] - tiny[role] for role in own}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--against", metavar="OTHER", help="another build")
    parser.add_argument("--arms", default="ring,ps,async,async-topk")
    parser.add_argument("--rounds", type=int, default=1)
    parser.epilog = "flags of compare, behind --: [%s]" % " ".join(DEFAULT_FLAGS)
    own, flags = split_flags(sys.argv[1:])
    arguments = parser.parse_args(own)
    if arguments.rounds < 1:
        sys.exit("error: --rounds %d: expected 1 or more" % arguments.rounds)
    programs = [arguments.program] + ([arguments.against] if arguments.against else [])
    print("%-20s %-7s %10s %10s %7s" % ("arm", "role", "MiB", "other, MiB", "ratio"))
    for arm in arguments.arms.split(","):
        rounds = [[net_peaks(program, arm, flags or DEFAULT_FLAGS) for program in programs]
                  for _ in range(arguments.rounds)]
        for role in sorted(rounds[0][0]):
            mib = [statistics.median(one[place][role] for one in rounds)
                   for place in range(len(programs))]
            beside = ("%10.0f %7.2f" % (mib[1], mib[0] / mib[1])) if len(mib) > 1 else ""
            print("%-20s %-7s %10.0f %s" % (arm, role, mib[0], beside), flush=True)


if __name__ == "__main__":
    main()
