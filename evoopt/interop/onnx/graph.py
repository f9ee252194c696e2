"""A graph of ONNX while it is being written."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from evoopt.interop.trained import TrainedNode
from evoopt.networks.layers import Layer
from evoopt.types import Shape

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

OPSET, IR_VERSION = 17, 8  # the first opset with LayerNormalization, of 2022
INPUTS, STATE, OUTPUTS, NEW_STATE = "inputs", "state", "outputs", "new_state"


class OnnxGraph:
    """The nodes and constants of a graph; its values are their names."""

    def __init__(self, onnx: ModuleType) -> None:
        self.onnx = onnx
        self.new_states: list[str] = []
        self._names = {INPUTS, STATE, OUTPUTS, NEW_STATE}
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: object) -> str:
        """Add an operator and return the name of its output."""
        return self.ops(kind, *inputs, name=name, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, name: str = "", outputs: int, **attributes: object) -> list[str]:
        """Add an operator and return the names of its outputs."""
        found = [self._unused(name or kind) for _ in range(outputs)]
        self._nodes.append(self.onnx.helper.make_node(kind, inputs, found, found[0], **attributes))
        return found

    def rename(self, value: str, name: str) -> None:
        """Call a value by a name that is reserved for it."""
        self._nodes.append(self.onnx.helper.make_node("Identity", [value], [name], name))

    def constant(self, name: str, array: ArrayLike) -> str:
        """Return the name of an array; a second one of the same name is the first."""
        if name not in self._constants:
            contiguous = np.ascontiguousarray(array)
            self._constants[name] = self.onnx.numpy_helper.from_array(contiguous, self._unused(name))
        found: str = self._constants[name].name
        return found

    def weight(self, node: TrainedNode[Layer], name: str) -> str:
        """Return the name of a parameter of a node."""
        return self.constant(f"{node.name}.{name}", node.weights[name])

    def integers(self, *numbers: int) -> str:
        """Return the name of a vector of integers, as operators take axes and shapes."""
        return self.constant("_".join(["integers", *map(str, numbers)]), np.array(numbers, np.int64))

    def number(self, value: float) -> str:
        """Return the name of a number in float32."""
        return self.constant(f"number_{value!r}", np.float32(value))

    def permute(self, x: str, axes: tuple[int, ...]) -> str:
        return self.op("Transpose", x, perm=axes)

    def _unused(self, name: str) -> str:
        found, number = name, 0
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found

    def model(self, inputs: dict[str, Shape], outputs: dict[str, Shape]) -> ModelProto:
        """Return the model; shapes are of one sample, beside an axis for any number of them."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            self._nodes,
            "network",
            [self._declared(name, shape) for name, shape in inputs.items()],
            [self._declared(name, shape) for name, shape in outputs.items()],
            [*self._constants.values()],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="evoopt")

    def _declared(self, name: str, shape: Shape) -> ValueInfoProto:
        dtype = self.onnx.TensorProto.FLOAT
        return self.onnx.helper.make_tensor_value_info(name, dtype, ["batch", *shape])
