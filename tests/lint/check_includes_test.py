"""Plants files in a tree of their own and expects check_includes.py to find the names whose header
they do not include, and nothing else.
"""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # the folder of the sources stays as it is

CHECKER = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.dirname(CHECKER))
import check_includes  # noqa: E402


class CheckIncludes(unittest.TestCase):

    def plant(self, root, files):
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)

    def violations(self, files):
        with tempfile.TemporaryDirectory() as root:
            self.plant(root, files)
            return list(check_includes.Tree(root).violations())

    def test_a_use_without_its_header_is_found(self):
        for header, use in {
                "vector": "std::vector<int> v;",
                "utility": "auto a = std::move(b);",
                "absl/status/status.h": "return absl::NotFoundError(why);",
                "absl/types/span.h": "absl::Span<const float> values;",
        }.items():
            path = "common/base/a.cc"
            self.assertEqual(len(self.violations({path: use + "\n"})), 1, use)
            line = '#include "%s"\n' % header if "/" in header else "#include <%s>\n" % header
            self.assertEqual(self.violations({path: line + use + "\n"}), [], use)

    def test_a_header_of_the_tree_brings_its_includes_and_another_librarys_does_not(self):
        use = "std::vector<int> v;\n"
        self.assertEqual(self.violations({
            "server/a.h": "#include <vector>\n",
            "server/b.h": '#include "server/a.h"\n',
            "server/b.cc": '#include "server/b.h"\n' + use,
        }), [])
        self.assertEqual(len(self.violations({
            "server/b.cc": '#include "absl/types/span.h"\n' + use,
        })), 1)

    def test_headers_that_include_each_other_end(self):
        self.assertEqual(len(self.violations({
            "server/a.h": '#include "server/b.h"\n',
            "server/b.h": '#include "server/a.h"\nstd::string s;\n',
        })), 1)

    def test_comments_and_strings_use_nothing(self):
        self.assertEqual(self.violations({
            "worker/a.cc": '// std::vector\nconst char* a = "std::string"; /* std::map */\n',
        }), [])

    def test_a_name_of_another_namespace_is_none(self):
        use = "mystd::vector v; absl::StatusOrNot s;\n"
        self.assertEqual(self.violations({"worker/a.cc": use}), [])

    def test_a_precompiled_header_without_names_is_found(self):
        with tempfile.TemporaryDirectory() as root:
            self.plant(root, {
                "third_party/build/headers.h": "#include <vector>\n#include <regex>\n",
                "third_party/build/test_headers.h": "#include <gtest/gtest.h>\n",
            })
            lines = list(check_includes.unwatched(root))
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("regex", lines[0])


if __name__ == "__main__":
    unittest.main()
