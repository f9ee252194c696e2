"""PTX to C: one function for a thread of the kernel, with a variable for each register.

`grammar` reads the text into a `module`, `layout` places its arrays, `operands` turns registers and
numbers into expressions. Functions that translate one kind of instruction register themselves in
the table of `instructions`: arithmetic (`real`, `integer`), conversions and comparisons
(`conversion`), loads and stores (`memory`), branches and barriers (`control`). `source` writes the
file.
"""

from .module import UnsupportedError
from .source import translate

__all__ = ["UnsupportedError", "translate"]
