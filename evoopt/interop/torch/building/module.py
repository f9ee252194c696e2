"""A trained network as a module of torch: torch.fx makes it of a graph of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from evoopt.interop.graphs import write_nodes
from evoopt.interop.torch.building.activations import ACTIVATIONS
from evoopt.interop.torch.building.graph import ModuleGraph
from evoopt.interop.torch.building.layers import LAYERS
from evoopt.interop.trained import read_trained
from evoopt.networks.network import Network
from evoopt.packages import require_package

if TYPE_CHECKING:
    from torch import nn


def build_module(net: Network, params: Mapping[str, Any] | ArrayLike) -> nn.Module:
    """Return a module of torch with the outputs of a solution.

    Its ``forward(inputs)`` takes and returns what `Network.predict` does; of a network of one time
    step a call, ``forward(inputs, state)`` returns the outputs and the new state.
    """
    torch = require_package("torch", "to_torch")
    trained = read_trained(net, params, "to_torch", LAYERS)
    graph = ModuleGraph(torch, trained.state_size > 0)
    outputs = write_nodes(graph, trained, LAYERS, ACTIVATIONS, graph.inputs)
    return graph.finish(outputs)
