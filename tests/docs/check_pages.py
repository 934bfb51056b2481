"""Checks what the pages of the documentation name and how they are written: check_pages.py ROOT.

Pages are README.md and docs/**/*.md. Every path, file name, link, label and option of ./test in
them must exist; words of the style's list are not used; DECISIONS keeps its paragraphs short; each
check list of HACKING names files that really know the example which it follows; pictures are small.

Prints one line a violation, "page:line: what is wrong; what to do". Exit status 1 when there is
any.
"""

import os
import pathlib
import re
import sys

DECISION_LETTERS = 500
HACKING_LINES = 130
PICTURE_BYTES = 150_000
FOLDERS = ("proto", "common", "server", "worker", "experiments", "tests", "third_party", "docs",
           "findings")

PATH = re.compile(r"(?<![\w./-])((?:%s)/[\w./*-]*)" % "|".join(FOLDERS))
# "worker/0": how nodes are called.
NODE = re.compile(r"(worker|server)/(\d|R\b|K\b)")
FILE_NAME = re.compile(r"(?<![\w./*-])([\w-]+\.(?:h|cc|cu|bzl|proto|sh|py))(?![\w/-])")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
LABEL = re.compile(r"(?<![\w:/])//([\w/.-]*\w)?(:[\w.-]+|/?\.\.\.)?")
TEST_OPTION = re.compile(r"\./test [^\n`#]*?(--[a-z]+)")
CONFIG = re.compile(r"--config=(\w+)")
CODE_SPAN = re.compile(r"`([^`\n]+)`")
# What the style asks to say in other words.
DROPPED = re.compile(
    r"\b(ris" r"ing|like" r"wise|how man" r"ieth|is rec" r"koned|of as" r" many|what has" r" come|"
    r"to be dou" r"bted)\b", re.IGNORECASE)


def tree(root):
    """The paths of all files below root, relative to it, but for outputs and hidden folders."""
    paths = set()
    for where, folders, names in os.walk(root):
        folders[:] = [name for name in folders if (not name.startswith(".") or name == ".ci")
                      and not (where == str(root) and name.startswith("bazel-"))]
        paths.update(os.path.relpath(os.path.join(where, name), root) for name in names)
    return paths


class Tree:
    """A repository's files, and questions about them."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.paths = tree(root)
        self.names = {os.path.basename(path) for path in self.paths}

    def has(self, path):
        return (self.root / path).exists()

    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def has_target(self, folder, target):
        """Whether folder's BUILD file names the target, or the folder has a file of that name."""
        build = os.path.join(folder, "BUILD")
        if not self.has(build):
            return False
        return '"%s"' % target in self.text(build) or self.has(os.path.join(folder, target))

    def pages(self):
        return sorted(path for path in self.paths
                      if path == "README.md" or (path.startswith("docs/") and path.endswith(".md")))


def anchors(text):
    """The anchors that GitHub makes of a page's headings."""
    found = set()
    for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", title.lower())
        found.add(kept.replace(" ", "-"))
    return found


def check_names(files, page, line):
    """Yields what is wrong with the names in one line of a page."""
    for path in PATH.findall(LINK.sub("]", line)):
        path = path.rstrip("./")
        if NODE.match(path):
            continue
        if "*" in path:
            if not any(files.root.glob(path)):
                yield "no file is like %s" % path
        elif not files.has(path):
            yield "%s does not exist" % path
    for span in CODE_SPAN.findall(line):
        for name in FILE_NAME.findall(span):
            if name not in files.names:
                yield "no file is called %s" % name
    for where, anchor in LINK.findall(line):
        if "://" in where:
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(page), where)) if where else page
        if not files.has(target):
            yield "links to %s, which does not exist" % target
        elif anchor and anchor not in anchors(files.text(target)):
            yield "links to #%s, which is no heading of %s" % (anchor, target)
    for folder, rest in LABEL.findall(line):
        if not folder and not rest:
            continue
        if not files.has(folder):
            yield "//%s%s: there is no such folder" % (folder, rest)
        elif rest.startswith(":") and not files.has_target(folder, rest[1:]):
            yield "//%s%s: its BUILD file has no such target" % (folder, rest)
    for option in TEST_OPTION.findall(line):
        if option not in files.text("test"):
            yield "./test %s: ./test has no such option" % option
    for config in CONFIG.findall(line):
        if not re.search(r":%s\b" % config, files.text(".bazelrc")):
            yield "--config=%s: .bazelrc has no such configuration" % config


def check_decisions(text):
    """Yields (line, what is wrong) of a page whose paragraphs are short decisions with a title."""
    number = 1
    for block in re.split(r"(\n\s*\n)", text):
        first = number
        number += block.count("\n")
        paragraph = " ".join(block.split())
        if not paragraph or paragraph.startswith("#"):
            continue
        if len(paragraph) > DECISION_LETTERS:
            yield first, ("a paragraph of %d letters; at most %d: cut it, "
                          "or split it in two decisions") % (
                len(paragraph), DECISION_LETTERS)
        if "\n## " in text[:text.find(block)] and not re.match(r"\*\*[^*]+\*\*", paragraph):
            if not paragraph.startswith("None of this"):
                yield first, "a paragraph without a title; begin it with **what was decided**"


def letters(text):
    return re.sub(r"[^a-z0-9]", "", text.lower())


def check_lists(files, text):
    """Yields (line, what is wrong) of the check lists "### ... after `example`".

    The files of their numbered items know the example, but for those named after "Read:".
    """
    example, reading = None, False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            heading = re.match(r"### .* after `(\w+)`", line)
            example = heading.group(1) if heading else None
        if re.match(r"\d+\. ", line):
            reading = False
        elif not line.startswith("   "):
            continue
        if example is None:
            continue
        known, read, _ = line.partition("Read:")
        for path in [] if reading else PATH.findall(known):
            path = path.rstrip("./")
            if not files.has(path):
                continue  # said above
            below = [name for name in files.paths if name == path or name.startswith(path + "/")]
            if not any(letters(example) in letters(name + files.text(name)) for name in below):
                yield number, "%s knows nothing of %s, the example of this list" % (path, example)
        reading = reading or bool(read)


def check(root):
    """Yields all violations as texts."""
    files = Tree(root)
    for path in sorted(files.paths):
        size = (files.root / path).stat().st_size
        if path.startswith("docs/") and path.endswith(".png") and size > PICTURE_BYTES:
            yield "%s: %d bytes; a picture has at most %d: cut it, or give it fewer colours" % (
                path, size, PICTURE_BYTES)
    for page in files.pages():
        text = files.text(page)
        for number, line in enumerate(text.splitlines(), start=1):
            for wrong in check_names(files, page, line):
                yield "%s:%d: %s" % (page, number, wrong)
            for word in DROPPED.findall(line):
                yield "%s:%d: \"%s\" is a word to drop; say it in plain English" % (
                    page, number, word)
        if page == "docs/DECISIONS.md":
            for number, wrong in check_decisions(text):
                yield "%s:%d: %s" % (page, number, wrong)
        if page == "docs/HACKING.md":
            if len(text.splitlines()) > HACKING_LINES:
                yield "%s: %d lines; one page is at most %d" % (
                    page, len(text.splitlines()), HACKING_LINES)
            for number, wrong in check_lists(files, text):
                yield "%s:%d: %s" % (page, number, wrong)


def main():
    violations = list(check(pathlib.Path(sys.argv[1])))
    print("\n".join(violations) or "all pages are in order")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
