"""Functions that move, cut and join axes."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from evoopt.interop.torch.recording.arguments import as_axis, require
from evoopt.interop.torch.recording.graph import GraphBuilder
from evoopt.interop.torch.recording.signals import UnsupportedError
from evoopt.interop.torch.recording.values import STATES, States, Value
from evoopt.interop.torch.types import Function, Tensor
from evoopt.networks.merging import Concat
from evoopt.networks.shaping import Slice
from evoopt.types import Shape

# functions whose results have the numbers of their first argument, row-major, in the result's shape
RESHAPES = frozenset(
    {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"}
)
# functions that return their first argument, or it in another precision
COPIES = frozenset(
    {"contiguous", "clone", "detach", "data", "to", "type", "type_as", "float", "double", "long", "int"}
)


def _straight(graph: GraphBuilder, x: Value) -> Value:
    """Return a value that is not reshaped."""
    return x if x.order is not None else Value.plain(graph.laid(x), x.shape)


def _permute(graph: GraphBuilder, x: Value, *axes: Any, dims: Sequence[int] = ()) -> Value:
    given = dims or (axes[0] if isinstance(axes[0], tuple | list) else axes)
    order = [dim % (len(x.shape) + 1) for dim in given]
    require(order[0] == 0, "it moves the batch, which is axis 0")
    return _straight(graph, x).permuted(tuple(axis - 1 for axis in order[1:]))


def _transpose(graph: GraphBuilder, x: Value, dim0: int, dim1: int) -> Value:
    order = list(range(len(x.shape)))
    first, second = as_axis(x, dim0), as_axis(x, dim1)
    order[first], order[second] = second, first
    return _straight(graph, x).permuted(tuple(order))


def _matrix_transpose(graph: GraphBuilder, x: Value) -> Value:
    return _transpose(graph, x, -2, -1)


def expanded(graph: GraphBuilder, x: Value, shape: Shape) -> Value:
    """Record copies of a value along axes of size 1, so that it has this shape."""
    if shape == x.shape:
        return x
    axes = [axis for axis, size in enumerate(x.shape) if size != shape[axis]]
    order = (*axes, *(axis for axis in x.last() if axis not in axes))
    node = graph.shaped(graph.laid(x, order), (math.prod(x.shape),))
    for axis in reversed(axes):
        node = graph.put(Concat(), *[node] * shape[axis])
    return Value.ordered(node, order, shape, x.channels)


def _expand(graph: GraphBuilder, x: Value, *sizes: Any) -> Value:
    given = sizes[0] if isinstance(sizes[0], tuple | list) else sizes
    require(len(given) == len(x.shape) + 1, "it adds axes")
    return expanded(graph, x, tuple(map(max, x.shape, given[1:])))


def _expand_as(graph: GraphBuilder, x: Value, other: Value) -> Value:
    return _expand(graph, x, -1, *other.shape)


def cut(graph: GraphBuilder, x: Value, axis: int, start: int, stop: int) -> Value:
    """Record a part of an axis."""
    if (start, stop) == (0, x.shape[axis]):
        return x
    require(start < stop, "an empty part of an axis has no place in a network")
    x = _straight(graph, x)
    stored, shape = list(x.stored), list(x.shape)
    stored[x.axes[axis]] = shape[axis] = stop - start
    node = graph.put(Slice(start, stop, axis=x.axes[axis]), graph.shaped(x.node, x.stored))
    return Value(node, tuple(stored), x.axes, tuple(shape), x.channels)


def _getitem(graph: GraphBuilder, x: Value | States, index: object) -> Value:
    items = index if isinstance(index, tuple) else (index,)
    if isinstance(x, States):
        whole = all(item in (slice(None), Ellipsis) for item in items[1:])
        require(isinstance(items[0], int) and whole, STATES)
        return x.layers[items[0]]
    first, *rest = _without_dots([*map(_places, items)], len(x.shape) + 1)
    require(sum(isinstance(item, list) for item in rest) <= 1, "it has lists of places for several axes")
    require(
        isinstance(first, slice) and first in (slice(None), slice(0, None)), "it takes a part of the batch"
    )
    axis, shape = 0, []
    for item in rest:
        if item is None:
            shape.append(1)
            continue
        x, size = _item(graph, x, axis, item)
        shape += size
        axis += 1
    return x.reshaped((*shape, *x.shape[axis:]))


def _places(item: Any) -> Any:
    """Return a list of places for whole numbers, and other items of an index as they are."""
    numbers = item.tolist() if hasattr(item, "tolist") and item.ndim == 1 else item
    whole = isinstance(numbers, list) and all(type(number) is int for number in numbers)
    return numbers if whole else item


def _without_dots(items: Sequence[Tensor], axes: int) -> list[Any]:
    """Return an index with slices in place of an ellipsis."""
    given = sum(item is not None and item is not Ellipsis for item in items)
    found: list[Any] = []
    for item in items:
        found += [slice(None)] * (axes - given) if item is Ellipsis else [item]
    return found


def _item(graph: GraphBuilder, x: Value, axis: int, item: object) -> tuple[Value, list[int]]:
    """Record one item of an index; return also the sizes that the axis gets."""
    if isinstance(item, slice):
        parts = (item.start, item.stop, item.step)
        require(all(isinstance(part, int | None) for part in parts), "a slice must be of whole numbers")
        start, stop, step = item.indices(x.shape[axis])
        if step == 1:
            return cut(graph, x, axis, start, stop), [stop - start]
        item = [*range(start, stop, step)]
    if isinstance(item, list) and all(type(place) is int for place in item):
        return _picked(graph, x, axis, item), [len(item)]
    if not isinstance(item, int) or isinstance(item, bool):
        raise UnsupportedError("an index must be of whole numbers and slices")
    start = item % x.shape[axis]
    return cut(graph, x, axis, start, start + 1), []


def _picked(graph: GraphBuilder, x: Value, axis: int, places: list[int]) -> Value:
    """Record some places of an axis, in any order."""
    starts = [place % x.shape[axis] for place in places]
    require(len(starts) > 0, "an empty part of an axis has no place in a network")
    values = [cut(graph, x, axis, start, start + 1) for start in starts]
    return graph.concatenate(values, axis) if len(values) > 1 else values[0]


def _select(graph: GraphBuilder, x: Value | States, dim: int, index: int) -> Value:
    if isinstance(x, States):
        require(dim == 0, STATES)
        return x.layers[index]
    axis = as_axis(x, dim)
    return _getitem(graph, x, (*[slice(None)] * (axis + 1), index))


def _narrow(graph: GraphBuilder, x: Value, dim: int, start: int, length: int) -> Value:
    axis = as_axis(x, dim)
    first = start % x.shape[axis]
    return cut(graph, x, axis, first, first + length)


def _split(
    graph: GraphBuilder, x: Value, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> list[Value]:
    axis, sizes = as_axis(x, dim), split_size_or_sections
    whole = x.shape[axis]
    ends = [0]
    for size in [sizes] * -(-whole // sizes) if isinstance(sizes, int) else sizes:
        ends.append(min(ends[-1] + size, whole))
    return [cut(graph, x, axis, start, stop) for start, stop in pairwise(ends)]


def _chunk(graph: GraphBuilder, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    return _split(graph, x, -(-x.shape[as_axis(x, dim)] // chunks), dim)


def _unbind(graph: GraphBuilder, x: Value | States, dim: int = 0) -> list[Value]:
    if isinstance(x, States):
        return [*x.layers]
    return [_select(graph, x, dim, index) for index in range(x.shape[as_axis(x, dim)])]


def _cat(graph: GraphBuilder, tensors: Sequence[Tensor], dim: int = 0, axis: int | None = None) -> Value:
    values = [*_values(tensors)]
    place = as_axis(values[0], dim if axis is None else axis)
    return graph.concatenate(values, place) if len(values) > 1 else values[0]


def _stack(graph: GraphBuilder, tensors: Sequence[Tensor], dim: int = 0) -> Value:
    values = [*_values(tensors)]
    axis = as_axis(values[0], dim, new=1)
    shape = values[0].shape
    values = [value.reshaped((*shape[:axis], 1, *shape[axis:])) for value in values]
    return graph.concatenate(values, axis) if len(values) > 1 else values[0]


def _values(tensors: Sequence[Tensor]) -> Iterable[Value]:
    for tensor in tensors:
        if not isinstance(tensor, Value):
            raise UnsupportedError("one of its tensors is not computed from the inputs")
        yield tensor


FUNCTIONS: dict[str, Function] = {
    "permute": _permute,
    **dict.fromkeys(("expand", "broadcast_to"), _expand),
    "expand_as": _expand_as,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transpose),
    "mT": _matrix_transpose,
    "getitem": _getitem,
    "select": _select,
    "narrow": _narrow,
    "split": _split,
    "chunk": _chunk,
    "unbind": _unbind,
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "stack": _stack,
}
