"""The packages: configs/ lies next to mlr/ here, and in a wheel inside it as mlr/configs.

Everything else about the distribution is said in pyproject.toml, which cannot add a package of
another place to those that setuptools finds.
"""

from tempfile import TemporaryDirectory

from setuptools import find_namespace_packages, setup

# build/ would stay in the checkout, and what was removed since would still be in the next wheel
with TemporaryDirectory() as build:
    setup(
        packages=[
            *find_namespace_packages(include=["mlr", "mlr.*"], exclude=["mlr.plugins*"]),
            *find_namespace_packages("mlr/plugins"),
            "mlr.configs",
        ],
        package_dir={"hydra_plugins": "mlr/plugins/hydra_plugins", "mlr.configs": "configs"},
        options={"build": {"build_base": build}},
    )
