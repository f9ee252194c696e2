"""Train neural networks and tune black boxes by evolution, from flat vectors."""

from importlib import import_module
from typing import TYPE_CHECKING

from evoopt.callbacks import CSVLogger
from evoopt.evolve import evolve
from evoopt.files import load_params, save_params
from evoopt.minimize import minimize
from evoopt.networks.composite import Parallel, Residual, Split
from evoopt.networks.convolution import Conv1D, Conv2D
from evoopt.networks.dropout import Dropout
from evoopt.networks.embedding import Embedding
from evoopt.networks.function_network import FunctionNetwork
from evoopt.networks.graph import Graph
from evoopt.networks.layers import Activation, Dense, Layer, Parameter
from evoopt.networks.merging import Add, Concat, Multiply
from evoopt.networks.network import Network
from evoopt.networks.normalization import BatchNorm, LayerNorm, Rescaling
from evoopt.networks.pooling import AvgPool1D, AvgPool2D, GlobalAvgPool, MaxPool1D, MaxPool2D
from evoopt.networks.recurrent import GRU, LSTM, RNN
from evoopt.networks.shaping import Flatten, Permute, Reshape, Slice
from evoopt.params import ParamSpec
from evoopt.plotting import plot_history
from evoopt.safetensors import load_safetensors, save_safetensors
from evoopt.scipy_method import scipy_method
from evoopt.spaces.space import Space
from evoopt.spaces.variables import Choice, Integer, Real
from evoopt.strategies import (
    BIPOP,
    CMAES,
    GA,
    IPOP,
    LMMAES,
    PGPE,
    SNES,
    XNES,
    CosineDecay,
    DeepGA,
    LinearDecay,
    OpenAIES,
    SepCMAES,
    Strategy,
    load,
    register,
)
from evoopt.tasks import envs
from evoopt.tasks.environment import Environment
from evoopt.tasks.gymnasium import GymnasiumTask
from evoopt.tasks.objective import Objective
from evoopt.tasks.rollout import Rollout
from evoopt.tasks.supervised import Supervised
from evoopt.threads import get_num_threads, set_num_threads
from evoopt.versions import show_versions
from evoopt.workers.workers import Workers

if TYPE_CHECKING:
    from evoopt.interop.onnx.model import to_onnx
    from evoopt.interop.python.source import to_python
    from evoopt.interop.torch.from_torch import from_torch
    from evoopt.interop.torch.to_torch import to_torch
else:
    _LATE = {  # functions for other formats, imported at their first use: they are many files
        "from_torch": "evoopt.interop.torch.from_torch",
        "to_onnx": "evoopt.interop.onnx.model",
        "to_python": "evoopt.interop.python.source",
        "to_torch": "evoopt.interop.torch.to_torch",
    }

    def __getattr__(name):
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(_LATE[name]), name)
        return found


__version__ = "0.1.0"
__all__ = [
    "BIPOP",
    "CMAES",
    "GA",
    "GRU",
    "IPOP",
    "LMMAES",
    "LSTM",
    "PGPE",
    "RNN",
    "SNES",
    "XNES",
    "Activation",
    "Add",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNorm",
    "CSVLogger",
    "Choice",
    "Concat",
    "Conv1D",
    "Conv2D",
    "CosineDecay",
    "DeepGA",
    "Dense",
    "Dropout",
    "Embedding",
    "Environment",
    "Flatten",
    "FunctionNetwork",
    "GlobalAvgPool",
    "Graph",
    "GymnasiumTask",
    "Integer",
    "Layer",
    "LayerNorm",
    "LinearDecay",
    "MaxPool1D",
    "MaxPool2D",
    "Multiply",
    "Network",
    "Objective",
    "OpenAIES",
    "Parallel",
    "ParamSpec",
    "Parameter",
    "Permute",
    "Real",
    "Rescaling",
    "Reshape",
    "Residual",
    "Rollout",
    "SepCMAES",
    "Slice",
    "Space",
    "Split",
    "Strategy",
    "Supervised",
    "Workers",
    "envs",
    "evolve",
    "from_torch",
    "get_num_threads",
    "load",
    "load_params",
    "load_safetensors",
    "minimize",
    "plot_history",
    "register",
    "save_params",
    "save_safetensors",
    "scipy_method",
    "set_num_threads",
    "show_versions",
    "to_onnx",
    "to_python",
    "to_torch",
]
