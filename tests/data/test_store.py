from __future__ import annotations

import inspect
import json
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emoflow.data.store import FeatureStore
from emoflow.errors import StorageError

ROOT = Path(__file__).parents[2]
ABOUT = {"front_end": "log-mel", "weights": "abc", "version": 1}


def opened(root, width=4, **options):
    return FeatureStore.open(ABOUT, width, root=root, **options)


def made(key, width=4):
    """Return the array that belongs to a key, so that a reader can check it."""
    number = int(key[1:])
    steps = number * 7 % 50
    return (np.arange(steps * width) % 97 + number).reshape(steps, width).astype(np.float32)


PRELUDE = """\
import sys, time
sys.path.insert(0, ".")
import numpy as np
from emoflow.data.store import FeatureStore
"""
PRELUDE += inspect.getsource(opened) + inspect.getsource(made) + f"ABOUT = {ABOUT!r}\n"


def run(code, *arguments, wait=True, **options):
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **options)
    return process.communicate(timeout=60)[0] if wait else process


def check(store, keys):
    for key in keys:
        np.testing.assert_array_equal(store[key], made(key))


def test_written_and_read(tmp_path):
    keys = [f"k{i}" for i in range(60)]
    with opened(tmp_path) as store:
        assert store.missing([*keys, "k0"]) == keys
        for key in keys:
            assert store.append(key, made(key))
        check(store, keys)  # before they are on disk
    again = opened(tmp_path)
    check(again, keys)
    assert len(again) == 60
    assert "k3" in again
    assert "k60" not in again
    assert again.missing(["k60", "k3"]) == ["k60"]
    assert again.lengths(["k1", "k0"]).tolist() == [7, 0]
    assert again["k0"].shape == (0, 4)
    with pytest.raises(KeyError):
        again["k60"]


def test_reading_copies_nothing(tmp_path):
    with opened(tmp_path) as store:
        store.append("k1", made("k1"))
    view = opened(tmp_path)["k1"]
    assert not view.flags.owndata
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 0


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=12),
        arrays.arrays(
            np.float32,
            st.tuples(st.integers(0, 9), st.just(3)),
            elements=st.floats(-6e4, 6e4, width=32),
        ),
        max_size=8,
    ),
    st.sampled_from(["float16", "float32"]),
)
def test_any_keys_and_values(tmp_path_factory, content, dtype):
    root = tmp_path_factory.mktemp("store")
    with FeatureStore.open({}, 3, dtype, root=root) as store:
        for key, value in content.items():
            store.append(key, value)
            store.flush()
    again = FeatureStore.open({}, 3, dtype, root=root)
    for key, value in content.items():
        np.testing.assert_array_equal(again[key], value.astype(dtype))
    assert len(again) == len(content)


def test_float16_rounds_and_refuses_what_it_cannot_hold(tmp_path):
    values = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    with opened(tmp_path) as store:
        store.append("k", values)
        with pytest.raises(
            StorageError, match=r"big: values that are beyond float16 .*\n.*float32"
        ):
            store.append("big", np.full((1, 4), 70_000.0))
        with pytest.raises(StorageError, match="bad: values that are NaN or infinite"):
            store.append("bad", np.full((1, 4), np.nan))
        with pytest.raises(ValueError, match=r"k: shape \(2, 3\), but the store has width 4"):
            store.append("k", np.zeros((2, 3)))
    np.testing.assert_allclose(store["k"], values, rtol=2**-11, atol=1e-7)
    assert store["k"].dtype == np.float16


def test_what_was_appended_is_a_copy(tmp_path):
    with opened(tmp_path) as store:
        buffer = np.ones((2, 4), np.float16)
        store.append("k", buffer)
        buffer[:] = 9
    assert (store["k"] == 1).all()


def test_width_one_takes_waveforms(tmp_path):
    with FeatureStore.open({}, 1, "float32", root=tmp_path) as store:
        store.append("k", np.arange(5.0))
    assert store["k"].shape == (5, 1)


def test_another_description_is_another_store(tmp_path):
    variants = [
        FeatureStore.open(ABOUT, 4, root=tmp_path),
        FeatureStore.open(ABOUT | {"version": 2}, 4, root=tmp_path),
        FeatureStore.open(ABOUT, 5, root=tmp_path),
        FeatureStore.open(ABOUT, 4, "float32", root=tmp_path),
    ]
    assert len({s.folder for s in variants}) == 4
    assert opened(tmp_path).folder == variants[0].folder
    same = FeatureStore.open(dict(reversed(ABOUT.items())), 4, root=tmp_path)
    assert same.folder == variants[0].folder
    with opened(tmp_path) as store:
        store.append("k1", made("k1"))
    assert json.loads((store.folder / "store.json").read_text())["about"] == ABOUT


def test_first_one_stays(tmp_path):
    with opened(tmp_path) as store:
        assert store.append("k1", made("k1"))
        assert not store.append("k1", made("k2"))
    with opened(tmp_path) as store:
        assert not store.append("k1", made("k2"))
    check(opened(tmp_path), ["k1"])


def test_default_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path))
    assert FeatureStore.open({}, 2).folder.parent == tmp_path / "features"
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_writer_leaves_whole_arrays(tmp_path, seed):
    code = """
    store = opened(sys.argv[1])
    number = len(store)
    while True:
        store.append(f"k{number}", made(f"k{number}"))
        number += 1
        if number % 5 == 0:
            store.flush()
            print(number, flush=True)
    """
    least = 0
    for _ in range(2):
        process = run(code, str(tmp_path), wait=False)
        for _ in range(3):
            least = int(process.stdout.readline())
        time.sleep(random.Random(seed).random() / 50)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        store = opened(tmp_path)
        assert len(store) >= least
        check(store, [f"k{i}" for i in range(len(store))])
    with opened(tmp_path, wait_seconds=0) as store:  # the lock died with its holder
        number = len(store)
        store.append(f"k{number}", made(f"k{number}"))
    check(opened(tmp_path), [f"k{i}" for i in range(number + 1)])


@pytest.mark.parametrize("torn", ["values", "index", "both", "zeros"])
def test_a_torn_end_is_cut_off(tmp_path, torn):
    with opened(tmp_path) as store:
        for key in ("k1", "k2"):
            store.append(key, made(key))
    with open(store.folder / "values.bin", "ab") as values:
        values.write(b"x" * (11 if torn in ("values", "both") else 0))
    with open(store.folder / "index.jsonl", "ab") as index:
        index.write({"index": b'["k3", 2', "both": b'["k3"', "zeros": bytes(40)}.get(torn, b""))
    store = opened(tmp_path)
    assert store.missing(["k1", "k2", "k3"]) == ["k3"]
    with store:
        store.append("k3", made("k3"))
    check(opened(tmp_path), ["k1", "k2", "k3"])
    assert (store.folder / "values.bin").stat().st_size == (7 + 14 + 21) * 4 * 2


def test_lost_values_are_noticed(tmp_path):
    with opened(tmp_path) as store:
        store.append("k1", made("k1"))
    with open(store.folder / "values.bin", "r+b") as values:
        values.truncate(10)
    with pytest.raises(
        StorageError, match=r"shorter than its index says.*\n.*Delete .* made again"
    ):
        opened(tmp_path)["k1"]
    with pytest.raises(StorageError, match="shorter than its index says"):
        opened(tmp_path).append("k2", made("k2"))
    (store.folder / "values.bin").unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        opened(tmp_path)["k1"]


def test_a_reader_follows_a_writer(tmp_path):
    code = """
    with opened(sys.argv[1]) as store:
        for number in range(200):
            store.append(f"k{number}", made(f"k{number}"))
            if number % 10 == 9:
                store.flush()
                time.sleep(0.005)
    """
    process = run(code, str(tmp_path), wait=False)
    reader, seen = opened(tmp_path), 0
    first = None
    while seen < 200:
        reader.refresh()
        check(reader, [f"k{i}" for i in range(seen, len(reader))])
        seen = len(reader)
        first = reader["k1"] if first is None and seen else first
        assert process.poll() in (None, 0)
    process.communicate()
    np.testing.assert_array_equal(first, made("k1"))  # a view of the first, smaller map


def test_getitem_looks_again(tmp_path):
    reader = opened(tmp_path)
    with opened(tmp_path) as store:
        store.append("k1", made("k1"))
    check(reader, ["k1"])


def test_a_second_writer_waits_or_says_why(tmp_path):
    first, second = opened(tmp_path), opened(tmp_path, wait_seconds=0.1)
    first.append("k1", made("k1"))
    with pytest.raises(
        StorageError,
        match=rf"process {os.getpid()} writes to .*, and 0.1 seconds were not enough\n.*Wait until",
    ):
        second.append("k2", made("k2"))
    patient = opened(tmp_path, wait_seconds=20)
    thread = threading.Thread(target=lambda: patient.append("k2", made("k2")))
    thread.start()
    time.sleep(0.05)
    first.close()
    thread.join(20)
    assert not patient.append("k1", made("k5"))  # it noticed what the first one wrote
    patient.close()
    check(opened(tmp_path), ["k1", "k2"])


def test_a_lost_store_lets_go_of_its_lock(tmp_path):
    store = opened(tmp_path)
    store.append("k1", made("k1"))
    del store
    with opened(tmp_path, wait_seconds=0) as store:
        store.append("k2", made("k2"))


def read_in_worker(store, keys):
    check(store, keys)
    return os.getpid()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read(tmp_path, method):
    store = opened(tmp_path)
    keys = [f"k{i}" for i in range(20)]
    for key in keys:
        store.append(key, made(key))
    copy = pickle.loads(pickle.dumps(store))  # writes what was waiting
    check(copy, keys)
    assert copy.folder == store.folder
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(read_in_worker, (store, keys)) != os.getpid()
    assert store.append("k20", made("k20"))  # the worker's end did not take the lock away
    with pytest.raises(StorageError, match="seconds were not enough"):
        opened(tmp_path, wait_seconds=0).append("k21", made("k21"))
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_writes_nothing_of_its_parent(tmp_path):
    store = opened(tmp_path)
    store.append("k1", made("k1"))
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            store.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert len(opened(tmp_path)) == 0
    store.close()
    check(opened(tmp_path), ["k1"])


def test_many_threads_read(tmp_path):
    keys = [f"k{i}" for i in range(50)]
    store, failures = opened(tmp_path), []

    def read():
        try:
            for key in keys:
                while key not in store:
                    time.sleep(0.001)
                check(store, [key])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i, key in enumerate(keys):
        store.append(key, made(key))
        if i % 10 == 9:
            store.flush()
    store.close()
    for thread in threads:
        thread.join(20)
    assert not failures


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file size")
def test_a_full_disk_is_said_and_survived(tmp_path):
    code = """
    import resource
    from emoflow.errors import StorageError
    store = opened(sys.argv[1])
    store.append("k1", made("k1")); store.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
    store.append("k2", made("k2").repeat(100, axis=0))
    try:
        store.flush()
    except StorageError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.flush()
    """
    text = run(code, str(tmp_path))
    assert "values.bin: could not be written" in text
    assert "Free some space" in text
    store = opened(tmp_path)
    check(store, ["k1"])
    np.testing.assert_array_equal(store["k2"], made("k2").repeat(100, axis=0))


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    store = opened(tmp_path / "file")
    with pytest.raises(StorageError, match="could not be written"):
        store.append("k1", made("k1"))
