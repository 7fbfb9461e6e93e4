"""Hydra's files in a run's folder, and the folder itself if nothing came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mlr.app.config.yaml_templates import to_yaml
from mlr.core.durable import WriteError, atomic_write
from mlr.records.checksums import checksum
from mlr.records.run_folder import HYDRA

if TYPE_CHECKING:
    from mlr.records import RunFolder


def hydra_files(config: DictConfig, hydra: DictConfig) -> dict[str, str]:
    """Return the texts of a run's `.hydra`, by name, as Hydra itself would write them."""
    hydra = hydra.copy()
    with read_write(hydra), open_dict(hydra):
        hydra.output_subdir = HYDRA
    return {
        "config.yaml": to_yaml(config),
        "hydra.yaml": to_yaml(OmegaConf.create({"hydra": hydra})),
        "overrides.yaml": to_yaml(hydra.overrides.task),
    }


def write_files(folder: RunFolder, files: Mapping[str, str]) -> None:
    """Write files of a run's `.hydra`.

    Raises:
        WriteError: naming what could not be written.
    """
    target = folder.path / HYDRA
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(target, error) from error
    for name, text in files.items():
        content = text.encode()
        atomic_write(target / name, content, sync=False)
        folder.files[f"{HYDRA}/{name}"] = checksum(content)


def remove_empty(folder: Path) -> None:
    """Remove the folder that Hydra made, if it is empty, and `runs/<date>/` above it.

    A person may have made other folders above.
    """
    with suppress(OSError):
        folder.rmdir()
        date, runs = folder.parent, folder.parent.parent
        if re.fullmatch(r"\d{4}-\d\d-\d\d", date.name) and runs.name == "runs":
            date.rmdir()
            runs.rmdir()
