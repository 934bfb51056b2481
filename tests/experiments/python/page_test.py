"""What docs/OWN_MODEL.md shows between a plain script and one in a session is the difference."""

import pathlib
import re
import sys
import unittest

import runs


def body(name):
    """A script's lines from behind its docstring up to what it prints in the end."""
    text = (runs.EXAMPLES / name).read_text(encoding="utf-8")
    text = re.sub(r'^""".*?"""\n', "", text, flags=re.DOTALL)
    return [line for line in text.split("\nmodel.eval()")[0].splitlines() if line]


class PageTest(unittest.TestCase):
    def test_the_diff_of_the_page_is_that_of_the_examples(self):
        page = pathlib.Path("docs/OWN_MODEL.md").read_text(encoding="utf-8")
        shown = re.search(r"```diff\n(.*?)```", page, re.DOTALL).group(1).splitlines()
        plain, wrapped = body("torch_plain.py"), body("torch_train.py")
        for sign, ours, others in (("-", plain, wrapped), ("+", wrapped, plain)):
            self.assertEqual([line[1:] for line in shown if line.startswith(sign) and line[1:]],
                             [line for line in ours if line not in others])


if __name__ == "__main__":
    sys.exit(unittest.main())
