"""Models of PyTorch in sessions: under every scheme, beside DistributedDataParallel, and scripts
that do wrong.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import torch

import runs
import torch_models

MODELS = ("lenet", "transformer", "lstm", "depthwise")
PROGRAM = f"{runs.PYTHON} {runs.HERE}/torch_program.py"
RATE = "0.05"
# Of models that learn nothing in a few steps at that rate.
RATES = {"lstm": ("--set", "optimizer.learning_rate=2")}
FLAGS = ("--batch", "16", "--set", f"optimizer.learning_rate={RATE}", "--set",
         "training.bucket_bytes=65536")
# Threads of one process, where a program is a process.
NOT_FOR_PROGRAMS = {"dp"}
# As ps and ring: one update a step from the gradients of all.
BIT_EQUAL = {"single", "ps", "ps-sharded", "ring", "direct", "reduce-broadcast", "halving-doubling",
             "binomial-tree", "recursive-doubling", "hierarchical", "double-binary-tree",
             "all-reduce-auto", "sharded-optimizer"}
MISTAKES = {
    "raises": "ValueError: no such luck",
    "forgets": "9.",
    "plain_backward": "outside session.backward(loss)",
    "backward_twice": "session.backward() twice",
    "optimizer": "optimizer.step()",
    "clips": "gradients that have left",
    "by_hand": "optimizer.step()",
    "shapes": "9.",
    "checkpoints": "for the second time",
    "losses": "a loss of shape [16]; expected the batch's mean loss",
}


def all_arms():
    done = subprocess.run([runs.RINGMASTER, "list", "--json"], capture_output=True, check=True)
    listed = json.loads(done.stdout)
    # Engines are other libraries, which this machine may not have.
    engines = {f"all-reduce-{engine.replace('_', '-')}" for engine in listed["engines"]}
    return [arm for arm in listed["arms"] if arm not in NOT_FOR_PROGRAMS | engines]


class TorchTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out"

    def compared(self, program, arms, *flags, steps=32):
        code, made, text = runs.compare(self.out, program, arms, *FLAGS, "--steps", str(steps),
                                        *flags)
        if code != 0:
            runs.show_logs(self.out)
        self.assertEqual((code, {arm: run["status"] for arm, run in made.items()}),
                         (0, {arm: "ok" for arm in arms}), text)
        return made

    def test_lenet_trains_under_every_scheme(self):
        arms = all_arms()
        self.assertGreaterEqual(len(arms), 30)
        # One after the other: in turns all of their processes would be alive.
        made = self.compared(f"{PROGRAM} lenet", arms, "--no-turns")
        weights = {made[arm]["weights_sha256"] for arm in arms if arm in BIT_EQUAL}
        self.assertEqual(len(weights), 1, {arm: made[arm]["weights_sha256"] for arm in BIT_EQUAL})
        for arm, run in made.items():
            if arm != "solo":
                self.assertLess(run["final_loss"], 2.3, arm)  # of chance: log(10)

    def test_synchronous_schemes_give_the_same_bits_for_all_models(self):
        for model in MODELS[1:]:
            with self.subTest(model):
                made = self.compared(f"{PROGRAM} {model}", ("single", "ps", "ps-sharded", "ring"),
                                     *RATES.get(model, ()))
                weights = {run["weights_sha256"] for run in made.values()}
                self.assertEqual(len(weights), 1, made)
                self.assertLess(made["ring"]["final_loss"], 3.6 if model == "transformer" else 2.2)

    def test_a_ring_of_two_is_distributed_data_parallel_to_rounding(self):
        for model in MODELS:
            with self.subTest(model):
                folder = self.folder / model
                folder.mkdir()
                self.compared(f"{PROGRAM} {model} {folder}", ("ring",), steps=4)
                ranks = [subprocess.Popen([runs.PYTHON, runs.HERE / "torch_ddp.py", model, folder,
                                           RATE, str(rank), "2"], env=runs.environment())
                         for rank in range(2)]
                self.assertEqual([rank.wait(runs.PATIENCE_SECONDS) for rank in ranks], [0, 0])
                self.check_equal(torch.load(folder / "weights.pt"), torch.load(folder / "ddp.pt"),
                                 torch_models.make(model))

    def check_equal(self, ours, theirs, initial):
        """After four steps whose updates are sums of the same gradients in float32 the weights are
        a few roundings (2^-24 of their size each) apart. Many more steps would amplify them: where
        two pixels are nearly equal another one is the largest.
        """
        self.assertEqual(list(ours), list(theirs))
        # Running statistics are rank 0's own there, and averaged here: they are left out.
        for name, before in initial.named_parameters():
            bound = 32 * 2**-24 * max(0.1, theirs[name].abs().max().item())
            self.assertLess((ours[name] - theirs[name]).abs().max().item(), bound, name)
            if before.requires_grad:
                self.assertGreater((ours[name] - before).abs().max().item(), bound, name)

    def test_accumulated_batches_and_clipping_are_the_runs(self):
        accumulated = ("--set", "training.accumulate=2")
        made = self.compared(f"{PROGRAM} lenet", ("ps", "ring"), *accumulated, "--set",
                             "optimizer.clip_norm=0.5")
        clipped = {run["weights_sha256"] for run in made.values()}
        self.assertEqual(len(clipped), 1)
        plain = self.compared(f"{PROGRAM} lenet", ("ring",), *accumulated)
        self.assertNotIn(plain["ring"]["weights_sha256"], clipped)

    def test_torchrun_starts_a_rank_for_each_process(self):
        # Debian's 1.13.1 ends with an error of its own unless -r and -t name a rank.
        done = runs.launched(
            [runs.PYTHON, "-m", "torch.distributed.run", "-r", "9:1", "-t", "9:1", "--log_dir",
             self.folder / "torchrun", "--nproc_per_node", "2", "--master_addr", "127.0.0.1",
             "--master_port", str(runs.free_port()), runs.EXAMPLES / "torch_train.py"], self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(runs.stored(self.folder / "ringmaster-out"), [("ring", 2, "ok")])

    def test_a_script_that_does_wrong_ends_the_run_by_name(self):
        for mistake, words in MISTAKES.items():
            with self.subTest(mistake):
                code, made, text = runs.compare(self.out / mistake, f"{PROGRAM} lenet - {mistake}",
                                                ["ring"], *FLAGS, "--steps", "8")
                self.assertEqual(code, 1, text)
                status = made["ring"]["status"] if made else text
                self.assertIn("worker/1", status)
                self.assertIn(words, status)


if __name__ == "__main__":
    sys.exit(unittest.main())
