"""The report of the machine's log: findings and counts."""

import re
from collections import Counter
from typing import NamedTuple


class Report(NamedTuple):
    """The findings and notes, each once, with their numbers; and counts over all processes."""

    findings: dict[str, int]
    notes: dict[str, int]
    counts: Counter[str]

    def lines(self) -> list[str]:
        """Return the lines of the report."""
        found = {**self.notes, **self.findings}
        counts = ", ".join(f"{number:,} {name.replace('-', ' ')}" for name, number in self.counts.items())
        return [
            *(f"{text} ({times} times)" if times > 1 else text for text, times in found.items()),
            f"PTX machine: {counts or 'nothing ran'}, {len(self.findings)} findings",
        ]


def read(log: str) -> Report:
    """Read the text of a log, of one or several processes."""
    found: Counter[str] = Counter()
    processes: dict[str, Counter[str]] = {}  # the last counts of each process
    for line in log.splitlines():
        word, _, text = line.partition(" ")
        if word == "FOUND":
            found[text] += 1
        elif word == "TIMES":
            number, _, text = text.partition(" | ")
            found[text] += int(number) - 1
        elif word == "COUNTS":
            process, _, text = text.partition(": ")
            numbers = re.findall(r"([a-z-]+) (-?\d+)", text)
            processes[process] = Counter({name: int(number) for name, number in numbers})
    counts = Counter({"processes": len(processes)} if processes else {})
    for last in processes.values():
        counts.update(last)
    notes = {text: times for text, times in found.items() if text.startswith("note")}
    findings = {text: times for text, times in found.items() if text not in notes}
    return Report(findings, notes, counts)
