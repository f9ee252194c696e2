"""The problems of the suite bbob-mixint of COCO."""

import contextlib
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.coco.domain import Domain, whole_box
from evoopt import Integer, Real, Space


def mixint_problem(function: int, dim: int, instance: int) -> tuple[Callable[[Any], float], float, Domain]:
    """Return a function of the suite, its minimum, and its domain."""
    import cocoex

    suite = cocoex.Suite("bbob-mixint", "", f"dimensions:{dim} function_indices:{function}")
    problem = suite.get_problem_by_function_dimension_instance(function, dim, instance)
    n_integers, ends = (
        problem.number_of_integer_variables,
        zip(problem.lower_bounds, problem.upper_bounds, strict=True),
    )
    variables = {
        f"x{i}": Integer(round(low), round(high)) if i < n_integers else Real(float(low), float(high))
        for i, (low, high) in enumerate(ends)
    }
    return problem, _minimum(problem), whole_box(Space(**variables))


def _minimum(problem: Any) -> float:
    """Return the value at the best point, which COCO tells by a file in the working directory."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        problem._best_parameter("print")
        return float(problem(np.loadtxt("._bbob_problem_best_parameter.txt")))
