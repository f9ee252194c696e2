"""`to_python`, which writes a trained network as a Python file that needs NumPy alone."""

import os
from collections.abc import Mapping
from typing import Any, BinaryIO

from numpy.typing import ArrayLike

from evoopt.calls import called
from evoopt.interop.python.layers import LAYERS
from evoopt.interop.python.text import text_of
from evoopt.interop.trained import read_trained
from evoopt.networks.network import Network
from evoopt.replacing import replace


@called
def to_python(net: Network, params: Mapping[str, Any] | ArrayLike, path: str | os.PathLike[str]) -> None:
    """Write a solution as a Python file that needs NumPy alone, and no evoopt.

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

    Notes
    -----
    The file has a function ``predict(inputs)``, from (batch, *input_shape) to (batch,
    *output_shape) in float32, as `Network.predict`. If a recurrent layer takes one time step a
    call, it is ``outputs, state = predict(inputs, state)`` with a state (batch, state_size), at
    first zeros. ``HEADS`` are the slices of `Network.heads`, if there are any. The weights stand at
    the end, in base64: 4 bytes become 5.4 letters.

    Examples
    --------
    >>> import runpy
    >>> import tempfile
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(3, "softmax")], input_shape=(2,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     evoopt.to_python(net, net.init(seed=0), f"{folder}/policy.py")
    ...     policy = runpy.run_path(f"{folder}/policy.py")  # elsewhere: from policy import predict
    >>> policy["predict"](np.zeros((1, 2)))
    array([[0.33333334, 0.33333334, 0.33333334]], dtype=float32)
    """
    text = text_of(read_trained(net, params, "to_python", LAYERS))

    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    replace(path, write)
