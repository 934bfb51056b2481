"""The session: this process as one worker of a run."""

import atexit
import collections
import ctypes
import json
import math
import operator
import os
import pathlib
import sys
import traceback

import numpy

from . import _library
from ._library import Error

# How long a wait may keep Python from seeing to signals, as Ctrl-C.
WAIT_MS = 100
# Of how many places in memory the arrays are kept; there are a few in a run.
ADDRESSES = 16

Batch = collections.namedtuple(
    "Batch", ["indices", "step", "micro_batch", "number", "seed", "gradient_scale"])
Batch.__doc__ = """What to compute next: the gradient of these samples' mean loss.

indices: [batch] int64, of the training set. step: this worker's, from 0. micro_batch: of the step,
from 0. number: of the batch in the stream of all workers' batches. seed: for what is random in this
batch, the same in every scheme. gradient_scale: the factor of the mean loss whose gradient is
wanted; session.backward(loss) of PyTorch sees to it.
"""

Part = collections.namedtuple("Part", ["set", "indices"])
Part.__doc__ = """Samples to be scored.

set: "train" or "test". indices: [count] int64, of that set.
"""


def _files():
    """The script, and the modules that it has imported from its own folder or below it."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script is None:
        return []
    folder = pathlib.Path(script).resolve().parent
    found = {pathlib.Path(script).resolve()}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and folder in pathlib.Path(path).resolve().parents:
            found.add(pathlib.Path(path).resolve())
    package = pathlib.Path(__file__).resolve().parent
    return sorted(str(path) for path in found
                  if package not in path.parents and "site-packages" not in path.parts)


def _initial(name, tensor):
    """(shape, array or None) of a tensor's initial values, or of its shape alone."""
    if isinstance(tensor, tuple) and all(isinstance(size, int) for size in tensor):
        return tensor, None
    array = numpy.asarray(tensor)
    if array.dtype != numpy.float32:
        raise ValueError(f'tensor "{name}" is {array.dtype}; weights are float32: give '
                         f"{name}.astype(numpy.float32)")
    return array.shape, numpy.ascontiguousarray(array)


def _whole(name, value):
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}; expected a whole number") from None


def _score_of(returned, labels):
    """(sum of losses, how many are right, of how many) as a function of session.score() gave it."""
    expected = ("; expected (sum of losses, how many are right), or these and the number of labels")
    if not isinstance(returned, (tuple, list)) or len(returned) not in (2, 3):
        raise ValueError(f"the function of session.score() returned {returned!r:.200}{expected}")
    try:
        loss, *counts = map(float, returned)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the function of session.score() returned {returned!r:.200}: {error}" +
                         expected) from None
    if not all(count.is_integer() for count in counts):
        raise ValueError(f"the function of session.score() returned {returned!r:.200}, and right "
                         "ones are counted, no share of them" + expected)
    return loss, int(counts[0]), int(counts[1]) if len(counts) > 1 else labels


def array_at(address, shape, dtype):
    """An array of the memory at `address`, which is not the array's."""
    count = math.prod(shape)
    block = (ctypes.c_char * (count * numpy.dtype(dtype).itemsize)).from_address(address)
    return numpy.frombuffer(block, dtype).reshape(shape)


class Session:
    """This process as one worker of a run, from its beginning to its end. Joins the run and waits
    for it to begin.

    A process has one session at a time, used by one thread at a time.

      tensors: {name: initial values} or [(name, initial values)], float32, in the order in which
        backward finishes their gradients, the last layer's first. A shape (tuple) in place of
        values: the run's spec names a file of weights. "X.running_mean" and "X.running_var" are
        statistics of batch norm: the batch's own value takes the place of a gradient.
      train_samples, test_samples: how many there are; 0 test samples: the run is not scored.
      arguments: words as behind `ringmaster node`, for a run without a launcher.

    Raises Error for a mistake in these or a run that failed before it began, ValueError for tensors
    that are not float32. Where a launcher asks what the script trains, the process ends in here,
    with exit code 0.

    After it: rank, workers, batch_size (samples of a batch), micro_batches (batches of a step),
    steps, seed (training.seed), parameters (floats of all tensors).
    """

    def __init__(self, tensors, train_samples, test_samples=0, arguments=()):
        self._library = _library.Library()
        pairs = list(tensors.items() if isinstance(tensors, dict) else tensors)
        self._names = [name for name, _ in pairs]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._shapes = []
        self._session = None
        self._is_ended = False
        self._score_with = None
        self._step = None       # the Batch that is to be answered
        self._in_backward = False  # and backward of the step has begun
        self._weights = {}
        self._moment = _library.Moment()
        self._sample_arrays = {}   # by (address, count)
        self._ready_error = ctypes.c_void_p()
        self._ready_error_place = ctypes.byref(self._ready_error)
        self._arrays = {}       # by address, [{name: array}]
        self._open(pairs, train_samples, test_samples, [os.fspath(word) for word in arguments])
        facts = _library.Facts()
        self._library.get_facts(self._session, ctypes.byref(facts))
        self.rank, self.workers, self.seed = facts.rank, facts.workers, facts.seed
        self.batch_size, self.micro_batches = facts.batch, facts.micro_batches
        self.steps, self.parameters, self.device = facts.steps, facts.parameters, facts.device
        self._watch_ends()

    # ---- What a training loop calls ----

    def score(self, function):
        """Has `function` score the model at every mark and at the end; before batches(). Usable as
        a decorator.

        function(part) -> (sum of losses, how many are right[, how many labels there are]), with
        session.weights, of the samples of the Part, a few hundred at most.
        """
        self._score_with = function
        return function

    def batches(self):
        """Yields a Batch for each gradient that this worker is to compute, until the run is over;
        session.weights are then those of that step. Scores the model between them, where the run
        asks for it.

        Raises Error where the run fails, on any of its ranks.
        """
        while True:
            kind = self._next()
            if kind == _library.DONE:
                self._finish()
                return
            if kind == _library.SCORE:
                self._score()
                continue
            self._step = self._begin_step()
            yield self._step
            if self._step is not None:
                self._fail("the loop went on without session.step(loss)")

    def backward(self):
        """Says that forward is over. Returns {name: array}, where the gradients are to be written
        (not added): of the mean loss times batch.gradient_scale.

        Once for each batch. The arrays are the script's until ready().
        """
        return self._arrays_at(self._begin_backward(), writeable=True)

    def ready(self, *names):
        """The gradients of these tensors are written. A bucket whose last this was leaves from
        here, while the script goes on to compute others.

        Raises Error for a name twice in a batch or that is no tensor's; the run has failed then.
        """
        for name in names:
            number = self._numbers.get(name)
            if number is None:
                self._fail(f'session.ready("{name}"): there is no such tensor; there are ' +
                           ", ".join(self._names))
            self._ready(number)

    def step(self, loss):
        """Ends the batch; waits for nobody. `loss`: its mean loss, without gradient_scale.

        Raises Error, and the run has failed, where a gradient is missing or the loss is not finite.
        """
        self._check_step("session.step(loss)")
        if not self._in_backward:
            self._fail("session.step(loss) before session.backward()")
        self._step, self._in_backward = None, False
        self._checked(self._library.end_step, float(loss))

    @property
    def weights(self):
        """{name: array}, to be read only: those of the batch, or of the model that is scored. After
        the run those of the model.
        """
        return self._weights

    @property
    def spec(self):
        """The run's resolved spec, as dictionaries with the names of run_spec.proto."""
        return json.loads(self._library.take_text(self._library.get_spec(self._open_session())))

    def close(self):
        """Ends the session; where the run is not over yet it fails. batches() does so in the end.

        Raises Error with the reason where the run has failed.
        """
        session, self._session = self._session, None
        if session is None:
            return
        self._is_ended = True
        self._stop_watching()
        self._keep_weights(is_over=self._moment.kind == _library.DONE)
        self._library.checked(self._library.close, session)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self._session is None:
            return
        if error is None:
            self.close()
            return
        self._tell(kind, error, trace)
        try:
            self.close()
        except Error:
            pass  # the exception that is on its way says more

    # ---- What ringmaster.torch does in its own way ----

    def _bind(self, address, kind):
        """Has session.weights be those at `address`, of a step (STEP) or a score (SCORE)."""
        del kind
        self._weights = self._arrays_at(address, writeable=False)

    def _scored(self, part):
        """What the script says of `part`."""
        return self._score_with(part)

    def _keep_weights(self, is_over):
        """The weights' memory is about to go: copies them, or lets go of those of a failed run."""
        self._weights = {name: array.copy() for name, array in self._weights.items()} if is_over \
            else {}
        self._arrays = {}

    # ---- Inside ----

    def _open(self, pairs, train_samples, test_samples, arguments):
        library = self._library
        program = library.checked(library.program_new, _library.VERSION)
        try:
            for name, tensor in pairs:
                self._add_tensor(program, name, tensor)
            library.checked(library.program_set_samples, program,
                            _whole("train_samples", train_samples),
                            _whole("test_samples", test_samples))
            for path in _files():
                library.checked(library.program_add_file, program, os.fsencode(path))
            words = (ctypes.c_char_p * len(arguments))(*map(os.fsencode, arguments))
            sys.stdout.flush()  # the process may end in there
            sys.stderr.flush()
            self._session = library.checked(library.open, program, len(arguments), words)
        finally:
            library.program_free(program)

    def _add_tensor(self, program, name, tensor):
        shape, array = _initial(name, tensor)
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        self._library.checked(self._library.program_add_tensor, program, name.encode(), sizes,
                              len(shape), None if array is None else array.ctypes.data)
        self._shapes.append(tuple(shape))

    def _open_session(self):
        if self._session is None:
            raise Error("the session is closed: its run is over")
        return self._session

    def _checked(self, function, *arguments):
        return self._library.checked(function, self._open_session(), *arguments)

    def _next(self):
        """Waits for the next moment, with an eye on signals. Returns its kind."""
        moment = ctypes.byref(self._moment)
        kind = _library.WAITING
        while kind == _library.WAITING:
            kind = self._checked(self._library.next, WAIT_MS, moment)
        if self._moment.weights:
            self._bind(self._moment.weights, kind)
        return kind

    def _samples(self):
        place = self._moment.samples, self._moment.sample_count
        samples = self._sample_arrays.get(place)
        if samples is None:
            if len(self._sample_arrays) >= ADDRESSES:
                self._sample_arrays.clear()
            samples = array_at(place[0], (place[1],), numpy.int32)
            self._sample_arrays[place] = samples
        return samples.astype(numpy.int64)

    def _begin_step(self):
        moment = self._moment
        return Batch(self._samples(), moment.step, moment.micro_batch, moment.batch, moment.seed,
                     moment.gradient_scale)

    def _begin_backward(self):
        """Forward is over. Returns the address where the gradients go."""
        self._check_step("session.backward()")
        if self._in_backward:
            self._fail("session.backward() twice for one batch; add the losses up and call it once")
        address = ctypes.c_void_p()
        self._checked(self._library.backward, ctypes.byref(address))
        self._in_backward = True
        return address.value

    def _score(self):
        if self._score_with is None:
            self._fail("the run is to be scored, and nothing says how: call "
                       "session.score(function) before session.batches(), or give test_samples=0")
        part = Part(_library.SETS[self._moment.set], self._samples())
        self._checked(self._library.score, *_score_of(self._scored(part), len(part.indices)))

    def _ready(self, number):
        """Called for each tensor of each step, so without _checked()."""
        if self._library.ready(self._session or self._open_session(), number, 1,
                               self._ready_error_place):
            raise Error(self._library.take_text(self._ready_error.value))

    def _arrays_at(self, address, writeable):
        """{name: array} of all tensors at `address`; made once for each address."""
        arrays = self._arrays.get((address, writeable))
        if arrays is None:
            if len(self._arrays) >= ADDRESSES:
                self._arrays.clear()
            arrays, begin = {}, address
            for name, shape in zip(self._names, self._shapes):
                arrays[name] = array_at(begin, shape, numpy.float32)
                arrays[name].flags.writeable = writeable
                begin += arrays[name].nbytes
            self._arrays[address, writeable] = arrays
        return arrays

    def _check_step(self, call):
        if self._step is None:
            self._fail(f"{call} outside a batch: once for each of session.batches()")

    def _fail(self, text):
        """Ends the run with `text` and where it was; raises it."""
        if self._session is not None:
            text = f"step {self._moment.step}: {text}"
            self._library.fail(self._session, text.encode())
        raise Error(text)

    def _finish(self):
        self.close()

    # ---- Scripts that end too early ----

    def _watch_ends(self):
        self._excepthook_before = sys.excepthook
        self._excepthook = self._on_exception
        sys.excepthook = self._excepthook
        atexit.register(self._on_exit)

    def _stop_watching(self):
        if sys.excepthook is self._excepthook:
            sys.excepthook = self._excepthook_before
        atexit.unregister(self._on_exit)

    def _on_exception(self, kind, error, trace):
        self._tell(kind, error, trace)
        self._is_ended = True  # the exit code says so too
        self._excepthook_before(kind, error, trace)

    def _tell(self, kind, error, trace):
        """Has the run fail by an exception, if it has not failed before."""
        if issubclass(kind, KeyboardInterrupt):
            text = "ended by SIGINT"
        else:
            frames = traceback.extract_tb(trace)
            where = f" ({pathlib.Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames \
                else ""
            text = f"{'' if kind is Error else kind.__name__ + ': '}{error}{where}"
        self._library.fail(self._session, text.encode("utf-8", "replace"))

    def _on_exit(self):
        """At the interpreter's exit: a script that has left its loop fails the run."""
        told, session = self._is_ended, self._session
        if session is None:
            return
        if not told:
            self._library.fail(session, f"the script ended in step {self._moment.step} of "
                               f"{self.steps}, before the run did".encode())
        try:
            self._session = None
            self._library.checked(self._library.close, session)
        except Error as error:
            if not told:
                print(f"ringmaster: {error}", file=sys.stderr)
        if not told:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)  # the exit code of a script that ends by itself would be 0
