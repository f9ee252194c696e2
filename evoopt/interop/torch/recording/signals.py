"""Signals while a module is recorded."""


class UnsupportedError(ValueError):
    """A part of a module that networks of evoopt do not have; the recorder adds where it is."""


class LearnedError(Exception):
    """Something about an input that is known only now: the recording begins anew with it."""

    def __init__(self, *, ids: int | None = None, channels: int | None = None) -> None:
        super().__init__("The recording begins anew.")
        self.ids = ids  # the number of an input of whole numbers
        self.channels = channels  # the number of an input (channels, length)
