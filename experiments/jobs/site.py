"""Where jobs run: their work folders, the leases that tell who is on which job, and the locks around timing.

`Site` is one machine: the kernel's locks tell who is alive, and one timing pass runs at a time. An executor whose jobs
run on several machines answers with a site of its own, which travels to them with each job.
"""

import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.common.cores import usable_cores
from experiments.common.locks import file_lock
from experiments.jobs import lease, machine_lock
from experiments.store.locate import locate

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from experiments.spec.spec import Spec

Key = tuple[str, int]  # spec hash and seed of a job


class Site:
    """One machine. Subclass it for more; instances are pickled, and keep no open files."""

    machines: int = 1  # timing passes that may run at once, each undisturbed

    @property
    def work(self) -> Path:
        """The folder of all work folders: every machine of the site must see it."""
        return locate().places.work

    def work_folder(self, key: Key) -> Path:
        """Where a job keeps its checkpoints, and its results until they are stored. Creates nothing."""
        spec_hash, seed = key
        return self.work / f"{spec_hash}-{seed}"

    def hold(self, key: Key) -> AbstractContextManager[lease.Lease | None]:
        """Take the lease of a job; None where another process of the site has it.

        Raises:
            StoreError: nothing can be written there.
        """
        return lease.hold(key, self._leases)

    def look(self, key: Key) -> lease.Note | None:
        """How the last attempt at a job stands; None where there was none, or it is done."""
        return lease.look(key, self._leases)

    def forget(self, key: Key) -> None:
        """Remove the lease that was left by a process killed between storing a job and giving it back."""
        lease.forget(key, self._leases)

    def lock(self, file: Path) -> "BaseFileLock":
        """A lock between all processes of the site, not yet taken."""
        return file_lock(file)

    def watches(self, host: str) -> bool:
        """Whether `look` knows who is alive on that machine, so that its lost runs can be marked from here."""
        return host == socket.gethostname()

    def beside_others(self) -> AbstractContextManager[None]:
        """Hold off timing passes on the machine that this is called on while a job runs.

        Raises:
            StoreError: there is no place for the machine's locks.
        """
        return machine_lock.beside_others()

    def alone(self) -> AbstractContextManager[None]:
        """Have the machine that this is called on for a timing pass: no job and no other timing beside it.

        Raises:
            StoreError: there is no place for the machine's locks.
        """
        return machine_lock.alone()

    def default_workers(self, specs: "Sequence[Spec]") -> int:
        """Jobs at once where a command does not say: one a core; one on a GPU, which jobs would fight over."""
        from experiments.training.build import pick_device

        on_cpu = all(pick_device(spec.tree["device"]).type == "cpu" for spec in specs)
        return usable_cores() if on_cpu else 1

    @property
    def _leases(self) -> Path:
        return self.work / "leases"


THIS_MACHINE = Site()
