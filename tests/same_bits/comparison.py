"""The differences between the digests of two runs of the cases."""

from dataclasses import dataclass, field

Digests = dict[str, dict[str, str]]  # names of cases, then labels of results
FAILED = "failed"  # the label of the error that ended a case


@dataclass
class Comparison:
    """A comparison: one text for each case whose sides differ, and the number of cases."""

    compared: int = 0
    different: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    one_sided: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether every case ran on both sides, with the same results."""
        return self.compared > 0 and not (self.different or self.failed or self.one_sided)

    def lines(self) -> list[str]:
        """Return the lines of the report; the counts are the last one."""
        counts = (
            f"{self.compared} cases on both sides: {len(self.different)} differ, {len(self.failed)} fail; "
            f"{len(self.one_sided)} on one side only."
        )
        return [*self.failed, *self.one_sided, *self.different, counts]


def compare(before: Digests, after: Digests) -> Comparison:
    """Compare the digests of the commit with the working tree's digests."""
    found = Comparison(len(before.keys() & after.keys()))
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            side = "the commit" if name in before else "the working tree"
            found.one_sided.append(f"only {side} has:  {name}")
        elif FAILED in before[name] or FAILED in after[name]:
            texts = (f"{side[name].get(FAILED, 'works')}" for side in (before, after))
            found.failed.append("fails:  {}: the commit {}; the working tree {}".format(name, *texts))
        elif before[name] != after[name]:
            found.different.append(f"differs:  {name}, {_first_difference(before[name], after[name])}")
    return found


def _first_difference(before: dict[str, str], after: dict[str, str]) -> str:
    labels = list(dict.fromkeys([*before, *after]))
    differ = [label for label in labels if before.get(label) != after.get(label)]
    return f"{differ[0]} first ({len(differ)} of {len(labels)} results)"
