"""What was exported: as text, as JSON knows it, and in files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from guestwire.errors import Refused
from guestwire.export import Exported

__all__ = ["document", "printed", "write"]


def document(found: Exported) -> dict[str, Any]:
    """The document of --json."""
    documents = [
        {"file": each.file, "schema": each.schema or None, "command": each.command, "text": each.text}
        for each in found.documents
    ]
    return {"documents": documents, "warnings": list(found.warnings)}


def printed(found: Exported, remark: Callable[[str], str], folder: str | None) -> str:
    """All documents with remarks; where they were written to a folder, only which."""
    if folder is not None:
        return "".join(f"{os.path.join(folder, each.file)}\n" for each in found.documents)
    told = [f"{remark(f'not said here: {warning}')}\n" for warning in found.warnings]
    return "\n".join([*told, *(f"{remark(f'{each.file}: {each.command}')}\n{each.text}" for each in found.documents)])


def write(found: Exported, folder: str) -> None:
    """Write each document to its file. Raises Refused where that can't be; some may be written then."""
    try:
        os.makedirs(folder, exist_ok=True)
        for each in found.documents:
            with open(os.path.join(folder, each.file), "w") as file:
                file.write(each.text)
    except OSError as error:
        raise Refused(f"{folder} can't be written to: {error.strerror}.", hint="Name another folder.") from error
