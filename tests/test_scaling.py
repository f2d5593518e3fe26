"""What chapter 08 exports, beside what it proves itself: other ways to start, to resume and to fail."""
import subprocess, sys

import numpy as np
import pytest
import torch
from PIL import Image

from practicaldl import scaling
from practicaldl.errors import CourseError
from practicaldl.scaling import (in_halves, last_error, launch, load_checkpoint, make_parts, paper_step,
                                 read_run, run_script, save_checkpoint, train, train_resumable)

@pytest.fixture(scope='module', autouse=True)
def one_thread():
    "As in the chapter: a process with helper threads must not be copied."
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

@pytest.fixture(scope='module')
def path(tmp_path_factory):
    "165 spots of ink, high ones and low ones, which stand in for the folder of MNIST_SAMPLE."
    folder = tmp_path_factory.mktemp('digits')
    rng = np.random.default_rng(0)
    for i in range(165):
        ink = rng.integers(0, 100, (28, 28), dtype=np.uint8)
        digit = '37'[i%2]
        ink[slice(0, 14) if digit=='3' else slice(14, 28)] += 100
        (folder/'train'/digit).mkdir(parents=True, exist_ok=True)
        Image.fromarray(ink).save(folder/'train'/digit/f'{i:03d}.png')
    return folder

@pytest.fixture(scope='module')
def alone(path, tmp_path_factory):
    "The undisturbed training of one process: two steps in each of three epochs."
    out = tmp_path_factory.mktemp('alone')
    launch(train, path, out, processes=1)
    return read_run(out)

# ------------------------------------------------------------------ the same result

def test_parts_are_equal_in_every_process_and_no_batch_is_short(path):
    (a, _, dl), (b, _, _) = make_parts(path, 80), make_parts(path, 80)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))
    assert [len(idx) for idx, _, _ in dl]==[80, 80]
    assert make_parts(path, 80, double=True)[0][1].weight.dtype==torch.float64

@pytest.mark.slow
def test_the_way_without_a_fork_gives_the_same(path, alone, tmp_path, monkeypatch):
    "On Windows, on macOS, on Colab and beside a GPU a script starts the processes, with all arguments."
    monkeypatch.setattr(scaling, 'can_fork', lambda: False)
    launch(train, path, tmp_path/'out', accumulate=2, processes=2)
    found = read_run(tmp_path/'out')
    assert len(found['losses'])==12   # two for each step
    assert found['losses'].reshape(-1, 2).mean(1)==pytest.approx(alone['losses'], abs=1e-5)
    for first, second in zip(*found['rows']):
        assert len(set(first) | set(second))==40

def test_resumed_by_more_processes(path, alone, tmp_path):
    launch(train_resumable, path, tmp_path, processes=1, epochs=2, save_every=3)
    launch(train_resumable, path, tmp_path, processes=2, save_every=3)   # from the middle of an epoch
    assert read_run(tmp_path)['losses']==pytest.approx(alone['losses'], abs=1e-5)
    assert alone['losses'][-1] < alone['losses'][0]   # it does learn

def test_the_order_of_fastai_seen_from_above():
    rows = list(range(12))
    assert in_halves(rows, 4)==[0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]
    assert in_halves(rows, 4, parts=1)==rows

class Writer:
    "Something like an Accelerator that writes, and may fail in the middle."
    is_main_process = True
    def __init__(self, fails=False):
        self.fails = fails
    def wait_for_everyone(self):
        pass
    def load_state(self, folder):
        self.loaded = folder.name
    def save_state(self, folder):
        folder.mkdir(parents=True)
        if self.fails:
            raise OSError('no space left')

def test_a_half_checkpoint_is_never_taken(tmp_path):
    assert load_checkpoint(Writer(), tmp_path)==(0, [])
    save_checkpoint(Writer(), tmp_path, 9999, [.5])
    save_checkpoint(Writer(), tmp_path, 10000, [.5, .4])
    with pytest.raises(OSError):
        save_checkpoint(Writer(fails=True), tmp_path, 10005, [.3])
    reader = Writer()
    assert load_checkpoint(reader, tmp_path)==(10000, [.5, .4]) and reader.loaded=='step_10000'
    save_checkpoint(Writer(), tmp_path, 10005, [.3])   # over the half one
    assert load_checkpoint(reader, tmp_path)==(10005, [.3])

def test_the_calculated_step():
    assert paper_step(1, 2., 1e9, 1e9, .1)==2
    assert paper_step(2, 2., 1e9, 1e9, .1)==pytest.approx(1+1+.2)
    assert paper_step(2, 2., 1e9, 1e9, .1, weak=True)==pytest.approx(2+1+.2)
    assert paper_step([1, 4], 4., 0, 1, 0).tolist()==[4, 1]

# ------------------------------------------------------------------ faults

def test_a_batch_that_cannot_be_divided_is_told_in_a_line(path, tmp_path, capfd):
    with pytest.raises(CourseError, match=r'^Process \d failed: ValueError: .*80.*3.*$'):
        launch(train, path, tmp_path, processes=3)
    assert 'Traceback' not in ''.join(capfd.readouterr())

SLOW_COPIES = """import os, sys, time
from pathlib import Path
from practicaldl.scaling import launch
copied = []
os.register_at_fork(before=lambda: (time.sleep(0.5), copied.append(time.monotonic())))
def note(folder): (Path(folder)/str(os.getpid())).write_text(str(time.monotonic()))
launch(note, sys.argv[1], processes=3)
times = [float(o.read_text()) for o in Path(sys.argv[1]).iterdir()]
print(len(times), len(copied) >= 3, min(times) > max(copied))"""

@pytest.mark.skipif(not scaling.can_fork(), reason='processes are not copied here, but started anew')
def test_nobody_begins_while_a_process_is_still_being_copied(tmp_path):
    "Else a copy could inherit a lock that is held in the moment of copying, and wait for it for ever."
    command = [sys.executable, '-c', SLOW_COPIES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, encoding='utf-8', timeout=200)
    assert done.stdout.split()==['3', 'True', 'True'], done.stderr

def test_scripts_that_fail_or_hang(tmp_path):
    (tmp_path/'bad.py').write_text("raise ValueError('these digits are upside down')", encoding='utf-8')
    (tmp_path/'long.py').write_text('import time; time.sleep(60)', encoding='utf-8')
    with pytest.raises(CourseError, match='bad.py failed: ValueError: these digits are upside down'):
        run_script(tmp_path/'bad.py', launcher='python')
    with pytest.raises(CourseError, match='long.py was not ready after 1 s'):
        run_script(tmp_path/'long.py', launcher='python', timeout=1)
    with pytest.raises(CourseError, match="Did you mean 'accelerate'"):
        run_script('x.py', launcher='acelerate')

def test_the_line_that_names_the_error():
    text = '[rank1]: Traceback (most recent call last):\n[rank1]: a.MemoryError: no\nBError: later'
    assert last_error(text)=='a.MemoryError: no'
    assert last_error('one\ntwo\n')=='two' and last_error('')=='it printed nothing'

def test_a_run_that_is_not_there(tmp_path):
    with pytest.raises(CourseError, match='no run in'):
        read_run(tmp_path)
