"""Supervised learning: the fitness is the loss of a network on samples with known targets."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.calls import Called, name_of
from evoopt.devices.available import read_device
from evoopt.devices.choose import supervised_engine
from evoopt.devices.interface.supervised import Loss, Samples, SupervisedEngine
from evoopt.networks.base import BaseNetwork, require_network
from evoopt.tasks import names
from evoopt.tasks.samples import read_samples
from evoopt.tasks.targets import check_loss, classes_of
from evoopt.types import Array, Device, PopulationLike


class Supervised(Called):
    """The task of learning the targets of samples: population -> mean loss of each row.

    Parameters
    ----------
    net : Network or FunctionNetwork
        The network. Its outputs are logits if the loss is for classes.
    inputs : (samples, *input_shape)
        Samples that all individuals share.
    targets : array
        The targets of the samples; the notes list the shapes that each loss takes.
    loss : str or njit function
        "cross_entropy", "binary_cross_entropy", "mse", "mae", "hinge", "error_rate", or a function
        ``loss(outputs, target) -> float`` of one sample, decorated with ``numba.njit``.
    sample_weight : (samples,), optional
        Weights of the samples. The fitness is sum(weight * loss) / sum(weight) over the samples of
        the generation. Samples of weight 0 are dropped.
    batch_size : int, optional
        The number of samples in a generation, all by default. Each epoch shuffles the samples
        anew, by `seed` and the number of the epoch alone, and leaves out a last batch that would
        be incomplete.
    seed : int
        The seed of the shuffles.
    device : "cpu" or "cuda", optional
        The device that evaluates populations, by default the network's. With "cuda" the samples and
        the fitness stay on the device, the population may be an array of the host or of the device,
        and a loss of yours must not create arrays. `evaluate` runs on the CPU.

    Attributes
    ----------
    noisy : bool
        Whether the fitness depends on the generation. If so, `evolve` requires a strategy with
        ``noisy=True``.

    Raises
    ------
    ValueError
        If inputs, targets or weights do not fit the network or the loss, or are text. If inputs, or
        the targets of a built-in loss, have NaN or infinity in a sample of positive weight. If the
        last layer has a softmax or sigmoid although the loss contains it, or although the loss
        needs the signs of the outputs, which are then all positive. When the task is called: if
        numba cannot compile the loss.

    Notes
    -----
    The fitness is the mean loss over the samples. Below, z are a sample's outputs, t its target,
    and (samples, outputs) stands for (samples, *output_shape); with one output, (samples,) is
    allowed too.

    - "cross_entropy": -log softmax(z)_y for class numbers y, targets (samples,), or -sum_o t_o log
      softmax(z)_o for probabilities (samples, classes).
    - "binary_cross_entropy": -t log sigmoid(z) - (1 - t) log(1 - sigmoid(z)), the mean over the
      outputs, for t from 0 to 1, (samples, outputs).
    - "mse", "mae": (z - t)² and abs(z - t), the mean over the outputs, (samples, outputs).
    - "hinge": max(0, 1 + max_{j != y} z_j - z_y) for class numbers; for targets (samples, outputs)
      of -1 and 1, or 0 and 1, max(0, 1 - z t) with the zeros as -1, the mean over the outputs.
    - "error_rate": the share of samples whose largest output (the first one in a tie) is not at the
      class number; for one output, whose sign differs from the target's (-1 and 1, or 0 and 1).
    - A function of yours gets `outputs` (n_out,) and `target` (n,), both flattened, in the
      precision of the population. If targets are (samples,), `target` is one number, an int if
      their dtype is an integer one. The function may write into its arguments. If it raises, the
      row's fitness is NaN, which ranks worst.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(2)], input_shape=(3,))
    >>> task = evoopt.Supervised(net, np.eye(3), np.array([0, 1, 1]))
    >>> task(np.zeros((1, 8))).round(4)  # log(2): nothing learned yet
    array([0.6931])
    >>> task
    Supervised(Network(8 parameters), 3 samples, loss='cross_entropy', device='cpu')
    """

    maximize = False

    def __init__(
        self,
        net: BaseNetwork,
        inputs: ArrayLike,
        targets: ArrayLike,
        loss: Loss = "cross_entropy",
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
        seed: int = 0,
        device: Device | None = None,
    ) -> None:
        require_network(net, "Supervised(net, inputs, targets)")
        self.net = net
        self.device = net.device if device is None else read_device(device)
        self.loss = check_loss(loss)
        data = read_samples(net, self.loss, inputs, targets, sample_weight)
        self._data = data.chosen(np.flatnonzero(data.weights))  # a copy
        samples = len(self._data.weights)
        self.batch_size = (
            None if batch_size is None else arguments.whole("batch_size", batch_size, 1, samples)
        )
        self.seed = arguments.whole("seed", seed, 0)
        self.noisy = batch_size is not None and batch_size < samples
        self._forget()
        self._on_device()  # refuses a network that the device cannot run

    def _forget(self) -> None:
        self._order: tuple[int, Array] = (-1, np.empty(0, np.intp))  # an epoch and the order of its samples
        self._engine: SupervisedEngine[Any] | None = None

    def __repr__(self) -> str:
        loss = repr(self.loss) if isinstance(self.loss, str) else name_of(self.loss)
        batch = "" if self.batch_size is None else f", batch_size={self.batch_size}"
        return (
            f"{type(self).__name__}({names.of_network(self.net)}, {len(self._data.weights)} samples, "
            f"loss={loss}{batch}, device={self.device!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        # without the engine, because the width of its tiles depends on the machine
        kept = ("net", "loss", "_data", "batch_size", "seed", "noisy", "device")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __call__(self, population: PopulationLike, generation: int = 0) -> NDArray[np.float64]:
        """Return the mean loss of each row of a population (popsize, n_params), as (popsize,)."""
        generation = arguments.whole("generation", generation, 0)
        fitness: NDArray[np.float64] = self._on_device()(
            population, self._minibatch(generation) if self.noisy else None
        )
        return fitness

    def _on_device(self) -> SupervisedEngine[Any]:
        """Return the engine that evaluates populations, made once in each process."""
        if self._engine is None:
            network = self.net.engine(self.device)
            self._engine = supervised_engine(self.device, network, self.loss, self._data)
        return self._engine

    def evaluate(
        self,
        params: Mapping[str, Any] | ArrayLike,
        inputs: ArrayLike | None = None,
        targets: ArrayLike | None = None,
    ) -> dict[str, float]:
        """Return the loss and the accuracy of one solution on any samples.

        Parameters
        ----------
        params : nested dict, or vector (n_params,)
            The solution.
        inputs, targets : array, optional
            Samples in the same form as the task's, by default all samples of the task.

        Returns
        -------
        dict
            "loss" and, if the targets are classes, "accuracy". With class numbers or a probability
            for each class, this is the share of samples whose largest output is at the right class.
            With a target for each output (0 or 1, -1 or 1, or a probability), it is the share of
            outputs with the right sign: positive if the target is in the upper half of its range.
            For the task's own samples both numbers are weighted like the fitness.

        Raises
        ------
        ValueError
            If the samples do not fit, or only one of inputs and targets is passed.
        """
        if (inputs is None) != (targets is None):
            raise ValueError("evaluate() takes inputs and targets together, got only one of them.")
        if inputs is None or targets is None:
            data = self._data
        else:
            data = read_samples(self.net, self.loss, inputs, targets)
        row = self.net.as_vector(params)[None]
        metrics = {"loss": self._mean(row, self.loss, data)}
        classes = classes_of(data.targets)
        if classes is not None:
            metrics["accuracy"] = 1 - self._mean(row, "error_rate", data._replace(targets=classes))
        return metrics

    def _mean(self, row: Array, loss: Loss, data: Samples) -> float:
        """Return the mean loss of one solution (1, n_params), measured on the CPU."""
        return float(supervised_engine("cpu", self.net.engine("cpu"), loss, data)(row)[0])

    def _minibatch(self, generation: int) -> NDArray[np.intp]:
        """Return the places of a generation's samples, from the shuffled order of its epoch."""
        size = self.batch_size or 1
        samples = len(self._data.weights)
        epoch, batch = divmod(generation, samples // size)
        last, order = self._order
        if last != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(samples)
            self._order = epoch, order
        return order[batch * size : (batch + 1) * size]
