"""Command line of `make test-mutants`."""

from __future__ import annotations

import argparse
import difflib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.mutants import child, report
from tests.mutants.operators import Mutant
from tests.mutants.results import ALIVE, NOTICED, Results
from tests.mutants.running import BUDGET, Workplace
from tests.mutants.sampling import found, sample

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "runs" / "mutants"
MEMORY = Path("/dev/shm")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-mutants", description=__doc__)
    add = parser.add_argument
    add("--n", type=int, default=420, help="size of the sample (420)")
    add("--seed", type=int, default=17, help="seed of the sample (17)")
    add("-j", "--jobs", type=int, default=2, help="workers (2)")
    add("--only", default="", metavar="PATH", help="mutants of files that begin so")
    budget = "seconds of other packages' tests that a mutant must survive (120; 0: none)"
    add("--budget", type=float, default=BUDGET, help=budget)
    add("--again", action="store_true", help="survivors without a reason once more")
    add("--results", type=Path, default=WORK / "results.jsonl", metavar="FILE")
    add("--list", action="store_true", help="print the sample, try nothing")
    add("--show", metavar="ID", help="print the edit of one mutant")
    add("--run", metavar="ID", help="try one mutant")
    add("--report", action="store_true", help="write tests/mutants/RESULT.md and survivors.yaml")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    results = Results(asked.results)
    if asked.show or asked.run:
        chosen = _named(asked.show or asked.run)
        if asked.show:
            print(*_diff(chosen), sep="\n")
            return 0
        return _try([chosen], asked, results)
    whole = sample(found(ROOT), asked.n, asked.seed)
    if asked.report:
        print(report.write(ROOT, whole, results, f"--n {asked.n} --seed {asked.seed}"))
        return 0
    chosen = [mutant for mutant in whole if mutant.path.startswith(asked.only)]
    if asked.list:
        for mutant in chosen:
            print(f"{mutant.id:50} {results.outcome(mutant):10} {mutant.change}")
        return 0
    left = [it for it in chosen if results.outcome(it) not in (*NOTICED, *ALIVE)]
    if asked.again:
        reasons = report.survivors(ROOT / "tests" / "mutants" / "survivors.yaml")
        left += [it for it in chosen if results.outcome(it) in ALIVE and not reasons.get(it.id)]
    return _try(left, asked, results)


def _named(name: str) -> Mutant:
    path = name.partition(":")[0]
    match = [mutant for mutant in found(ROOT, path) if mutant.id == name]
    if not match:
        sys.exit(f"{name}: no mutant of {path} has this id; --list prints those of the sample")
    return match[0]


def _diff(mutant: Mutant) -> list[str]:
    source = (ROOT / mutant.path).read_text(encoding="utf-8")
    texts = (text.splitlines() for text in (source, mutant.apply(source)))
    return list(difflib.unified_diff(*texts, mutant.path, mutant.operator, lineterm="", n=2))


def _try(chosen: list[Mutant], asked: argparse.Namespace, results: Results) -> int:
    """Try mutants in workers, each result written at once; interrupted, it goes on next time."""
    if not chosen:
        print("every mutant of the sample is tried; --report writes the table")
        return 0
    child.warm()
    parent = MEMORY if MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="mlr-mutants-", dir=parent))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # a shell's background jobs inherit it ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    context = multiprocessing.get_context("fork")
    settings = (ROOT, folder, WORK / "lines", asked.budget)
    pool = context.Pool(min(asked.jobs, len(chosen)), _begin, settings)
    begun, counts, commit = time.monotonic(), Counter[str](), _commit()
    try:
        for number, (mutant, result) in enumerate(pool.imap_unordered(_judge, chosen), 1):
            results.add(mutant, commit, result)
            counts[str(result["outcome"])] += 1
            if result["outcome"] not in NOTICED:
                print(f"\r{result['outcome']:10} {mutant.id}  {mutant.change}\x1b[K")
            _progress(number, len(chosen), counts, time.monotonic() - begun)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here")
        return 130
    finally:
        pool.terminate()
        pool.join()
        shutil.rmtree(folder, ignore_errors=True)
    print()
    return 0


def _progress(number: int, total: int, counts: Counter[str], seconds: float) -> None:
    noticed = sum(counts[name] for name in NOTICED)
    left = seconds / number * (total - number) / 60
    print(
        f"\r{number}/{total}  noticed {noticed} ({noticed / number:.0%})  "
        f"{seconds / number:.1f} s a mutant, {left:.0f} min left\x1b[K",
        end="" if sys.stdout.isatty() else "\n", flush=True,
    )  # fmt: skip


_place: Workplace


def _begin(root: Path, folder: Path, records: Path, budget: float) -> None:
    global _place
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    child.adopt()
    _place = Workplace(root, folder / str(os.getpid()), records, budget)


def _judge(mutant: Mutant) -> tuple[Mutant, dict[str, object]]:
    return mutant, _place.judge(mutant)


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
