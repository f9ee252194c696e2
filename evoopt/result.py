"""What `evolve` and `minimize` give: scipy's result, kept apart because scipy.optimize imports slowly."""

from typing import Any

from scipy.optimize import OptimizeResult


class Result(OptimizeResult):
    """scipy's OptimizeResult, a dict whose items are attributes too; prints the history in one line."""

    def __repr__(self) -> str:
        history: dict[str, list[Any]] = self["history"]
        short = f"of {len(history['generation'])} generations: {', '.join(history)}"
        return OptimizeResult.__repr__(OptimizeResult(**{**self, "history": short}))
