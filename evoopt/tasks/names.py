"""Short names of networks and functions, for the one line that a task is shown as."""

from evoopt.networks.network import Network


def of_network(net: Network) -> str:
    """Return the class of a network and its size, in place of all its layers."""
    return f"{type(net).__name__}({net.spec.size} parameters)"


def of_function(function: object) -> str:
    """Return the name of a function, or of the class of another callable object: without an address."""
    return str(getattr(function, "__name__", type(function).__name__))
