"""The table of the last run, and the survivors with the reason where one is equivalent."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.mutants.operators import Mutant
from tests.mutants.results import ALIVE, NOTICED, Results
from tests.mutants.sampling import PACKAGES, package

HEAD = """\
# Survivors of the sample. A person writes the reason where a mutant is equivalent: no test could
# tell it from the code. `make test-mutants ARGS=--report` adds and removes entries.
"""
SEEN = "Tests were mended with this sample in view: another seed says more of them.\n"


def write(root: Path, chosen: list[Mutant], results: Results, asked: str) -> str:
    """Write both files for the mutants of a sample, and return the table."""
    folder = root / "tests" / "mutants"
    reasons = survivors(folder / "survivors.yaml")
    alive = [it for it in chosen if results.outcome(it) in ALIVE]
    entries = [{"id": it.id, "change": it.change, "reason": reasons.get(it.id, "")} for it in alive]
    text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
    (folder / "survivors.yaml").write_text(HEAD + text, encoding="utf-8")
    equivalent = {name for name, reason in reasons.items() if reason}
    table = _table(chosen, results, equivalent)
    tried = [results.latest[it.id] for it in chosen if results.outcome(it)]
    commits = dict.fromkeys(result["commit"] for result in tried)
    said = f'`make test-mutants ARGS="{asked}"`, at commit {", ".join(commits)}.\n{SEEN}'
    (folder / "RESULT.md").write_text(f"# Mutants\n\n{said}\n{table}", encoding="utf-8")
    return table


def survivors(path: Path) -> dict[str, str]:
    """Reason of each survivor that was written down."""
    if not path.exists():
        return {}
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    return {entry["id"]: entry["reason"] or "" for entry in entries}


def _table(chosen: list[Mutant], results: Results, equivalent: set[str]) -> str:
    rows = [
        "| package | mutants | noticed | equivalent | survivors | share |",
        "|---|" + "--:|" * 5,
    ]
    for name in (*PACKAGES, ""):
        tried = [it for it in chosen if results.outcome(it) and package(it.path).startswith(name)]
        noticed = sum(results.outcome(it) in NOTICED for it in tried)
        same = sum(it.id in equivalent and results.outcome(it) not in NOTICED for it in tried)
        left = len(tried) - noticed - same
        share = f"{noticed / max(1, len(tried) - same):.0%}"
        cells = (name or "all", len(tried), noticed, same, left, share)
        rows.append(_row(cells))
    return "\n".join(rows) + "\n"


def _row(cells: tuple[object, ...]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
