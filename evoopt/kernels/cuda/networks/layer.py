"""What kernels ask of a layer, whatever its kind; `few` and `tiles` chain such layers."""

from collections.abc import Callable
from typing import Protocol

from evoopt.kernels.cuda.networks.activation import Activation


class KernelLayer(Protocol):
    """A layer as kernels are specialised for it: its sizes and places are constants of the code.

    A class of your own is a NamedTuple of numbers, strings and functions, such as `dense.DenseLayer`. Equal
    ones share a kernel, on disk too, so `kind` tells apart two that have the same numbers.
    """

    @property
    def kind(self) -> str:
        """Return the kind of its operation."""

    @property
    def inputs(self) -> int:
        """Return how many numbers of a sample come in."""

    @property
    def units(self) -> int:
        """Return how many go out."""

    @property
    def activation(self) -> Activation:
        """Return the activation: the chain of layers applies a softmax, the layer itself any other."""

    def few(self, samples: int, threads: int, alignment: int) -> Callable[..., None]:
        """Make ``apply(t, row, base, frozen, x, y, scratch)``: y (samples, units) from x (samples, inputs).

        All arrays are 1-d; the individual's parameters begin at row[base], a multiple of `alignment` numbers,
        and `scratch` has ``few.room(samples, threads)``. All threads t of the block call it, and it ends with
        a barrier.
        """

    def tiles(
        self, samples: int, threads: int, alignment: int, in_place: bool, target: int
    ) -> Callable[..., None]:
        """Make ``apply(t, row, base, frozen, source, start, stride, x)``, which writes x[target ...].

        It reads source (inputs, stride) from `start` on and writes (units, samples); `in_place` tells that
        these may be the same numbers. Else as `few`.
        """

    def fits_in_place(self, samples: int, threads: int) -> bool:
        """Tell whether `tiles` can write where it reads."""
