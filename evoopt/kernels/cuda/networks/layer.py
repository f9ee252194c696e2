"""The interface of layers of any kind, which `samples` and `tiles` chain to networks."""

from collections.abc import Callable
from typing import Protocol

from evoopt.kernels.cuda.networks.activation import Activation


class KernelLayer(Protocol):
    """A layer that kernels are specialised for: its sizes and places are constants of the code.

    It makes two device functions, one on few samples and one on a tile of many. In both, all
    threads `t` of a block take part, and the function ends with a barrier. All arrays are 1-d. The
    individual's parameters begin at params[base], a multiple of `alignment` numbers; `frozen` are
    the parameters that all individuals share.

    A class of your own is a NamedTuple of numbers, strings and functions, such as
    `dense.DenseLayer`. Equal ones share a kernel, on disk too, so `kind` tells apart two that have
    the same numbers.
    """

    @property
    def kind(self) -> str:
        """Return the kind of its operation."""

    @property
    def inputs(self) -> int:
        """Return how many numbers a sample has before the layer."""

    @property
    def units(self) -> int:
        """Return how many numbers a sample has after the layer."""

    @property
    def activation(self) -> Activation:
        """Return the activation; the layer applies it, but the chain of layers a softmax."""

    def on_samples(self, samples: int, threads: int, alignment: int) -> Callable[..., None]:
        """Make ``apply(t, params, base, frozen, x, y, scratch)`` on few samples.

        It reads x (samples, inputs) and writes y (samples, units). The `scratch` has
        ``samples.room(samples, threads)`` numbers.
        """

    def on_tile(
        self, samples: int, threads: int, alignment: int, in_place: bool, target: int
    ) -> Callable[..., None]:
        """Make ``apply(t, params, base, frozen, source, start, stride, x)`` on a tile of samples.

        Arrays are feature-major. Input i of sample s is source[start + i * stride + s], and its
        output o becomes x[target + o * samples + s]. With `in_place` the outputs may lie where the
        inputs were.
        """

    def fits_in_place(self, samples: int, threads: int) -> bool:
        """Return whether `on_tile` can write its outputs where its inputs are."""
