"""Populations that are made on the host and copied, for strategies that compute there."""

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from evoopt.devices.cpu.population import CpuPopulation
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import Stream
from evoopt.types import Array, Shape


class CopyingPopulation(CpuPopulation):
    """The CPU's engine for populations, with arrays of the GPU for the user."""

    def __init__(self) -> None:
        self._stream = Stream()

    def host(self, array: DeviceArray | ArrayLike) -> Any:
        return self._stream.host(array)

    def output(
        self, out: object, shape: Shape, dtype: np.dtype[Any], ids: object = None
    ) -> tuple[DeviceArray, Array]:
        return self._stream.output(out, shape, dtype, ids=ids), self.empty(shape, dtype)

    def handed(self, out: object, rows: Array) -> DeviceArray:
        target = cast(DeviceArray, out)
        self._stream.copy(rows, target)
        return target

    def given(self, rows: object) -> Any:
        return self._stream.given("population", rows)

    def rows(self, given: DeviceArray | Array, dtype: np.dtype[Any]) -> Array:
        return super().rows(self.host(given), dtype)
