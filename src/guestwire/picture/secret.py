"""What a picture holds and nobody is shown: bytes that a drawing, an error or a log prints as “secret”."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Secret"]


class Secret:
    """Bytes that are made, or read, when somebody needs them, and then kept."""

    __slots__ = ("_bytes", "_make")

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._bytes: bytes | None = None

    def reveal(self) -> bytes:
        """The bytes themselves: for the file that they belong in, and for a journal, which only root reads."""
        if self._bytes is None:
            self._bytes = self._make()
        return self._bytes

    def __repr__(self) -> str:
        return "secret"

    def __reduce__(self) -> str:
        raise TypeError("a secret isn't to be copied elsewhere")
