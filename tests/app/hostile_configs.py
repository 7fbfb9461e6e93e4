"""Configurations that a colleague, or the web, could write to run code here."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from tests.app.judging import ROOT, Case

MAIN = "defaults: [train, _self_]\n"
BY_MAIN = ("--config-path", "{folder}", "--config-name", "it", f"hydra.searchpath=[{ROOT}/configs]")


CALLS = (
    "evil_mod.Mark",
    "evil_mod.mark",
    "os.system",
    "subprocess.Popen",
    "builtins.exec",
    "builtins.eval",
    "builtins.open",
    "importlib.import_module",
    "runpy.run_path",
    "logging.config.listen",
    "torch.load",
    "torch.hub.load",
    "pickle.loads",
    "mlr.training.instantiate.import_module",
    "mlr.core.durable.os.system",
    "torch.nn.functional.torch.load",
    "torch.nn.modules.module.torch.hub.load",
    "hydra.utils.call",
    "hydra._internal.instantiate._instantiate2.instantiate",
)
BASES = {
    "head": "mlr.heads.Head",
    "loss": "mlr.losses.Loss",
    "model": "torch.nn.Module",
    "data": "mlr.data.Source",
    "optimizer": "mlr.training.Optimizer",
    "schedule": "mlr.training.LearningRate",
    "probes": "mlr.probes.ProbeSettings",
}


def targets() -> Iterator[Case]:
    """`_target_` of a group's file."""
    for group in BASES:
        for call in CALLS if group in ("head", "model") else CALLS[:4]:
            text = yaml.safe_dump({"_target_": call, "name": "x", "command": "touch $MLR_MARK"})
            yield Case(
                f"target {group} {call}",
                ("--config-dir", "{folder}", f"{group}=evil"),
                {f"{group}/evil.yaml": text},
            )


def hydra_sections() -> Iterator[tuple[str, str]]:
    """Sections `hydra` of a file."""
    for call in CALLS[:6]:
        yield f"callback {call}", f"callbacks: {{x: {{_target_: {call}}}}}"
    nested = "callbacks: {x: {_target_: hydra.experimental.callbacks.LogJobReturnCallback, "
    yield "nested callback", f"{nested}y: {{_target_: evil_mod.Mark}}}}}}"
    yield "launcher", "launcher: {_target_: evil_mod.Mark}"
    yield "sweeper", "sweeper: {_target_: evil_mod.Mark}"
    yield "launcher setup", "launcher: {setup: ['touch $MLR_MARK']}"
    for part in ("job_logging", "hydra_logging"):
        for name, inner in {
            "factory": "handlers: {h: {'()': evil_mod.mark}}",
            "class": "handlers: {h: {class: evil_mod.Mark}}",
            "ext": "handlers: {h: {class: logging.StreamHandler, stream: 'ext://evil_mod.mark'}}",
            "formatter": "formatters: {f: {'()': evil_mod.mark}}",
            "formatter class": "formatters: {f: {class: evil_mod.Mark}}",
            "filter": "filters: {f: {'()': evil_mod.mark}}",
            "file": "handlers: {h: {class: logging.FileHandler, filename: '/tmp/evil.log'}}",
            "socket": "handlers: {h: {class: logging.handlers.SocketHandler, host: a, port: 1}}",
        }.items():
            yield f"{part} {name}", f"{part}: {{version: 1, {inner}, root: {{handlers: [h]}}}}"
    yield "env_set", "job: {env_set: {LD_PRELOAD: /tmp/evil.so}}"
    yield "env_copy", "job: {env_copy: [MLR_SECRET]}"
    yield "job name", "job: {name: ../../evil}"
    yield "output_subdir", "output_subdir: ../../evil"
    yield "searchpath pkg", "searchpath: ['pkg://evil_mod']"
    yield "searchpath structured", "searchpath: ['structured://evil_mod']"
    yield "params allow", "sweeper: {params: {allow_targets: '[evil_mod]'}}"
    yield "params hydra", "sweeper: {params: {+hydra.callbacks.x._target_: evil_mod.Mark}}"
    yield "params env", "sweeper: {params: {seed: '${oc.env:MLR_SECRET}'}}"
    yield "search space", "sweeper: {custom_search_space: evil_mod.mark}"
    yield "run dir", "run: {dir: '${oc.env:MLR_SECRET}'}"
    yield "help", "help: {template: '${oc.env:MLR_SECRET}'}"


def sections() -> Iterator[Case]:
    """A `hydra:` section, by every way in which a folder comes into play."""
    for index, (name, section) in enumerate(hydra_sections()):
        main = f"{MAIN}hydra:\n  {section}\n"
        experiment = f"# @package _global_\nhydra:\n  {section}\n"
        yield Case(f"main {name}", BY_MAIN, {"it.yaml": main})
        yield Case(
            f"experiment {name}",
            ("-m", "--config-dir", "{folder}", "experiment=evil", "seed=0,1"),
            {"experiment/evil.yaml": experiment},
        )
        by_path = ("hydra.searchpath=[{folder}]", "experiment=evil")
        shown = ("--config-dir", "{folder}", "experiment=evil", "--cfg", "all", "--resolve")
        way, line = ("searchpath", by_path) if index % 2 else ("shown", shown)
        yield Case(f"{way} {name}", line, {"experiment/evil.yaml": experiment})


def detours() -> Iterator[Case]:
    """Attacks by packages, groups of hydra, defaults, and nodes that stand for others."""
    mark = "x: {_target_: evil_mod.Mark}\n"
    by_head = ("--config-dir", "{folder}", "head=evil")
    for group in ("callbacks", "launcher", "sweeper", "job_logging", "env"):
        files = {f"hydra/{group}/evil.yaml": f"_target_: evil_mod.Mark\n{mark}"}
        yield Case(
            f"typed hydra/{group}", ("-m", "--config-dir", "{folder}", f"hydra/{group}=evil"), files
        )
        word = "" if group == "callbacks" else "override "
        entry = f"# @package _global_\ndefaults: [{{{word}/hydra/{group}: evil}}]\n"
        yield Case(
            f"chosen hydra/{group}",
            ("-m", "--config-dir", "{folder}", "experiment=evil", "data=moons", "epochs=1"),
            {**files, "experiment/evil.yaml": entry},
            refused=group not in ("launcher", "job_logging"),  # the main file chooses others
        )
    for package in ("hydra.callbacks", "_global_.hydra.callbacks", "hydra"):
        text = mark if package.endswith("callbacks") else f"callbacks: {{{mark.strip()}}}\n"
        yield Case(
            f"header {package}", by_head, {"head/evil.yaml": f"# @package {package}\n{text}"}
        )
        yield Case(
            f"default @ {package}",
            by_head,
            {"head/evil.yaml": f"defaults: [other@{package}]\n", "head/other.yaml": text},
        )
    yield Case("up", by_head, {"head/evil.yaml": "defaults: [../../../../../etc/passwd]\n"})
    main = MAIN + "hydra: {callbacks: {x: '${head.cb}'}}\nhead: {cb: {_target_: evil_mod.Mark}}\n"
    yield Case("node", BY_MAIN, {"it.yaml": main})
    for way in ("${oc.select:head.cb}", "${either:${head.cb},1}", "${head.cb}"):
        line = ("+head.cb={_target_: evil_mod.Mark}", f"+hydra.callbacks.x={way}")
        yield Case(f"node {way}", line)
    for where in (
        "allow_targets: [evil_mod]\n",
        "# @package _global_\nallow_targets: [evil_mod]\n",
    ):
        yield Case(
            f"allow {len(where)}",
            ("--config-dir", "{folder}", "+experiment=evil", "model=custom"),
            {"experiment/evil.yaml": where + "model: {_target_: evil_mod.Mark}\n"},
        )
    yield Case(
        "allow in main",
        BY_MAIN,
        {"it.yaml": MAIN + "allow_targets: [evil_mod]\nhead: {_target_: evil_mod.Mark}\n"},
    )
    yield Case("rerun", ("--experimental-rerun", "{folder}/config.pickle"), {"config.pickle": b"x"})
    yield Case(
        "rerun, short", ("--experimental-re={folder}/config.pickle",), {"config.pickle": b"x"}
    )
    yield Case("no types, but a group", BY_MAIN, {"it.yaml": "defaults: [{head: softmax}]\n"})
    yield Case("an own main", BY_MAIN[:2], {"train.yaml": "seed: 1\n"})
    yield Case("one of ours as main", ("--config-name", "head/sigmoid.yaml"))
    yield Case("odd defaults", by_head, {"head/evil.yaml": "defaults: 5\n"})
    yield Case(
        "default by an interpolation",
        by_head,
        {"head/evil.yaml": "defaults: ['other@${dtype}']\n", "head/other.yaml": mark},
    )
    yield Case("no types", BY_MAIN, {"it.yaml": "seed: 1\n"})
    yield Case("an own schema", BY_MAIN, {"it.yaml": MAIN, "schema.yaml": "a: 1\n"})


def resolvers() -> Iterator[Case]:
    """Interpolations that ask for more than another value of the configuration."""
    for index, text in enumerate(
        (
            "${oc.env:MLR_SECRET}",
            "${ oc.env:MLR_SECRET}",
            "${oc.env:MLR_SECRET,x}",
            "a${oc.env:MLR_SECRET}b",
            "${${dtype}:MLR_SECRET}",
            "${oc.${dtype}:MLR_SECRET}",
            '${oc.decode:"\\${oc.env:MLR_SECRET}"}',
            "${oc.create:{a:1}}",
            "\\${oc.env:MLR_SECRET}",
            "${either:${oc.env:MLR_SECRET},1}",
            "${oc.dict.values:head}",
            "${hydra.runtime.choices.${oc.env:MLR_SECRET}}",
            "${python_version:}",
            "${evil:1}",
        )
    ):
        file = yaml.safe_dump({"dtype": text})
        yield Case(
            f"resolver {index}",
            ("--config-dir", "{folder}", "experiment=evil"),
            {"experiment/evil.yaml": f"# @package _global_\n{file}"},
        )
        yield Case(
            f"resolver {index} in a default",
            ("--config-dir", "{folder}", "head=evil"),
            {
                "head/evil.yaml": yaml.safe_dump(
                    {"defaults": [{"more": text}], "_target_": "mlr.heads.Sigmoid"}
                )
            },
        )


def texts() -> Iterator[Case]:
    """YAML that costs more than its size, or says something twice."""
    lines = [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    for name, text in {
        "bomb": "\n".join(["a0: &a0 [x,x,x,x,x,x,x,x,x]", *lines]),
        "deep": "[" * 100_000,
        "deep by aliases": "a0: &a0 "
        + "[" * 60
        + "]" * 60
        + "\na1: "
        + "[" * 30
        + "*a0"
        + "]" * 30,
        "twice": "lr: 1\nlr: 2\n",
        "tab": "a:\n\tb: 1\n",
        "apply": "a: !!python/object/apply:evil_mod.mark []\n",
        "new": "a: !!python/object/new:evil_mod.Mark []\n",
        "name": "a: !!python/name:evil_mod.mark\n",
        "module": "a: !!python/module:evil_mod\n",
        "path": "a: !!python/object/apply:pathlib.PosixPath [x]\n",
        "itself": "a: &a [*a]\n",
        "long": "a: " + "x" * 5_000_000,
        "number": "a: " + "1" * 5000,
        "second": "a: 1\n---\nb: 2\n",
        "list": "- 1\n- 2\n",
        "word": "x\n",
        "header": "# @package a b c\na: 1\n",
        "null key": "~: 1\n",
    }.items():
        yield Case(
            f"yaml {name}",
            ("--config-dir", "{folder}", "optimizer=evil"),
            {"optimizer/evil.yaml": text},
        )
    yield Case(
        "yaml bytes",
        ("--config-dir", "{folder}", "optimizer=evil"),
        {"optimizer/evil.yaml": b"lr: \xff"},
    )


def places() -> Iterator[Case]:
    """Output folders that harm, or that no one could use."""
    for name in (
        "/",
        "//",
        "/.",
        str(ROOT),
        f"{ROOT}/mlr/x",
        f"{ROOT}/configs/head/x",
        f"{ROOT}/tests/../scripts/x",
        "''",
        "' '",
        "null",
        "x" * 300,
        "'a\nb'",
        "'a\x1b[31mb'",
        "'a\u202etxt'",
        "'a\x00b'",
        "x/" * 2100,
    ):
        yield Case(f"run.dir {name[-20:]!r}", (f"hydra.run.dir={name}",))
        yield Case(f"sweep.dir {name[-20:]!r}", ("-m", "seed=0,1", f"hydra.sweep.dir={name}"))
    yield Case("subdir up", ("-m", "seed=0,1", "hydra.sweep.subdir=../../${hydra.job.num}"))
    for name, place in (("away", "/tmp/evil"), ("up", "../evil"), ("by a key", "${dtype}/evil")):
        # dtype is judged later than places are
        text = f"# @package _global_\ndtype: /tmp\nhydra: {{run: {{dir: {place!r}}}, "
        files = {"experiment/evil.yaml": f"{text}sweep: {{dir: {place!r}}}}}\n"}
        line = ("--config-dir", "{folder}", "experiment=evil", "data=moons", "epochs=1")
        yield Case(f"chosen run.dir {name}", line, files)
        yield Case(f"chosen sweep.dir {name}", ("-m", *line, "seed=0,1"), files)
