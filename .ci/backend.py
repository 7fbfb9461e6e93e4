"""The build backend: setuptools, with its manifest here and its work in a temporary folder.

setuptools packs into a wheel whatever an earlier `pip install .` left in build/, which may be files
that were since removed; and it looks for MANIFEST.in on the top level only.
"""

from tempfile import TemporaryDirectory

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from setuptools.command.egg_info import manifest_maker

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

manifest_maker.template = ".ci/manifest.in"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Build a wheel as `setuptools.build_meta` does, but from a folder that is empty at first."""
    with TemporaryDirectory() as folder:
        build = {"--global-option": ["build", f"--build-base={folder}"]}
        settings = {**(config_settings or {}), **build}
        return build_meta.build_wheel(wheel_directory, settings, metadata_directory)
