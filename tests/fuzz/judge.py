"""What was wrong about a program: nothing, or findings."""

import contextlib
import copy
import io
import linecache
import logging
import pickle
import re
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import evoopt

from .names import NAMES, OwnError
from .programs import Line, Program

PACKAGE = str(Path(evoopt.__file__).parent)
LARGEST = 1_000_000  # bytes of arrays that are compared
SHARED = {id(value) for value in NAMES.values()}
OWN_CALL = re.compile(
    r"^(?!.*evoopt).*\b(takes|missing|got an unexpected|got multiple|got some positional|no arguments)\b"
)
logging.getLogger("evoopt").addHandler(logging.NullHandler())  # or warnings of the log would be printed


@dataclass(frozen=True)
class Finding:
    """What was wrong, where, and the lines of the program up to there."""

    kind: str
    place: str
    text: str
    lines: int


def run(program: Program, folder: Path) -> tuple[str, list[Finding]]:
    """Run a program; return "worked", "refused" or "dropped", and what was wrong."""
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
    before, files = _state(variables), _files(folder)
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
    inputs = set()
    if line.kind == "call":
        inputs = {
            each.text.split(" = ")[0] for each in program.lines if each.kind == "value"
        } - program.writes
    # a run that had begun has asked, and written, before its task or function was found wrong
    is_refused = error is not None and not isinstance(error, OwnError) and not hasattr(error, "result")
    for name, old in before.items():
        judged = is_refused or name in inputs
        if judged and name in variables and not same(old, variables[name]):
            found.append(Finding("changed", program.name, f"{name} is changed by {error!r}", number))
    if is_refused and _files(folder) != files:
        found.append(Finding("files", program.name, f"{sorted(_files(folder))} after {error!r}", number))
    return error, found


@contextlib.contextmanager
def _caught(printed: io.StringIO) -> Iterator[None]:
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        yield


# ---------------------------------------------------------------- errors


def _of_error(error: Exception, line: Line, number: int) -> Iterator[Finding]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(PACKAGE)]
    place = (
        f"{Path(own[-1].filename).relative_to(PACKAGE)}:{own[-1].lineno} {own[-1].line}" if own else line.text
    )
    text = str(error)
    found = []

    def add(kind: str) -> None:
        found.append(Finding(kind, place, f"{type(error).__name__}: {text[:300]}", number))

    if isinstance(error, AssertionError) and not own:
        add("assert")
    elif (
        isinstance(error, OwnError)
        or _of_a_path(error)
        or _is_device(error)
        or (isinstance(error, TypeError) and OWN_CALL.match(text) and _is_call_of_a_method(frames, text))
    ):
        pass
    elif not isinstance(error, ValueError | TypeError | ImportError):
        add("type")
    elif not _is_raised(frames):
        add("not ours")
    elif not is_sentence(text):
        add("sentence")
    return found


def _is_raised(frames: traceback.StackSummary) -> bool:
    """Whether the last frame is a line of evoopt that raises."""
    last = frames[-1]
    return last.filename.startswith(PACKAGE) and linecache.getline(
        last.filename, last.lineno
    ).strip().startswith("raise")


def _is_call_of_a_method(frames: traceback.StackSummary, text: str) -> bool:
    """Whether Python itself refuses the form of a call: of a method, or of a function of the user's."""
    return (
        frames[-1].filename == "<program>" and "." in text.split("(", maxsplit=1)[0]
    ) or not text.startswith(tuple(evoopt.__all__))


def _of_a_path(error: Exception) -> bool:
    return isinstance(error, OSError) and error.filename is not None


def _is_device(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and str(error).startswith('device="cuda" needs')


def is_sentence(text: str) -> bool:
    """Whether a text is a full sentence: begins with a capital or a name, has words, and an end."""
    begins = re.match(r"^[A-Z\"'`]|^\w+\b", text)
    return bool(begins) and text.rstrip("\"'").endswith((".", "?", "!")) and len(text.split()) >= 5


# ---------------------------------------------------------------- state


def _state(variables: dict[str, Any]) -> dict[str, Any]:
    return {
        name: fingerprint(value)
        for name, value in variables.items()
        if name not in NAMES and name not in ("__builtins__", "FOLDER") and id(value) not in SHARED
    }


def fingerprint(value: Any) -> Any:
    """Return bytes that tell whether a value was changed, None where nothing tells."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return None if value.nbytes > LARGEST else (value.shape, str(value.dtype), value.tobytes())
    if hasattr(value, "py_func") or hasattr(value, "__next__") or isinstance(value, type):
        return None
    try:
        return pickle.dumps(value)
    except Exception:
        return None


def same(old: Any, value: Any) -> bool:
    """Whether a value is what `fingerprint` saw."""
    new = fingerprint(value)
    if old is None or new is None or old == new:
        return True
    if not isinstance(value, evoopt.Strategy):
        shown = [re.sub(r" at 0x\w+", "", repr(each)) for each in (pickle.loads(old), value)]
        return isinstance(old, bytes) and shown[0] == shown[1]
    return _settled(pickle.loads(old)) == _settled(value)


def _settled(strategy: evoopt.Strategy) -> dict[str, bytes]:
    """Return the state of a strategy as a checkpoint has it."""
    path = Path("state.npz")
    copy.deepcopy(strategy).save(path)
    with np.load(path) as archive:
        found = {name: archive[name].tobytes() for name in archive.files}
    path.unlink()
    return found


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
