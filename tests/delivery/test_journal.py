"""The journal's lock, in a file and on the emulator's S3."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from delivery.errors import RefusedError, UnknownError
from delivery.journal import Entry, FileStore, S3Store
from sandbox.emulator import Emulator


@pytest.fixture
def bucket(emulator: Emulator) -> Iterator[str]:
    name = f"delivery-{uuid.uuid4().hex[:8]}"
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


@pytest.fixture(params=["file", "s3"])
def stores(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator, bucket: str
) -> list[FileStore] | list[S3Store]:
    if request.param == "file":
        return [FileStore(tmp_path / "journal.json") for _ in range(2)]
    return [S3Store(bucket, "people/journal.json", emulator.client("s3")) for _ in range(2)]


def test_second_lock_is_refused_until_the_first_is_released(stores: list[FileStore]) -> None:
    first, second = stores
    with first.locked("runner 1"):
        with pytest.raises(RefusedError, match=r"already running \(runner 1"), second.locked("runner 2"):
            pass
        assert first.read() is None
        first.write({"schema": 1})
    with second.locked("runner 2"):
        assert second.read() == {"schema": 1}


def test_only_one_of_many_gets_the_lock(emulator: Emulator, bucket: str) -> None:
    got, refused, barrier = [], [], threading.Barrier(5)

    def take(number: int) -> None:
        store = S3Store(bucket, "journal.json", emulator.client("s3"))
        barrier.wait()
        try:
            with store.locked(f"runner {number}"):
                got.append(number)
                barrier.wait(timeout=60)
        except RefusedError:
            refused.append(number)
            barrier.wait(timeout=60)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 4)


def test_lock_of_a_lost_runner_expires(emulator: Emulator, bucket: str) -> None:
    lost = S3Store(bucket, "journal.json", emulator.client("s3"))
    lost._take("lost runner")  # and never renews it
    patient = S3Store(bucket, "journal.json", emulator.client("s3"), lease=0.1)
    with pytest.raises(RefusedError, match="lost runner; its lock expires in"):
        S3Store(bucket, "journal.json", emulator.client("s3"))._take("other")
    threading.Event().wait(2)  # S3's times are in seconds
    with patient.locked("next"):
        assert patient.read() is None


def test_run_that_lost_its_lock_writes_nothing_more(emulator: Emulator, bucket: str) -> None:
    s3 = emulator.client("s3")
    store = S3Store(bucket, "journal.json", s3, lease=0.3)
    with ExitStack() as stack:
        stack.enter_context(store.locked("slow runner"))
        s3.put_object(Bucket=bucket, Key="journal.json.lock", Body=b"another runner")
        assert store.lost.wait(10)
        with pytest.raises(UnknownError, match="another run has taken over"):
            store.write({"schema": 1})
    assert s3.get_object(Bucket=bucket, Key="journal.json.lock")["Body"].read() == b"another runner"


def test_journal_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    path.write_text("{")
    with pytest.raises(RefusedError, match=r"journal.json is not JSON"):
        FileStore(path).read()


def test_served_shares_have_their_durations() -> None:
    times = ["00:00", "00:10", "00:40", "01:00"]
    shares = [{"1": 100}, {"1": 100}, {"1": 90, "2": 10}, {"2": 100}]
    events = [{"at": f"2026-01-01T00:{t}+00:00", "text": "", "shares": s} for t, s in zip(times, shares, strict=True)]
    entry = Entry("1", "2", [10, 100], 0, [], events=events, ended="2026-01-01T00:01:05+00:00")
    assert entry.served() == [({"1": 100}, 40.0), ({"1": 90, "2": 10}, 20.0), ({"2": 100}, 5.0)]
