"""Options of the probes' families, by preset: the part of `configs/probes/` that code knows."""

from hydra.core.config_store import ConfigStore

from mlr.probes.families import families_on


def register_families() -> None:
    """Register with Hydra the configurations that the defaults of `configs/probes/` name."""
    store = ConfigStore.instance()
    if "families" not in store.repo:
        for preset in ("off", "basic", "full"):
            store.store(group="families", name=preset, node=families_on(preset))
