"""Which picture of a batch errors and logs speak of: counted from 1, named where there are several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def picture_of(index: int, count: int, what: str = "picture") -> str:
    """The place of something in a batch, in words. index: from 0. count: how many there are.

    >>> picture_of(2, 3), picture_of(0, 1)
    ('picture 3 of 3', 'the picture')
    """
    return f"{what} {index + 1} of {count}" if count > 1 else f"the {what}"


def pictures_of(indices: Sequence[int], count: int, what: str = "picture") -> str:
    """Several places of a batch, in words; see `picture_of`.

    >>> pictures_of([0, 2], 4), pictures_of([2], 4)
    ('pictures 1, 3 of 4', 'picture 3 of 4')
    """
    if len(indices) == 1:
        return picture_of(indices[0], count, what)
    return f"{what}s {', '.join(str(index + 1) for index in indices)} of {count}"


def in_picture(name: str, index: int, count: int) -> str:
    """What belongs to one picture of a batch, such as an input; by its name alone where there is one picture.

    >>> in_picture("mask", 2, 3), in_picture("mask", 0, 1)
    ('mask (picture 3 of 3)', 'mask')
    """
    return f"{name} ({picture_of(index, count)})" if count > 1 else name


@contextmanager
def naming_picture(index: int, count: int) -> Iterator[None]:
    """ValueErrors of the work on one picture, with the picture's place in front where there are several."""
    try:
        yield
    except ValueError as error:
        if count == 1:
            raise
        raise ValueError(f"{picture_of(index, count)}: {error}") from error
