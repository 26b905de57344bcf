"""What the rows of an imported folder are read from: index.json beside its arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import people
from .space import check_space

INDEX = "index.json"


def write_index(
    folder: Path, content: Any, rows: Callable[[Any], Sequence[Any]], layout: people.Arrays
) -> Path:
    """Write the index of a folder before its arrays are read; gives its file.

    What of a list was corrected after a stop is taken, as long as it was not read yet.

    Args:
        folder: of the arrays.
        content: of the index.
        rows: of the content, what each row of the arrays says.
        layout: of the arrays.

    Raises:
        ValueError: rows were read from something else, or arrays are of another size or count.
        OSError: the disk has too little room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    people.check_arrays(folder, layout)
    path = folder / INDEX
    before = rows(people.read_json(path)) if path.is_file() else []
    for number, row in enumerate(rows(content)):
        own = json.dumps(before[number]) if number < len(before) else None
        if own != json.dumps(row) and _is_read(folder, number):
            raise ValueError(
                f"{folder} was made from something else, first row {number}: the list, its texts or what it "
                f"is for changed. To import anew, {people.OTHER_FOLDER}"
            )
    people.write_json(path, content)
    check_space(folder, layout)
    return path


def _is_read(folder: Path, row: int) -> bool:
    mark = people.shard_file(folder, row // people.SHARD * people.SHARD)
    return mark.is_file() or (folder / "captions.json").is_file()
