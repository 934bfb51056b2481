"""Checks the house rules that a look at the sources can decide: check_sources.py ROOT.

Prints one line a violation, "path:line: what is wrong; what to do", and exits with status 1 when
there is any. layout.py has the rules of lines and functions.
"""

import json
import os
import re
import sys

sys.dont_write_bytecode = True  # the folder of the sources stays as it is
import layout  # noqa: E402

MAX_LINES = 500

# Headers of these libraries are included below the named folders only: everything else goes through
# that package's own interface, so a library can be replaced, and is compiled, in one place.
LIBRARY_HEADERS = [
    ("gRPC", r"grpc(pp|\+\+)?/", ["common/transport/grpc", "common/control"]),
    ("the control service", r"proto/control\.grpc\.pb\.h", ["common/control"]),
    ("spdlog", r"spdlog/", ["common/log"]),
    ("SQLite", r"sqlite3\.h", ["experiments/program/store"]),
    ("oneDNN", r"(dnnl|oneapi)", ["worker/kernels/cpu"]),
    ("CUDA", r"(cuda|cublas|driver_types|nccl)",
     ["worker/kernels/cublas", "common/engine/nccl", "common/engine/cuda_ipc"]),
    ("MPI", r"mpi(ch)?/", ["common/engine/mpi"]),
    ("Gloo", r"gloo/", ["common/engine/gloo"]),
    ("CLI11", r"CLI/", ["experiments/program/cli/parser"]),
    ("OpenSSL", r"openssl/", ["common/base", "common/security"]),
    ("zlib", r"zlib\.h", ["worker/data", "tests/worker/data"]),
    ("nlohmann-json", r"nlohmann/", ["common/formats", "tests"]),
]

# Folder -> folders whose headers it may not include. A longer folder adds to what a shorter one
# says.
LAYERS = {
    "proto": ["common", "server", "worker", "experiments", "tests"],
    "common": ["server", "worker", "experiments", "tests"],
    "server": ["worker", "experiments", "tests"],
    "worker": ["server", "experiments", "tests"],
    "worker/strategy": ["worker/kernels", "worker/model", "worker/data", "worker/loop"],
    "worker/kernels": ["worker/model", "worker/data", "worker/loop", "worker/strategy"],
    "worker/data": ["worker/kernels", "worker/model", "worker/loop", "worker/strategy"],
    "worker/model": ["worker/loop", "worker/strategy"],
    "experiments": ["tests"],
}

# Settings do not come silently from the environment: these files alone read it. MPI's own settings
# and NCCL's are there, and nowhere else.
ENVIRONMENT = re.compile(r"\b(secure_)?getenv\s*\(")
READ_ENVIRONMENT = ("experiments/program/run/launcher_environment.cc",
                    "worker/kernels/cublas/loader.cc", "common/engine/mpi/mpi_engine.cc",
                    "common/engine/nccl/nccl_engine.cc")

# Durations and deadlines are monotonic (common/base/monotonic.h): what follows the wall clock is
# for dates alone, for gRPC, which takes no other moments, and for the sanitizer's definitions of
# Abseil's own waits, which bear Abseil's names and types.
WALL_CLOCK = re.compile(
    r"\b(absl::Now\(|absl::Time\b|system_clock|AwaitWith(Timeout|Deadline)|"
    r"WaitWith(Timeout|Deadline)|WithTimeout\(|CLOCK_REALTIME|gettimeofday|"
    r"time\((NULL|nullptr)\))")
READ_WALL_CLOCK = ("experiments/program/run/run_arm.cc", "common/control/control_client.cc",
                   "common/control/coordinator.cc", "common/transport/grpc/grpc_fabric.cc",
                   "common/base/monotonic.h", "common/base/monotonic.cc",
                   "third_party/sanitizers/thread_absl.cc")

# What a reader must not find anywhere. (Written in two parts, so that this file does not find
# itself.)
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b|\bfor" r" now\b", re.IGNORECASE)
SLEEP = re.compile(r"\b(sleep_" r"for|sleep_" r"until|Sleep" r"For|u" r"sleep|nano" r"sleep|"
                   r"sleep\s*\()")
# Words that readers stumble over, and some that they understand.
WORDS = re.compile(r"\b(ris" r"ing|like" r"wise|how man" r"ieth|(is|are|was|were) rec" r"koned|"
                   r"of as" r" many|what has" r" come|to be dou" r"bted)\b", re.IGNORECASE)
PLAIN = "ascending, the same, ordinal, is computed, of the same size, what has arrived, doubtful"
SHELL_SLEEP = re.compile(r"(^|[;&|]\s*)\s*sleep" r"\s+[0-9]")
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')

# What some rooms know must not leak into the others. Of each name: files of these folders that
# match the pattern count, but for those of its own rooms. COUNTS says how many there are today;
# that many is the limit, and it is lowered with the count.
COUNTED_FOLDERS = ("common", "worker", "server", "experiments")
COUNTS = "tests/lint/name_counts.json"
# The names of arms, codecs, collectives and transports: three of them side by side are a list by
# hand.
REGISTERED = (r"(?:single|solo|dp|ssp|(?:ps|ring|async|all-reduce)(?:-\w+)*|none|fp16|topk|onebit|"
              r"direct|auto|grpc|tcp|shm|inproc|(?:reduce|halving|binomial|recursive)[-_][a-z]+)")
COUNTED_NAMES = {
    "strategies": (
        re.compile(r"\bhas_(single|solo|parameter_server|all_reduce|local_sgd|elastic|gossip)\(|"
                   r"\bStrategySpec::k[A-Z]|"
                   r"\bstrategy\(\)\.(single|solo|parameter_server|all_reduce|local_sgd|"
                   r"elastic|gossip)\(|"
                   r"\bstrategy\(\)\s*[!=]=\s*\""),
        ("common/scheme", "worker/strategy", "server"),
        "ask the traits (common/scheme/registry.h)"),
    "codecs": (
        re.compile(r"[\"'](fp16|topk|onebit)[\"']|[.>](has_|set_)?(density|error_feedback)\("),
        ("common/codec",),
        "ask the codec (common/codec/codec.h)"),
    "lists": (
        re.compile(r'"%s",\s*"%s",\s*"%s"|\b%s,%s,%s\b' % ((REGISTERED,) * 6)),
        (),
        "run over the registries (tests/support/arms.h, transports.h), or name two"),
}
# Of names that are looked for elsewhere than in COUNTED_FOLDERS.
COUNTED_ELSEWHERE = {"lists": ("tests",)}

# Packages whose targets everybody may use, and what is asked for by others than BUILD files: by
# Bazel, and by .bazelrc for every program (sanitizers). All others name their callers.
PUBLIC_PACKAGES = ("common/base", "proto", "third_party/remote_coverage_tools",
                   "third_party/build", "third_party/sanitizers")

CODE = (".h", ".cc", ".cu", ".cuh")
SCRIPTS = (".sh", ".py", ".bzl")
TEXT = CODE + SCRIPTS + (".proto", ".textproto", ".md", ".html")
NAMES = ("BUILD", "WORKSPACE", ".bazelrc", "run", "test")
# Files with the words that are forbidden elsewhere: pages are read and mended by themselves.
UNREAD = (".md",)
SKIPPED_FOLDERS = ("ringmaster-out",)


def is_below(path, folder):
    return path.startswith(folder + "/")


def source_files(root):
    """Yields the paths, relative to root, of all files that are the project's text."""
    for where, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders
            if (not name.startswith(".") or name == ".ci") and name not in SKIPPED_FOLDERS
            and not (where == root and name.startswith("bazel-")))
        for name in sorted(names):
            if name.endswith(TEXT) or name in NAMES:
                yield os.path.relpath(os.path.join(where, name), root)


def check_include(path, header):
    """Yields what is wrong with one #include of `header` in the file `path`."""
    for library, pattern, owners in LIBRARY_HEADERS:
        if re.match(pattern, header) and not any(is_below(path, owner) for owner in owners):
            yield "includes <%s>; headers of %s belong to %s alone, use its interface" % (
                header, library, " and ".join(owners))
    for folder, forbidden in LAYERS.items():
        for other in forbidden:
            if is_below(path, folder) and is_below(header, other):
                yield "includes \"%s\"; %s has no path to %s (docs/DESIGN.md, folders)" % (
                    header, folder, other)


def check_line(path, line):
    """Yields what is wrong with one line of the file `path`."""
    if UNFINISHED.search(line):
        yield "unfinished work in the sources; finish it or leave it out"
    word = WORDS.search(line)
    if word and not path.endswith(UNREAD):
        yield "the word \"%s\"; say it in plain English, as %s" % (word.group(), PLAIN)
    sleeps = SLEEP.search(line) or (path.endswith(".sh") and SHELL_SLEEP.search(line))
    if sleeps and is_below(path, "tests"):
        yield "a test that sleeps; use a fake clock, or wait for an event with a deadline"
    if os.path.basename(path) == "BUILD" and re.search(r"\bglob\s*\(", line):
        yield "glob() in a BUILD file; name the files"
    if (os.path.basename(path) == "BUILD" and "//visibility:" "public" in line
            and os.path.dirname(path) not in PUBLIC_PACKAGES):
        yield "visible to everybody; name the callers (only %s may)" % " and ".join(PUBLIC_PACKAGES)
    if path.endswith(CODE):
        is_test = is_below(path, "tests")
        if ENVIRONMENT.search(line) and not is_test and path not in READ_ENVIRONMENT:
            yield "reads the environment; take a field of the spec or a flag (only %s may)" % (
                " and ".join(READ_ENVIRONMENT))
        if WALL_CLOCK.search(line) and not is_test and path not in READ_WALL_CLOCK:
            yield "follows the wall clock, which somebody may set; use common/base/monotonic.h"
        include = INCLUDE.match(line)
        if include:
            yield from check_include(path, include.group(1))


def check_guard(path, lines):
    """Yields what is wrong with the include guard of the header `path`."""
    guard = "RINGMASTER_" + re.sub(r"[^A-Z0-9]", "_", path.upper()) + "_"
    if not any(line.strip() == "#ifndef " + guard for line in lines):
        yield "the include guard is not %s" % guard


def check_file(root, path, long_functions):
    """Yields (line number, what is wrong) for the file `path` below root.

    `long_functions` has the lengths of its functions that may be longer than others, by name.
    """
    with open(os.path.join(root, path), encoding="utf-8") as file:
        text = file.read()
    lines = text.splitlines()
    limited = path.endswith(CODE + SCRIPTS) or os.path.basename(path) in NAMES
    if limited and len(lines) > MAX_LINES:
        yield len(lines), "%d lines, at most %d; split it by idea" % (len(lines), MAX_LINES)
    if path.endswith(CODE + SCRIPTS + (".proto",)) or os.path.basename(path) in NAMES:
        yield from layout.check_width(path, text)
    if path.endswith(CODE):
        yield from layout.check_functions(text, long_functions)
        yield from layout.check_virtuals(path, lines)
    if path.endswith((".h", ".cuh")):
        for message in check_guard(path, lines):
            yield 1, message
    for number, line in enumerate(lines, start=1):
        for message in check_line(path, line):
            yield number, message


def names_in(root, path):
    """Yields those of COUNTED_NAMES that the file `path` below root names outside their rooms."""
    if not path.endswith(CODE):
        return
    with open(os.path.join(root, path), encoding="utf-8") as file:
        text = file.read()
    for name, (pattern, rooms, _) in COUNTED_NAMES.items():
        counts = any(is_below(path, folder)
                     for folder in COUNTED_ELSEWHERE.get(name, COUNTED_FOLDERS))
        if counts and not any(is_below(path, room) for room in rooms) and pattern.search(text):
            yield name


def check_counts(root, named):
    """Yields what is wrong with `named`, {name of COUNTED_NAMES: paths of the files that count}."""
    limits = {}
    if os.path.exists(os.path.join(root, COUNTS)):
        with open(os.path.join(root, COUNTS), encoding="utf-8") as file:
            limits = json.load(file)
    for name, (_, rooms, remedy) in COUNTED_NAMES.items():
        paths = named[name]
        limit = limits.get(name)
        where = ("outside " + " and ".join(rooms) if rooms
                 else "in " + " and ".join(COUNTED_ELSEWHERE[name]))
        if limit is None:
            yield "has no limit for %s; there are %d files" % (name, len(paths))
        elif len(paths) > limit:
            yield "%d files %s know %s by name, at most %d may: %s; %s" % (
                len(paths), where, name, limit, ", ".join(paths), remedy)
        elif len(paths) < limit:
            yield "%d files %s know %s by name, fewer than the limit %d; lower it" % (
                len(paths), where, name, limit)


def check_tree(root):
    """Returns how many files of the project's text there are below root, and the violations."""
    files, violations = 0, []
    named = {name: [] for name in COUNTED_NAMES}
    long_functions = layout.read_long_functions(root)
    for path in source_files(root):
        files += 1
        for number, message in check_file(root, path, long_functions.pop(path, {})):
            violations.append("%s:%d: %s" % (path, number, message))
        for name in names_in(root, path):
            named[name].append(path)
    for path in long_functions:
        violations.append("%s:1: names %s, which is not there; take it out" % (
            layout.LONG_FUNCTIONS, path))
    for message in check_counts(root, named):
        violations.append("%s:1: %s" % (COUNTS, message))
    return files, violations


def main():
    files, violations = check_tree(os.path.abspath(sys.argv[1]))
    for violation in violations:
        print(violation)
    print("%d files, %d violations" % (files, len(violations)))
    return 1 if violations or not files else 0


if __name__ == "__main__":
    sys.exit(main())
