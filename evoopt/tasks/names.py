"""Short names of networks and functions, for the reprs of tasks."""

from evoopt.networks.network import Network


def of_network(net: Network) -> str:
    """Return the class of a network and its size, in place of all its layers."""
    return f"{type(net).__name__}({net.spec.size} parameters)"


def of_function(function: object) -> str:
    """Return the name of a function, or of another callable's class, without an address."""
    return str(getattr(function, "__name__", type(function).__name__))
