"""What the tests of the Python package have in common: runs of programs under the real launcher."""

import json
import os
import pathlib
import socket
import subprocess
import sys

RINGMASTER = pathlib.Path("experiments/ringmaster").resolve()
LIBRARY = pathlib.Path("experiments/program/session/libringmaster.so").resolve()
PACKAGE = pathlib.Path("experiments/python").resolve()
EXAMPLES = PACKAGE / "examples"
HERE = pathlib.Path(__file__).parent
# Debian's, which has NumPy and PyTorch by apt.
PYTHON = "/usr/bin/python3"
# Arms at N = 2 whose weights are the same bits: updates are made of all workers' gradients at once,
# and an addition of two is the same in either order.
SYNCHRONOUS = ("ps", "ring")
PATIENCE_SECONDS = 1500


def environment(**more):
    """Of a process that uses the package without a launcher, or of a launcher."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**os.environ, **threads, "PYTHONPATH": str(PACKAGE),
            "RINGMASTER_LIBRARY": str(LIBRARY), **more}


def compare(out, program, arms, *flags, workers=2, **variables):
    """Runs `ringmaster compare --program`. Returns (exit code, {arm: run}, standard error)."""
    command = [RINGMASTER, "compare", "--json", "--program", program, "--arms", ",".join(arms),
               "--workers", str(workers), "--out", str(out), *flags]
    done = subprocess.run(command, env=environment(**variables), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    try:
        runs = {run["arm"]: run for run in json.loads(done.stdout)["runs"]}
    except (ValueError, KeyError):
        runs = {}
    return done.returncode, runs, done.stderr


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def launched(command, folder):
    """Runs a launcher of others' in `folder`, with the meeting place that it may leave to us."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return subprocess.run(command, env=environment(**meeting), cwd=folder, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=PATIENCE_SECONDS)


def stored(out):
    """[(arm, workers, status)] of the runs in a store."""
    runs = map(json.loads, (pathlib.Path(out) / "results.jsonl").read_text().splitlines())
    return [(run["arm"], run["workers"], run["status"]) for run in runs]


def show_logs(out):
    """Prints what the ranks have written: for who reads why a test failed."""
    for log in sorted(pathlib.Path(out).glob("programs/*.log")):
        print(f"== {log.name}\n{log.read_text()[-3000:]}", file=sys.stderr)
