"""Has clang prove that guarded fields are touched with their mutex held.

thread_safety.py check: runs clang's -Wthread-safety over every file here that has Abseil's
annotations (ABSL_GUARDED_BY and its like); for a header over the .cc beside it, which sees the
header's.
thread_safety.py covered ROOT: compares the files here, which Bazel's rule source_tree has
collected, with the work tree ROOT: no annotated file may be missing, no mutex may guard nothing.

Prints what is wrong and exits with status 1 when there is any.
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

FOLDERS = ("common", "server", "worker", "experiments", "tests")
ANNOTATION = re.compile(r"\bABSL_(PT_)?(GUARDED_BY|ACQUIRED_(BEFORE|AFTER)|"
                        r"\w*LOCKS?_(REQUIRED|EXCLUDED|FUNCTION|RETURNED))\b")
MUTEX = re.compile(r"^\s*(mutable\s+|static\s+)*((absl::Mutex)|std::\w*mutex)\s+(\w+_)\s*(;|\{)",
                   re.MULTILINE)

# Mutexes that guard no field, and what they do instead.
UNANNOTATED = {
    "common/control/control_client.cc: write_mutex_": "one write on a stream at a time",
    "common/transport/mixed_fabric.cc: seat_": "one thread at a time moves what the sockets have",
    "common/transport/polling_fabric.h: helper_mutex_": "held to turn an atomic on",
}

FLAGS = ["-x", "c++", "-std=c++17", "-march=x86-64-v3", "-iquote", ".", "-Wthread-safety",
         "-Werror=thread-safety"]

# Headers that most of the files read, for one precompiled header.
COMMON_HEADERS = ("gtest/gtest.h", "absl/container/flat_hash_map.h", "absl/status/statusor.h",
                  "absl/strings/str_cat.h", "absl/strings/str_format.h",
                  "absl/synchronization/mutex.h", "absl/time/time.h", "algorithm", "atomic",
                  "functional", "map", "memory", "string", "thread", "vector",
                  "proto/control.grpc.pb.h", "proto/record.pb.h")

# What the analysis must find: otherwise a run without findings would prove nothing.
WRONG = """
#include "absl/synchronization/mutex.h"
class Counter {
 public:
  void Add() { ++count_; }
 private:
  absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};
"""


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def sources(root):
    """Paths of C++ files below ROOT's folders, relative to it, in name order."""
    found = []
    for folder in FOLDERS:
        for at, _, names in os.walk(os.path.join(root, folder), followlinks=False):
            here = os.path.relpath(at, root)
            found += [os.path.join(here, name) for name in names if name.endswith((".h", ".cc"))]
    return sorted(found)


def annotated(root):
    return [path for path in sources(root) if ANNOTATION.search(read(os.path.join(root, path)))]


def units(root):
    """What clang compiles: for a header the .cc beside it; the header where there is none."""
    beside = (re.sub(r"\.h$", ".cc", path) for path in annotated(root))
    chosen = zip(annotated(root), beside)
    return sorted({unit if os.path.exists(os.path.join(root, unit)) else path
                   for path, unit in chosen})


def clang(arguments):
    """Clang's exit status and what it said."""
    done = subprocess.run(["clang++", *FLAGS, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def check():
    found = units(".")
    if not found:
        return ["no annotated file was found: nothing is proved; see roots in tests/lint/BUILD"]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as folder:
        common, precompiled, wrong = (os.path.join(folder, name)
                                      for name in ("common.h", "common.h.pch", "wrong.cc"))
        with open(common, "w", encoding="utf-8") as file:
            file.writelines(f'#include "{header}"\n' for header in COMMON_HEADERS)
        with open(wrong, "w", encoding="utf-8") as file:
            file.write(WRONG)
        status, said = clang(["-x", "c++-header", "-fpch-instantiate-templates", common,
                              "-o", precompiled])
        if status:
            return [said]
        problems = []
        analyse = ["-include-pch", precompiled, "-fsyntax-only"]
        status, said = clang(analyse + [wrong])
        if not status or "requires holding mutex 'mutex_'" not in said:
            problems.append("clang does not find an unguarded access that is there\n" + said)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = pool.map(lambda unit: clang(analyse + [unit]), found)
            problems += [said for status, said in results if status]
    print(f"{len(found)} files analysed")
    return problems


def covered(root):
    here = set(sources("."))
    problems = [f"{path}: annotated, and not among the files that clang analyses; name its "
                "target in tests/lint/BUILD, roots" for path in annotated(root) if path not in here]
    for path in sources(root):
        if path.startswith("tests/"):
            continue
        text = read(os.path.join(root, path))
        for mutex in MUTEX.finditer(text):
            if f"{path}: {mutex.group(4)}" in UNANNOTATED:
                continue
            if mutex.group(3) is None:
                problems.append(f"{path}: {mutex.group(4)} is a standard mutex, which the analysis "
                                "does not know; take absl::Mutex")
            elif not any(f"({mutex.group(4)})" in line and ANNOTATION.search(line)
                         for line in text.splitlines()):
                problems.append(f"{path}: nothing is guarded by {mutex.group(4)}; annotate the "
                                "fields with ABSL_GUARDED_BY, or say in thread_safety.py what "
                                "else it orders")
    return problems


def main():
    problems = check() if sys.argv[1:] == ["check"] else covered(sys.argv[2])
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
