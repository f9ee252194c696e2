"""All cases."""

from . import functions, losses, networks, rollouts, spaces, strategies
from .case import Case


def cases() -> list[Case]:
    """Make the cases of the evoopt that is imported."""
    subjects = (strategies, spaces, networks, losses, rollouts, functions)
    return [case for subject in subjects for case in subject.cases()]
