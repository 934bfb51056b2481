#!/usr/bin/env python3
"""Trains a recorded run once more in PyTorch and prints how far the two are apart.

The run must have left its batches, its final weights and, optionally, its first gradients (DIR
exists):

    ringmaster compare --arms ring --steps 200 --out DIR --dump-batches DIR/batches \\
        --dump-gradients DIR/gradients --save-weights DIR/ring.safetensors
    replay_pytorch.py DIR/results.jsonl --arm ring

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


def replay(spec, initial, batches, dtype, on_gradients):
    """The final weights, by name. on_gradients(step, gradients by name) sees each step's mean
    gradient.

    batches: by rank, [steps, batches of a rank * samples of a batch] indices.
    """
    import torch
    torch.set_num_threads(1)
    data = replay_data.load(spec["data"])
    tensors = {name: torch.tensor(value, dtype=dtype) for name, value in initial.items()}
    statistics = sorted(
        name for name in tensors if name.endswith((".running_mean", ".running_var")))
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


def run(arguments):
    import torch
    record = find_record(arguments.results, arguments.arm)
    spec = record["spec"]
    check_can_replay(spec)
    folder = spec["output"]["dump_batches"]
    initial = read_safetensors(os.path.join(folder, "initial-weights.safetensors"))
    batches = []
    while os.path.exists(os.path.join(folder, "batches-rank%d.npy" % len(batches))):
        batches.append(np.load(os.path.join(folder, "batches-rank%d.npy" % len(batches))))
    if len(batches) != spec["training"]["workers"]:
        raise Refused("%s has batches of %d ranks, the run had %d workers" %
                      (folder, len(batches), spec["training"]["workers"]))
    gradients = []
    dumped = spec["output"].get("dump_gradients")

    def compare_gradients(step, theirs):
        path = os.path.join(dumped, "gradients-step%06d.safetensors" % step) if dumped else ""
        if dumped and step < spec["output"]["dump_gradient_steps"] and os.path.exists(path):
            gradients.append(largest_difference(read_safetensors(path), theirs) + (step,))

    dtype = torch.float64 if arguments.double else torch.float32
    final = replay(spec, initial, batches, dtype, compare_gradients)
    apart, where = largest_difference(read_safetensors(spec["output"]["save_weights"]), final)
    moved, _ = largest_difference(read_safetensors(spec["output"]["save_weights"]), initial)
    print("%s on %s, arm %s: %d steps of %d x %d samples, optimizer %s" %
          (spec["model"]["name"], spec["data"]["name"], record["arm"], batches[0].shape[0],
           len(batches), batches[0].shape[1], spec["optimizer"]["name"]))
    print("weights    largest relative difference %.3g (%s); training moved them by up to %.3g" %
          (apart, where, moved))
    worst = apart
    if gradients:
        gradient, name, step = max(gradients)
        worst = max(worst, gradient)
        print("gradients  largest relative difference %.3g (%s, step %d; %d steps)" %
              (gradient, name, step, len(gradients)))
    within = worst <= arguments.tolerance
    print("%s the tolerance of %g" % ("within" if within else "BEYOND", arguments.tolerance))
    return 0 if within else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="results.jsonl of the run")
    parser.add_argument("--arm", help="arm to replay; the last finished run otherwise")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--double", action="store_true", help="compute in float64")
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
