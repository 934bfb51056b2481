"""Training steps of PyTorch, in turns: the peer of `ringmaster bench step`.

Starts one process a rank. Rank 0 prints "ready {json}" and then, for every line "SKIP STEPS" on its
standard input, lets all ranks train SKIP + STEPS steps and prints how many seconds the last STEPS
took; at the end of its input all ranks end. Everybody trains on one batch of its own, again and
again, with plain SGD and one thread.

Exchanges: "ddp" (DistributedDataParallel over gloo), "rpc" (a parameter server in one more process
that adds the workers' gradients up, updates once and sends the weights back, by
torch.distributed.rpc), "none".
"""

import argparse
import ctypes
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time

MISSING = 3


def make_mlp(nn, hidden):
    sizes = [784] + hidden
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(sizes[-1], 10))


def make_cnn(nn):
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(32, 64, 5, padding=2), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 1024), nn.ReLU(), nn.Linear(1024, 10))


def make_transformer(torch, layers, width, heads, context, symbols):
    nn = torch.nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width)
            self.proj = nn.Linear(width, width)
            self.register_buffer("future",
                                 torch.full((context, context), float("-inf")).triu(1),
                                 persistent=False)

        def forward(self, x):
            batch = x.shape[0]
            q, k, v = (part.view(batch, context, heads, width // heads).transpose(1, 2)
                       for part in self.qkv(x).split(width, dim=2))
            scores = (q @ k.transpose(2, 3)) * (width // heads) ** -0.5 + self.future
            mixed = scores.softmax(dim=3) @ v
            return self.proj(mixed.transpose(1, 2).reshape(batch, context, width))

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
            self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, symbols, bias=False)

        def forward(self, tokens):
            return self.head(self.norm(self.blocks(self.tok(tokens) + self.pos))).flatten(0, 1)

    return Transformer()


def make_model(torch, arguments):
    torch.manual_seed(1)
    if arguments.model == "mlp":
        return make_mlp(torch.nn, arguments.hidden)
    if arguments.model == "cnn":
        return make_cnn(torch.nn)
    return make_transformer(torch, arguments.layers, arguments.width, arguments.heads,
                            arguments.context, 256)


def make_batch(torch, arguments, rank):
    torch.manual_seed(100 + rank)
    if arguments.model == "transformer":
        texts = torch.randint(256, (arguments.batch, arguments.context + 1))
        return texts[:, :-1].contiguous(), texts[:, 1:].reshape(-1)
    return torch.randn(arguments.batch, 1, 28, 28), torch.randint(10, (arguments.batch,))


def count_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


class Server:
    """The RPC parameter server: one update from the sum of all workers, then the new weights to
    each of them.
    """

    def __init__(self, torch, arguments):
        self.torch = torch
        self.workers = arguments.workers
        self.model = make_model(torch, arguments)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=arguments.rate)
        self.lock = threading.Lock()
        self.came = 0
        self.future = torch.futures.Future()

    def push(self, gradients):
        with self.lock:
            if self.came == 0:
                for parameter, gradient in zip(self.model.parameters(), gradients):
                    parameter.grad = gradient
            else:
                for parameter, gradient in zip(self.model.parameters(), gradients):
                    parameter.grad += gradient
            self.came += 1
            future = self.future
            if self.came < self.workers:
                return future
            for parameter in self.model.parameters():
                parameter.grad /= self.workers
            self.optimizer.step()
            self.came = 0
            self.future = self.torch.futures.Future()
            future.set_result([parameter.detach() for parameter in self.model.parameters()])
            return future


SERVER = None


def push(gradients):
    return SERVER.push(gradients)


class Stepper:
    """One rank's training step."""

    def __init__(self, torch, arguments, rank):
        self.torch = torch
        self.arguments = arguments
        self.model = make_model(torch, arguments)
        self.inputs, self.labels = make_batch(torch, arguments, rank)
        self.trained = self.model
        if arguments.exchange == "ddp":
            self.trained = torch.nn.parallel.DistributedDataParallel(self.model)
        if arguments.exchange == "rpc":
            return
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=arguments.rate)

    def step(self):
        loss = self.torch.nn.functional.cross_entropy(self.trained(self.inputs), self.labels)
        if self.arguments.exchange != "rpc":
            self.optimizer.zero_grad(set_to_none=False)
            loss.backward()
            self.optimizer.step()
            return
        for parameter in self.model.parameters():
            parameter.grad = None
        loss.backward()
        weights = self.torch.distributed.rpc.rpc_sync("server", push, args=([
            parameter.grad for parameter in self.model.parameters()],))
        with self.torch.no_grad():
            for parameter, weight in zip(self.model.parameters(), weights):
                parameter.copy_(weight)


def run_rank(arguments, rank, port, group_file):
    import torch
    import torch.distributed as dist
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    rpc = arguments.exchange == "rpc"
    if rpc:
        import torch.distributed.rpc
        options = torch.distributed.rpc.TensorPipeRpcBackendOptions(
            init_method="tcp://127.0.0.1:%d" % port, num_worker_threads=arguments.workers + 2,
            rpc_timeout=0)
        # Found by its name on the other side, so the wrapped one stands in the place of the plain
        # one.
        global push, SERVER
        push = torch.distributed.rpc.functions.async_execution(push)
        if rank == arguments.workers:
            SERVER = Server(torch, arguments)
        torch.distributed.rpc.init_rpc("server" if rank == arguments.workers else "worker%d" % rank,
                                       rank=rank, world_size=arguments.workers + 1,
                                       rpc_backend_options=options)
    if rank < arguments.workers:
        dist.init_process_group("gloo", init_method="file://" + group_file, rank=rank,
                                world_size=arguments.workers)
        serve_turns(torch, arguments, rank)
    if rpc:
        torch.distributed.rpc.shutdown()


def handicap_of(maps):
    """What keeps this PyTorch from its usual speed, from the libraries that are mapped: Debian's
    takes whatever BLAS is installed, and the reference one has no kernels. Empty: nothing.
    """
    names = [line.split()[-1] for line in maps.splitlines()]
    has_reference = any("/blas/libblas.so" in name for name in names)
    has_kernels = any(word in name for name in names for word in ("openblas", "mkl", "blis"))
    return "reference BLAS" if has_reference and not has_kernels else ""


def serve_turns(torch, arguments, rank):
    import torch.distributed as dist
    stepper = Stepper(torch, arguments, rank)
    if rank == 0:
        ready = {"parameters": count_parameters(stepper.model), "torch": torch.__version__,
                 "blas_kernels": os.environ.get("OPENBLAS_CORETYPE", ""),
                 "handicap": handicap_of(open("/proc/self/maps").read())}
        print("ready " + json.dumps(ready), flush=True)
    order = torch.zeros(2, dtype=torch.int64)
    while True:
        if rank == 0:
            words = sys.stdin.readline().split()
            order[0], order[1] = (int(word) for word in words) if words else (0, 0)
        dist.broadcast(order, 0)
        skip, steps = int(order[0]), int(order[1])
        if steps == 0:
            return
        for _ in range(skip):
            stepper.step()
        dist.barrier()
        begin = time.monotonic()
        for _ in range(steps):
            stepper.step()
        dist.barrier()
        if rank == 0:
            print("%.9f" % (time.monotonic() - begin), flush=True)


def die_with_parent(parent):
    """A rank whose first one is gone would look for it for ever."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["mlp", "cnn", "transformer"], required=True)
    parser.add_argument("--exchange", choices=["ddp", "rpc", "none"], default="ddp")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--hidden", type=lambda text: [int(size) for size in text.split(",")],
                        default=[1024, 1024])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.01)
    arguments = parser.parse_args()
    try:
        import torch.distributed  # noqa: F401
    except ImportError as error:
        print("missing %s" % error, flush=True)
        return MISSING
    port = free_port()
    processes = arguments.workers + (1 if arguments.exchange == "rpc" else 0)
    children = []
    parent = os.getpid()
    with tempfile.TemporaryDirectory() as folder:
        group_file = os.path.join(folder, "group")
        for rank in range(1, processes):
            child = os.fork()
            if child == 0:
                # What a rank leaves behind is the parent's to tidy up.
                status = 1
                die_with_parent(parent)
                try:
                    run_rank(arguments, rank, port, group_file)
                    status = 0
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            children.append(child)
        finished = False
        try:
            run_rank(arguments, 0, port, group_file)
            finished = True
        finally:
            for child in children:
                if not finished:
                    os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        return 0


if __name__ == "__main__":
    sys.exit(main())
