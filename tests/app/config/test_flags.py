"""Each of Hydra's flags works, or is refused in one sentence."""

from __future__ import annotations

import logging
from argparse import Action, ArgumentParser

import pytest

from mlr.app.config.arguments import args_parser

SHOWN = {
    "--help": ["clipped_linear", "batch_size=32"],
    "--hydra-help": ["== Flags ==", "hydra/launcher: basic, batched"],
    "--version": ["Hydra 1."],
    "--cfg job": ["_target_: mlr.heads.Softmax"],
    "--cfg job --package head": ["_target_: mlr.heads.Softmax"],
    "--cfg all --resolve": ["dir: runs/"],
    "--info": ["Installed Hydra Plugins", "Defaults Tree"],
    "--info searchpath": ["Config search path", "configs"],
    "--shell-completion install=bash": ["complete -o nospace"],
    "--shell-completion uninstall=bash": ["unset hydra_bash_completion"],
    "--config-name train --cfg job": ["seed: 0"],
}
REFUSED = {
    "--hydra-help seed=1": "--hydra-help goes without seed=1",
    "--cfg foo": "argument --cfg/-c: invalid choice: 'foo' (choose from",
    "--cfg": "argument --cfg/-c: expected one argument; options are key=value",
    "--info foo": "argument --info/-i: invalid choice: 'foo' (choose from",
    "--package head": "--package head shows a part of --cfg; add --cfg job",
    "--resolve": "The --resolve flag can only be used",
    "--multirun --cfg job": "Only one of --run, --multirun, --cfg",
    "--shell-completion": "-sc needs install=bash",
    "--shell-completion query=bash": "-sc needs install=bash",
    "--config-path conf": "--config-path conf must be absolute",
    "--config-name other": "Cannot find primary config 'other'",
    "--config-dir nowhere": "Additional config directory",
    "--experimental-rerun it.pickle": "--experimental-rerun runs what a pickle says",
    "seed=1 --multirun head=sigmoid": "head=sigmoid stands behind a flag; give flags first",
}
RUNNING = {"--run", "--multirun"}
"""Used by all other tests."""


@pytest.fixture(autouse=True)
def own_logging(monkeypatch):
    """Hydra's --info sets logging up, for a process that ends then."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [*root.handlers])
    for one in root.manager.loggerDict.values():  # a run before may have switched Hydra's off
        if isinstance(one, logging.Logger):
            monkeypatch.setattr(one, "disabled", False)
    level = root.level
    yield
    root.setLevel(level)


@pytest.mark.parametrize("line", SHOWN)
def test_a_flag_shows_what_it_promises(train, tmp_path, line):
    shown = train(*line.split())
    assert (shown.code, shown.err) == (0, "")
    for text in SHOWN[line]:
        assert text in " ".join(shown.out.split()) or text in shown.out
    assert not list(tmp_path.iterdir())


def test_a_python_that_checks_each_help_runs_hydra(train, monkeypatch):
    """As Python 3.14 does, where that of --shell-completion in Hydra 1.3 is no string."""
    add = ArgumentParser.add_argument

    def check_help(self: ArgumentParser, action: Action) -> None:
        if not isinstance(action.help, str | None):
            raise ValueError("badly formed help string")

    def add_and_check(self: ArgumentParser, *names: str, **options: object) -> Action:
        action = add(self, *names, **options)
        self._check_help(action)
        return action

    monkeypatch.setattr(ArgumentParser, "_check_help", check_help, raising=False)
    monkeypatch.setattr(ArgumentParser, "add_argument", add_and_check)
    shown = train("--cfg", "job")
    assert (shown.code, shown.err) == (0, "")
    with pytest.raises(ValueError, match="badly formed"):
        ArgumentParser().add_argument("--own", help=object())


@pytest.mark.parametrize("line", REFUSED)
def test_a_flag_that_cannot_be_followed_is_refused(train, tmp_path, monkeypatch, line):
    monkeypatch.delenv("COMP_LINE", raising=False)
    refused = train(*line.split())
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("mlr: " + REFUSED[line])
    assert refused.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_no_flag_of_hydra_is_forgotten():
    flags = {name for action in args_parser()._actions for name in action.option_strings}
    tried = {word for line in (*SHOWN, *REFUSED) for word in line.split()} | RUNNING
    assert {flag for flag in flags if flag.startswith("--")} <= tried
