"""Supervised learning: fitness is the loss of a network on samples with known targets."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.kernels import threads
from evoopt.kernels.cpu.fitness import loss_blocks, pack_rows
from evoopt.kernels.cpu.forward import blocks_of
from evoopt.kernels.cpu.loss import Loss
from evoopt.kernels.jit import aligned_empty, kernel_array
from evoopt.networks.network import Network
from evoopt.tasks.losses import LossName, Targets, as_numbers, check_loss, read_targets

Array = NDArray[Any]
NUMBERS_WORTH_A_THREAD = 100_000  # to pack
ITEMS_WORTH_A_THREAD = 100  # of any size: calling the steps takes a part of a microsecond


class _Data(NamedTuple):
    """Samples (samples, features), targets and weights (samples,)."""

    inputs: Array
    targets: Targets
    weights: NDArray[np.float64]

    def chosen(self, rows: Array) -> "_Data":
        targets = self.targets._replace(numbers=self.targets.numbers[rows])
        return _Data(self.inputs[rows], targets, self.weights[rows])

    def cast(self, dtype: np.dtype[Any]) -> "_Data":
        targets = self.targets._replace(numbers=kernel_array(self.targets.numbers, dtype))
        return self._replace(inputs=kernel_array(self.inputs, dtype), targets=targets)


class _Packed(NamedTuple):
    """The same as the kernel takes it, some or all of the samples."""

    inputs: Array
    targets: Array
    weights: NDArray[np.float64]
    loss: Loss


class Supervised:
    """The task of learning samples with known targets: population -> mean loss of each row.

    Parameters
    ----------
    net : Network
        Its outputs are logits for the losses of classes.
    inputs : (samples, *input_shape)
        Samples that all individuals share.
    targets : array
        What the loss takes, see the notes.
    loss : str or njit function
        "cross_entropy", "binary_cross_entropy", "mse", "mae", "hinge", "error_rate", or a function
        ``loss(outputs, target) -> float`` of one sample, decorated with ``numba.njit``.
    sample_weight : (samples,), optional
        The fitness is then sum(weight * loss) / sum(weight), over the samples of the generation. Samples of
        weight 0 are left out, as if they were not there.
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
        For inputs, targets or weights that do not fit the network or the loss; for a last layer with the
        activation that the loss has in it, a softmax or sigmoid; when called, for a function that numba
        cannot compile.

    Notes
    -----
    The outputs of a sample are z, its target is t; the fitness is the mean over the samples. A shape of
    (samples, outputs) stands for (samples, *output_shape); for one output (samples,) will do.

    - "cross_entropy": -log softmax(z)_y for class numbers y, targets (samples,), or -sum_o t_o log
      softmax(z)_o for probabilities (samples, classes).
    - "binary_cross_entropy": -t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)), the mean over the outputs, for
      t from 0 to 1, (samples, outputs).
    - "mse", "mae": (z - t)² and abs(z - t), the mean over the outputs, (samples, outputs).
    - "hinge": max(0, 1 + max_{j != y} z_j - z_y) for class numbers; for targets (samples, outputs) of
      -1 and 1, or 0 and 1, max(0, 1 - z t) with the zeros as -1, the mean over the outputs.
    - "error_rate": the share of samples whose largest output (the first, if several are) is not at the class
      number; for one output, whose sign is not that of the target (-1 and 1, or 0 and 1).
    - A function of yours gets `outputs` (n_out,), flattened, and `target` (n,), flattened, in the precision
      of the population; or if targets are (samples,), one number, an int if their dtype is an integer one.
      It may write into what it gets. Where it raises, the row's fitness is NaN, which ranks worst.

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
        loss: LossName = "cross_entropy",
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        self.net = net
        self.loss = check_loss(loss)
        data = self._read(inputs, targets, sample_weight)
        self._data = data.chosen(np.flatnonzero(data.weights))  # a copy
        samples = len(self._data.weights)
        self.batch_size = (
            None if batch_size is None else arguments.whole("batch_size", batch_size, 1, samples)
        )
        self.seed = arguments.whole("seed", seed, 0)
        self.noisy = batch_size is not None and batch_size < samples
        self._forget()

    def _forget(self) -> None:
        self._packed: dict[np.dtype[Any], _Packed] = {}  # all samples, for each precision
        self._cast: dict[np.dtype[Any], _Data] = {}  # what minibatches are taken from
        self._order: tuple[int, Array] = (-1, np.empty(0, np.intp))  # the last epoch's

    def __getstate__(self) -> dict[str, Any]:
        kept = ("net", "loss", "_data", "batch_size", "seed", "noisy")
        return {name: self.__dict__[name] for name in kept}  # tiles are as wide as this machine's registers

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __call__(self, population: ArrayLike, generation: int = 0) -> NDArray[np.float64]:
        """Give the mean loss of each row of a population (popsize, n_params), as (popsize,)."""
        population = self.net.check_population(population)
        dtype = population.dtype
        if self.noisy:
            if dtype not in self._cast:
                self._cast[dtype] = self._data.cast(dtype)
            return self._mean(population, self._pack(self._cast[dtype], dtype, self._minibatch(generation)))
        if dtype not in self._packed:
            self._packed[dtype] = self._pack(self._data, dtype)
        return self._mean(population, self._packed[dtype])

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
            "loss" and, for losses of classes, "accuracy": the share of samples whose largest output is at
            the class number or the largest probability, or the share of outputs that are positive where
            the target is above its middle. On the task's own data both are weighted as the task is.

        Raises
        ------
        ValueError
            For data that does not fit, or inputs without targets.
        """
        if (inputs is None) != (targets is None):
            raise ValueError("evaluate() takes inputs and targets together, but one of them came alone.")
        data = self._data if inputs is None or targets is None else self._read(inputs, targets)
        population = self.net.check_population(self.net.as_vector(params)[None])
        packed = self._pack(data, population.dtype)
        metrics = {"loss": float(self._mean(population, packed)[0])}
        classes = data.targets.classes()
        if classes is not None:
            packed = self._pack(data._replace(targets=classes), population.dtype, loss="error_rate")
            metrics["accuracy"] = 1 - float(self._mean(population, packed)[0])
        return metrics

    def _read(self, inputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> _Data:
        inputs, shape = as_numbers("Inputs", inputs), self.net.input_shape
        samples = len(inputs)
        if inputs.shape[1:] != shape or not samples:
            raise ValueError(
                f"Inputs of shape (samples, {', '.join(map(str, shape))}) were expected, "
                f"but {inputs.shape} came."
            )
        found = read_targets(self.loss, targets, samples, self.net)
        return _Data(inputs.reshape(samples, math.prod(shape)), found, _read_weights(weights, samples))

    def _minibatch(self, generation: int) -> NDArray[np.intp]:
        """Give the samples of a generation; the last ones of an epoch that fill no batch are left out."""
        size = self.batch_size or 1
        samples = len(self._data.weights)
        epoch, batch = divmod(generation, samples // size)
        last, order = self._order
        if last != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(samples)
            self._order = epoch, order
        return order[batch * size : (batch + 1) * size]

    def _pack(
        self, data: _Data, dtype: np.dtype[Any], rows: Array | None = None, loss: LossName | None = None
    ) -> _Packed:
        """Give chosen samples, or all, as tiles."""
        rows = np.arange(len(data.weights)) if rows is None else rows
        columns, lanes, _ = self.net.program(dtype, len(rows)).tiling(len(rows))

        def packed(numbers: Array) -> Array:
            samples, n = kernel_array(numbers, dtype), numbers.shape[1]
            tiles: Array = aligned_empty(-(-len(rows) // columns), n * columns, samples)
            grain = -(-NUMBERS_WORTH_A_THREAD // (n * columns))
            threads.run(pack_rows, len(tiles), samples, rows, columns, lanes, tiles, grain=grain)
            return tiles

        code = data.targets.code(self.loss if loss is None else loss)
        return _Packed(packed(data.inputs), packed(data.targets.numbers), data.weights[rows], code)

    def _mean(self, population: Array, packed: _Packed) -> NDArray[np.float64]:
        """Give the weighted mean of the losses for each row."""
        samples = len(packed.weights)
        run = self.net.program(population.dtype, samples)
        columns, lanes, block = run.tiling(samples)
        sums = np.empty((len(population), blocks_of(samples, columns, block)))
        threads.run(
            loss_blocks, sums.size,
            population, *run.arguments, run.state_size, packed.inputs, packed.targets, packed.weights,
            packed.loss.address(population.dtype), columns, lanes, block, sums,
            grain=min(run.grain(columns * block), ITEMS_WORTH_A_THREAD),
        )  # fmt: skip
        mean: NDArray[np.float64] = sums.sum(axis=1) / packed.weights.sum()
        return mean


def _read_weights(weights: ArrayLike | None, samples: int) -> NDArray[np.float64]:
    if weights is None:
        return np.ones(samples)
    found = as_numbers("Weights", weights).astype(np.float64)
    if found.shape != (samples,):
        raise ValueError(f"A sample_weight of shape ({samples},) was expected, but {found.shape} came.")
    if not (np.isfinite(found).all() and found.min() >= 0 and found.any()):
        raise ValueError(
            "A sample_weight of finite numbers of at least 0, not all 0, was expected, but "
            f"{found.min():g} to {found.max():g} came."
        )
    return found
