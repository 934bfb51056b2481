"""Plants each kind of violation in a tree of its own and expects check_sources.py to name it, and
nothing else.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # the folder of the sources stays as it is

CHECKER = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.dirname(CHECKER))
import check_sources  # noqa: E402

COUNTS = "tests/lint/name_counts.json"
NO_NAMES = {"strategies": 0, "codecs": 0, "lists": 0}
LONG_FUNCTIONS = "tests/lint/long_functions.json"


def guarded(guard, body):
    return "#ifndef %s\n#define %s\n%s\n#endif\n" % (guard, guard, body)


def plant(root, files):
    """Writes {path: text} below root."""
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


class CheckSources(unittest.TestCase):

    def check(self, files):
        """Returns (0 or 1, the violations) of a tree of {path: text}, as the checker's exit status.

        A tree that does not say how many files may know names has none of them.
        """
        if files:
            files = {COUNTS: json.dumps(NO_NAMES), **files}
        with tempfile.TemporaryDirectory() as root:
            plant(root, files)
            violations = check_sources.check_tree(root)[1]
        return 1 if violations else 0, violations

    def expect_one(self, files, begin):
        status, lines = self.check(files)
        self.assertEqual(status, 1)
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith(begin), lines)

    def test_a_clean_tree_passes(self):
        files = {
            "common/base/a.h": guarded("RINGMASTER_COMMON_BASE_A_H_", "#include <vector>"),
            "worker/strategy/a.cc": '#include "common/base/a.h"\n',
            "common/log/log.cc": "#include <spdlog/spdlog.h>\n",
            "common/base/wait.cc": "std::this_thread::sleep_" "for(delay);\n",
        }
        self.assertEqual(self.check(files), (0, []))

    def run_on(self, files):
        """Returns the exit status and the lines of the checker's command for {path: text}."""
        with tempfile.TemporaryDirectory() as root:
            plant(root, files)
            result = subprocess.run([sys.executable, CHECKER, root], stdout=subprocess.PIPE,
                                    text=True, check=False)
        return result.returncode, result.stdout.splitlines()

    def test_the_command_prints_violations_and_ends_with_1(self):
        files = {COUNTS: json.dumps(NO_NAMES), "common/a.cc": "\n"}
        self.assertEqual(self.run_on(files), (0, ["1 files, 0 violations"]))
        status, lines = self.run_on({**files, "common/BUILD": 'srcs = glob(["*.cc"])\n'})
        self.assertEqual((status, lines[1:]), (1, ["2 files, 1 violations"]))
        self.assertTrue(lines[0].startswith("common/BUILD:1: glob()"), lines)

    def test_an_empty_tree_is_not_a_pass(self):
        status, lines = self.run_on({COUNTS: json.dumps(NO_NAMES)})
        self.assertEqual((status, lines), (1, ["0 files, 0 violations"]))

    def test_a_library_header_outside_its_package(self):
        self.expect_one({"server/a.cc": "#include <grpcpp/server.h>\n"},
                        "server/a.cc:1: includes <grpcpp/server.h>")
        self.expect_one({"experiments/a.cc": "\n#include <sqlite3.h>\n"},
                        "experiments/a.cc:2: includes <sqlite3.h>")

    def test_a_server_that_includes_a_worker(self):
        self.expect_one({"server/a.cc": '#include "worker/model/model.h"\n'},
                        "server/a.cc:1: includes")

    def test_a_strategy_that_sees_kernels(self):
        self.expect_one({"worker/strategy/ps/a.cc": '#include "worker/kernels/registry.h"\n'},
                        "worker/strategy/ps/a.cc:1: includes")

    def test_a_deadline_by_the_wall_clock(self):
        self.expect_one({"common/a.cc": "const auto begin = absl::Now();\n"},
                        "common/a.cc:1: follows the wall clock")
        self.expect_one({"server/a.cc": "mutex.AwaitWithTimeout(done, limit);\n"},
                        "server/a.cc:1: follows the wall clock")
        self.expect_one({"third_party/sanitizers/a.cc": "mutex.AwaitWithTimeout(done, limit);\n"},
                        "third_party/sanitizers/a.cc:1: follows the wall clock")
        wrapper = "bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout);\n"
        self.assertEqual(self.check({"third_party/sanitizers/thread_absl.cc": wrapper})[0], 0)
        self.assertEqual(self.check({"common/a.cc": "const auto begin = MonotonicNow();\n"})[0], 0)

    def test_a_setting_from_the_environment(self):
        self.expect_one({"common/a.cc": 'std::getenv("A");\n'},
                        "common/a.cc:1: reads the environment")
        self.assertEqual(self.check({"tests/a.cc": 'std::getenv("A");\n'})[0], 0)

    def test_a_test_that_sleeps(self):
        self.expect_one({"tests/a.cc": "std::this_thread::sleep_"
                                       "for(delay);\n"}, "tests/a.cc:1: a test that sleeps")
        self.expect_one({"tests/a.sh": "true\nsleep" " 1\n"}, "tests/a.sh:2: a test that sleeps")

    def test_unfinished_work(self):
        self.expect_one({"docs/a.md": "one\nlater, TO" "DO\n"}, "docs/a.md:2: unfinished")
        self.expect_one({"proto/a.proto": "// Enough for" " now.\n"}, "proto/a.proto:1: unfinished")

    def test_a_file_over_the_limit(self):
        self.expect_one({"common/a.cc": "\n" * 501}, "common/a.cc:501: 501 lines")
        self.assertEqual(self.check({"common/a.cc": "\n" * 500})[0], 0)
        self.expect_one({"common/BUILD": "\n" * 501}, "common/BUILD:501: 501 lines")

    def test_a_glob_in_a_build_file(self):
        self.expect_one({"common/BUILD": 'srcs = glob(["*.cc"])\n'}, "common/BUILD:1: glob()")

    def test_a_file_that_asks_which_strategy_runs(self):
        for line in ("if (spec.strategy().has_all_reduce()) return;\n",
                     "case StrategySpec::kSolo: return;\n",
                     "spec.strategy().parameter_server().servers();\n",
                     'summary.strategy() == "solo";\n'):
            self.expect_one({"experiments/a.cc": line},
                            COUNTS + ":1: 1 files outside common/scheme and")
            for room in ("common/scheme", "worker/strategy/ps", "server", "tests"):
                self.assertEqual(self.check({room + "/a.cc": line}), (0, []))

    def test_a_file_that_knows_a_codec(self):
        for line in ('codec.name() == "topk";\n', "spec.codec().density();\n",
                     "codec->set_error_feedback(true);\n"):
            self.expect_one({"worker/a.cc": line},
                            COUNTS + ":1: 1 files outside common/codec know codecs")
            self.assertEqual(self.check({"common/codec/a.cc": line}), (0, []))

    def test_a_test_that_lists_arms_codecs_or_transports_by_hand(self):
        for line in ('for (const char* arm : {"solo", "ps-sharded",\n  "ring"}) {\n',
                     '"--arms", "single,ring-topk,async"\n',
                     'testing::Values("grpc", "tcp", "shm")\n', '{"none", "fp16", "topk"};\n'):
            self.expect_one({"tests/cluster/a.cc": line},
                            COUNTS + ":1: 1 files in tests know lists by name")
            self.assertEqual(self.check({"common/codec/a.cc": line}), (0, []))
        for line in ('{"ps", "ring"}\n', '{"ps", "worker/1", "shm", "ring"}\n'):
            self.assertEqual(self.check({"tests/cluster/a.cc": line}), (0, []))

    def test_as_many_files_as_the_limit_says_no_more_and_no_fewer(self):
        line = "if (spec.strategy().has_solo()) return;\n"
        limit = {COUNTS: json.dumps({"strategies": 1, "codecs": 0, "lists": 0})}
        self.assertEqual(self.check({**limit, "common/a.cc": line + line}), (0, []))
        self.expect_one(
            {**limit, "common/a.cc": line, "worker/b.cc": line},
            COUNTS + ":1: 2 files outside common/scheme and worker/strategy and server know "
            "strategies by name, at most 1 may: common/a.cc, worker/b.cc;")
        self.expect_one({**limit, "common/a.cc": "\n"}, COUNTS + ":1: 0 files")

    def test_names_without_a_limit(self):
        self.expect_one({COUNTS: json.dumps({"codecs": 0, "lists": 0}), "common/a.cc": "\n"},
                        COUNTS + ":1: has no limit for strategies")

    def test_a_line_that_is_too_wide(self):
        wide = "int " + "a" * 50 + " = " + "b" * 43 + ";"
        self.assertEqual(len(wide), 101)
        for path in ("common/a.cc", "tests/a.sh", "tests/a.py", "tests/a.bzl", "proto/a.proto",
                     "common/BUILD", "run", ".bazelrc"):
            self.expect_one({path: "\n" + wide + "\n"}, path + ":2: 101 columns, at most 100;")
            self.assertEqual(self.check({path: wide.replace("int", "in") + "\n"}), (0, []))
        self.assertEqual(self.check({"docs/a.md": wide + "\n"}), (0, []))
        self.assertEqual(self.check({"common/a.cc": "// " + "\u2192" * 97 + "\n"}), (0, []))

    def test_lines_that_cannot_be_broken(self):
        word = "a" * 120
        for line in ("// " + word, "    " + word, "# see https://" + word + " for it"):
            self.assertEqual(self.check({"common/a.cc": line + "\n"}), (0, []))
        raw = 'const char kText[] = R"({"a": "b c' + " c" * 60 + '"\n' + "d e " * 30 + ')";\n'
        self.assertEqual(self.check({"tests/a.cc": raw}), (0, []))
        self.assertEqual(len(self.check({"common/a.cc": raw})[1]), 2)
        self.expect_one({"tests/a.cc": raw + "int a = " + "1 + " * 30 + "1;\n"},
                        "tests/a.cc:3: 130 columns")

    def test_a_function_that_is_too_long(self):
        def body(lines):
            return "{\n" + "  Do();\n" * lines + "}\n"

        for head, name in (("void Act() ", "Act"), ("int* Of(F f = [] { return 1; }) ", "Of"),
                           ("A::A(int a)\n    : a_{a}, b_(2) ", "A::A"),
                           ("TEST(One, Two) ", "One.Two"), ("TEST_P(One, Two) ", "One.Two"),
                           ("std::function<void(int)> Get() const ", "Get"),
                           ("template <typename T, typename U = A<(1 > 2)>>\nT Make() ", "Make"),
                           ("bool operator==(const A& a) ", "operator==")):
            fits = 60 - head.count("\n") - 2
            self.assertEqual(self.check({"common/a.cc": head + body(fits)}), (0, []), head)
            before = "// A comment (with { braces.\nconst char kA[] = \"{\";\n"
            self.expect_one({"common/a.cc": before + head + body(fits + 1)},
                            "common/a.cc:3: %s has 61 lines, at most 60" % name)
        scopes = "namespace a {\nclass B : public C<int(int)> {\n public:\n  // Does it.\n"
        method = "  int Do() override " + body(59).replace("\n}", "\n  }")
        self.expect_one({"common/a.cc": scopes + method + "};\n}\n"}, "common/a.cc:5: Do has 61")

    def test_what_is_long_and_no_function(self):
        lines = "  1,\n" * 70
        short = "void Act() {\n}\n" * 40
        for text in ("const int kAll[] = {\n" + lines + "};\n", "enum class E {\n" + lines + "};\n",
                     "struct A {\n" + "  int a = 0;\n" * 70 + "};\n", short,
                     "namespace a {\n" + short + "}\n"):
            self.assertEqual(self.check({"common/a.cc": text}), (0, []))

    def test_a_long_function_that_is_listed_may_only_get_shorter(self):
        def tree(lines, listed):
            return {"common/a.cc": "void Act() {\n" + "  Do();\n" * (lines - 2) + "}\n",
                    LONG_FUNCTIONS: json.dumps(listed)}

        listed = {"common/a.cc": {"Act": 70}}
        self.assertEqual(self.check(tree(70, listed)), (0, []))
        self.expect_one(tree(71, listed), "common/a.cc:1: Act has 71 lines, at most the 70 of")
        self.expect_one(tree(69, listed), "common/a.cc:1: Act has 69 lines, fewer than the 70 of")
        self.expect_one(tree(60, listed), "common/a.cc:1: this file has no function Act of more")
        self.expect_one(tree(60, {"common/b.cc": {"Act": 70}}),
                        LONG_FUNCTIONS + ":1: names common/b.cc, which is not there")

    def test_a_virtual_without_a_comment(self):
        virtual = "  virtual int Do() const = 0;"
        for path in ("common/base/a.h", "worker/strategy/ps/a.h"):
            guard = "RINGMASTER_" + path.upper().replace("/", "_").replace(".", "_") + "_"
            for above in ("  virtual ~A() = default;", "", "  int a_ = 0;"):
                self.expect_one({path: guarded(guard, above + "\n" + virtual)},
                                path + ":4: a virtual without a comment")
            self.assertEqual(
                self.check({path: guarded(guard, "  // Does it.\n" + virtual)}), (0, []))
        for path in ("server/a.h", "worker/loop/a.h"):
            guard = "RINGMASTER_" + path.upper().replace("/", "_").replace(".", "_") + "_"
            self.assertEqual(self.check({path: guarded(guard, virtual)}), (0, []))

    def test_a_package_that_everybody_sees(self):
        line = 'package(default_visibility = ["//visibility:' 'public"])\n'
        self.expect_one({"common/codec/BUILD": line}, "common/codec/BUILD:1: visible to everybody")
        self.expect_one({"server/BUILD": "\n    visibility = [\"//visibility:" "public\"],\n"},
                        "server/BUILD:2: visible to everybody")
        for package in ("common/base", "third_party/sanitizers"):
            self.assertEqual(self.check({package + "/BUILD": line}), (0, []))

    def test_words_that_readers_stumble_over(self):
        for words in ("Ris" "ing order", "like" "wise", "the how man" "ieth", "is rec" "koned",
                      "of as" " many floats", "what has" " come", "to be dou" "bted"):
            for path in ("common/a.cc", "proto/a.proto", "run", "common/BUILD"):
                self.expect_one({path: "\n# " + words + "\n"}, path + ":2: the word \"")
        self.assertEqual(self.check({"common/a.cc": "// prices rise, comprising all\n"}), (0, []))

    def test_a_wrong_include_guard(self):
        self.expect_one({"common/base/a.h": guarded("A_H", "")},
                        "common/base/a.h:1: the include guard")


if __name__ == "__main__":
    unittest.main()
