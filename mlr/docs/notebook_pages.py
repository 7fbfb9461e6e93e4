"""Notebooks as pages of the site: executed, and written as Markdown with their outputs."""

from __future__ import annotations

import base64
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NOTEBOOKS = Path(__file__).parent / "notebooks"
SHOWN = {"first_look": True, "own_loop": True, "exercises": False}
"""Notebooks that are pages, and whether with their outputs."""
STRICT = """import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")"""
"""First cell of an execution: a warning is a fault of the page."""
LONGEST = 300
"""Seconds of a cell on a busy machine."""
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def executed(path: Path, folder: Path) -> Any:
    """Execute a notebook in a folder, where its runs are written; return it with its outputs.

    The command `mlr` is that of this Python, and nothing is imported that is not installed.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails or warns.
    """
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(path, as_version=4)
    book.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    client = NotebookClient(
        book,
        kernel_name="python3",
        timeout=LONGEST,
        coalesce_streams=True,
        # the kernel warns that what is said on this machine is not encrypted
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    own = str(Path(sys.executable).parent)
    client.execute(env={**os.environ, "PATH": os.pathsep.join([own, os.environ.get("PATH", "")])})
    del book.cells[0]
    return book


def write_pages(folder: Path) -> None:
    """Write a page for each notebook that is shown, with its pictures, and all notebooks."""
    import nbformat

    folder.mkdir()
    for path in NOTEBOOKS.glob("*.ipynb"):
        shutil.copy(path, folder)

    def read(name: str) -> Any:
        path = NOTEBOOKS / f"{name}.ipynb"
        if not SHOWN[name]:
            return nbformat.read(path, as_version=4)
        with TemporaryDirectory() as empty:
            return executed(path, Path(empty))

    with ThreadPoolExecutor() as pool:  # each waits for its kernel
        books = dict(zip(SHOWN, pool.map(read, SHOWN), strict=True))
    for name, book in books.items():
        (folder / f"{name}.md").write_text(markdown(book, folder, name), encoding="utf-8")


def markdown(book: Any, folder: Path, name: str) -> str:
    """Return a notebook as Markdown; its pictures are written into the folder."""
    parts: list[str] = []
    for at, cell in enumerate(book.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        else:
            parts.append(fenced("ipython3", cell.source))
            parts += [shown(one, folder, f"{name}-{at}") for one in cell.outputs]
    parts.insert(1, f"{{download}}`Download the notebook <{name}.ipynb>`.")
    return "\n\n".join(parts) + "\n"


def shown(output: Any, folder: Path, picture: str) -> str:
    """Return an output as Markdown."""
    if output.output_type == "stream":
        return fenced("text", _COLOURS.sub("", output.text).strip("\n"))
    if "image/png" in output.data:
        (folder / f"{picture}.png").write_bytes(base64.b64decode(output.data["image/png"]))
        return f"![Figure that the code above draws]({picture}.png)"
    if "text/html" in output.data:
        return fenced("{raw} html", output.data["text/html"])
    return fenced("text", output.data["text/plain"])


def fenced(kind: str, text: str) -> str:
    """Return a text as a block, behind more backquotes than it has itself."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"
