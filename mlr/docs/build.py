"""Build the documentation as a site: the pages of this folder, and those that are generated.

python -m mlr.docs.build runs/site
python -m mlr.docs.build runs/links --links

Generated are a page for each head, loss, experiment and command, the reference of public names, and
what README says on citing.
With --links nothing is built; the network is asked for each address that the pages link to.
"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from mlr.app.cli.main import COMMANDS
from mlr.docs import notebook_pages
from mlr.docs.links import broken_links, external_links, files
from mlr.docs.part_pages import head_page, loss_page
from mlr.docs.reference import (
    EXPERIMENTS,
    citing,
    command_page,
    commands,
    experiment_page,
    public_names,
)
from mlr.heads import HEADS
from mlr.losses import LOSSES

PAGES = Path(__file__).parent
CHAPTERS = (
    "tutorial", "heads_and_losses", "not_learning", "experiments", "configuration", "data",
    "predictions", "dashboards",
    "compare", "notebooks", "figures", "sweeps", "clusters", "runs", "objective", "numerics",
    "own_loop", "trainers", "check", "program_faults", "foreign_logs", "extending", "own_modules",
    "lecture", "playground", "commands", "api", "design", "contributing", "citing",
)  # fmt: skip
"""Pages in the order of the side bar."""


def build(site: Path, builder: str = "html") -> int:
    """Build the site into a folder; return Sphinx's exit code, which warnings make 1.

    Args:
        site: the folder.
        builder: of Sphinx; `linkcheck` asks the network for each address.
    """
    from sphinx.cmd.build import main

    broken = list(broken_links(files()))
    for line in broken:
        print(line, file=sys.stderr)
    with TemporaryDirectory() as folder:
        source = Path(folder)
        write_source(source)
        notebook_pages.write_pages(source / "notebooks")
        if builder == "linkcheck":
            write(source / "other_files.md", external_links())
        code = main(["-q", "-W", "--keep-going", "-b", builder, str(source), str(site)])
    return int(code or bool(broken))


def write_source(folder: Path) -> None:
    """Write all pages but notebooks, which take longer, as Sphinx reads them."""
    for page in (*PAGES.glob("*.md"), PAGES / "conf.py"):
        shutil.copy(page, folder)
    for name in ("heads", "losses", "experiments", "commands", "_static"):
        (folder / name).mkdir()
    shutil.copy(PAGES / "site.css", folder / "_static")
    for head in HEADS:
        write(folder / "heads" / f"{head.name}.md", head_page(head, folder / "heads"))
    for loss in LOSSES:
        write(folder / "losses" / f"{loss.name}.md", loss_page(loss, folder / "losses"))
    for path in EXPERIMENTS.glob("*.yaml"):
        write(folder / "experiments" / f"{path.stem}.md", experiment_page(path))
    for command in COMMANDS:
        write(folder / "commands" / f"{command}.md", command_page(command))
    write(folder / "commands.md", commands() + toctree("commands/*"))
    write(folder / "api.md", public_names())
    write(folder / "citing.md", citing())
    append(folder / "experiments.md", toctree("experiments/*"))
    append(folder / "heads_and_losses.md", toctree("heads/*", "losses/*"))
    append(
        folder / "notebooks.md", toctree(*(f"notebooks/{name}" for name in notebook_pages.SHOWN))
    )
    append(folder / "index.md", toctree(*CHAPTERS))


def write(path: Path, text: str) -> None:
    """Write a page."""
    path.write_text(text, encoding="utf-8")


def append(path: Path, text: str) -> None:
    """Write a text at the end of a page."""
    write(path, f"{path.read_text(encoding='utf-8')}\n{text}")


def toctree(*names: str) -> str:
    """Return the contents of the side bar below a page."""
    lines = ["```{toctree}", ":hidden:", ":glob:", "", *names, "```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = ArgumentParser(description="Build the documentation, or check its external links.")
    parser.add_argument("site", type=Path, help="folder to write to")
    parser.add_argument(
        "--links", action="store_true", help="ask for each external address instead"
    )
    chosen = parser.parse_args()
    sys.exit(build(chosen.site, "linkcheck" if chosen.links else "html"))
