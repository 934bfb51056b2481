"""Programs with NumPy alone: the example under five arms, and scripts that do wrong."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import runs

# What one of two workers does wrong (misbehaving.py), and words of the status that follows.
MISTAKES = {
    "raises": ("worker/1", "ValueError: no such luck", "misbehaving.py"),
    "leaves": ("worker/1", "the script ended in step 3"),
    "exits": ("worker/1", "exit code 3"),
    "dies": ("worker/1", "signal 9"),
    "forgets": ("worker/1", "hidden.weight"),
    "twice": ("worker/1", "out.bias"),
    "unknown": ("worker/1", 'session.ready("nobody")', "there are out.bias"),
    "goes_on": ("worker/1", "without session.step(loss)"),
    "backward_twice": ("worker/1", "session.backward() twice"),
    "not_a_number": ("worker/1", "loss"),
    "second_session": ("worker/1", "has a session already"),
    "score_raises": ("worker/1", "evaluate", "KeyError: 'who'", "misbehaving.py"),
    "score_of_none": ("worker/1", "session.score() returned None"),
    "score_of_text": ("worker/1", "'all'", "how many are right"),
    "score_of_a_share": ("worker/1", "no share of them"),
    "score_of_four": ("worker/1", "returned (0.0, 1, 2, 3)"),
    "hangs": ("worker/1", "limits.compute_seconds"),
}


class NumpyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name) / "out"

    def test_an_mlp_learns_under_every_kind_of_scheme_and_synchronous_ones_give_the_same_bits(self):
        arms = ("solo", "ring", "ps", "async-topk", "local-sgd")
        code, made, text = runs.compare(
            self.out, f"{runs.PYTHON} {runs.EXAMPLES}/numpy_mlp.py", arms, "--batch", "32",
            "--epochs", "2", "--set", "optimizer.learning_rate=0.1", "--set",
            "training.bucket_bytes=3000")
        if code != 0:
            runs.show_logs(self.out)
        self.assertEqual((code, set(made)), (0, set(arms)), text)
        for arm, run in made.items():
            self.assertEqual(run["status"], "ok", run)
            if arm == "solo":
                self.assertIsNone(run["final_loss"])
                continue
            self.assertGreater(run["test_accuracy"], 0.9, arm)
            self.assertLess(run["final_loss"], 0.5, arm)
            self.assertGreater(run["bytes_up_per_step"], 0, arm)
        self.assertEqual(made["ring"]["weights_sha256"], made["ps"]["weights_sha256"])
        self.assertNotEqual(made["ring"]["weights_sha256"], made["local-sgd"]["weights_sha256"])
        self.assertLess(made["async-topk"]["bytes_up_per_step"],
                        made["ring"]["bytes_up_per_step"])

    def test_a_script_that_does_wrong_ends_the_run_by_name(self):
        for mistake, words in MISTAKES.items():
            with self.subTest(mistake):
                code, made, text = runs.compare(
                    self.out / mistake, f"{runs.PYTHON} {runs.HERE}/misbehaving.py {mistake}",
                    ["ring"], "--batch", "8", "--steps", "20", "--set", "limits.compute_seconds=2",
                    "--set", "limits.wait_seconds=4")
                self.assertEqual(code, 1, text)
                status = made["ring"]["status"] if made else text
                for word in words:
                    self.assertIn(word, status)

    def test_a_number_of_samples_that_is_none_is_refused_before_the_run(self):
        code, _, text = runs.compare(
            self.out, f"{runs.PYTHON} {runs.HERE}/misbehaving.py samples_of_text", ["ring"])
        self.assertEqual(code, 2, text)
        self.assertIn("train_samples is 'many'; expected a whole number", text)

    def test_a_script_whose_tensors_differ_from_what_it_said_is_refused_by_name(self):
        counter = self.out.parent / "asked"
        code, made, text = runs.compare(
            self.out, f"{runs.PYTHON} {runs.HERE}/misbehaving.py shapes {counter}", ["ring"],
            "--batch", "8", "--steps", "20")
        self.assertEqual(code, 1, text)
        self.assertIn('tensor "hidden.weight" of this program has the shape [4,6]', text)

    def test_a_script_alone_is_a_run_of_one_worker(self):
        done = subprocess.run(
            [runs.PYTHON, runs.HERE / "misbehaving.py", "well"], env=runs.environment(),
            cwd=self.out.parent, capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("weights stay", done.stdout)

    def test_mpirun_starts_a_rank_for_each_process(self):
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        done = runs.launched(["mpirun", *root, "--oversubscribe", "-n", "2", runs.PYTHON,
                              runs.EXAMPLES / "numpy_mlp.py"], self.out.parent)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(runs.stored(self.out.parent / "ringmaster-out"), [("ring", 2, "ok")])

    def test_a_library_that_is_not_there_or_not_ours_is_named_with_what_to_do(self):
        for library, words in {
            "/nowhere/libringmaster.so": ("/nowhere/libringmaster.so", "bazel build"),
            runs.__file__: ("does not load as Ringmaster's library", "one checkout or bundle"),
        }.items():
            done = subprocess.run(
                [runs.PYTHON, runs.HERE / "misbehaving.py", "well"],
                env=runs.environment(RINGMASTER_LIBRARY=str(library)), capture_output=True,
                text=True, check=False, timeout=300)
            self.assertEqual(done.returncode, 1)
            for word in words:
                self.assertIn(word, done.stderr)


if __name__ == "__main__":
    sys.exit(unittest.main())
