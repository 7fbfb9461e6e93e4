from __future__ import annotations

import yaml

from tests.mutants import report
from tests.mutants.operators import mutants
from tests.mutants.results import Results


def test_the_table_and_the_reasons(tmp_path):
    chosen = mutants("a = 1\nb = 2\nc = 3\nd = 4\n", "mlr/data/x.py")
    results = Results(tmp_path / "results.jsonl")
    for mutant, outcome in zip(
        chosen, ("noticed", "timeout", "survived", "unreached"), strict=True
    ):
        results.add(mutant, "abc", {"outcome": outcome})
    folder = tmp_path / "tests" / "mutants"
    folder.mkdir(parents=True)
    file = folder / "survivors.yaml"
    known = [{"id": chosen[0].id, "change": "", "reason": "now noticed"},
             {"id": chosen[2].id, "change": "", "reason": "the same"}]  # fmt: skip
    file.write_text(yaml.safe_dump(known))
    report.write(tmp_path, chosen, results, "--n 4")
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == [
        {"id": chosen[2].id, "change": "c = 3  →  c = 4", "reason": "the same"},
        {"id": chosen[3].id, "change": "d = 4  →  d = 5", "reason": ""},
    ]
    # 2 of the 3 that are not equivalent
    assert "| mlr/data | 4 | 2 | 1 | 1 | 67% |" in (folder / "RESULT.md").read_text("utf-8")
