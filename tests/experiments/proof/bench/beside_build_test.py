#!/usr/bin/env python3
"""beside_build.py pairs two builds' steps round by round, and hides no run that failed."""

import os
import stat
import subprocess
import sys
import tempfile
import unittest

SCRIPT = "experiments/proof/bench/beside_build.py"

# Stands in for a build whose steps take MS milliseconds times the number of its runs so far.
PROGRAM = """#!/usr/bin/env python3
import json, sys
if "--fail" in sys.argv:
    sys.exit("it failed")
with open(sys.argv[0] + ".runs", "a+") as runs:
    runs.write("run\\n")
    runs.seek(0)
    count = len(runs.readlines())
assert sys.argv[1:3] == ["bench", "step"] and "--json" in sys.argv
strategy = sys.argv[sys.argv.index("--strategy") + 1]
print(json.dumps({"rows": [{"name": "solo", "step_ms": MS * count},
                           {"name": strategy, "step_ms": MS * count}]}))
"""


class BesideBuild(unittest.TestCase):
    def run_script(self, *flags):
        with tempfile.TemporaryDirectory() as folder:
            programs = []
            for name, ms in (("new", "3.0"), ("old", "4.0")):
                programs.append(os.path.join(folder, name))
                with open(programs[-1], "w", encoding="utf-8") as file:
                    file.write(PROGRAM.replace("MS", ms))
                os.chmod(programs[-1], stat.S_IRWXU)
            return subprocess.run([sys.executable, SCRIPT, *programs, *flags], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_ratios_are_taken_round_by_round(self):
        done = self.run_script("--models", "mlp,cnn", "--strategy", "ring", "--rounds", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual([row[:2] for row in rows[1:]], [["mlp", "ring"], ["cnn", "ring"]])
        self.assertEqual(rows[1][2:], ["6.00", "8.00", "0.750", "0.750", "to", "0.750"])
        self.assertEqual(rows[2][2:4], ["15.00", "20.00"])

    def test_a_run_that_fails_ends_it_by_name(self):
        done = self.run_script("--", "--fail")
        self.assertEqual(done.returncode, 1)
        self.assertIn("it failed", done.stderr)
        self.assertIn("bench step --model mlp", done.stderr)


if __name__ == "__main__":
    unittest.main()
