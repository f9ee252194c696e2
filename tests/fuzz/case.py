"""What a call is that works."""

from dataclasses import dataclass, field

Arguments = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One way to use one public name.

    Attributes
    ----------
    name : str
        The public name, of a method with that of its class.
    call : str
        What is called, as an expression.
    required, options : dict
        Arguments that are always given, and those that may be left out.
    setup, use : tuple of str
        Lines before the call, and after it, on its `result`; those after it may be refused, too.
    small : frozenset of str
        Arguments for which a large number means long work, or output: they get no other numbers.
    fixed : frozenset of str
        Arguments that other parts of evoopt give, which have read them: they are always right.
    writes : frozenset of str
        Variables that the call may change where it works.
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
