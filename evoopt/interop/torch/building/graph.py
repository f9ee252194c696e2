"""A graph of modules of torch while it is being written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import getitem
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import fx, nn


class ModuleGraph:
    """The graph of a module while it is being written; its values are nodes of torch.fx.

    Modules have the names of the layers. A letter that Python's names do not have becomes `_`, and
    a name that every module has for itself, such as "train", ends with it.
    """

    def __init__(self, torch: ModuleType, takes_state: bool) -> None:
        self.torch = torch
        self.graph: fx.Graph = torch.fx.Graph()
        self.inputs: fx.Node = self.graph.placeholder("inputs")
        self.state: fx.Node | None = self.graph.placeholder("state") if takes_state else None
        self.new_states: list[fx.Node] = []
        self._names: dict[str, str] = {}
        self._modules: dict[str, nn.Module] = {}

    def module(self, name: str, module: nn.Module, weights: Mapping[str, Any], *inputs: object) -> fx.Node:
        """Call a module; a name that was called before has its module already."""
        if name not in self._names:
            module.load_state_dict({key: self.torch.as_tensor(array) for key, array in weights.items()})
            self._names[name] = self._unused(name)
            self._modules[self._names[name]] = module
        return self.graph.call_module(self._names[name], inputs)

    def _unused(self, name: str) -> str:
        own = dir(self.torch.fx.GraphModule({}, self.torch.fx.Graph()))
        parts = [re.sub(r"\W", "_", part) for part in name.split(".")]
        found = ".".join(f"{part}_" if part in own else part for part in parts)
        while found in self._modules:
            found += "_"
        return found

    def call(self, function: Callable[..., Any], *arguments: object, **options: object) -> fx.Node:
        """Call a function of torch."""
        return self.graph.call_function(function, arguments, options)

    def item(self, x: fx.Node, *index: int | slice | None) -> fx.Node:
        """Return ``x[index]``."""
        return self.graph.call_function(getitem, (x, index if len(index) > 1 else index[0]))

    def permute(self, x: fx.Node, axes: tuple[int, ...]) -> fx.Node:
        return self.call(self.torch.permute, x, axes)

    def finish(self, outputs: fx.Node) -> nn.Module:
        """Return the module of a complete graph."""
        result = (outputs, self.call(self.torch.cat, self.new_states, -1)) if self.new_states else outputs
        self.graph.output(result)
        return self.torch.fx.GraphModule(self._modules, self.graph, "Network").eval()
