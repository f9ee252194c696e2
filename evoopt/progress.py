"""The progress bar of `evolve` and `minimize`."""

from typing import Any


def open_bar(total: int | None, unit: str, initial: int = 0) -> Any:
    """Return a bar of tqdm, a context manager, that says why nothing may happen at first.

    Raises
    ------
    ImportError
        Without the package tqdm.
    """
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise ImportError(
            "progress=True needs the package tqdm, which is not installed: pip install evoopt[progress]"
        ) from error
    bar = tqdm(total=total, initial=initial, unit=unit)
    bar.set_postfix_str("the first generation may compile for some seconds")
    return bar
