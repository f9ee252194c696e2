"""The text of a generated file: `predict`, the formulas, and the weights at the end."""

import ast
import base64
import inspect
import json
from collections.abc import Iterator, Sequence
from typing import Any

from evoopt.interop.python import formulas
from evoopt.interop.python.layers import ACTIVATIONS, LAYERS, Call
from evoopt.interop.trained import Trained, TrainedNode, state_size_of
from evoopt.networks.recurrent import Recurrent
from evoopt.types import Shape

FORMULAS = {name: each for name, each in vars(formulas).items() if inspect.isfunction(each)}
IMPORTS = "import base64\n\nimport numpy as np\n"
Calls = Sequence[tuple[TrainedNode[Any], Call]]


def text_of(trained: Trained) -> str:
    """Return the file of a network."""
    calls = [(node, LAYERS[type(node.layer)](node)) for node in trained.nodes]
    predict = "\n".join(_predict(trained, calls))
    formulas_of_it = [inspect.getsource(FORMULAS[name]).rstrip() for name in _needed(predict)]
    head = f"{_docstring(trained)}\n\n{IMPORTS}\n{_heads(trained)}"
    return "\n\n\n".join([head.rstrip(), predict, *formulas_of_it, "\n".join(_weights(calls))]) + "\n"


def _docstring(trained: Trained) -> str:
    arguments, results = _signature(trained)
    heads = "; outputs[..., HEADS[name]] are the outputs of one head" if trained.heads else ""
    lines = [
        '"""A trained network that needs NumPy 1.20 or newer, and nothing else; evoopt wrote it.\n',
        f"    {results} = predict({arguments})\n",
        f"inputs: {_shown(trained.input_shape)}",
        f"outputs: {_shown(trained.output_shape)}{heads}",
    ]
    if trained.state_size:
        lines.append(f"state: {_shown((trained.state_size,))}, zeros at first")
    return "\n".join([*lines, '"""'])


def _signature(trained: Trained) -> tuple[str, str]:
    """Return the arguments and the results of `predict`."""
    return ("inputs, state", "outputs, state") if trained.state_size else ("inputs", "outputs")


def _shown(shape: Shape) -> str:
    return f"({', '.join(['batch', *map(str, shape)])})"


def _heads(trained: Trained) -> str:
    slices = [f"{_quoted(name)}: slice({part.start}, {part.stop})" for name, part in trained.heads.items()]
    return f"HEADS = {{{', '.join(slices)}}}\n" if slices else ""


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _predict(trained: Trained, calls: Calls) -> Iterator[str]:
    """Yield the lines of `predict`: x0 are the inputs, and x1 is the output of the first node."""
    arguments, _ = _signature(trained)
    yield f"def predict({arguments}):"
    after = ", and the state after this time step" if trained.state_size else ""
    yield f'    """Return the outputs of samples{after}."""'
    yield f'    x0 = as_samples("inputs", inputs, {trained.input_shape})'
    if trained.state_size:
        yield f'    state = as_samples("state", state, {(trained.state_size,)})'
    states = []
    for k, (node, call) in enumerate(calls, 1):
        if isinstance(node.layer, Recurrent):
            states.append(f"s{k}")
            yield f"    x{k}, s{k} = {_called(node, call, _state(node))}"
        else:
            yield f"    x{k} = {_activated(node, _called(node, call))}"
    new_state = f", np.concatenate([{', '.join(states)}], -1)" if trained.state_size else ""
    yield f"    return x{len(calls)}{new_state}"


def _called(node: TrainedNode[Any], call: Call, *arguments: str) -> str:
    sources = [f"x{source}" for source in node.sources]
    weights = [f"**WEIGHTS[{_quoted(node.name)}]"] if call.weights else []
    options = [f"{name}={_code(value)}" for name, value in call.options.items()]
    return f"{call.formula.__name__}({', '.join([*sources, *arguments, *weights, *options])})"


def _code(value: object) -> str:
    return value.__name__ if inspect.isfunction(value) else repr(value)


def _state(node: TrainedNode[Recurrent]) -> str:
    """Return the expression of the state before the first time step."""
    if node.state is None:
        return f"np.zeros((len(x0), {state_size_of(node.layer)}), np.float32)"
    return f"state[:, {node.state.start}:{node.state.stop}]"


def _activated(node: TrainedNode[Any], expression: str) -> str:
    name, *numbers = node.activation
    arguments = ", ".join([expression, *map(repr, numbers)])
    return expression if name == "linear" else f"{ACTIVATIONS[name].__name__}({arguments})"


def _needed(text: str) -> list[str]:
    """Return the formulas that a text calls, and that these call, in the order of their file."""
    found, texts = {"decoded"}, [text]
    while texts:
        names = {each.id for each in ast.walk(ast.parse(texts.pop())) if isinstance(each, ast.Name)}
        new = (names & FORMULAS.keys()) - found
        found |= new
        texts += [inspect.getsource(FORMULAS[name]) for name in new]
    return [name for name in FORMULAS if name in found]


def _weights(calls: Calls) -> Iterator[str]:
    yield "WEIGHTS = {"
    for name, weights in {node.name: call.weights for node, call in calls if call.weights}.items():
        yield f"    {_quoted(name)}: {{"
        for key, array in weights.items():
            text = base64.encodebytes(array.astype("<f4").tobytes()).decode()
            yield f'        {_quoted(key)}: decoded("""\n{text}""", {", ".join(map(str, array.shape))}),'
        yield "    },"
    yield "}"
