"""Training steps of PyTorch beside those of `ringmaster bench kernels`, on one device.

    ringmaster bench kernels --library cublas --steps-only --json > fp32.json
    ringmaster bench kernels --library cublas_tf32 --steps-only --json > tf32.json
    step_pytorch_gpu.py --ours fp32.json --ours tf32.json

Each file is a measurement of ours, whose models and sizes are built again in PyTorch and run
eagerly in the same precision, TF32 on or off: forward and backward, as our figure has them, and the
same with an SGD update behind it. Attention is both written out and PyTorch's fused one, where it
has that, and the faster counts. Times are medians between two events of the device, after steps
that are not counted; with `--device cpu` of the clock. A ratio is PyTorch's time by ours.

Prints a line a step, and with --json FILE writes all figures there. Exit status: 0 every ratio is 1
or more, 1 one is less, 2 a mistake in the arguments or files, 3 there is no PyTorch here, or it
finds no GPU.
"""

import argparse
import json
import os
import statistics
import sys
import time

MISSING = 3
WARM_UPS = 5


def make_mlp(torch, sizes):
    width = sizes["width"]
    layers = []
    for _ in range(sizes["layers"]):
        layers += [torch.nn.Linear(width, width), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))


def make_transformer(torch, sizes, fused, symbols=256):
    nn = torch.nn
    width, heads, context = sizes["width"], sizes["heads"], sizes["context"]

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width)
            self.proj = nn.Linear(width, width)
            self.register_buffer("future",
                                 torch.full((context, context), float("-inf")).triu(1),
                                 persistent=False)

        def forward(self, x):
            q, k, v = (part.view(-1, context, heads, width // heads).transpose(1, 2)
                       for part in self.qkv(x).split(width, dim=2))
            if fused:
                mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                scores = (q @ k.transpose(2, 3)) * (width // heads) ** -0.5 + self.future
                mixed = scores.softmax(dim=3) @ v
            return self.proj(mixed.transpose(1, 2).reshape(-1, context, width))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1 = nn.LayerNorm(width)
            self.attn = Attention()
            self.norm2 = nn.LayerNorm(width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"),
                                     nn.Linear(4 * width, width))

        def forward(self, x):
            x = x + self.attn(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.tok = nn.Embedding(symbols, width)
            self.pos = nn.Parameter(0.02 * torch.randn(context, width))
            self.blocks = nn.Sequential(*(Block() for _ in range(sizes["layers"])))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, symbols, bias=False)

        def forward(self, tokens):
            return self.head(self.norm(self.blocks(self.tok(tokens) + self.pos))).flatten(0, 1)

    return Transformer()


class Timer:
    """Milliseconds of calls on one device."""

    def __init__(self, torch, device, repetitions):
        self.torch = torch
        self.on_gpu = device != "cpu"
        self.repetitions = repetitions

    def once(self, work):
        if not self.on_gpu:
            begin = time.monotonic()
            work()
            return 1e3 * (time.monotonic() - begin)
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.torch.cuda.synchronize()
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)

    def median(self, work):
        for _ in range(WARM_UPS):
            self.once(work)
        return statistics.median(self.once(work) for _ in range(self.repetitions))


def measure(torch, timer, device, model, inputs, labels):
    """Milliseconds of forward and backward, and of both with an update."""
    model = model.to(device)
    inputs, labels = inputs.to(device), labels.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def compute():
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()

    def step():
        compute()
        optimizer.step()

    return timer.median(compute), timer.median(step)


def measure_mlp(torch, timer, device, sizes):
    inputs = torch.rand(sizes["batch"], sizes["width"]) * 2 - 1
    labels = torch.randint(10, (sizes["batch"],))
    return measure(torch, timer, device, make_mlp(torch, sizes), inputs, labels) + ("",)


def measure_transformer(torch, timer, device, sizes):
    tokens = torch.randint(256, (sizes["texts"], sizes["context"]))
    best = None
    for fused in (False, True):
        if fused and not hasattr(torch.nn.functional, "scaled_dot_product_attention"):
            continue
        model = make_transformer(torch, sizes, fused)
        try:
            times = measure(torch, timer, device, model, tokens, tokens.reshape(-1))
        except torch.cuda.OutOfMemoryError:
            # The written-out attention keeps more; without either there is no figure.
            torch.cuda.empty_cache()
            continue
        finally:
            del model
        if best is None or times[0] < best[0]:
            best = times + ("fused attention" if fused else "attention written out",)
    return best


def rows_of(torch, device, path):
    """PyTorch's figures beside those of the file `path`."""
    with open(path, encoding="utf-8") as file:
        ours = json.load(file)
    tf32 = ours["library"] == "cublas_tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    our_ms = {row["name"]: row["ms"] for row in ours["rows"]}
    timer = Timer(torch, device, ours["repetitions"])
    for model, run in (("mlp", measure_mlp), ("transformer", measure_transformer)):
        measured = run(torch, timer, device, ours[model])
        if measured is None:
            yield {
                "step": model, "precision": "tf32" if tf32 else "fp32",
                "skipped": "PyTorch finds too little memory"
            }
            continue
        torch_ms, torch_step_ms, note = measured
        mine = our_ms[model + " step"]
        yield {
            "step": model, "precision": "tf32" if tf32 else "fp32", "ours_ms": mine,
            "pytorch_ms": torch_ms, "pytorch_with_update_ms": torch_step_ms,
            "ratio": torch_ms / mine, "note": note
        }


def text_of(row):
    if "skipped" in row:
        return "%s, %s: %s" % (row["step"], row["precision"], row["skipped"])
    return "%s, %s: ours %.3f ms, PyTorch %.3f ms (%.3f with an update%s), ratio %.2f" % (
        row["step"], row["precision"], row["ours_ms"], row["pytorch_ms"],
        row["pytorch_with_update_ms"], ", " + row["note"] if row["note"] else "", row["ratio"])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--ours", action="append", required=True, metavar="FILE",
        help="what `ringmaster bench kernels --json` printed; may be given several times")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--json", metavar="FILE", help="where to write the figures")
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        # One thread, as ours; a BLAS reads it when it is loaded.
        os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    try:
        import torch
    except ImportError as error:
        print("PyTorch is not here: %s" % error)
        return MISSING
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch %s finds no GPU" % torch.__version__)
        return MISSING
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    rows = []
    for path in arguments.ours:
        try:
            for row in rows_of(torch, arguments.device, path):
                rows.append(row)
                print(text_of(row), flush=True)
        except (OSError, ValueError, KeyError) as error:
            print("%s is no result of `ringmaster bench kernels --json`: %r" % (path, error),
                  file=sys.stderr)
            return 2
    if arguments.json:
        name = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
        with open(arguments.json, "w", encoding="utf-8") as file:
            measured = {"torch": torch.__version__, "cuda": torch.version.cuda, "device": name}
            json.dump({**measured, "rows": rows}, file)
            file.write("\n")
    return 0 if all(row.get("ratio", 1) >= 1 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
