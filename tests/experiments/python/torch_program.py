"""torch_program.py MODEL [FOLDER [MISTAKE]]: a model of torch_models.py in a session.

FOLDER, unless "-": where each rank writes the samples of its batches and rank 0 the weights in the
end. MISTAKE: what rank 1 does wrong in step 3.
"""

import sys

import numpy
import torch
import torch.utils.checkpoint

import ringmaster.torch
import torch_models

name, folder, mistake = (sys.argv[1:] + ["-", ""][len(sys.argv) - 2:])[:3]
x, y = torch_models.data(name, 640)
model = torch_models.make(name)
session = ringmaster.torch.wrap(model, train_samples=512, test_samples=128,
                                order=lambda: torch_models.loss_of(model(x[:2]), y[:2]))
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)


@session.score
def score(part):
    indices = part.indices + (512 if part.set == "test" else 0)
    scores, labels = model(x[indices]), y[indices].flatten()
    losses = torch_models.loss_of(scores, labels) * len(labels)
    return losses, (scores.argmax(1) == labels).sum(), len(labels)


def now(what):
    return mistake == what and batch.step == 3 and session.rank == 1


samples, seeds = [], []
for batch in session.batches():
    samples.append(batch.indices)
    seeds.append(batch.seed)
    optimizer.zero_grad(set_to_none=bool(batch.step % 2))
    loss = torch_models.loss_of(model(x[batch.indices]), y[batch.indices])
    if now("raises"):
        raise ValueError("no such luck")
    if now("forgets"):
        loss = torch_models.loss_of(torch.nn.Sequential(*list(model)[:-1])(x[batch.indices]),
                                    y[batch.indices])
    if now("plain_backward"):
        loss.backward()
    if now("shapes"):
        model[-1].weight.data = torch.zeros(3, 500)
    if now("checkpoints"):
        again = torch.utils.checkpoint.checkpoint(model, x[batch.indices].requires_grad_())
        loss = loss + torch_models.loss_of(again, y[batch.indices])
    if now("losses"):
        loss = loss.repeat(16)
    session.backward(loss)
    if now("backward_twice"):
        session.backward(loss)
    if now("optimizer"):
        optimizer.step()
    if now("clips"):
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    if now("by_hand"):
        for parameter in model.parameters():
            parameter.data -= 0.1 * parameter.grad
    session.step()
if folder != "-":
    numpy.save(f"{folder}/samples-{session.rank}.npy", numpy.array(samples))
    numpy.save(f"{folder}/seeds-{session.rank}.npy", numpy.array(seeds, numpy.uint64))
    if session.rank == 0:
        torch.save(model.state_dict(), f"{folder}/weights.pt")
