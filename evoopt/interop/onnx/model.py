"""`to_onnx`, which writes a trained network as an ONNX file."""

import json
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

from numpy.typing import ArrayLike

from evoopt.calls import called
from evoopt.interop.graphs import write_nodes
from evoopt.interop.onnx.activations import ACTIVATIONS
from evoopt.interop.onnx.graph import INPUTS, NEW_STATE, OUTPUTS, STATE, OnnxGraph
from evoopt.interop.onnx.layers import LAYERS
from evoopt.interop.trained import Trained, read_trained
from evoopt.networks.network import Network
from evoopt.packages import require_package
from evoopt.replacing import replace


@called
def to_onnx(net: Network, params: Mapping[str, Any] | ArrayLike, path: str | os.PathLike[str]) -> None:
    """Write a solution as an ONNX file, which onnxruntime and many others run.

    Parameters
    ----------
    net : Network
        With layers and activations of evoopt.
    params : nested dict, or vector (n_params,)
        The solution.
    path : str or path
        The file, named exactly so. It is replaced in one step: a reader sees the old file or the
        new one.

    Raises
    ------
    ValueError
        For a layer or activation of your own, or parameters that are not the network's.
    ImportError
        Without the package onnx.

    Notes
    -----
    The file computes in float32, in operators of opset 17. It takes "inputs" (batch, *input_shape)
    and has "outputs" (batch, *output_shape), as `Network.predict`. If a recurrent layer takes one
    time step a call, it takes a "state" (batch, state_size), too, at first zeros, and has a
    "new_state". Nodes and constants have the names of the layers and parameters. The entry "heads"
    of the metadata is JSON: ``{name: [start, stop]}`` of the outputs' last axis.

    Examples
    --------
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(8, "tanh"), evoopt.Dense(2)], input_shape=(4,))
    >>> evoopt.to_onnx(net, net.init(seed=0), "policy.onnx")  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("policy.onnx")  # doctest: +SKIP
    >>> (outputs,) = session.run(None, {"inputs": np.ones((3, 4), np.float32)})  # doctest: +SKIP
    """
    onnx = require_package("onnx", "to_onnx")
    trained = read_trained(net, params, "to_onnx", LAYERS)
    model = _model(OnnxGraph(onnx), trained)
    onnx.helper.set_model_props(model, {"heads": _heads(trained)})
    onnx.checker.check_model(model, full_check=True)

    def write(file: BinaryIO) -> None:
        file.write(model.SerializeToString())

    replace(path, write)


def _model(graph: OnnxGraph, trained: Trained) -> Any:
    outputs = write_nodes(graph, trained, LAYERS, ACTIVATIONS, INPUTS)
    graph.rename(outputs, OUTPUTS)
    taken, made = {INPUTS: trained.input_shape}, {OUTPUTS: trained.output_shape}
    if trained.state_size:
        graph.rename(graph.op("Concat", *graph.new_states, axis=1), NEW_STATE)
        taken[STATE] = made[NEW_STATE] = (trained.state_size,)
    return graph.model(taken, made)


def _heads(trained: Trained) -> str:
    return json.dumps({name: [head.start, head.stop] for name, head in trained.heads.items()})
