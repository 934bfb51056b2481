"""Plants each kind of violation in a tree of its own and expects check_sources.py to name it, and nothing else."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

CHECKER = sys.argv.pop(1)
COUNTS = "tests/lint/name_counts.json"


def guarded(guard, body):
    return "#ifndef %s\n#define %s\n%s\n#endif\n" % (guard, guard, body)


class CheckSources(unittest.TestCase):

    def check(self, files):
        """Returns the checker's exit status and its lines but the last for a tree of {path: text}.

        A tree that does not say how many files may know names has none of them.
        """
        if files:
            files = {COUNTS: json.dumps({"strategies": 0, "codecs": 0, "lists": 0}), **files}
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            result = subprocess.run([sys.executable, CHECKER, root], stdout=subprocess.PIPE, text=True, check=False)
            return result.returncode, result.stdout.splitlines()[:-1]

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

    def test_an_empty_tree_is_not_a_pass(self):
        self.assertEqual(self.check({})[0], 1)

    def test_a_library_header_outside_its_package(self):
        self.expect_one({"server/a.cc": "#include <grpcpp/server.h>\n"}, "server/a.cc:1: includes <grpcpp/server.h>")
        self.expect_one({"experiments/a.cc": "\n#include <sqlite3.h>\n"}, "experiments/a.cc:2: includes <sqlite3.h>")

    def test_a_server_that_includes_a_worker(self):
        self.expect_one({"server/a.cc": '#include "worker/model/model.h"\n'}, "server/a.cc:1: includes")

    def test_a_strategy_that_sees_kernels(self):
        self.expect_one({"worker/strategy/ps/a.cc": '#include "worker/kernels/registry.h"\n'},
                        "worker/strategy/ps/a.cc:1: includes")

    def test_a_deadline_by_the_wall_clock(self):
        self.expect_one({"common/a.cc": "const auto begin = absl::Now();\n"}, "common/a.cc:1: follows the wall clock")
        self.expect_one({"server/a.cc": "mutex.AwaitWithTimeout(done, limit);\n"}, "server/a.cc:1: follows the wall clock")
        self.assertEqual(self.check({"common/a.cc": "const auto begin = MonotonicNow();\n"})[0], 0)

    def test_a_setting_from_the_environment(self):
        self.expect_one({"common/a.cc": 'std::getenv("A");\n'}, "common/a.cc:1: reads the environment")
        self.assertEqual(self.check({"tests/a.cc": 'std::getenv("A");\n'})[0], 0)

    def test_a_test_that_sleeps(self):
        self.expect_one({"tests/a.cc": "std::this_thread::sleep_" "for(delay);\n"}, "tests/a.cc:1: a test that sleeps")
        self.expect_one({"tests/a.sh": "true\nsleep" " 1\n"}, "tests/a.sh:2: a test that sleeps")

    def test_unfinished_work(self):
        self.expect_one({"docs/a.md": "one\nlater, TO" "DO\n"}, "docs/a.md:2: unfinished")
        self.expect_one({"proto/a.proto": "// Enough for" " now.\n"}, "proto/a.proto:1: unfinished")

    def test_a_file_over_the_limit(self):
        self.expect_one({"common/a.cc": "\n" * 501}, "common/a.cc:501: 501 lines")
        self.assertEqual(self.check({"common/a.cc": "\n" * 500})[0], 0)

    def test_a_glob_in_a_build_file(self):
        self.expect_one({"common/BUILD": 'srcs = glob(["*.cc"])\n'}, "common/BUILD:1: glob()")

    def test_a_file_that_asks_which_strategy_runs(self):
        for line in ("if (spec.strategy().has_all_reduce()) return;\n", "case StrategySpec::kSolo: return;\n",
                     "spec.strategy().parameter_server().servers();\n", 'summary.strategy() == "solo";\n'):
            self.expect_one({"experiments/a.cc": line}, COUNTS + ":1: 1 files outside common/scheme and")
            for room in ("common/scheme", "worker/strategy/ps", "server", "tests"):
                self.assertEqual(self.check({room + "/a.cc": line}), (0, []))

    def test_a_file_that_knows_a_codec(self):
        for line in ('codec.name() == "topk";\n', "spec.codec().density();\n", "codec->set_error_feedback(true);\n"):
            self.expect_one({"worker/a.cc": line}, COUNTS + ":1: 1 files outside common/codec know codecs")
            self.assertEqual(self.check({"common/codec/a.cc": line}), (0, []))

    def test_a_test_that_lists_arms_codecs_or_transports_by_hand(self):
        for line in ('for (const char* arm : {"solo", "ps-sharded",\n  "ring"}) {\n', '"--arms", "single,ring-topk,async"\n',
                     'testing::Values("grpc", "tcp", "shm")\n', '{"none", "fp16", "topk"};\n'):
            self.expect_one({"tests/cluster/a.cc": line}, COUNTS + ":1: 1 files in tests know lists by name")
            self.assertEqual(self.check({"common/codec/a.cc": line}), (0, []))
        for line in ('{"ps", "ring"}\n', '{"ps", "worker/1", "shm", "ring"}\n'):
            self.assertEqual(self.check({"tests/cluster/a.cc": line}), (0, []))

    def test_as_many_files_as_the_limit_says_no_more_and_no_fewer(self):
        line = "if (spec.strategy().has_solo()) return;\n"
        limit = {COUNTS: json.dumps({"strategies": 1, "codecs": 0, "lists": 0})}
        self.assertEqual(self.check({**limit, "common/a.cc": line + line}), (0, []))
        self.expect_one({**limit, "common/a.cc": line, "worker/b.cc": line},
                        COUNTS + ":1: 2 files outside common/scheme and worker/strategy and server know strategies by name, "
                        "at most 1 may: common/a.cc, worker/b.cc;")
        self.expect_one({**limit, "common/a.cc": "\n"}, COUNTS + ":1: 0 files")

    def test_names_without_a_limit(self):
        self.expect_one({COUNTS: json.dumps({"codecs": 0, "lists": 0}), "common/a.cc": "\n"}, COUNTS + ":1: has no limit for strategies")

    def test_a_wrong_include_guard(self):
        self.expect_one({"common/base/a.h": guarded("A_H", "")}, "common/base/a.h:1: the include guard")


if __name__ == "__main__":
    unittest.main()
