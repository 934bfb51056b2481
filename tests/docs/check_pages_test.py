"""Tests check_pages.py on small repositories made for it.

Each rule finds what breaks it, and nothing else.
"""

import importlib.util
import pathlib
import sys
import tempfile
import unittest

SCRIPT = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("check_pages", SCRIPT)
check_pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_pages)

FILES = {
    "test": "--slow | --gpu",
    ".bazelrc": "test:slow --test_tag_filters=slow",
    "docs/DESIGN.md": "# The design\n\n## Who may see whom\n",
    "common/codec/BUILD": 'cc_library(name = "codec")',
    "common/codec/codec.cc": "fp16 onebit",
    "common/codec/none.cc": "none",
}


class CheckPages(unittest.TestCase):

    def check(self, pages):
        """Violations of a repository of FILES and `pages`."""
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            for path, text in {**FILES, **pages}.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            return list(check_pages.check(root))

    def expect(self, line, *parts, page="README.md"):
        """One violation in the page that has `line` alone, with all of `parts` in its text."""
        violations = self.check({page: line})
        self.assertEqual(len(violations), 1, violations)
        for part in parts:
            self.assertIn(part, violations[0])

    def accept(self, line, page="README.md"):
        self.assertEqual(self.check({page: line}), [])

    def test_a_path_must_exist(self):
        self.accept("`common/codec/codec.cc`, `common/codec`, common/codec/*.cc and common/codec.")
        self.expect("see `common/codec/zip.cc`", "README.md:1:",
                    "common/codec/zip.cc does not exist")
        self.expect("see common/codec/*.h", "no file is like common/codec/*.h")

    def test_names_of_nodes_and_of_other_folders_are_no_paths(self):
        self.accept("worker/0 sends to server/1; bazel-bin/experiments/ringmaster is built")

    def test_a_file_without_its_folder_must_exist_somewhere(self):
        self.accept("`codec.cc`")
        self.expect("`codek.cc`", "no file is called codek.cc")

    def test_a_link_must_lead_to_a_page_and_a_heading(self):
        self.accept("[design](docs/DESIGN.md#who-may-see-whom), [page](https://example.org/x)")
        self.expect("[design](docs/DESING.md)", "docs/DESING.md")
        self.expect("[design](docs/DESIGN.md#who)", "#who")

    def test_links_start_at_their_page(self):
        self.accept("[design](DESIGN.md)", page="docs/OTHER.md")
        self.expect("[design](DESIGN.md)", "links to DESIGN.md")

    def test_a_label_must_name_a_target(self):
        self.accept("bazel build //common/codec:codec //common/codec //common/... //...")
        self.expect("bazel build //common/codec:zip", "no such target")
        self.expect("bazel build //common/zip", "no such folder")

    def test_an_option_of_the_test_command_must_exist(self):
        self.accept("./test --slow and `bazel test --config=slow`")
        self.expect("./test --fast", "--fast")
        self.expect("bazel test --config=fast //...", "--config=fast")

    def test_words_of_the_style_list_are_found(self):
        self.expect("in ris" "ing order", "ris" "ing")

    def test_a_decision_is_short_and_has_a_title(self):
        page = "docs/DECISIONS.md"
        head = "# Decisions\n\nOne a paragraph.\n\n## Build\n\n"
        self.accept(head + "**Short.** Because.\n", page=page)
        self.accept(head + "**A.** " + "x" * 493 + "\n", page=page)
        self.expect(head + "**A.** " + "x" * 494 + "\n", "DECISIONS.md:7:", "501 letters",
                    page=page)
        self.expect(head + "**Short.**\n\nBecause.\n", "DECISIONS.md:9:", "without a title",
                    page=page)

    def test_files_of_a_check_list_know_its_example(self):
        page = "docs/HACKING.md"
        item = "1. `common/codec/codec.cc`"
        head = "### A codec, after `onebit`\n" + item
        self.accept(head + " Read: `common/codec/none.cc`\n", page=page)
        self.accept(head + " Read:\n   `common/codec/none.cc`\n", page=page)
        self.expect("### A codec, after `one_bit`\n" + item + ",\n   `common/codec/none.cc`\n",
                    "HACKING.md:3:", "common/codec/none.cc", "one_bit", page=page)

    def test_a_picture_is_small(self):
        self.accept("x" * 150_000, page="docs/report.png")
        self.expect("x" * 150_001, "docs/report.png: 150001 bytes", page="docs/report.png")

    def test_hacking_is_one_page(self):
        self.expect("a\n" * 131, "131 lines", page="docs/HACKING.md")


if __name__ == "__main__":
    unittest.main()
