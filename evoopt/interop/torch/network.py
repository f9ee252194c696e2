"""The network of a torch module."""

from collections.abc import Collection, Mapping, Sequence

from evoopt.interop.torch.links import Links
from evoopt.networks.layers import Layer
from evoopt.networks.network import Network
from evoopt.params import ParamSpec
from evoopt.types import Array


class TorchNetwork(Network):
    """A network made of a torch module, whose parameters know their places there.

    `from_torch` makes it. It needs no torch.

    Attributes
    ----------
    links : Links
        Which tensor of the module is which parameter.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Sequence[int],
        parameters: Mapping[str, Array],
        trainable: Collection[str],
        links: Links,
    ) -> None:
        super().__init__(layers, input_shape)
        self.links = links
        self._take(ParamSpec.from_params(parameters, lambda name: name in trainable))
