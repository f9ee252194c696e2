"""Working calls of layers, networks and parameter specs."""

from .case import Arguments, Case

INITIALIZERS = {"kernel_init": "'he_normal'", "bias_init": "'ones'"}
RECURRENT = {
    "return_sequences": "True",
    "use_bias": "False",
    "kernel_init": "'he_normal'",
    "recurrent_init": "'orthogonal'",
}
WINDOWS = {"strides": "(1, 2)", "padding": "'same'", "activation": "'relu'"}
WINDOWS_1D = {"strides": "2", "padding": "1", "activation": "'relu'"}
LAYERS: dict[str, tuple[Arguments, Arguments, str]] = {  # required and optional arguments, shape of an input
    "Dense": ({"units": "3"}, {"activation": "doubled", "use_bias": "False", **INITIALIZERS}, "(4,)"),
    "Conv2D": (
        {"filters": "2", "kernel_size": "(2, 2)"},
        {**WINDOWS, "use_bias": "False", **INITIALIZERS},
        "(4, 5, 1)",
    ),
    "Conv1D": (
        {"filters": "2", "kernel_size": "2"},
        {**WINDOWS_1D, "use_bias": "False", **INITIALIZERS},
        "(5, 2)",
    ),
    "MaxPool2D": ({"pool_size": "2"}, WINDOWS, "(4, 5, 2)"),
    "AvgPool2D": ({"pool_size": "2"}, WINDOWS, "(4, 5, 2)"),
    "MaxPool1D": ({"pool_size": "2"}, WINDOWS_1D, "(5, 2)"),
    "AvgPool1D": ({"pool_size": "2"}, WINDOWS_1D, "(5, 2)"),
    "GlobalAvgPool": ({}, {}, "(4, 5, 2)"),
    "Flatten": ({}, {}, "(4, 5, 2)"),
    "Activation": ({"activation": "('leaky_relu', 0.1)"}, {}, "(4, 5, 2)"),
    "Reshape": ({"shape": "(4, 10)"}, {}, "(5, 8)"),
    "Slice": ({"start": "1", "stop": "3"}, {"axis": "0"}, "(5, 8)"),
    "Permute": ({"axes": "(1, 0)"}, {}, "(5, 8)"),
    "Dropout": ({"rate": "0.5"}, {}, "(4,)"),
    "Embedding": ({"n": "3", "features": "2"}, {"embedding_init": "'ones'"}, "(4,)"),
    "Rescaling": ({"scale": "0.5"}, {"offset": "1.5"}, "(4,)"),
    "LayerNorm": ({}, {"epsilon": "1e-3", "activation": "'relu'"}, "(4,)"),
    "BatchNorm": ({}, {"epsilon": "1e-3", "activation": "'relu'"}, "(4,)"),
    "RNN": ({"units": "2"}, {"activation": "'relu'", "biases": "2", **RECURRENT}, "(3, 2)"),
    "GRU": ({"units": "2"}, RECURRENT, "(3, 2)"),
    "LSTM": ({"units": "2"}, {"biases": "2", **RECURRENT}, "(3, 2)"),
}
# Layers with layers in them, and layers of several sources; `operations` of both is refused
COMPOSED: dict[str, tuple[str, Arguments, Arguments]] = {  # the call, required and optional arguments
    "Residual": (
        "evoopt.Residual",
        {"layers": "[evoopt.Dense(4)]"},
        {"shortcut": "[]", "activation": "'relu'"},
    ),
    "Parallel": (
        "(lambda first, **options: evoopt.Parallel(first, [evoopt.Dense(3)], **options))",
        {"first": "[evoopt.Dense(3)]"},
        {"merge": "'add'", "names": "('a', 'b')", "name": "'own'"},
    ),
    "Split": (
        "evoopt.Split",
        {"parts": "{'a': ((2,), []), 'b': ((2,), [evoopt.Dense(2)])}"},
        {"merge": "'add'"},
    ),
    "Graph": (
        "evoopt.Graph",
        {"nodes": "{'a': (evoopt.Dense(4), 'input'), 'b': ('a', 'a')}"},
        {"output": "('a', 'b')", "name": "'own'"},
    ),
    **{
        name: (
            "(lambda **options: evoopt.Graph({'a': (evoopt.Dense(4), 'input'), "
            f"'b': (evoopt.{name}(**options), ('a', 'input'))}}))",
            {},
            {} if name == "Concat" else {"activation": "'relu'"},
        )
        for name in ("Add", "Multiply", "Concat")
    },
}
_SHAPE = frozenset({"input_shape"})
_ROWS = ("row = NET.init(1)", "population = np.stack([row, -row])")
_STATE = ("population = np.stack([MEMORY.init(1), MEMORY.init(2)])", "state = net.initial_state(2, 5)")
_SETUP = ("net = NET", *_ROWS)


def _layer(name: str) -> list[Case]:
    required, options, shape = LAYERS[name]
    inputs = "np.zeros" if name == "Embedding" else "np.ones"  # index 0 is in every table
    use = (
        f"net = evoopt.Network([result], {shape})",
        f"outputs = net.predict(net.init(1), {inputs}((2, *{shape})))",
        "assert outputs.shape == (2, *net.output_shape) and np.isfinite(outputs).all() and repr(net)",
    )
    made = f"evoopt.{name}({', '.join(required.values())})"
    parts = ("parameters", "output_shape")
    return [
        Case(name, f"evoopt.{name}", required, options, use=use),
        *(Case(f"{name}.{each}", f"{made}.{each}", {"input_shape": shape}, fixed=_SHAPE) for each in parts),
        Case(
            f"{name}.operations",
            f"(lambda input_shape: [*{made}.operations(input_shape, places)])",
            {"input_shape": shape},
            {},
            ("places = Places()",),
            fixed=_SHAPE,
        ),
        Case(f"{name}.function", f"{made}.function", {"input_shape": shape}, fixed=_SHAPE),
    ]


def _composed(name: str) -> list[Case]:
    call, required, options = COMPOSED[name]
    use = (
        "net = evoopt.Network([result], (4,))",
        "outputs = net.predict(net.init(1), np.ones((2, 4)))",
        "assert outputs.shape == (2, *net.output_shape) and np.isfinite(outputs).all() and repr(net)",
    )
    made, merges = f"{call}({', '.join(required.values())})", not required
    if merges:
        made = f"evoopt.{name}()"
        own = [
            Case(f"{name}.{each}", f"(lambda shapes: [*{made}.{each}(shapes)])", {"shapes": "[(4,), (4,)]"},
                 fixed=frozenset({"shapes"}))
            for each in ("merge", "merged_shape")
        ]  # fmt: skip
    else:
        setup = ("from evoopt.networks.wiring import Wiring",)
        given = {"wiring": "Wiring((4,))", "name": "'own'", "source": "0"}
        own = [Case(f"{name}.wire", f"{made}.wire", given, {}, setup, fixed=frozenset(given))]
    methods = ("parameters", "output_shape", "function")
    return [
        Case(name, call, required, options, use=use),
        *own,
        *(
            Case(f"{name}.{each}", f"{made}.{each}", {"input_shape": "(4,)"}, fixed=_SHAPE)
            for each in methods
        ),
        Case(
            f"{name}.operations",
            f"(lambda input_shape: [*{made}.operations(input_shape, {{}})])",
            {"input_shape": "(4,)"},
            fixed=_SHAPE,
        ),
    ]


_SCALE = """class Scale(evoopt.Layer):
    def parameters(self, input_shape):
        return parameters
    def output_shape(self, input_shape):
        return shape
    def function(self, input_shape):
        return function"""
_FINITE = ("assert (result[0] if isinstance(result, tuple) else result).dtype.kind == 'f'",)
_OUT = frozenset({"out"})


def _runs(name: str, net: str, memory: str) -> list[Case]:
    """Return the calls that all networks have, of one without a state and of one with a state."""
    setup, recurrent = (f"net = {net}", *_ROWS), (f"net = {memory}", *_STATE)
    return [
        Case(
            f"{name}.forward",
            "net.forward",
            {"population": "population", "inputs": "INPUTS"},
            {"out": "np.empty((2, 10, 2), 'float32')"},
            setup,
            _FINITE,
            writes=_OUT,
        ),
        Case(
            f"{name}.forward",
            "net.forward",
            {"population": "population", "inputs": "np.ones((5, 3, 1))", "state": "state"},
            {"reset": "np.ones(5, bool)", "out": "np.empty((2, 5, 1), 'float32')"},
            recurrent,
            _FINITE,
            writes=_OUT,
        ),
        Case(f"{name}.predict", "net.predict", {"params": "row", "inputs": "INPUTS"}, {}, setup, _FINITE),
        Case(f"{name}.predict", "net.predict", {"params": "PARAMS", "inputs": "INPUTS"}, {}, setup, _FINITE),
        Case(
            f"{name}.predict",
            "net.predict",
            {"params": "population[0]", "inputs": "np.ones((5, 3, 1))"},
            {"state": "state[0]"},
            recurrent,
            _FINITE,
        ),
        Case(
            f"{name}.initial_state",
            "net.initial_state",
            {"popsize": "2", "batch": "5"},
            {"dtype": "'float64'"},
            recurrent,
        ),
        Case(f"{name}.state_size", "(lambda: net.state_size)", {}, {}, recurrent, ("assert result == 2",)),
        Case(
            f"{name}.as_vector",
            "net.as_vector",
            {"params": "PARAMS"},
            {},
            setup,
            ("assert result.shape == row.shape",),
        ),
        Case(f"{name}.check_population", "net.check_population", {"population": "population"}, {}, setup),
        Case(f"{name}.engine", "net.engine", {}, {"device": "'cpu'"}, setup),
    ]


NETWORKS = [
    *(case for name in LAYERS for case in _layer(name)),
    *(case for name in COMPOSED for case in _composed(name)),
    Case(
        "Layer",
        "(lambda **given: evoopt.Network([Scale()], (3,)).predict(np.ones(3), np.ones((1, 3))))",
        {},
        {"parameters": "{'gain': evoopt.Parameter((3,), 'ones')}", "shape": "(3,)", "function": "scaled"},
        (_SCALE, "parameters, shape, function = {'gain': evoopt.Parameter((3,), 'ones')}, (3,), scaled"),
    ),
    *(
        Case(f"Layer.{each}", f"evoopt.Layer().{each}", {"input_shape": "(3,)"}, fixed=_SHAPE)
        for each in ("parameters", "output_shape", "function")
    ),
    Case(
        "Layer.operations",
        "(lambda input_shape: [*evoopt.Layer().operations(input_shape, {})])",
        {"input_shape": "(3,)"},
        fixed=_SHAPE,
    ),
    Case(
        "Parameter",
        "evoopt.Parameter",
        {"shape": "(3,)", "initializer": "'ones'"},
        {"fan_in": "2", "fan_out": "3", "trainable": "True"},
        (_SCALE, "shape, function = (3,), scaled"),
        ("parameters = {'gain': result}", "evoopt.Network([Scale()], (3,)).init(1)"),
    ),
    Case(
        "Network",
        "evoopt.Network",
        {"layers": "LAYERS", "input_shape": "(4,)"},
        {"device": "'cpu'"},
        use=(
            "outputs = result.predict(result.init(1), np.broadcast_to(1.0, (2, *result.input_shape)))",
            "assert np.isfinite(outputs).all() and repr(result)",
        ),
    ),
    Case("Network.init", "net.init", {}, {"seed": "1"}, _SETUP, _FINITE),
    Case(
        "Network.freeze",
        "net.freeze",
        {"params": "PARAMS", "trainable": "'dense_1'"},
        {},
        _SETUP,
        ("outputs = result.predict(result.init(1), INPUTS)", "assert np.isfinite(outputs).all()"),
    ),
    Case(
        "FunctionNetwork",
        "evoopt.FunctionNetwork",
        {"forward": "MEMORY.forward", "spec": "MEMORY.spec", "input_shape": "(3, 1)", "output_shape": "(1,)"},
        {"initial_state": "np.zeros(2)"},
        use=(
            "outputs = result.predict(MEMORY.init(1), np.broadcast_to(1.0, (2, *result.input_shape)))",
            "repr(result)",
        ),
    ),
    Case("GRU.biases", "(lambda: evoopt.GRU(2).biases)", use=("assert result == 2",)),
    Case(
        "FunctionNetwork",
        "(lambda outputs: evoopt.FunctionNetwork(gives(outputs), SPEC, (4,), (2,)).forward(rows, INPUTS))",
        {"outputs": "np.ones((3, 10, 2))"},
        {},
        ("rows = np.ones((3, 8))",),
        _FINITE,
    ),
    *_runs("Network", "NET", "MEMORY"),
    *_runs("FunctionNetwork", "FUNCTION", "FUNCTION_MEMORY"),
    Case(
        "ParamSpec",
        "evoopt.ParamSpec",
        {"root": "SPEC._root", "leaves": "SPEC._leaves", "frozen": "{}"},
        use=("repr(result)",),
        fixed=frozenset({"root", "leaves", "frozen"}),
    ),
    Case(
        "ParamSpec.from_params",
        "evoopt.ParamSpec.from_params",
        {"tree": "TREE"},
        {"trainable": "['a', 'b.*']"},
        use=("vector = result.ravel(tree)", "assert result.size == len(vector) and repr(result)"),
    ),
    Case(
        "ParamSpec.from_shapes",
        "evoopt.ParamSpec.from_shapes",
        {"shapes": "{'a': (2, 3), 'b.c': 2}"},
        use=("repr(result)", "assert evoopt.ParamSpec.from_json(result.to_json()) == result"),
    ),
    Case(
        "ParamSpec.from_shapes",
        "(lambda shape, dtype, names: evoopt.ParamSpec.from_shapes({'a': (shape, dtype, names)}))",
        {"shape": "(2, 3)", "dtype": "'float32'", "names": "('in', 'out')"},
        use=("repr(result)",),
    ),
    Case("ParamSpec.from_json", "evoopt.ParamSpec.from_json", {"text": "SPEC.to_json()"}, {"frozen": "{}"}),
    Case("ParamSpec.to_json", "SPEC.to_json"),
    Case("ParamSpec.slice", "SPEC.slice", {"name": "'a'"}),
    Case(
        "ParamSpec.expand",
        "SPEC.expand",
        {"values": "{'*': 0.1, 'a': 1.0}"},
        use=("assert result.shape == (8,)",),
    ),
    Case(
        "ParamSpec.ravel",
        "SPEC.ravel",
        {"tree": "TREE"},
        {"out": "np.empty(8)"},
        use=("assert result.shape == (8,)",),
        writes=_OUT,
    ),
    Case(
        "ParamSpec.ravel",
        "(lambda a, c: SPEC.ravel({'a': a, 'b': {'c': c}}))",
        {"a": "np.ones((2, 3))", "c": "np.ones(2)"},
    ),
    Case("ParamSpec.flat", "SPEC.flat", {"tree": "TREE"}, use=("assert result.keys() == {'a', 'b.c'}",)),
    Case("ParamSpec.unravel", "SPEC.unravel", {"array": "np.ones(8)"}, {"cast": "True"}),
]
