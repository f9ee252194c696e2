"""The judge of a program: its findings, or none."""

import contextlib
import io
import linecache
import logging
import re
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evoopt

from .names import NAMES, OwnError
from .programs import Line, Program
from .state import files_of, same, state_of

PACKAGE = str(Path(evoopt.__file__).parent)
# errors of Python, or C, for a wrong form of call of a method or of a user's function
OWN_CALL = re.compile(
    r"^(?!.*evoopt).*\b(takes|missing|expected|got an unexpected|got multiple|got some|no arguments)\b"
)
logging.getLogger("evoopt").addHandler(logging.NullHandler())  # else warnings of the log would be printed

# lines that call the user's functions
USERS = re.compile(r"\b(trainable|map_rows|callback|call|_task|self\.fun|self\.make|self\.start)\(")


@dataclass(frozen=True)
class Finding:
    """A fault, its place, and the number of lines that lead to it."""

    kind: str
    place: str
    text: str
    lines: int


def run(program: Program, folder: Path) -> tuple[str, list[Finding]]:
    """Run a program; return "worked", "refused" or "dropped", and the findings."""
    variables: dict[str, Any] = {**NAMES, "FOLDER": folder}
    outcome = "worked"
    for number, line in enumerate(program.lines):
        if line.kind in ("setup", "value"):
            with warnings.catch_warnings(action="ignore"):
                try:
                    exec(line.text, variables)
                except Exception as error:
                    wrong = [Finding("setup", line.text, repr(error), number)] if line.kind == "setup" else []
                    return "dropped", wrong
            continue
        error, found = _judged(line, number, program, variables, folder)
        if found:
            return outcome, found
        if error is not None:
            outcome = "refused" if line.kind != "use" else outcome
            if line.kind != "step":
                break
    return outcome, []


def _judged(
    line: Line, number: int, program: Program, variables: dict[str, Any], folder: Path
) -> tuple[BaseException | None, list[Finding]]:
    before, files = state_of(variables), files_of(folder)
    error: BaseException | None = None
    printed = io.StringIO()
    with warnings.catch_warnings(record=True, action="always") as warned, _caught(printed):
        try:
            exec(compile(line.text, "<program>", "exec"), variables)
        except Exception as raised:
            error = raised
    found = [] if error is None else _of_error(error, line, number)
    for warning in warned[:1]:
        place = f"{Path(warning.filename).name}:{warning.lineno}"
        found.append(Finding("warning", place, str(warning.message), number))
    if printed.getvalue():
        found.append(Finding("printed", program.name, printed.getvalue()[:80], number))
    values = {each.text.split(" = ")[0] for each in program.lines if each.kind == "value"}
    inputs = values - program.writes if line.kind == "call" else set()
    # A run raises with a `result` if its task fails later; by then it has asked and written files.
    is_refused = error is not None and not isinstance(error, OwnError) and not hasattr(error, "result")
    for name, old in before.items():
        if (is_refused or name in inputs) and name in variables and not same(old, variables[name]):
            found.append(Finding("changed", program.name, f"{name} is changed by {error!r}", number))
    if is_refused and files_of(folder) != files:
        found.append(Finding("files", program.name, f"{sorted(files_of(folder))} after {error!r}", number))
    return error, found


@contextlib.contextmanager
def _caught(printed: io.StringIO) -> Iterator[None]:
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        yield


# ---------------------------------------------------------------- errors


def _of_error(error: Exception, line: Line, number: int) -> list[Finding]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(PACKAGE)]
    kind = _kind(error, frames, own)
    if kind is None:
        return []
    place = line.text
    if own:
        place = f"{Path(own[-1].filename).relative_to(PACKAGE)}:{own[-1].lineno} {own[-1].line}"
    return [Finding(kind, place, f"{type(error).__name__}: {str(error)[:300]}", number)]


def _kind(error: Exception, frames: traceback.StackSummary, own: list[traceback.FrameSummary]) -> str | None:
    """Return the kind of fault of an error, None for a good one."""
    if isinstance(error, AssertionError) and not own:
        return "assert"
    if isinstance(error, OwnError) or (own and USERS.search(own[-1].line or "") and not _is_raised(frames)):
        return None  # an error of the user's function
    if _of_a_path(error) or _is_device(error) or _is_form(error, frames):
        return None
    if not isinstance(error, ValueError | TypeError | ImportError | FileNotFoundError):
        return "type"
    if not _is_raised(frames):
        return "not ours"
    return None if is_sentence(str(error)) else "sentence"


def _is_raised(frames: traceback.StackSummary) -> bool:
    """Whether the last frame is a line of evoopt that raises."""
    last = frames[-1]
    return last.filename.startswith(PACKAGE) and linecache.getline(
        last.filename, last.lineno
    ).strip().startswith("raise")


def _is_form(error: Exception, frames: traceback.StackSummary) -> bool:
    """Whether Python refuses the form of a call of a method, or of a user's function."""
    text = str(error)
    of_a_method = frames[-1].filename == "<program>" and "." in text.split("(", maxsplit=1)[0]
    is_ours = text.startswith(tuple(evoopt.__all__)) and not of_a_method
    return isinstance(error, TypeError) and OWN_CALL.match(text) is not None and not is_ours


def _of_a_path(error: Exception) -> bool:
    return isinstance(error, OSError) and error.filename is not None


def _is_device(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and str(error).startswith('device="cuda" needs')


def is_sentence(text: str) -> bool:
    """Whether a text is a full sentence: a capital or a name first, some words, and an end."""
    begins = re.match(r"^[A-Z\"'`]|^\w+\b", text)
    return bool(begins) and text.rstrip("\"'").endswith((".", "?", "!")) and len(text.split()) >= 5
