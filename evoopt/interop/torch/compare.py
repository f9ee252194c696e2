"""The comparison of a network with its module."""

from types import ModuleType

import numpy as np

from evoopt.interop.torch.network import TorchNetwork
from evoopt.interop.torch.recording.inputs import Inputs
from evoopt.interop.torch.recording.outputs import Outputs, named
from evoopt.interop.torch.recording.record import run
from evoopt.interop.torch.types import Module, Tensor
from evoopt.types import Array

_BATCH = 5  # another one than at the recording, on which nothing may depend
_TOLERANCE = 1e-4  # relative to the largest output
_ROUNDING = 1e-6  # of differences of large numbers


def compare(
    torch: ModuleType,
    module: Module,
    net: TorchNetwork,
    vector: Array,
    inputs: Inputs,
    outputs: Outputs,
    dtype: str,
) -> None:
    """Raise ValueError unless the network has the outputs of the module."""
    samples = inputs.samples(_BATCH, dtype, seed=1)
    tensors = [torch.tensor(sample) for sample in samples]
    returned = run(module, [tensor.clone() for tensor in tensors], inputs)  # it may write into them
    expected = outputs.joined(returned)
    found = net.predict(vector, inputs.joined(samples).astype(dtype))
    heads = [*net.heads.values()] or [slice(None)]
    same = found.shape == expected.shape
    same = same and all(_close(found[..., place], expected[..., place]) for place in heads)
    if not same or not _takes_one(module, tensors, inputs, returned):
        raise ValueError(
            "The network must have the outputs of the module, but they differ: the module may keep something "
            "from call to call, depend on the number of samples, or write into its tensors; "
            "evoopt.FunctionNetwork runs any module as it is."
        )


def _takes_one(module: Module, tensors: list[Tensor], inputs: Inputs, several: object) -> bool:
    """Return whether one sample alone has the outputs that it has among several."""
    try:
        alone = run(module, [tensor[:1] for tensor in tensors], inputs)
    except ValueError:  # it squeezes the axis of the batch, and so takes several samples only
        return True
    pairs = zip(named(alone), named(several), strict=True)
    return all(_close(one.numpy().ravel(), all_of[0].numpy().ravel()) for (_, one), (_, all_of) in pairs)


def _close(found: Array, expected: Array) -> bool:
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    return np.allclose(found, expected, 0, _TOLERANCE * largest + _ROUNDING, equal_nan=True)
