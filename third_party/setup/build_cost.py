#!/usr/bin/env python3
"""Measures what a cold build costs: CPU-seconds of compilations and links, and the dearest files.

  third_party/setup/build_cost.py
      builds //experiments:ringmaster from nothing
  third_party/setup/build_cost.py --against COMMIT
      builds that commit too, one after the other, and prints the ratio

The build has an output folder of its own, which is removed at the end; yours is untouched. A
wrapper around the compiler notes the processor time of every call. Bazel's own time is not in it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEAREST = 10

# A line for each call: user seconds, system seconds, the file it compiles or "-". One short write,
# so calls do not mix.
WRAPPER = """#!/bin/bash
source_file=-
for word in "$@"; do
  [[ $previous == -c ]] && source_file=$word
  previous=$word
done
TIMEFORMAT='%U %S'
exec 3>&2 4>&1
seconds=$({ time {compiler} "$@" 2>&3 >&4; } 2>&1)
code=$?
echo "$seconds $source_file" >>'{log}'
exit $code
"""


def build(root, folder, target, jobs):
    """Builds `target` of the checkout `root` from nothing below `folder`.

    Returns [(CPU-seconds, file or "-")].
    """
    os.makedirs(folder)
    wrapper, log, output = (os.path.join(folder, name) for name in ("compiler", "log", "output"))
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        sys.exit("error: there is no compiler gcc; run third_party/setup/setup.sh")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(WRAPPER.replace("{compiler}", compiler).replace("{log}", log))
    os.chmod(wrapper, 0o755)
    bazel = ["bazel", "--output_base=" + output]
    command = bazel + ["build", "--repo_env=CC=" + wrapper, "--disk_cache=", "--curses=no",
                       "--show_result=0"]
    if jobs:
        command.append("--jobs=%d" % jobs)
    try:
        done = subprocess.run(command + [target], cwd=root)
    finally:
        subprocess.run(bazel + ["shutdown"], cwd=root)
        subprocess.run(["chmod", "-R", "u+w", output])
    if done.returncode != 0:
        sys.exit("error: the build of %s in %s failed" % (target, root))
    calls = []
    with open(log, encoding="utf-8") as lines:
        for line in lines:
            user, system, file = line.split(maxsplit=2)
            calls.append((float(user) + float(system), file.strip()))
    return calls


def cost(calls):
    return sum(seconds for seconds, _ in calls)


def describe(name, calls):
    compilations = [call for call in calls if call[1].endswith((".cc", ".c", ".cpp"))]
    print("%s: %.0f CPU-seconds: %d compilations %.0f, links and the rest %.0f" % (
        name, cost(calls), len(compilations), cost(compilations),
        cost(calls) - cost(compilations)))
    for seconds, file in sorted(compilations, reverse=True)[:DEAREST]:
        print("  %5.1f  %s" % (seconds, file))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="//experiments:ringmaster")
    parser.add_argument("--against", metavar="COMMIT",
                        help="build this commit too and print the ratio")
    parser.add_argument("--jobs", type=int, help="compilations at once; else what Bazel takes")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="build-cost.")
    worktree = os.path.join(folder, "other")
    try:
        ours = build(ROOT, os.path.join(folder, "ours"), options.target, options.jobs)
        describe("this tree", ours)
        if options.against:
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", worktree,
                            options.against], cwd=ROOT, check=True)
            theirs = build(worktree, os.path.join(folder, "theirs"), options.target, options.jobs)
            describe(options.against, theirs)
            print("ratio: %.2f" % (cost(ours) / cost(theirs)))
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", worktree], cwd=ROOT,
                       stderr=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
