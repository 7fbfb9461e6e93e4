"""pytest in a process forked for one question, with everything but mlr imported already."""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HEAVY = (
    "torch", "torch.func", "torch.optim", "numpy", "scipy.stats",
    "matplotlib.pyplot", "hydra.main", "omegaconf", "pandas", "rich.console",
    "rich.table", "tensorboard.compat.proto.event_pb2", "safetensors.torch", "requests", "pooch",
    "mpmath", "hypothesis.extra.numpy", "pytest", "xml.dom.minidom", "coverage",
)  # fmt: skip
MEMORY = 8 << 30
TURN = 0.02
_PARENT_DEATH, _SUBREAPER = 1, 36


def warm() -> None:
    """Import what takes seconds and is the same for every mutant."""
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="Agg")
    for name in HEAVY:
        importlib.import_module(name)
    import gc

    gc.collect()
    gc.freeze()


def adopt() -> None:
    """Become the parent of processes that tests leave behind, so that they can be ended."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def fork(tree: Path, work: Callable[[], None], seconds: float) -> int | None:
    """Exit status of `work` in a child that lives in `tree`; None where it took too long."""
    child = os.fork()
    if not child:
        code = 70
        try:
            _enter(tree)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    try:
        # counted by turns, so that hours of a stopped machine are none
        for _ in range(int(seconds / TURN)):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(TURN)
        return None
    finally:
        _end_all(child)


def _end_all(child: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    for _ in range(100):
        for name in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(name), signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, 0):
                pass
            continue
        return


def _enter(tree: Path) -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    # a worker of a pool may have no children; tests may
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    os.chdir(tree)
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open("../log", _LOG)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    # before the editable installation, in this process and in those that tests start
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tree), str(tree / "mlr" / "plugins")])
    os.environ["TMPDIR"] = str(tree.parent)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    sys.path[:0] = [str(tree), str(tree / "mlr" / "plugins")]
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "mlr")]:
        del sys.modules[name]
    importlib.invalidate_caches()


_LOG = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def pytest_main(files: list[str], plugin: object, *options: str) -> int:
    """Fast tests of these files, the same examples of hypothesis every time."""
    import pytest
    from hypothesis import HealthCheck, settings

    checks = list(HealthCheck)
    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, suppress_health_check=checks
    )
    settings.load_profile("mutants")
    # hypothesis is imported before pytest can rewrite its plugin
    calm = ("-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider")
    asked = ["-q", "-n0", *calm, "--tb=line", "--basetemp=../tests"]
    return int(pytest.main([*asked, *options, *files], plugins=[plugin]))


class Inside:
    """Refuses to judge another copy of mlr than the mutated one."""

    def pytest_collection_finish(self) -> None:
        module = sys.modules.get("mlr")
        if module is not None:
            place = Path(str(module.__file__)).resolve()
            if not place.is_relative_to(Path.cwd().resolve()):
                os.write(2, f"mlr is imported from {place}\n".encode())
                os._exit(71)
