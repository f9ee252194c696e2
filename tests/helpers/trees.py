"""Random trees of parameters, and whether two trees are the same."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evoopt.params import ParamSpec

FLOATS = (np.float16, np.float32, np.float64)


def same(a, b):
    """Whether two trees are equal in containers, shapes, dtypes and bits."""
    if isinstance(a, dict | list | tuple) or isinstance(b, dict | list | tuple):
        if type(a) is not type(b) or len(a) != len(b) or (isinstance(a, dict) and a.keys() != b.keys()):
            return False
        return all(same(a[key], b[key]) for key in (a if isinstance(a, dict) else range(len(a))))
    a, b = np.asarray(a), np.asarray(b)
    return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


# --- hypothesis: trees with at least one trainable number, and which names are frozen


def trees_of(*dtypes):
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    arrays = st.sampled_from(dtypes).flatmap(lambda dtype: hnp.arrays(dtype, shapes))
    keys = st.text("ab_01", min_size=1, max_size=3)
    return st.recursive(
        arrays,
        lambda tree: (
            st.dictionaries(keys, tree, max_size=4) | st.lists(tree, max_size=4) | st.tuples(tree, tree)
        ),
        max_leaves=8,
    ).map(lambda tree: {"tree": tree, "scalars": [1.5, 2], "first": np.float32([1, 2])})


def spec_of(tree):
    """Return a spec of a random tree with all its integers, and some floats, frozen."""
    frozen = ParamSpec.from_params(tree, "first").frozen
    names = {name for name, value in frozen.items() if value.dtype.kind == "f" and "0" not in name}
    return ParamSpec.from_params(tree, {"first", *names})


relaxed = settings(deadline=None)  # the first example may include an import
trees = trees_of(*FLOATS, np.int32, np.bool_)
