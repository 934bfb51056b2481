"""How code is laid out: the width of lines, the length of functions, comments on virtuals."""

import json
import os
import re

import cpp

MAX_WIDTH = 100
MAX_FUNCTION_LINES = 60
LONG_FUNCTIONS = "tests/lint/long_functions.json"

# Headers in these folders say of each virtual, in a comment directly above it, what it does.
DOCUMENTED = ("common/", "worker/strategy/")
VIRTUAL = re.compile(r"\s*virtual\b(?!.*~)")

RAW_STRING = re.compile(r'\bR"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"', re.DOTALL)
UNBREAKABLE = re.compile(r"\s*((//|#)\s*)?\S+$|.*\bhttps?://")


def exempt_lines(path, text):
    """Returns the numbers of the lines of `text` that may be wider than others.

    They are those of raw string literals in tests, whose breaks are part of the string.
    """
    if not path.startswith("tests/") or not path.endswith((".h", ".cc")):
        return set()
    exempt = set()
    for match in RAW_STRING.finditer(text):
        first = text.count("\n", 0, match.start()) + 1
        exempt.update(range(first, first + match.group().count("\n") + 1))
    return exempt


def check_width(path, text):
    """Yields (line number, what is wrong) for each line of `text` that is too wide.

    A line of one word, and one with an address of the web, cannot be broken and may be.
    """
    lines = text.splitlines()
    wide = [number for number, line in enumerate(lines, start=1) if len(line) > MAX_WIDTH]
    if not wide:
        return
    exempt = exempt_lines(path, text)
    for number in wide:
        if number not in exempt and not UNBREAKABLE.match(lines[number - 1]):
            yield number, "%d columns, at most %d; break the line" % (
                len(lines[number - 1]), MAX_WIDTH)


def read_long_functions(root):
    """Returns {path: {name of a function: its lines}} of those that may be longer than others."""
    path = os.path.join(root, LONG_FUNCTIONS)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def check_functions(text, allowed):
    """Yields (line number, what is wrong) for the functions of `text`.

    `allowed` has the lengths that longer ones have, by name: they may have no other.
    """
    left = dict(allowed)
    for name, first, lines in cpp.functions(text):
        if lines <= MAX_FUNCTION_LINES:
            continue
        limit = left.pop(name, None)
        if limit is None:
            yield first, "%s has %d lines, at most %d; split it by idea" % (
                name, lines, MAX_FUNCTION_LINES)
        elif lines > limit:
            yield first, "%s has %d lines, at most the %d of %s; split it by idea" % (
                name, lines, limit, LONG_FUNCTIONS)
        elif lines < limit:
            yield first, "%s has %d lines, fewer than the %d of %s; lower them" % (
                name, lines, limit, LONG_FUNCTIONS)
    for name in left:
        yield 1, "%s has no function %s of more than %d lines; take it out of %s" % (
            "this file", name, MAX_FUNCTION_LINES, LONG_FUNCTIONS)


def check_virtuals(path, lines):
    """Yields (line number, what is wrong) for virtuals of the header `path` without a comment."""
    if not path.startswith(DOCUMENTED) or not path.endswith(".h"):
        return
    for number, line in enumerate(lines, start=1):
        above = lines[number - 2].lstrip() if number > 1 else ""
        if VIRTUAL.match(line) and not above.startswith("//"):
            yield number, ("a virtual without a comment directly above it; say what it does, "
                           "shapes, units, threads, errors")
