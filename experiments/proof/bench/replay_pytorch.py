#!/usr/bin/env python3
"""Trains a recorded run once more in PyTorch and prints how far the two are apart.

The run must have left its batches, its final weights and, optionally, its first gradients (DIR
exists):

    ringmaster compare --arms ring --steps 200 --out DIR --dump-batches DIR/batches \\
        --dump-gradients DIR/gradients --save-weights DIR/ring.safetensors
    replay_pytorch.py DIR/results.jsonl --arm ring

Three ways to hold the two against each other:

  free    (as it is) both train from the same weights on the same batches. Where a decision is close
          (relu, max pooling), two right programs go different ways, and trajectories part.
  --forced  our dumped gradients through PyTorch's optimizer: no decision is taken twice, so all
          that can differ is the update. Needs the gradients of all steps
          (--set output.dump_gradient_steps=STEPS).
  --twin  PyTorch against itself, one weight of the second moved by a relative 1e-7: how fast two
          right programs part on this run. A free difference of that size says nothing against
          either.

The model is built from the names and shapes of the tensors (docs/FORMATS.md), the data are read
from their own files or made from the seed, and each rank's batches are taken by themselves, as the
workers do. A difference is max|a - b| / max|a| of one tensor, a being ours. Exit status: 0 within
the tolerance, 1 beyond it, 2 a run that cannot be replayed. Needs numpy and torch, and nothing of
Ringmaster but its files.
"""

import argparse
import json
import os
import sys

import numpy as np

import replay_data
import replay_models
from replay_data import Refused


def read_safetensors(path):
    """Name -> float32 array, of a file that Ringmaster wrote."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] != "F32":
            raise Refused("%s: %s is %s, expected F32" % (path, name, entry["dtype"]))
        tensors[name] = np.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"]).copy()
    return tensors


def find_record(path, arm):
    """The last finished run of `arm` (or of all) among the lines of results.jsonl."""
    found = None
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["status"] == "ok" and arm in (None, record["arm"]):
                found = record
    if found is None:
        raise Refused("%s has no finished run%s" % (path, " of arm %s" % arm if arm else ""))
    return found


def check_can_replay(spec):
    """Refuses what would make the run another one than plain PyTorch's."""
    output = spec.get("output", {})
    for name, flag in (("dump_batches", "--dump-batches"), ("save_weights", "--save-weights")):
        if not output.get(name):
            raise Refused("the run left no %s; repeat it with %s" % (name, flag))
    server = spec["strategy"].get("parameter_server")
    if "solo" in spec["strategy"] or (server is not None and server.get("consistency") != "BSP"):
        raise Refused(
            "the strategy is not synchronous: its trajectory is not that of the mean gradient")
    if spec["codec"]["name"] != "none":
        raise Refused("codec %s changes gradients; replay a run without" % spec["codec"]["name"])
    if spec["training"].get("deterministic"):
        raise Refused("training.deterministic rounds gradients; replay a run without")
    if spec["model"].get("dropout"):
        raise Refused("model.dropout draws masks of its own; replay a run without")
    if spec["data"].get("augment"):
        raise Refused("data.augment draws changes of its own; replay a run without")
    for field in ("cosine_schedule", "warmup_samples", "clip_norm", "scale_with_workers"):
        if spec["optimizer"].get(field):
            raise Refused("optimizer.%s is not replayed; use a constant or stepped rate" % field)


def make_optimizer(spec, weights):
    """torch's optimizer of the same rule."""
    import torch
    optimizer = spec["optimizer"]
    rate, decay = optimizer["learning_rate"], optimizer.get("weight_decay", 0.0)
    name = optimizer["name"]
    if name in ("sgd", "momentum", "nesterov"):
        return torch.optim.SGD(weights, lr=rate,
                               momentum=optimizer.get("momentum", 0.0) if name != "sgd" else 0.0,
                               nesterov=name == "nesterov", weight_decay=decay)
    if name in ("adam", "adamw"):
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        return kind(weights, lr=rate, betas=(optimizer["beta1"], optimizer["beta2"]),
                    eps=optimizer["epsilon"], weight_decay=decay)
    raise Refused("optimizer %s is not known here" % name)


def rate_at(spec, samples_seen):
    optimizer = spec["optimizer"]
    schedule = optimizer.get("step_schedule")
    if not schedule:
        return optimizer["learning_rate"]
    cuts = samples_seen // int(schedule["every_samples"])
    return optimizer["learning_rate"] * schedule["factor"] ** cuts


def statistics_of(tensors):
    """Names of the running statistics, which no optimizer moves."""
    return sorted(name for name in tensors if name.endswith((".running_mean", ".running_var")))


def replay_forced(spec, initial, gradients, samples_of_step):
    """The final weights of the optimizer alone, by name. gradients: of every step in turn, those
    that the run has dumped, by name.
    """
    import torch
    torch.set_num_threads(1)
    tensors = {name: torch.tensor(value) for name, value in initial.items()}
    statistics = statistics_of(tensors)
    weights = {name: tensor.requires_grad_() for name, tensor in tensors.items()
               if name not in statistics}
    optimizer = make_optimizer(spec, list(weights.values()))
    for step, given in enumerate(gradients):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(spec, step * samples_of_step)
        for name, weight in weights.items():
            weight.grad = torch.tensor(given[name])
        optimizer.step()
        for name in statistics:
            tensors[name].mul_(0.9).add_(0.1 * torch.tensor(given[name]))
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def perturbed(initial):
    """The weights with the largest one of the first tensor moved by 1e-7 of itself, or by the
    smallest step of float32 where that is more.
    """
    moved = {name: value.copy() for name, value in initial.items()}
    name = next(name for name in sorted(moved) if not statistics_of([name]) and moved[name].any())
    place = np.unravel_index(np.argmax(np.abs(moved[name])), moved[name].shape)
    value = moved[name][place]
    shifted = np.float32(value * np.float32(1 + 1e-7))
    moved[name][place] = shifted if shifted != value else np.nextafter(value, np.float32(np.inf))
    return moved


def replay(spec, initial, batches, dtype, on_gradients):
    """The final weights, by name. on_gradients(step, gradients by name) sees each step's mean
    gradient.

    batches: by rank, [steps, batches of a rank * samples of a batch] indices.
    """
    import torch
    torch.set_num_threads(1)
    data = replay_data.load(spec["data"])
    tensors = {name: torch.tensor(value, dtype=dtype) for name, value in initial.items()}
    statistics = statistics_of(tensors)
    weights = {
        name: tensor.requires_grad_() for name, tensor in tensors.items() if name not in statistics
    }
    model = replay_models.Model(spec["model"], tensors)
    optimizer = make_optimizer(spec, list(weights.values()))
    size = spec["training"]["batch_per_worker"]
    steps, per_rank = batches[0].shape
    parts = [(rank, begin) for rank in range(len(batches)) for begin in range(0, per_rank, size)]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(spec, step * per_rank * len(batches))
        optimizer.zero_grad()
        seen = {name: 0 for name in statistics}
        for rank, begin in parts:
            inputs, labels = data.batch(batches[rank][step, begin:begin + size])
            kind = None if inputs.dtype.kind == "i" else dtype
            inputs = torch.tensor(inputs, dtype=kind)
            loss, of_batch = model.loss(inputs, torch.tensor(labels))
            # The mean over equal parts is the mean over all.
            (loss / len(parts)).backward()
            for name in statistics:
                seen[name] = seen[name] + of_batch[name] / len(parts)
        gradients = {name: weight.grad.numpy() for name, weight in weights.items()}
        gradients.update({name: value.numpy() for name, value in seen.items()})
        on_gradients(step, gradients)
        optimizer.step()
        for name in statistics:
            tensors[name].mul_(0.9).add_(0.1 * seen[name])
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def difference(ours, theirs):
    """max|a - b| / max|a| of one tensor."""
    largest = float(np.max(np.abs(ours)))
    apart = float(np.max(np.abs(ours.astype(np.float64) - theirs)))
    return apart / largest if largest > 0 else apart


def largest_difference(ours, theirs):
    """(difference, name) of the tensor that is furthest apart."""
    if sorted(ours) != sorted(theirs):
        raise Refused("tensors differ: %s and %s" % (sorted(ours), sorted(theirs)))
    return max((difference(ours[name], theirs[name]), name) for name in ours)


def read_batches(spec):
    """By rank, [steps, samples of a rank] indices."""
    folder = spec["output"]["dump_batches"]
    batches = []
    while os.path.exists(os.path.join(folder, "batches-rank%d.npy" % len(batches))):
        batches.append(np.load(os.path.join(folder, "batches-rank%d.npy" % len(batches))))
    if len(batches) != spec["training"]["workers"]:
        raise Refused("%s has batches of %d ranks, the run had %d workers" %
                      (folder, len(batches), spec["training"]["workers"]))
    return batches


def read_gradients(spec, steps):
    """Yields what the run has dumped of every step."""
    folder = spec["output"].get("dump_gradients")
    dumped = spec["output"].get("dump_gradient_steps", 0) if folder else 0
    if int(dumped) < steps:
        raise Refused("the run has dumped the gradients of %s of its %d steps; repeat it with "
                      "--dump-gradients DIR --set output.dump_gradient_steps=%d" %
                      (dumped, steps, steps))
    for step in range(steps):
        yield read_safetensors(os.path.join(folder, "gradients-step%06d.safetensors" % step))


def tell_weights(what, ours, theirs, tolerance):
    """Prints how far the final weights are apart; the exit status."""
    apart, where = largest_difference(ours, theirs)
    print("%-10s largest relative difference %.3g (%s)" % (what, apart, where))
    within = apart <= tolerance
    print("%s the tolerance of %g" % ("within" if within else "BEYOND", tolerance))
    return 0 if within else 1


def run_forced(spec, initial, batches, tolerance):
    samples = len(batches) * batches[0].shape[1]
    final = replay_forced(spec, initial, read_gradients(spec, batches[0].shape[0]), samples)
    return tell_weights("forced", read_safetensors(spec["output"]["save_weights"]), final,
                        tolerance)


def run_twin(spec, initial, batches, dtype):
    """How far PyTorch is from itself: no verdict on the run, so the exit status is 0."""
    ends = [replay(spec, start, batches, dtype, lambda step, gradients: None)
            for start in (initial, perturbed(initial))]
    return tell_weights("twin", ends[0], ends[1], float("inf"))


def run(arguments):
    import torch
    record = find_record(arguments.results, arguments.arm)
    spec = record["spec"]
    check_can_replay(spec)
    initial = read_safetensors(
        os.path.join(spec["output"]["dump_batches"], "initial-weights.safetensors"))
    batches = read_batches(spec)
    dtype = torch.float64 if arguments.double else torch.float32
    print("%s on %s, arm %s: %d steps of %d x %d samples, optimizer %s" %
          (spec["model"]["name"], spec["data"]["name"], record["arm"], batches[0].shape[0],
           len(batches), batches[0].shape[1], spec["optimizer"]["name"]))
    if arguments.forced:
        return run_forced(spec, initial, batches, arguments.tolerance)
    if arguments.twin:
        return run_twin(spec, initial, batches, dtype)
    return run_free(spec, initial, batches, dtype, arguments.tolerance)


def run_free(spec, initial, batches, dtype, tolerance):
    gradients = []
    dumped = spec["output"].get("dump_gradients")

    def compare_gradients(step, theirs):
        path = os.path.join(dumped, "gradients-step%06d.safetensors" % step) if dumped else ""
        if dumped and step < spec["output"]["dump_gradient_steps"] and os.path.exists(path):
            gradients.append(largest_difference(read_safetensors(path), theirs) + (step,))

    final = replay(spec, initial, batches, dtype, compare_gradients)
    apart, where = largest_difference(read_safetensors(spec["output"]["save_weights"]), final)
    moved, _ = largest_difference(read_safetensors(spec["output"]["save_weights"]), initial)
    print("weights    largest relative difference %.3g (%s); training moved them by up to %.3g" %
          (apart, where, moved))
    worst = apart
    if gradients:
        gradient, name, step = max(gradients)
        worst = max(worst, gradient)
        print("gradients  largest relative difference %.3g (%s, step %d; %d steps)" %
              (gradient, name, step, len(gradients)))
    within = worst <= tolerance
    print("%s the tolerance of %g" % ("within" if within else "BEYOND", tolerance))
    return 0 if within else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="results.jsonl of the run")
    parser.add_argument("--arm", help="arm to replay; the last finished run otherwise")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--double", action="store_true", help="compute in float64")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--forced", action="store_true", help="the run's gradients, PyTorch's updates")
    way.add_argument("--twin", action="store_true", help="PyTorch against itself, perturbed")
    arguments = parser.parse_args()
    try:
        import torch  # noqa: F401
    except ImportError:
        print("error: this Python has no torch; on Debian: apt-get install python3-torch",
              file=sys.stderr)
        return 2
    try:
        return run(arguments)
    except (Refused, OSError) as error:
        print("error: %s" % error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
