"""Runs as a colleague, or the web, could hand them over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from mlr.records.checkpoint_file import decode, encode
from tests.app.judging import Case, Judge


def forged(text: str) -> bytes:
    """A status.json with a seal that fits, whatever it says."""
    body = text.removesuffix("}").encode("utf-8", "surrogatepass")
    return body + b',\n  "seal": "' + sha256(body).hexdigest().encode() + b'"\n}\n'


def status(**more: Any) -> str:
    """A status.json as mlr writes them, but for its seal."""
    told = {
        "status": "done",
        "seed": 0,
        "pair": "sigmoid+se",
        "overrides": [],
        "metrics": {"loss/test": 1.0},
    }
    return json.dumps({**told, **more})


NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "\x1b]0;owned\x07\x1b[31m",
    "=cmd|' /C calc'!A0",
    "../../../../etc/passwd",
    "a\nb",
    "[link=file:///etc/passwd]x[/link]",
    "\u202etxt.exe",
    "javascript:alert(1)",
)


READERS = ("compare", "report", "explain")


def run_folders() -> Iterator[Case]:
    """Runs of others, read by what compares, explains, reports and goes on with them."""
    oddities: dict[str, Any] = {
        "status": {"a": 1},
        "seed": "x",
        "pair": ["x"],
        "overrides": "abc",
        "metrics": [1],
        "anatomy": "x",
        "reason": {"a": 1},
        "steps": "many",
        "command": 5,
        "settings": 3,
    }
    odd_rows = {"logits": {"edges": [1], "count": [], "grad": ["x"]}, "classes": {"count": "x"}}
    anatomies = {"classes": 3, "start": [1], "confidence": "x", **odd_rows}
    contents = {f"odd {key}": status(**{key: value}) for key, value in oddities.items()}
    contents |= {
        f"odd anatomy {key}": status(anatomy={key: value}) for key, value in anatomies.items()
    }
    contents |= {"deep": "[" * 100_000, "list": "[]", "number": '{"seed": ' + "9" * 5000 + "}"}
    contents["edges"] = status(anatomy={"logits": {"edges": [0]}})
    contents["large seed"] = status(seed=10**30)
    contents["nan"] = '{"status": "done", "metrics": {"loss/test": NaN}}'
    contents |= {
        f"name {name!r}": status(pair=f"{name}+se", reason=name, command=name) for name in NAMES
    }
    for name, text in contents.items():
        for program in READERS:
            files = {"run/status.json": forged(text)}
            files["run/.hydra/config.yaml"] = b"a: ${oc.env:MLR_SECRET}\n"
            yield Case(f"{program} {name}", ("{folder}",), files, program, refused=False)
    for name, config in {
        "apply": "a: !!python/object/apply:evil_mod.mark []\n",
        "bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"b{n}: &b{n} [{','.join(['*a'] * 9)}]\n" for n in range(9)),
        "target": "head: {_target_: evil_mod.Mark}\nloss: {_target_: os.system}\n",
        "odd": "head: 3\n",
        "allow": "allow_targets: [evil_mod]\nhead: {_target_: evil_mod.Mark}\n",
    }.items():
        for program in READERS:
            files = {"run/status.json": forged(status())}
            files["run/.hydra/config.yaml"] = config.encode()
            files["run/.hydra/hydra.yaml"] = b"hydra: {runtime: {choices: 3}}\n"
            yield Case(f"{program} config {name}", ("{folder}",), files, program, refused=False)


GENUINE = ("data=neuron", "head=sigmoid", "loss=bce", "batch_size=1", "epochs=2")


def genuine(judge: Judge) -> dict[str, bytes]:
    """The files of a run that mlr has made."""
    case = Case("genuine", (*GENUINE, "hydra.run.dir={folder}/run"), refused=False)
    judged = judge(case)
    assert judged.code == 0, judged.err
    files = [path for path in judged.folder.rglob("*") if path.is_file()]
    found = {str(path.relative_to(judged.folder)): path.read_bytes() for path in files}
    found["run/status.json"] = found["run/status.json"].replace(b'"done"', b'"interrupted"')
    return found


def checkpoints(files: Mapping[str, bytes]) -> Iterator[Case]:
    """A run to go on with, whose checkpoint is anything but one."""
    place = "run/checkpoint.safetensors"
    good = files[place]
    length = int.from_bytes(good[:8], "little")
    for name, content in {
        "length": b"\xff" * 8 + good[8:],
        "long": (1 << 40).to_bytes(8, "little") + good[8:],
        "no JSON": good[:8] + b"x" * length + good[8 + length :],
        "deep": (200_000).to_bytes(8, "little") + b"[" * 200_000,
        "empty": b"",
        "short": good[:-5],
        "flipped": good[:-1] + bytes([good[-1] ^ 1]),
        "seal outside": good.replace(b'"~sha256"', b'"~SHA256"'),
        "pickle": b"\x80\x04cevil_mod\nmark\n)R.",
        "zip": b"PK\x03\x04" + b"archive/data.pkl" + b"\x80\x04cevil_mod\nmark\n)R.",
    }.items():
        yield resumed(f"checkpoint {name}", {**files, place: content})
    for name, change in changes().items():
        arrays, about = decode(bytearray(good))
        change(arrays, about)
        yield resumed(f"checkpoint {name}", {**files, place: encode(arrays, about)})
    evil = {"config": {"allow_targets": ["evil_mod"], "model": {"_target_": "evil_mod.Mark"}}}
    arrays, about = decode(bytearray(good))
    about["config"] |= evil["config"]
    yield resumed("checkpoint of evil_mod", {**files, place: encode(arrays, about)})


def resumed(name: str, files: Mapping[str, bytes]) -> Case:
    """Going on with a run of these files."""
    return Case(name, ("resume={folder}/run", "epochs=3"), files, writes=True)


def changes() -> dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]]:
    """Faults of a checkpoint whose seal is whole."""
    found: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
        "nothing": lambda arrays, about: about.clear(),
        "no tensor": lambda arrays, about: arrays.pop("model.output.weight"),
        "a tensor more": lambda arrays, about: arrays.update({"model.x": np.zeros(3, "float32")}),
        "shape": lambda arrays, about: arrays.update(
            {"model.output.weight": np.zeros((9, 9), "float32")}
        ),
        "dtype": lambda arrays, about: arrays.update(
            {"model.output.weight": np.zeros((1, 1), "int64")}
        ),
        "snapshot": lambda arrays, about: arrays.update({"snapshot.x": np.zeros(2, "float32")}),
        "event file": lambda arrays, about: about["records"].update(
            {"events": {"../../../evil": 0}}
        ),
        "size": lambda arrays, about: about["records"]["table"].update({"bytes": 10**12}),
    }
    keys = ("step", "waited", "best_step", "lowest", "threads", "ending")
    for key in (*keys, "config", "records", "versions", "format"):
        for value in ("x", [1], {"a": {}}):
            found[f"{key} {value}"] = lambda arrays, about, key=key, value=value: about.update(
                {key: value}
            )
    for key in keys[:3]:
        found[f"{key} -1"] = lambda arrays, about, key=key: about.update({key: -1})
    for group in ("head", "optimizer", "seed", "objective"):
        for value in ([1], None, {"_target_": "evil_mod.Mark"}, "${oc.env:MLR_SECRET}"):
            found[f"config.{group} {value}"] = lambda arrays, about, group=group, value=value: (
                about["config"].update({group: value})
            )
    return found
