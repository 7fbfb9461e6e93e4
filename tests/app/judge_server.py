"""Run commands in forks of this process, and report effects that data must not have.

A process of its own, so that what it imports is imported once, and its audit hook sees one
command. A line of JSON in, as `Judge` sends it; a line out: the exit code, what
was printed, and what the hook saw.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from mlr.app.cli.main import exit_code_of

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"}
TALKS = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request"}
UNPICKLED = ("omegaconf", "hydra", "mlr", "builtins", "typing", "collections", "enum", "copyreg")
SECONDS = 60
PROGRAMS = {
    "train": "mlr.app.cli.command",
    "compare": "mlr.analysis.compare.command",
    "report": "mlr.analysis.report.command",
    "explain": "mlr.analysis.explain.command",
}


def forbidden(event: str, arguments: tuple, case: dict) -> bool:
    """Return True if an audit event is one that data must not cause."""
    if event in STARTS or event in TALKS:
        return True
    if event == "import":
        return str(arguments[0]).startswith("evil")
    if event == "pickle.find_class":
        return not str(arguments[0]).startswith(UNPICKLED)
    if event in ("exec", "compile"):
        name = getattr(arguments[0], "co_filename", arguments[-1] if event == "compile" else "")
        return str(name).startswith(case["hostile"])
    if event == "open":
        path, mode, flags = arguments
        writing = set(mode or "") & set("wax+") or (isinstance(flags, int) and flags & WRITES)
        place = "" if isinstance(path, int) else str(Path(os.fsdecode(path)).absolute())
        kept = [*case["writes"], "/dev/"]
        return bool(writing) and place != "" and not place.startswith(tuple(kept))
    return False


def run(case: dict) -> int:
    module = import_module(PROGRAMS[case["program"]])
    if case["unguarded"]:  # shows that the payload works, and that it would be seen
        from contextlib import nullcontext

        module.guarded = nullcontext
    if case["program"] == "train":
        from mlr.figures import process

        process.start = lambda: None  # figures are drawn here, where the hook sees it
        sys.argv = ["scripts/train.py", *case["arguments"]]
        return module.main()
    more = {"compare": ("head,loss",), "explain": (False,), "report": ()}[case["program"]]
    place = case["arguments"] if case["program"] == "compare" else case["arguments"][0]
    return exit_code_of(lambda: module.main(place, *more))


def child(case: dict, answer: int) -> None:
    os.chdir(case["cwd"])
    os.environ.update(case["environ"])
    sys.path += case["path"]
    for number in (1, 2):
        os.dup2(os.open(f"{case['printed']}.{number}", os.O_WRONLY | os.O_CREAT, 0o600), number)
    seen: list[str] = []
    quiet = [False]

    def hook(event: str, arguments: tuple) -> None:
        if quiet[0]:
            return
        quiet[0] = True
        with suppress(Exception):
            if forbidden(event, arguments, case):
                seen.append(f"{event} {arguments!r:.200}")
        quiet[0] = False

    signal.alarm(SECONDS)
    sys.addaudithook(hook)
    code = 99
    try:
        code = run(case)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        quiet[0] = True
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(answer, json.dumps([code, seen]).encode())
        os._exit(0)


def served(case: dict) -> dict:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(case, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read()
    _, status = os.waitpid(pid, 0)
    code, seen = json.loads(told) if told else (f"signal {os.WTERMSIG(status)}", [])
    printed = [Path(f"{case['printed']}.{number}") for number in (1, 2)]
    out, err = (path.read_text(errors="backslashreplace") for path in printed)
    return {"code": code, "seen": seen, "out": out, "err": err}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        import_module(name)
    for line in sys.stdin:
        print(json.dumps(served(json.loads(line))), flush=True)
