#!/usr/bin/env python3
"""Runs the commands that a page of the documentation shows, as its readers would.

A block with a line that starts with "./run" runs as one shell script, in a folder of the page's
that has ./run and what the repository has in docs and experiments/presets. A block behind the
comment <!-- slow --> runs only with --slow, and only such blocks then. Blocks without ./run are
left alone.

Exit status: 0 all commands succeeded and there was at least one, 1 one failed (its block, output
and status are shown).
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SLOW_MARK = "<!-- slow -->"
# By whether the block is marked slow. Far more than a block takes alone: the machine may have other
# work.
BLOCK_SECONDS = {False: 600, True: 1800}


def blocks(text):
    """Yields (line number, is_slow, script) of every fenced block that calls ./run."""
    lines = text.splitlines()
    slow, begin = False, None
    for number, line in enumerate(lines, start=1):
        if line.startswith("```"):
            if begin is None:
                begin = number
                continue
            body = lines[begin:number - 1]
            # ./test and .ci/run build with Bazel, which a test cannot do inside Bazel.
            kept = [entry for entry in body if not re.match(r"(\./test|\.ci/run)\b", entry)]
            if any(re.match(r"\./run\b", entry) for entry in kept):
                yield begin, slow, "\n".join(kept) + "\n"
            slow, begin = False, None
        elif begin is None and line.strip():
            slow = line.strip() == SLOW_MARK


def prepare(folder, program):
    """Makes `folder` look like the repository, which is the working directory, to a command of the
    documentation.
    """
    run = folder / "run"
    # ./run builds, fetches and hands its arguments on; here the program is built already.
    run.write_text(f'#!/bin/sh\n[ $# -gt 0 ] || set -- compare\nexec "{program}" "$@"\n')
    run.chmod(0o755)
    (folder / "experiments").mkdir()
    for linked in ("docs", "experiments/presets", "experiments/python"):
        (folder / linked).symlink_to(pathlib.Path(linked).resolve())
    # Debian's, which has what set-up installs.
    (folder / "bin").mkdir()
    (folder / "bin/python3").symlink_to("/usr/bin/python3")


def run_block(where, script, folder, environment, seconds):
    """Runs a block; says which, and what it has printed if it fails. Whether it succeeded."""
    print(f"== {where}\n{script}", flush=True)
    try:
        done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", script], cwd=folder,
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=seconds)
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as expired:
        status, output = f"none within {seconds} s", expired.stdout or b""
    if status != 0:
        print(f"{output.decode('utf-8', 'replace')}\nFAILED: {where}: status {status}", flush=True)
    return status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--program", type=pathlib.Path, default="experiments/ringmaster")
    parser.add_argument("--slow", action="store_true",
                        help="run the blocks that are marked slow, and no others")
    options = parser.parse_args()
    # Where set-up keeps MNIST, which a test has another home for.
    data = os.environ.get("RINGMASTER_MNIST_DIR")
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path("experiments/python").resolve()),
                   "RINGMASTER_LIBRARY": str(pathlib.Path(
                       "experiments/program/session/libringmaster.so").resolve())}
    if data:
        environment["XDG_CACHE_HOME"] = str(pathlib.Path(data).parent.parent)

    ran, failed = 0, 0
    for page in options.pages:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            prepare(folder, options.program.resolve())
            environment["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
            for number, slow, script in blocks(page.read_text(encoding="utf-8")):
                if slow != options.slow:
                    continue
                ran += 1
                failed += not run_block(f"{page}:{number}", script, folder, environment,
                                        BLOCK_SECONDS[slow])
    print(f"{ran} blocks ran, {failed} failed")
    return 0 if ran and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
