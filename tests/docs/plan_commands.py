#!/usr/bin/env python3
"""Plans every command that help texts, the documentation and the presets show.

Each command is run with --plan, which reads and checks what it would do and starts nothing. What is
looked at:
  presets    every sweep below experiments/presets and docs
  help       lines of examples ("  ringmaster COMMAND ...") and `ringmaster COMMAND ...` within the
             text, of the program and of all its commands
  pages      fenced blocks, run by a shell in which nothing but ringmaster and ./run is there, and
             `./run COMMAND ...` or `ringmaster COMMAND ...` within the text
Words that stand for something of the reader's have a value in STAND_INS; of words with bars, as in
tcp|shm, each part is planned.

Exit status: 0 all can be planned, 1 some cannot (shown, with what the program says).
"""

import argparse
import itertools
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

# What a reader puts there.
STAND_INS = {
    "N": "2", "S": "2", "T": "tcp", "RATE,100us": "1gbit,100us", "STEPS": "20",
    "ARM": "ring", "NAME": "int8", "DIR": "job-tls", "HOST": "127.0.0.1",
    "FILE": "my.textproto", "FOLDER": "ringmaster-out", "SPEC": "my.textproto",
}
# "COMMAND" stands for any; ./run has these two for itself.
SKIPPED_FIRST_WORDS = {"COMMAND", "--cuda", "..."}
COMMAND = re.compile(r"(?:^|(?<=\s)|(?<==))(?:\./run|ringmaster)(?=\s|$)")
CODE_SPAN = re.compile(r"`([^`]+)`")
SHELL = """
command_not_found_handle() {
  while [ $# -gt 0 ]; do
    case "$1" in ringmaster|./run) shift; ringmaster "$@"; return;; esac
    shift
  done
}
"""


def write_idx(path, header, body_bytes, body=b""):
    """An IDX file; what `body` leaves out is zeros, which take no room on the disk."""
    with open(path, "wb") as file:
        file.write(b"".join(number.to_bytes(4, "big") for number in header) + body)
        file.truncate(4 * len(header) + body_bytes)


def write_npy(path, count):
    """An array of that many float32 ones."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count},), }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() +
                     b"\x00\x00\x80\x3f" * count)


def make_data(folder):
    """Data sets with the headers and labels of the real ones: nothing is trained."""
    for name in ("mnist", "cifar10", "text"):
        (folder / name).mkdir(parents=True)
    for part, count in (("train", 60000), ("t10k", 10000)):
        # Not all pixels are equal, or there would be nothing to normalize.
        write_idx(folder / f"mnist/{part}-images-idx3-ubyte", [2051, count, 28, 28], count * 784,
                  bytes(range(256)))
        write_idx(folder / f"mnist/{part}-labels-idx1-ubyte", [2049, count], count,
                  bytes(i % 10 for i in range(count)))
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        with open(folder / "cifar10" / name, "wb") as file:
            file.truncate(10000 * 3073)
    (folder / "text/kjv.txt").write_text("In the beginning was the word. " * 140000)


class Planner:
    """Plans commands in a folder that looks like the repository; collects what cannot be."""

    def __init__(self, folder, program):
        self.folder, self.program = folder, program.resolve()
        self.planned, self.problems = set(), []
        (folder / "experiments").mkdir()
        for linked in ("docs", "experiments/presets"):
            (folder / linked).symlink_to(pathlib.Path(linked).resolve())
        for name in ("my.textproto", "my_spec.textproto", "ring.textproto"):
            (folder / name).write_text("strategy { all_reduce { collective: \"ring\" } }\n")
        (folder / "my_sweep.textproto").write_text(
            "axes { field: \"arm\" values: [\"ps\", \"ring\"] }\n")
        for number in range(1, 5):
            (folder / f"shard-{number}").mkdir()
            (folder / f"shard-{number}/results.jsonl").touch()
        for name in ("g.npy", "gradient.npy", "x.npy"):
            write_npy(folder / name, 1000)
        make_data(folder / "cache/ringmaster")
        (folder / "bin").mkdir()
        (folder / "bin/cat").symlink_to("/bin/cat")  # for blocks that write a spec first
        self.add_programs()
        self.log = folder / "calls"
        wrapper = f"#!/bin/bash\n(printf '%s\\0' \"$@\"; printf '\\n') >> '{self.log}'\n"
        for path in (folder / "bin/ringmaster", folder / "run"):
            path.write_text(wrapper)
            path.chmod(0o755)
        self.environment = {"PATH": str(folder / "bin"), "HOME": str(folder),
                            "XDG_CACHE_HOME": str(folder / "cache"),
                            "PYTHONPATH": str(pathlib.Path("experiments/python").resolve()),
                            "RINGMASTER_LIBRARY": str(pathlib.Path(
                                "experiments/program/session/libringmaster.so").resolve())}

    def add_programs(self):
        """What `--program` starts, to say what it would train. NumPy is there and PyTorch is not,
        so all scripts are the one that needs NumPy alone.
        """
        (self.folder / "bin/python3").symlink_to("/usr/bin/python3")
        script = pathlib.Path("experiments/python/examples/numpy_mlp.py").resolve()
        examples = self.folder / "experiments/python/examples"
        examples.mkdir(parents=True)
        for path in (examples / "numpy_mlp.py", examples / "torch_train.py",
                     self.folder / "train.py"):
            path.symlink_to(script)

    def help_of(self, words):
        return subprocess.run([self.program, *words, "--help"], env=self.environment, check=True,
                              capture_output=True, text=True).stdout

    def plan(self, where, words):
        """Plans one command, in all the ways that its bars allow."""
        words = [word.strip("[]") for word in words]  # what may be left out is there
        words = [STAND_INS.get(word, word).replace("=...", "=65536") for word in words]
        if words[:1] == ["sweep"]:
            words = [word.replace("my.textproto", "my_sweep.textproto") for word in words]
        if words and words[0] in SKIPPED_FIRST_WORDS:
            return
        if not words:
            words = ["compare"]  # what ./run does by itself
        ways = [word.split("|") if re.fullmatch(r"[\w-]+(\|[\w-]+)+", word) else [word]
                for word in words]
        for arguments in itertools.product(*ways):
            if arguments in self.planned:
                continue
            self.planned.add(arguments)
            done = subprocess.run([self.program, "--plan", *arguments], cwd=self.folder,
                                  env=self.environment, stdin=subprocess.DEVNULL, check=False,
                                  capture_output=True, text=True)
            if done.returncode != 0:
                self.problems.append(f"{where}: {shlex.join(arguments)}\n  {done.stderr.strip()}")

    def plan_line(self, where, line):
        """Plans a command line, from the program's name on to the end or a shell's sign."""
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            self.problems.append(f"{where}: {line}\n  {error}")
            return
        # A bare name is that of a command, of which nothing more is said.
        if re.fullmatch(r"\S+ [a-z]+( [a-z]+)?", line):
            words.append("--help")
        end = next((i for i, word in enumerate(words) if word in (">", "|", "&&", ";", "<", "&")),
                   len(words))
        self.plan(where, words[1:end])

    def run_block(self, where, script):
        """Runs a block of a page with a shell that knows ringmaster alone, and plans its calls."""
        named = len([line for line in re.sub(r"\\\n", " ", script).splitlines()
                     if COMMAND.search(line.split(" #")[0])])
        if named == 0:
            return
        self.log.write_text("")
        done = subprocess.run(["/bin/bash", "-c", SHELL + script], cwd=self.folder,
                              env=self.environment, stdin=subprocess.DEVNULL, check=False,
                              capture_output=True, text=True, timeout=60)
        calls = self.log.read_text().splitlines()
        if len(calls) < named:
            self.problems.append(f"{where}: {named} commands stand there, {len(calls)} were reached"
                                 f"\n  {done.stderr.strip()}")
        for call in calls:
            self.plan(where, [word for word in call.split("\0") if word])


def plan_help(planner, words=()):
    """Help texts of a command and of those below it."""
    text = planner.help_of(words)
    where = shlex.join(["ringmaster", *words, "--help"])
    for line in re.findall(r"^  (ringmaster .*)$", text, re.MULTILINE):
        planner.plan_line(where, re.split(r"\s{2,}", line)[0])
    for span in CODE_SPAN.findall(text):
        if COMMAND.match(span):
            planner.plan_line(where, " ".join(span.split()))
    below = re.search(r"^(?:Subcommands|Commands|COMMANDS|SUBCOMMANDS):?\n((?:  .*\n)+)", text,
                      re.MULTILINE)
    names = re.findall(r"^  (\w[\w-]*) ", below.group(1), re.MULTILINE) if below else []
    for name in names:
        plan_help(planner, (*words, name))
    return 1 + len(names)


def plan_page(planner, page):
    """Blocks and code within the text of a page."""
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        planner.run_block(f"{page}:{text[:block.start()].count(chr(10)) + 1}", block.group(1))
    prose = re.sub(r"^```\w*\n.*?^```", lambda block: "\n" * block.group().count("\n"), text,
                   flags=re.MULTILINE | re.DOTALL)
    for span in CODE_SPAN.finditer(prose):
        code = re.sub(r"^(\w+=\S+ )+", "", " ".join(span.group(1).split()))
        if COMMAND.match(code):
            planner.plan_line(f"{page}:{prose[:span.start()].count(chr(10)) + 1}", code)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--program", type=pathlib.Path, default="experiments/ringmaster")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        planner = Planner(pathlib.Path(name), options.program)
        sweeps = sorted(pathlib.Path("experiments/presets").glob("*.textproto"))
        sweeps += sorted(pathlib.Path("docs").glob("**/*.textproto"))
        for sweep in sweeps:
            planner.plan(str(sweep), ["sweep", str(sweep)])
        commands = plan_help(planner)
        for page in options.pages:
            plan_page(planner, page)
    for problem in planner.problems:
        print(problem)
    print(f"{len(sweeps)} sweeps, {commands} commands with help, {len(options.pages)} pages: "
          f"{len(planner.planned)} different commands planned, {len(planner.problems)} cannot be")
    return 1 if planner.problems or len(planner.planned) < 100 or len(sweeps) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
