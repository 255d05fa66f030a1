"""Things that the files of a package declare under one name, such as `FORMAT`: a file is found by being there."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any


def declared(package: ModuleType, name: str) -> list[Any]:
    """The values of this name in the package's modules, by module; those that say nothing are passed over."""
    modules = [
        importlib.import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)
    ]
    return [getattr(module, name) for module in modules if hasattr(module, name)]
