"""Outcomes of mutants: one line of JSON each, the latest counts."""

from __future__ import annotations

import json
from pathlib import Path

from tests.mutants.operators import Mutant

NOTICED, ALIVE = ("noticed", "timeout", "crashed"), ("survived", "unreached")


class Results:
    """The file of results; a mutant is known by its id, so that other lines may change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.latest: dict[str, dict] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                # a run that was killed may end in half a line
                if line.endswith("}"):
                    result = json.loads(line)
                    self.latest[result["id"]] = result

    def add(self, mutant: Mutant, commit: str, result: dict[str, object]) -> None:
        facts = {"id": mutant.id, "line": mutant.line, "operator": mutant.operator}
        entry = facts | {"change": mutant.change, "commit": commit} | result
        self.latest[mutant.id] = entry
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def outcome(self, mutant: Mutant) -> str:
        return str(self.latest.get(mutant.id, {}).get("outcome", ""))
