"""Sites: the work folders, leases and locks that the processes of an executor share.

`Site` is one machine: kernel locks tell which processes are alive, and one timing pass runs at a time. An executor
whose jobs run on several machines returns a site of its own, which is pickled with each job.
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
    """One machine; subclass it for several. Instances are pickled, so they hold no open files."""

    machines: int = 1  # timing passes that can run at once, each on a machine of its own

    @property
    def work(self) -> Path:
        """The parent of all work folders, visible to every machine of the site."""
        return locate().places.work

    def work_folder(self, key: Key) -> Path:
        """The folder for a job's checkpoints, and for its results until they are stored. Not created here."""
        spec_hash, seed = key
        return self.work / f"{spec_hash}-{seed}"

    def hold(self, key: Key) -> AbstractContextManager[lease.Lease | None]:
        """Hold the lease of a job; None if another process of the site holds it.

        Raises:
            StoreError: the lease cannot be written.
        """
        return lease.hold(key, self._leases)

    def look(self, key: Key) -> lease.Note | None:
        """The state of the last attempt at a job; None if there was none, or it is done."""
        return lease.look(key, self._leases)

    def forget(self, key: Key) -> None:
        """Remove the lease of a process that was killed between storing its job and releasing the lease."""
        lease.forget(key, self._leases)

    def lock(self, file: Path) -> "BaseFileLock":
        """A lock that all processes of the site respect, not yet acquired."""
        return file_lock(file)

    def watches(self, host: str) -> bool:
        """Whether `look` can tell which processes are alive on that machine, so that its lost runs can be marked."""
        return host == socket.gethostname()

    def beside_others(self) -> AbstractContextManager[None]:
        """Hold off timing passes on this machine while a job runs.

        Raises:
            StoreError: the machine's locks cannot be used.
        """
        return machine_lock.beside_others()

    def alone(self) -> AbstractContextManager[None]:
        """Have this machine for a timing pass, with no job and no other pass beside it.

        Raises:
            StoreError: the machine's locks cannot be used.
        """
        return machine_lock.alone()

    def default_workers(self, specs: "Sequence[Spec]") -> int:
        """Jobs at once without `--workers`: one per core, or one in all on a GPU, which jobs cannot share."""
        from experiments.training.build import pick_device

        on_cpu = all(pick_device(spec.tree["device"]).type == "cpu" for spec in specs)
        return usable_cores() if on_cpu else 1

    @property
    def _leases(self) -> Path:
        return self.work / "leases"


THIS_MACHINE = Site()
