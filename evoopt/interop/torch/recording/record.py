"""A module's forward pass on a few samples, recorded."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.inputs import Inputs
from evoopt.interop.torch.recording.outputs import Outputs, find_outputs
from evoopt.interop.torch.recording.recorder import Recorder
from evoopt.interop.torch.recording.signals import LearnedError, UnsupportedError
from evoopt.interop.torch.recording.weights import Weights
from evoopt.interop.torch.types import Module, Tensor
from evoopt.types import Array

BATCH = 3


@dataclass(frozen=True)
class Recording:
    """The graph of a module, and its outputs."""

    graph: GraphBuilder
    outputs: Outputs


def record(torch: ModuleType, module: Module, inputs: Inputs, dtype: str) -> Recording:
    """Record a module, anew with each fact that turns out about its inputs."""
    while True:
        with contextlib.suppress(LearnedError):
            return _record(torch, module, inputs, inputs.samples(BATCH, dtype, seed=0))


def _record(torch: ModuleType, module: Module, inputs: Inputs, samples: Sequence[Array]) -> Recording:
    paths = {id(each): path or "the module" for path, each in module.named_modules()}
    named = [*module.named_parameters(), *module.named_buffers()]
    parameters = set(map(id, module.parameters()))
    weights = Weights({id(tensor): name for name, tensor in named}, parameters)
    graph = GraphBuilder(inputs.input_shape, weights, frozenset(paths.values()), inputs.facts)
    recorder = Recorder(torch, graph, paths, BATCH)
    tensors = [torch.tensor(sample) for sample in samples]
    for tensor, value in zip(tensors, inputs.values(graph), strict=True):
        recorder.describe(tensor, value)
    with recorder.recording():
        found = run(module, tensors, inputs)
    return Recording(graph, find_outputs(recorder, found))


def run(module: Module, tensors: Sequence[Tensor], inputs: Inputs) -> Any:
    """Return a module's outputs; raise ValueError if it cannot take the inputs."""
    try:
        return module(*tensors)
    except (UnsupportedError, LearnedError):
        raise
    except Exception as error:
        shapes = ", ".join(
            str((tensor.shape[0], *shape)) for tensor, shape in zip(tensors, inputs.shapes, strict=True)
        )
        raise ValueError(
            f"The module must take a batch of samples of input_shape, of shape {shapes}, but it raises "
            f"{type(error).__name__}: {error}"
        ) from error
