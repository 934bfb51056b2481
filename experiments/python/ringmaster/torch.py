"""Models of PyTorch: wrap(model, ...) gives the session that trains one.

    session = ringmaster.torch.wrap(model, train_samples=len(train), test_samples=len(test))
    session.score(evaluate)                       # evaluate(part) -> (sum of losses, right ones)
    for batch in session.batches():
        loss = loss_fn(model(x[batch.indices]), y[batch.indices])
        session.backward(loss)                    # in place of loss.backward()
        session.step()                            # in place of optimizer.step()

Written for PyTorch 1.13 and newer, parameters of float32 on the CPU. What differs in newer ones
stands in docs/OWN_MODEL.md.
"""

import ctypes
import functools
import math
import operator

import numpy
import torch
from torch.nn.modules import batchnorm

from . import _library
from . import _session
from ._library import Error

# What PyTorch's batch norm has by default, and Ringmaster's statistics have always: running =
# 0.9 * running + 0.1 * the batch's.
MOMENTUM = 0.1

OUT_OF_THE_LOOP = (", which the run updates; take optimizer.step() and the like out of the loop")

# How often a tensor was written to in place.
_VERSION = operator.attrgetter("_version")


def wrap(model, train_samples, test_samples=0, order=None, unused_is_zero=False, seeded=True,
         arguments=()):
    """Joins the run as the worker that trains `model`. Returns its Session.

    Until the run is over the parameters' memory is Ringmaster's: `.data` are its weights, which
    change between batches, and `.grad` are views of where gradients leave from, between backward
    and the next batch. Then the parameters have memory of their own again, with the trained
    weights. Parameters that need no gradient, and buffers but batch norm's, stay as they are.

      train_samples, test_samples: how many there are; 0 test samples: the run is not scored.
      order: in which backward finishes gradients, so that they leave as soon as can be. None: the
        parameters' own order, backwards. A list of all names, or a function that returns a loss,
        whose backward is watched once.
      unused_is_zero: parameters that a batch does not use have gradient 0. Otherwise they fail the
        run, by name.
      seeded: PyTorch's generator gets the batch's seed before each batch, so that dropout is the
        same in every scheme.
      arguments: words as behind `ringmaster node`, for a run without a launcher.

    Raises ValueError for a model that cannot be trained so, which names what to change; otherwise
    as ringmaster.Session.
    """
    return Session(model, train_samples, test_samples, order, unused_is_zero, seeded, arguments)


class Session(_session.Session):
    """What wrap() returns. score(), batches(), close() and the numbers are ringmaster.Session's."""

    def __init__(self, model, train_samples, test_samples, order, unused_is_zero, seeded,
                 arguments):
        _check_model(model)
        self._model, self._unused_is_zero, self._is_seeded = model, unused_is_zero, seeded
        self._norms = _batch_norms(model)
        named = [pair for pair in model.named_parameters() if pair[1].requires_grad]
        if callable(order):
            order = _watched_order(named, self._norms, order)
        named = _ordered(named, order)
        self._parameters = [parameter for _, parameter in named]
        # Statistics are there before any gradient.
        statistics = _statistics(self._norms)
        self._statistics = [buffer.clone() for _, buffer in statistics]  # the batch's own
        self._constants = _constants(model, statistics)
        self._views, self._loss = None, None  # of the batch, since its backward began
        self._scale = None     # (what it is made from, tensor)
        self._is_missing = []  # of each tensor: its gradient
        self._marks = None     # what shows that the script has written to what is not its own
        self._error = None     # of a hook
        self._binding = None   # (address, kind)
        self._tensors = {}     # by address, (flat, [tensor])
        self._hooks = []
        super().__init__([(name, tensor.detach().numpy()) for name, tensor in statistics + named],
                         train_samples, test_samples, arguments)
        for norm in self._norms.values():
            norm.momentum = 1.0  # so that what it keeps is the batch's own value
        self._hooks = [_AccumulateHook(pair[1], functools.partial(self._bring, *pair))
                       for pair in enumerate(self._parameters, len(statistics))]

    # ---- What a training loop calls ----

    def backward(self, loss):
        """Backward of `loss`, the mean loss of the batch, in place of loss.backward(). Once for
        each batch. A bucket leaves as soon as backward has made its last gradient.
        """
        self._raise_error()
        if loss.numel() != 1:
            self._fail(f"session.backward(loss) of a loss of shape {list(loss.shape)}; expected "
                       "the batch's mean loss, one number")
        address = self._begin_backward()
        flat, self._views = self._tensors_at(address)
        self._is_missing = [True] * len(self._views)
        flat.zero_()
        self._take_statistics()
        self._set_gradients()
        loss.backward(gradient=self._scale_of(loss))
        self._raise_error()
        if self._unused_is_zero:
            self._clear_unused()
        self._views = None
        self._loss = loss.detach()
        self._marks = self._marks[0], (flat, flat._version)

    def step(self, loss=None):
        """Ends the batch, in place of optimizer.step(), which must not be called: the update is the
        run's. `loss`: its mean loss, where it is another than that of backward().
        """
        value = self._loss if loss is None else loss
        self._loss = None
        self._raise_error()
        self._check_step("session.step()")
        self._check_untouched()
        if self._first_weight() != self._first:
            self._fail("the script has written to the weights" + OUT_OF_THE_LOOP)
        super().step(math.nan if value is None else float(value))

    # ---- What it does in its own way ----

    def _bind(self, address, kind):
        """Has the parameters be the weights at `address`, and batch norm's buffers too, where they
        are read (but in a step).
        """
        in_step = kind == _library.STEP
        if self._binding == (address, in_step):
            return
        self._binding = (address, in_step)
        _, tensors = self._tensors_at(address)
        first = len(self._statistics)
        for parameter, tensor in zip(self._parameters, tensors[first:]):
            parameter.data = tensor
        self._set_statistics(self._statistics if in_step else tensors[:first])

    def _next(self):
        self._raise_error()
        self._check_untouched()
        self._marks = None
        return super()._next()

    def _begin_step(self):
        for parameter in self._parameters:
            parameter.grad = None
        for variance in self._statistics[1::2]:
            variance.view(-1)[0] = -1  # until batch norm writes its own
        self._marks, self._first = (self._versions(), None), self._first_weight()
        batch = super()._begin_step()
        if self._is_seeded:
            torch.default_generator.manual_seed(batch.seed)
        return batch

    def _scored(self, part):
        modes = [(module, module.training) for module in self._model.modules()]
        self._model.eval()
        try:
            with torch.no_grad():
                return super()._scored(part)
        finally:
            for module, mode in modes:
                module.training = mode

    def _finish(self):
        self._check_constants()
        super()._finish()

    def _keep_weights(self, is_over):
        """Gives the parameters memory of their own; where the run has failed, of no meaning."""
        for hook in self._hooks:
            hook.remove()
        for norm in self._norms.values():
            norm.momentum = MOMENTUM
        for parameter in self._parameters:
            parameter.grad = None
            parameter.data = parameter.data.clone() if is_over else torch.empty_like(parameter)
        if is_over:
            self._set_statistics([buffer.clone() for _, buffer in _statistics(self._norms)])
        self._tensors = {}
        super()._keep_weights(is_over)

    # ---- Inside ----

    def _tensors_at(self, address):
        """(flat, [tensor]) of all tensors at `address`; made once for each address."""
        found = self._tensors.get(address)
        if found is None:
            if len(self._tensors) >= _session.ADDRESSES:
                self._tensors.clear()
            flat = torch.from_numpy(_session.array_at(address, (self.parameters,), numpy.float32))
            sizes = [math.prod(shape) for shape in self._shapes]
            parts = torch.split(flat, sizes)
            found = flat, [part.view(shape) for part, shape in zip(parts, self._shapes)]
            self._tensors[address] = found
        return found

    def _scale_of(self, loss):
        """The gradient of the batch's part of the step's loss by its mean loss, a tensor."""
        scale = self._step.gradient_scale
        if self._scale is None or self._scale[0] != (scale, loss.shape, loss.dtype):
            self._scale = (scale, loss.shape, loss.dtype), torch.full_like(
                loss, scale, requires_grad=False)
        return self._scale[1]

    def _bring(self, number, parameter, *_):
        """Called when autograd has the gradient of a parameter, the sum of all its uses.

        It raises nothing: PyTorch 1.13 may not end after an exception in there. The error is raised
        by the call that comes next.
        """
        if self._error is not None:
            return
        try:
            if self._views is None:
                self._fail(f"a gradient of {self._names[number]} outside session.backward(loss); "
                           "call it in place of loss.backward()")
            view = self._views[number]
            if parameter.grad is not view:  # autograd has not added to it, but made another
                self._copy(number, parameter, view)
            self._is_missing[number] = False
            self._ready(number)
        except Error as error:
            self._error = error.with_traceback(None)

    def _copy(self, number, parameter, view):
        gradient = parameter.grad
        if gradient.shape != view.shape or gradient.layout != torch.strided:
            self._fail(f"the gradient of {self._names[number]} is {_kind(gradient)}, and the run "
                       f"has {_kind(view)}")
        view.copy_(gradient)
        parameter.grad = view

    def _set_gradients(self):
        """Has autograd add gradients to where they leave from."""
        first = len(self._statistics)
        for number, (parameter, view) in enumerate(zip(self._parameters, self._views[first:])):
            try:
                parameter.grad = view
            except RuntimeError:
                self._fail(f"{self._names[first + number]} is {_kind(parameter)}, and the run has "
                           f"{_kind(view)}; a session's tensors keep their shapes")

    def _raise_error(self):
        if self._error is not None:
            raise self._error

    def _take_statistics(self):
        """Gives the batch's own mean and variance of each batch norm that has run."""
        for number in range(0, len(self._statistics), 2):
            if self._statistics[number + 1].view(-1)[0] < 0:
                continue  # it has not: its name is among those that are missing
            for kept in (number, number + 1):
                self._views[kept].copy_(self._statistics[kept])
                self._is_missing[kept] = False
                self._ready(kept)

    def _clear_unused(self):
        for number, is_missing in enumerate(self._is_missing):
            if is_missing and number >= len(self._statistics):
                self._ready(number)

    def _set_statistics(self, tensors):
        for norm, number in zip(self._norms.values(), range(0, len(tensors), 2)):
            norm.running_mean, norm.running_var = tensors[number:number + 2]

    # ---- Scripts that write to what is not theirs ----

    def _versions(self):
        return list(map(_VERSION, self._parameters))

    def _first_weight(self):
        """The bits of one weight, which each step changes; a write by way of .data leaves no other
        trace.
        """
        return ctypes.c_int32.from_address(self._parameters[0].data_ptr()).value

    def _check_untouched(self):
        if self._marks is None:
            return
        versions, gradients = self._marks
        now = self._versions()
        if now != versions:
            number = [one == other for one, other in zip(now, versions)].index(False)
            self._fail("the script has written to " +
                       self._names[len(self._statistics) + number] + OUT_OF_THE_LOOP)
        if gradients is not None and gradients[0]._version != gradients[1]:
            self._fail("the script has written to gradients that have left; take clipping and "
                       "zero_grad() behind backward out of the loop (the run clips: --set "
                       "optimizer.clip_norm=1)")

    def _check_constants(self):
        for name, buffer, before in self._constants:
            if not torch.equal(buffer, before):
                self._fail(f"training has changed the buffer {name}, and each rank has its own; of "
                           "buffers the run averages batch norm's alone")


# ---- What is looked at before a session ----


def _kind(tensor):
    layout = "" if tensor.layout == torch.strided else f" {tensor.layout}"
    return f"{tensor.dtype} {list(tensor.shape)}{layout} on {tensor.device}"


def _check_model(model):
    """Raises ValueError for a model that cannot be trained so."""
    if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        raise ValueError(f"the model is in a {type(model).__name__}; give the one within, "
                         "model.module")
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.SyncBatchNorm):
            raise ValueError(f"{name} is a SyncBatchNorm, which exchanges by itself; take "
                             "BatchNorm: the run averages its statistics")
    trained = [(name, parameter) for name, parameter in model.named_parameters()
               if parameter.requires_grad]
    if not trained:
        raise ValueError("no parameter of the model needs a gradient")
    for name, parameter in trained:
        if isinstance(parameter, torch.nn.parameter.UninitializedParameter):
            raise ValueError(f"{name} has no shape yet; let the model run once before wrap()")
        if parameter.dtype != torch.float32 or parameter.device.type != "cpu" or \
                parameter.layout != torch.strided:
            raise ValueError(f"{name} is {_kind(parameter)}; the run's weights are float32 on the "
                             'CPU: model.float().to("cpu")')


def _batch_norms(model):
    """{name: module} of those that keep running statistics while they train."""
    norms = {}
    for name, module in model.named_modules():
        if not isinstance(module, batchnorm._NormBase) or module.running_mean is None or \
                not module.training:
            continue
        if module.momentum != MOMENTUM:
            raise ValueError(f"{name} has momentum {module.momentum}; the run's statistics have "
                             f"{MOMENTUM}, PyTorch's own")
        norms[name] = module
    return norms


def _statistics(norms):
    """[(name, buffer)], mean and variance of each."""
    return [(f"{name}.{kind}" if name else kind, getattr(norm, kind))
            for name, norm in norms.items() for kind in ("running_mean", "running_var")]


def _constants(model, statistics):
    """[(name, buffer, copy)] of the buffers that stay as they are."""
    known = {name for name, _ in statistics}
    return [(name, buffer, buffer.clone()) for name, buffer in model.named_buffers()
            if name not in known and not name.endswith("num_batches_tracked")]


def _ordered(named, order):
    """`named`, pairs of name and parameter, in the order of backward."""
    if order is None:
        return named[::-1]
    parameters = dict(named)
    if sorted(order) != sorted(parameters):
        wrong = sorted(set(order) ^ set(parameters)) or sorted(order)
        raise ValueError("order must name each trained parameter once; look at " +
                         ", ".join(wrong[:8]))
    return [(name, parameters[name]) for name in order]


def _watched_order(named, norms, loss):
    """The names in the order in which backward of loss() finishes them; the unused are last. The
    model, its gradients apart, and PyTorch's generator are as before.
    """
    order, state = [], torch.get_rng_state()
    kept = [buffer.clone() for _, buffer in _statistics(norms)]
    hooks = [_AccumulateHook(parameter, lambda *_, name=name: order.append(name))
             for name, parameter in named]
    loss().backward()
    for hook in hooks:
        hook.remove()
    for (_, buffer), before in zip(_statistics(norms), kept):
        buffer.copy_(before)
    torch.set_rng_state(state)
    for _, parameter in named:
        parameter.grad = None
    return order + [name for name, _ in named[::-1] if name not in order]


class _AccumulateHook:
    """Calls `function` once in each backward, when `parameter`.grad is there."""

    def __init__(self, parameter, function):
        # The node lives as long as somebody holds it; hooks of the parameter itself come too early.
        with torch.enable_grad():
            self._node = parameter.expand_as(parameter).grad_fn.next_functions[0][0]
        self._handle = self._node.register_hook(function)

    def remove(self):
        self._handle.remove()
