"""A case: one call that works."""

from dataclasses import dataclass, field

Arguments = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One way to use one public name.

    Attributes
    ----------
    name : str
        The public name; the name of a method includes its class.
    call : str
        The called expression.
    required, options : dict
        Arguments that are always passed, and arguments that may be left out.
    setup, use : tuple of str
        Lines before the call, and lines after it that use its `result`; these may be refused, too.
    small : frozenset of str
        Arguments for which a large number means long work or output; they get no other numbers.
    fixed : frozenset of str
        Arguments that other parts of evoopt have read and pass; they are always right.
    writes : frozenset of str
        Variables that the call may change when it works.
    """

    name: str
    call: str
    required: Arguments = field(default_factory=dict)
    options: Arguments = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    use: tuple[str, ...] = ()
    small: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
