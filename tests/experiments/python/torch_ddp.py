"""torch_ddp.py MODEL FOLDER RATE RANK WORKERS: PyTorch's DistributedDataParallel over Gloo, on the
samples and seeds that a session's ranks have written to FOLDER. Rank 0 writes ddp.pt there.
"""

import sys

import numpy
import torch
import torch_models

name, folder, rate, rank, workers = sys.argv[1:]
rank, workers = int(rank), int(workers)
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank,
                                     world_size=workers)
x, y = torch_models.data(name, 640)
model = torch_models.make(name)
parallel = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True,
                                                     broadcast_buffers=False)
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=float(rate))
for indices, seed in zip(numpy.load(f"{folder}/samples-{rank}.npy"),
                         numpy.load(f"{folder}/seeds-{rank}.npy")):
    torch.default_generator.manual_seed(int(seed))
    optimizer.zero_grad(set_to_none=True)
    loss = torch_models.loss_of(parallel(x[indices]), y[indices])
    loss.backward()
    optimizer.step()
if rank == 0:
    torch.save(model.state_dict(), f"{folder}/ddp.pt")
torch.distributed.barrier()
