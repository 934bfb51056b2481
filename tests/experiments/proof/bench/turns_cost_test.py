#!/usr/bin/env python3
"""turns_cost.py pairs what it is given, and takes no comparison for one in turns that was none."""

import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest

SCRIPT = "experiments/proof/bench/turns_cost.py"

# Stands in for the program: in turns steps take a tenth longer, and every run is slower than the
# last one. Its answer is wrong where it is asked to be.
PROGRAM = """#!/usr/bin/env python3
import json, os, sys
folder = os.path.dirname(sys.argv[0])
with open(folder + "/runs", "a+") as runs:
    runs.write("run\\n")
    runs.seek(0)
    count = len(runs.readlines())
turns = "--no-turns" not in sys.argv and "--never" not in sys.argv
if "--fail" in sys.argv:
    sys.exit("it failed")
if turns:
    print("so far, after 1 turn of each arm (1 m 12 s); more", file=sys.stderr)
    print("so far, after 2 turns of each arm (2 m 30 s); more", file=sys.stderr)
ms = (1.1 if turns else 1.0) * (1 + (count - 1) // 2)
print(json.dumps({"turns": turns, "why_no_turns": None if turns else "too few cores",
                  "runs": [{"arm": "solo", "step_ms_p50": ms},
                           {"arm": "ring", "step_ms_p50": 2 * ms}]}))
"""


class TurnsCost(unittest.TestCase):
    def run_script(self, *flags):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "program")
            with open(program, "w", encoding="utf-8") as file:
                file.write(PROGRAM)
            os.chmod(program, stat.S_IRWXU)
            return subprocess.run([sys.executable, SCRIPT, program, *flags], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_ratios_are_taken_round_by_round(self):
        done = self.run_script("--rounds", "3", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        rows = said["rows"]
        self.assertEqual(said["whole"]["rounds"], 3)
        self.assertGreater(said["whole"]["ratio"], 0)
        self.assertEqual(said["seconds_until_first_table"], [72, 72, 72])
        self.assertEqual([row["arm"] for row in rows], ["solo", "ring"])
        for row in rows:
            self.assertEqual(row["rounds"], 3)
            for figure in ("ratio", "least", "most"):
                self.assertAlmostEqual(row[figure], 1.1)
        self.assertAlmostEqual(rows[1]["step_ms_without"], 4)

    def test_arms_that_took_no_turns_and_failures_end_it(self):
        done = self.run_script("--", "--never")
        self.assertEqual(done.returncode, 1)
        self.assertIn("did not take turns: too few cores", done.stderr)
        done = self.run_script("--json", "--", "--fail")
        self.assertEqual(done.returncode, 1)
        self.assertIn("it failed", done.stderr)


if __name__ == "__main__":
    unittest.main()
