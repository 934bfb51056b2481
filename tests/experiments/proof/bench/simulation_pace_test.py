#!/usr/bin/env python3
"""simulation_pace.py divides by the samples that a run computed, and by workers of its kind."""

import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest

SCRIPT = "experiments/proof/bench/simulation_pace.py"

# Stands in for the program: workers alone make 1000 samples a second, if they have the batch that
# is simulated; 3000 samples of `ring` take 6 s, and `ps` stops after 500, which takes 1 s.
PROGRAM = """#!/usr/bin/env python3
import json, os, sys
flags = sys.argv[1:]
if "--fail" in flags:
    sys.exit("it failed")
def run(arm, seconds, stopped):
    return {"arm": arm, "steps": 30, "global_batch": 100, "evaluations": [{"samples_seen": 500}],
            "simulation": {"wall_seconds": seconds, "stopped_at_accuracy": stopped}}
if flags[0] == "compare":
    has_batch = flags[flags.index("--batch") + 1] == "8" and "--network" not in flags
    runs = [{"arm": "solo", "samples_per_second": 1000 if has_batch else 1}]
else:
    runs = [run("ring", 6, False), run("ps", 1, True)] if "--learn" in flags else []
with open(os.path.join(flags[flags.index("--out") + 1], "results.jsonl"), "w") as lines:
    lines.writelines(json.dumps(run) + "\\n" for run in runs)
"""


class SimulationPace(unittest.TestCase):
    def run_script(self, *flags):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "program")
            with open(program, "w", encoding="utf-8") as file:
                file.write(PROGRAM)
            os.chmod(program, stat.S_IRWXU)
            return subprocess.run([sys.executable, SCRIPT, program, *flags], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_ratios_are_of_what_was_computed(self):
        done = self.run_script("--rounds", "2", "--json", "--", "--batch", "8", "--network", "none")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([(row["arm"], row["samples"], row["rounds"]) for row in rows],
                         [("ring", 3000, 2), ("ps", 500, 2)])
        for row in rows:
            for figure in ("ratio", "least", "most"):
                self.assertAlmostEqual(row[figure], 2)

    def test_real_runs_are_read(self):
        done = subprocess.run(
            [sys.executable, SCRIPT, os.environ["RINGMASTER"], "--solo-steps", "30", "--json", "--",
             "--arms", "ring,ps", "--workers", "4", "--model", "mlp", "--data", "synthetic",
             "--batch", "8", "--network", "1gbit,50us", "--steps", "20", "--evaluate-every", "64",
             "--stop-at-accuracy", "0.01"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([row["arm"] for row in rows], ["ring", "ps"])
        for row in rows:
            self.assertTrue(64 <= row["samples"] < 4 * 8 * 20, row)
            self.assertTrue(row["seconds"] > 0 and row["rate"] > 0 and row["ratio"] > 0, row)

    def test_a_failure_ends_it(self):
        done = self.run_script("--", "--fail", "--batch", "8")
        self.assertEqual(done.returncode, 1)
        self.assertIn("it failed", done.stderr)


if __name__ == "__main__":
    unittest.main()
