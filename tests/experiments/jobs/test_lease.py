"""Leases: one process at a time is on a job, and a free lease tells how it was left."""

import json
import math
import signal
import socket
import subprocess
import sys
import time

import pytest

from experiments.jobs import lease

KEY = ("0123456789abcdef", 3)

HOLD = f"""
import time
from experiments.jobs import lease
with lease.hold({KEY!r}) as held:
    print("held" if held else "taken", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(store_file):
    """Another process that holds the lease."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def note_file(store_file):
    (file,) = store_file.parent.glob("work/leases/*.json")
    return file


def test_one_process_at_a_time(holder):
    """While another process holds it there is none to be had, and who holds it can be told."""
    with lease.hold(KEY) as held:
        assert held is None
    note = lease.look(KEY)
    assert note.live
    assert note.described().startswith(f"process {holder.pid} on {socket.gethostname()}")


def test_other_jobs_have_other_leases(holder):
    """Another seed of the same spec is free."""
    with lease.hold((KEY[0], 4)) as held:
        assert held is not None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_leaves_a_free_lease_that_was_lost(how, holder):
    """No clock is asked: it is free at once."""
    holder.send_signal(how)
    holder.wait()
    assert lease.look(KEY).state == "lost"
    with lease.hold(KEY) as held:
        assert held.left_by.pid == holder.pid


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_how_it_ended_is_kept(state, store_file):
    """Until the job is done: then nothing is left."""
    with lease.hold(KEY) as held:
        held.end(state, "so it was")
    assert (lease.look(KEY).state, lease.look(KEY).reason) == (state, "so it was")
    with lease.hold(KEY) as held:
        assert held.left_by.state == state
        held.end("done")
    assert lease.look(KEY) is None
    assert list((store_file.parent / "work" / "leases").iterdir()) == []


def test_what_a_killed_process_left_of_a_lease_is_removed(store_file):
    """Both files, or the lock alone: the note of a job that is done goes first."""
    folder = store_file.parent / "work" / "leases"
    for note_is_left in (True, False):
        with lease.hold(KEY) as held:
            held.end("failed")
        if not note_is_left:
            note_file(store_file).unlink()
        assert list(folder.glob("*.lock"))
        lease.forget(KEY)
        assert list(folder.iterdir()) == []


def test_the_heart_beats(store_file, monkeypatch):
    """The note is renewed while the lease is held."""
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.02)
    with lease.hold(KEY):
        first = lease.look(KEY).beat
        deadline = time.monotonic() + 10
        while lease.look(KEY).beat == first:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_lease_of_another_machine_is_live_while_its_heart_beats(store_file):
    """Its lock may not be seen here."""
    with lease.hold(KEY) as held:
        held.end("failed")
    note = json.loads(note_file(store_file).read_text())
    elsewhere = {**note, "host": "another", "state": "running", "beat": time.time()}
    note_file(store_file).write_text(json.dumps(elsewhere))
    with lease.hold(KEY) as held:
        assert held is None
    note_file(store_file).write_text(json.dumps({**elsewhere, "beat": time.time() - lease.LIVE_S - 1}))
    with lease.hold(KEY) as held:
        assert held is not None


def written(store_file, **said):
    """A note as another machine left it."""
    with lease.hold(KEY) as held:
        held.end("failed")
    note = json.loads(note_file(store_file).read_text())
    text = json.dumps({**note, "host": "another", "state": "running", **said})
    note_file(store_file).write_text(text.replace('"1e999"', "1e999"))


@pytest.mark.parametrize("beat", [1e7, 3600.0, math.nan, math.inf, "1e999", "soon", None, [], 10**400])
def test_a_beat_in_the_future_is_not_live(beat, store_file):
    """Nor one that is no time at all: the job is free, and how its lease was left can still be told."""
    written(store_file, beat=time.time() + beat if isinstance(beat, float) else beat)
    note = lease.look(KEY)
    assert note is None or note.state == "lost"
    with lease.hold(KEY) as held:
        assert held is not None


def test_clocks_may_differ_by_less_than_a_beat_may_be_late(store_file):
    """A machine whose clock is half a minute ahead keeps its job."""
    written(store_file, beat=time.time() + lease.LIVE_S / 2)
    assert lease.look(KEY).live
    with lease.hold(KEY) as held:
        assert held is None


def test_a_damaged_note_is_no_note(store_file):
    """The lock alone decides."""
    with lease.hold(KEY) as held:
        held.end("failed")
    for text in ('{"host": "x", ', "[" * 100_000, "{}", "null", '{"since": 1e300}'):
        note_file(store_file).write_text(text)
        assert lease.look(KEY) is None
    with lease.hold(KEY) as held:
        assert held is not None
