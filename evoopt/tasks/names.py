"""Short names of networks, for the reprs of tasks."""

from evoopt.networks.base import BaseNetwork


def of_network(net: BaseNetwork) -> str:
    """Return the class of a network and its size, in place of all its layers."""
    return f"{type(net).__name__}({net.spec.size} parameters)"
