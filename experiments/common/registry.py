"""Registries of named things: built-in ones, and those of modules from outside.

Each built-in one is a file in a package that is imported on first use, so no list names them. Others are registered
when their module is imported, as `components=[my.module]` does.
"""

import importlib
import keyword
import pkgutil
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=type)


class UnknownName(LookupError):
    """No thing of this kind is registered under the name."""

    def __init__(self, kind: str, name: str, allowed: tuple[str, ...]):
        super().__init__(f"unknown {kind} `{name}`; allowed: {', '.join(allowed)}")
        self.kind, self.name, self.allowed = kind, name, allowed


class Registry(Generic[T]):
    """Named things of one kind; `package` holds the built-in ones, one file each."""

    def __init__(self, kind: str, package: str):
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._modules: dict[str, str] = {}  # by name, the module that registered it

    def register(self, name: str) -> Callable[[C], C]:
        """Register a class under a name, as a decorator.

        Raises:
            ValueError: the name is taken, or is not one word.
        """

        def decorate(cls: C) -> C:
            entry: Any = cls
            self.add(name, entry, module=cls.__module__)
            return cls

        return decorate

    def add(self, name: str, entry: T, *, module: str) -> None:
        """Register an entry under a name; `module` is the module that defines it.

        Raises:
            ValueError: the name is taken, or is not one word.
        """
        if not self._is_built_in(module):
            self._import_built_in()  # first, so that the one from outside is refused when both want a name
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"{self.kind} `{name}`: a name is one word in letters, digits and `_`")
        if name in self._entries:
            raise ValueError(f"{self.kind} `{name}` is registered twice: by {self._modules[name]}, by {module}")
        self._entries[name], self._modules[name] = entry, module

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        self._import_built_in()
        return tuple(sorted(self._entries))

    def get(self, name: str) -> T:
        """The entry registered under a name.

        Raises:
            UnknownName: there is none.
        """
        self._import_built_in()
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownName(self.kind, name, self.names()) from None

    def module(self, name: str) -> str:
        """The module that registered a name.

        Raises:
            UnknownName: nothing is registered under it.
        """
        self.get(name)
        return self._modules[name]

    def built_in(self, name: str) -> bool:
        """Whether a name belongs to a built-in entry.

        Raises:
            UnknownName: nothing is registered under it.
        """
        return self._is_built_in(self.module(name))

    def _is_built_in(self, module: str) -> bool:
        return module.startswith(f"{self._package}.")

    def _import_built_in(self) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
