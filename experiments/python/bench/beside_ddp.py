"""A session's steps beside PyTorch's DistributedDataParallel over Gloo, in turns.

    python3 beside_ddp.py --ringmaster bazel-bin/experiments/ringmaster

For each model, pairs of processes with one thread each train the same model on the same batch,
again and again: in a session under `solo`, in one under `ring` over shared memory, and in
DistributedDataParallel (gradient_as_bucket_view). All are alive, and one pair at a time makes a
block of steps; order within a round is drawn. Of each round the ratios of times are taken; shown
are their median and a 95 % interval (bootstrap over rounds). Besides: what the Python package takes
of a step, by a clock around its calls, with the zeroing of gradients apart; a rank's memory in the
end, of what it shares with others its part (PSS): all of the bench's ranks have PyTorch's libraries
in common, and two under `ring` their gradients.
"""

import argparse
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "proof/bench"))
SKIP = 3  # steps of a block that are on no clock
# As `ringmaster bench step` has them.
MODELS = {"transformer": ["--batch", "16"], "mlp": ["--batch", "64"]}


class Turns:
    """A rank's side: it asks at every step, and waits at the first of each block."""

    def __init__(self, arguments, rank, spent=None):
        self.block, self.rank, self.step = arguments.block + SKIP, rank, 0
        self.spent = spent or {}  # seconds since the block began, by what for
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(arguments.socket)
        self.file = self.socket.makefile("rw")
        self.say({"rank": rank})

    def say(self, what):
        self.file.write(json.dumps(what) + "\n")
        self.file.flush()

    def before_step(self):
        place = self.step % self.block
        self.step += 1
        if place == SKIP:
            self.begin = time.perf_counter()
            self.spent.update(dict.fromkeys(self.spent, 0.0))
        if place:
            return
        if self.step > 1:
            self.say({"seconds": time.perf_counter() - self.begin, "memory": pss_bytes(),
                      **self.spent})
        if not self.file.readline():
            sys.exit("the conductor is gone")


def pss_bytes():
    """Memory of this process, with its share of what processes have in common."""
    for line in pathlib.Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def timed(spent, function, field, sign):
    """`function`, whose time is added to spent[field], or taken from it."""
    clock = time.perf_counter

    def call(*arguments, **options):
        begin = clock()
        answer = function(*arguments, **options)
        spent[field] += sign * (clock() - begin)
        return answer
    return call


def watch_package(torch, spent):
    """Adds up the package's own time, of sessions made from here on: its calls, without the
    library's (watch_library) and autograd's in them. What the clocks take counts as the package's.
    """
    import ringmaster.torch
    for name in ("backward", "step", "_bring", "_bind", "_begin_step"):
        own = timed(spent, getattr(ringmaster.torch.Session, name), "python", 1)
        setattr(ringmaster.torch.Session, name, own)
    torch.Tensor.backward = timed(spent, torch.Tensor.backward, "python", -1)
    zero = timed(spent, torch.Tensor.zero_, "zeroing", 1)
    torch.Tensor.zero_ = timed(spent, zero, "python", -1)


def watch_library(session, spent):
    for name in ("backward", "ready", "end_step"):
        setattr(session._library, name,
                timed(spent, getattr(session._library, name), "python", -1))


def train_in_session(torch, parts, arguments, options):
    import ringmaster.torch
    model = parts.make_model(torch, options)
    spent = {"python": 0.0, "zeroing": 0.0}
    if arguments.watch:
        watch_package(torch, spent)
    session = ringmaster.torch.wrap(model, train_samples=4096)
    if arguments.watch:
        watch_library(session, spent)
    x, y = parts.make_batch(torch, options, session.rank)
    turns = Turns(arguments, session.rank, spent)
    for _ in session.batches():
        turns.before_step()
        session.backward(torch.nn.functional.cross_entropy(model(x), y))
        session.step()


def train_in_ddp(torch, parts, arguments, options):
    import torch.distributed
    torch.distributed.init_process_group("gloo", init_method=f"file://{arguments.socket}.meeting",
                                         rank=arguments.rank, world_size=2)
    model = parts.make_model(torch, options)
    x, y = parts.make_batch(torch, options, arguments.rank)
    parallel = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=options.rate)
    turns = Turns(arguments, arguments.rank)
    for _ in range(arguments.rounds * turns.block + 1):
        turns.before_step()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(parallel(x), y).backward()
        optimizer.step()


def run_rank(arguments):
    import step_pytorch as parts
    import torch
    torch.set_num_threads(1)
    options = argparse.Namespace(model=arguments.model, hidden=[1024, 1024], layers=4, width=128,
                                 heads=4, context=64, rate=0.01,
                                 batch=int(MODELS[arguments.model][1]))
    train = train_in_ddp if arguments.rank_of == "ddp" else train_in_session
    train(torch, parts, arguments, options)


class Pair:
    """Two ranks of one kind, as the conductor sees them."""

    def __init__(self, kind, arguments, folder):
        self.kind = kind
        path = os.path.join(folder, kind)
        words = [sys.executable, __file__, "--model", arguments.model, "--rank-of", kind,
                 "--socket", path, "--block", str(arguments.block), "--rounds",
                 str(arguments.rounds)] + (["--watch"] if kind == "watched" else [])
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(2)
            listener.settimeout(300)
            self.processes = self.start(kind, words, arguments, folder)
            files = [listener.accept()[0].makefile("rw") for _ in range(2)]
        self.files = sorted(files, key=lambda file: json.loads(file.readline())["rank"])
        self.figures = []

    def start(self, kind, words, arguments, folder):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        if kind == "ddp":
            return [subprocess.Popen([*words, "--rank", str(rank)], env=environment)
                    for rank in range(2)]
        steps = arguments.rounds * (arguments.block + SKIP) + 1
        arm = "solo" if kind == "solo" else "ring"
        command = [arguments.ringmaster, "compare", "--program", " ".join(words), "--arms", arm,
                   "--workers", "2", "--transport", "shm", "--steps", str(steps), *MODELS[
                       arguments.model][:2], "--set", "limits.compute_seconds=3600", "--out",
                   os.path.join(folder, kind + "-out")]
        return [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)]

    def block(self):
        for file in self.files:
            file.write("\n")
            file.flush()
        answers = [json.loads(file.readline()) for file in self.files]
        self.figures.append({name: max(answer[name] for answer in answers)
                             for name in answers[0]})

    def end(self):
        for file in self.files:
            file.write("\n")
            file.flush()
        for process in self.processes:
            process.wait(300)


def interval(values, draws=2000):
    """(median, low, high) of `values`: 95 % by resampling them."""
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(values, k=len(values)))
                     for _ in range(draws))
    return statistics.median(values), medians[int(draws * 0.025)], medians[int(draws * 0.975)]


def compare(arguments, folder):
    pairs = {kind: Pair(kind, arguments, folder) for kind in ("solo", "ring", "ddp", "watched")}
    for number in range(arguments.rounds):
        for pair in random.Random(number).sample(list(pairs.values()), len(pairs)):
            pair.block()
    for pair in pairs.values():
        pair.end()
    steps = {kind: [figure["seconds"] / arguments.block * 1e3 for figure in pair.figures]
             for kind, pair in pairs.items()}
    print(f"{arguments.model}: ms of a step, median of {arguments.rounds} blocks of "
          f"{arguments.block}: " + ", ".join(
              f"{kind} {statistics.median(steps[kind]):.2f}" for kind in ("solo", "ring", "ddp")))
    for name, above, below in (("speed of ring, of solo's", "solo", "ring"),
                               ("speed of ring, of DDP's", "ddp", "ring")):
        ratio = interval([a / b for a, b in zip(steps[above], steps[below])])
        print(f"  {name}: {ratio[0]:.3f} [{ratio[1]:.3f}, {ratio[2]:.3f}]")
    watched = pairs["watched"].figures
    own, zeroing = (statistics.median(figure[name] for figure in watched) / arguments.block * 1e3
                    for name in ("python", "zeroing"))
    print(f"  the package's Python: {own:.3f} ms of a step; zeroing gradients: {zeroing:.3f} ms")
    print("  memory of a rank (PSS): " + ", ".join(
        f"{kind} {pairs[kind].figures[-1]['memory'] / 2**20:.1f} MiB" for kind in ("ring", "ddp")))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ringmaster", default="bazel-bin/experiments/ringmaster")
    parser.add_argument("--model", choices=MODELS, help="one of them alone")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--block", type=int, default=12, help="timed steps of a block")
    for name in ("--rank-of", "--socket", "--watch", "--rank"):
        parser.add_argument(name, help=argparse.SUPPRESS,
                            **({"action": "store_true"} if name == "--watch" else
                               {"type": int} if name == "--rank" else {}))
    arguments = parser.parse_args()
    if arguments.rank_of:
        run_rank(arguments)
        return
    for model in [arguments.model] if arguments.model else MODELS:
        arguments.model = model
        with tempfile.TemporaryDirectory() as folder:
            compare(arguments, folder)


if __name__ == "__main__":
    main()
