"""Supervised learning: fitness is the loss of a network on samples with known targets."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.kernels import threads
from evoopt.kernels.cpu import loss as kernels
from evoopt.kernels.cpu.forward import blocks_of
from evoopt.kernels.cpu.simd import tile_shape
from evoopt.kernels.jit import kernel_array
from evoopt.networks.compile import FEW_SAMPLES
from evoopt.networks.network import Network

Array = NDArray[Any]
LOSSES = ("cross_entropy", "mse")


class _Data(NamedTuple):
    """Samples (batch, features) and targets: labels (batch, 1) or numbers (batch, outputs)."""

    inputs: Array
    targets: Array
    loss: int  # code of the kernel


class _Packed(NamedTuple):
    """The same as feature-major tiles."""

    inputs: Array
    targets: Array
    batch: int
    loss: int


class Supervised:
    """The task of learning samples with known targets: population -> mean loss of each row.

    Parameters
    ----------
    net : Network
        Its outputs are logits for "cross_entropy", so its last layer must not be a softmax.
    inputs : (samples, *input_shape)
        Samples that all individuals share.
    targets : array
        Class numbers (samples,) or probabilities (samples, classes) for "cross_entropy"; numbers
        (samples, *output_shape), or (samples,) for one output, for "mse".
    loss : {"cross_entropy", "mse"}
        Mean over the samples; "mse" over the outputs too.
    batch_size : int, optional
        Samples of a generation, all by default. Each epoch goes through them in an order of its own, a pure
        function of `seed` and the generation.
    seed : int
        Of the order of the minibatches.

    Attributes
    ----------
    noisy : bool
        Whether the fitness depends on the generation; `evolve` then wants a strategy with ``noisy=True``.

    Raises
    ------
    ValueError
        For inputs or targets that do not fit the network or the loss, or a softmax before "cross_entropy".

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(2)], input_shape=(3,))
    >>> task = evoopt.Supervised(net, np.eye(3), np.array([0, 1, 1]))
    >>> task(np.zeros((1, 8))).round(4)  # log(2): nothing learned yet
    array([0.6931])
    """

    maximize = False

    def __init__(
        self,
        net: Network,
        inputs: ArrayLike,
        targets: ArrayLike,
        loss: str = "cross_entropy",
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"A loss of {', '.join(LOSSES)} was expected, but {loss!r} came.")
        if loss == "cross_entropy" and getattr(net.layers[-1], "activation", None) == "softmax":
            raise ValueError(
                'The loss "cross_entropy" takes logits and has a softmax in it, and so has the last layer; '
                'give that layer the activation "linear".'
            )
        self.net = net
        self.loss = loss
        data = self._check(inputs, targets)
        self._data = data._replace(inputs=data.inputs.copy(), targets=data.targets.copy())
        samples = len(data.inputs)
        self.batch_size = (
            None if batch_size is None else arguments.whole("batch_size", batch_size, 1, samples)
        )
        self.seed = arguments.whole("seed", seed, 0)
        self.noisy = batch_size is not None and batch_size < samples
        self._packed: dict[np.dtype[Any], _Packed] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": {}}  # tiles have the width of this machine's registers

    def __call__(self, population: ArrayLike, generation: int = 0) -> NDArray[np.float64]:
        """Give the mean loss of each row of a population (popsize, n_params), as (popsize,)."""
        population = self.net.check_population(population)
        if self.noisy:
            rows = self._minibatch(generation)
            data = _Data(self._data.inputs[rows], self._data.targets[rows], self._data.loss)
            return self._evaluate(population, self._pack(data, population.dtype))
        if population.dtype not in self._packed:
            self._packed[population.dtype] = self._pack(self._data, population.dtype)
        return self._evaluate(population, self._packed[population.dtype])

    def evaluate(
        self,
        params: Mapping[str, Any] | ArrayLike,
        inputs: ArrayLike | None = None,
        targets: ArrayLike | None = None,
    ) -> dict[str, float]:
        """Measure one solution, nested or flat, on any data.

        Parameters
        ----------
        params : nested dict, or vector (n_params,)
            The solution.
        inputs, targets : array, optional
            As for the task; by default all of the task's own.

        Returns
        -------
        dict
            "loss" and, for "cross_entropy", "accuracy": the share of samples whose largest output is at the
            largest target.

        Raises
        ------
        ValueError
            For data that does not fit, or inputs without targets.
        """
        if (inputs is None) != (targets is None):
            raise ValueError("evaluate() takes inputs and targets together, but one of them came alone.")
        data = self._data if inputs is None or targets is None else self._check(inputs, targets)
        population = self.net.check_population(self.net.as_vector(params)[None])
        metrics = {"loss": float(self._evaluate(population, self._pack(data, population.dtype))[0])}
        if self.loss == "cross_entropy":
            outputs = self.net.predict(population[0], data.inputs.reshape(-1, *self.net.input_shape))
            labels = data.targets[:, 0] if _has_labels(data) else data.targets.argmax(axis=1)
            metrics["accuracy"] = float(np.mean(outputs.argmax(axis=1) == labels))
        return metrics

    def _check(self, inputs: ArrayLike, targets: ArrayLike) -> _Data:
        inputs, targets = _numbers("Inputs", inputs), _numbers("Targets", targets)
        samples, outputs = len(inputs), self.net.output_shape
        if inputs.shape[1:] != self.net.input_shape or not samples:
            raise ValueError(
                f"Inputs of shape (samples, {', '.join(map(str, self.net.input_shape))}) were expected, "
                f"but {inputs.shape} came."
            )
        if len(targets) != samples:
            raise ValueError(f"Targets for {samples} samples were expected, but {len(targets)} came.")
        flat = inputs.reshape(samples, -1)
        if self.loss == "cross_entropy" and targets.ndim == 1:
            return _Data(flat, _check_labels(targets, outputs[0])[:, None], kernels.CROSS_ENTROPY_LABELS)
        if targets.shape != (samples, *outputs) and not (targets.ndim == 1 and outputs == (1,)):
            raise ValueError(
                f"Targets of shape {(samples, *outputs)} were expected for the loss {self.loss!r}, "
                f"but {targets.shape} came; class numbers have the shape ({samples},)."
            )
        code = kernels.MSE if self.loss == "mse" else kernels.CROSS_ENTROPY
        return _Data(flat, targets.reshape(samples, -1), code)

    def _minibatch(self, generation: int) -> NDArray[np.intp]:
        """Give the samples of a generation; the last ones of an epoch that fill no batch are left out."""
        size = self.batch_size or 1
        epoch, batch = divmod(generation, len(self._data.inputs) // size)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self._data.inputs))
        return order[batch * size : (batch + 1) * size]

    def _pack(self, data: _Data, dtype: np.dtype[Any]) -> _Packed:
        tile = tile_shape(dtype)
        arrays = (data.inputs, data.targets)
        inputs, targets = (self.net.pack(kernel_array(array, dtype), *tile) for array in arrays)
        return _Packed(inputs, targets, len(data.inputs), data.loss)

    def _evaluate(self, population: Array, packed: _Packed) -> NDArray[np.float64]:
        columns, lanes = tile_shape(population.dtype)
        run = self.net.program(population.dtype, FEW_SAMPLES + 1)
        sums = np.empty((len(population), blocks_of(packed.batch, columns, run.block)))
        threads.run(
            kernels.loss_blocks, sums.size,
            population, *run.arguments, *packed, run.state_size, columns, lanes, run.block, sums,
            grain=run.grain(columns * run.block),
        )  # fmt: skip
        mean: NDArray[np.float64] = sums.sum(axis=1) / packed.batch
        return mean


def _numbers(name: str, values: ArrayLike) -> Array:
    array = np.asarray(values)
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} were expected as an array of numbers, but {array.dtype} {array.shape} came."
        )
    return array


def _has_labels(data: _Data) -> bool:
    return data.loss == kernels.CROSS_ENTROPY_LABELS


def _check_labels(labels: Array, classes: int) -> Array:
    if labels.dtype.kind not in "iub":
        raise ValueError(
            f"Class numbers of an integer dtype were expected, but {labels.dtype} came; "
            f"take targets.astype(int)."
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"Class numbers from 0 to {classes - 1} were expected for {classes} outputs, "
            f"but {labels.min()} to {labels.max()} came."
        )
    return labels
