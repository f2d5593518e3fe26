"""Chapter 08: several processes give the result of one, a killed training goes on, and faults are told in a line."""
import subprocess, sys, time

import numpy as np
import pytest
import torch

from practicaldl import scaling
from practicaldl.data import dataset
from practicaldl.errors import CourseError
from practicaldl.scaling import (count_answers, free_port, in_halves, last_error, launch, load_checkpoint, make_parts, paper_step, read_run,
                                 run_script, save_checkpoint, train, train_fastai, train_resumable, train_trainer, wait_for_ever)

@pytest.fixture(scope='module', autouse=True)
def one_thread():
    "As in the chapter: a process with helper threads must not be copied."
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

@pytest.fixture(scope='module')
def path(): return dataset('MNIST_SAMPLE', 'sample')

@pytest.fixture(scope='module')
def alone(path, tmp_path_factory):
    "The undisturbed training of one process."
    out = tmp_path_factory.mktemp('alone')
    launch(train, path, out, processes=1)
    return read_run(out)


# ------------------------------------------------------------------ the same result

def test_two_processes_see_two_shards_and_learn_the_same(path, alone, tmp_path):
    launch(train, path, tmp_path/'two')
    two = read_run(tmp_path/'two')
    assert len(two['losses'])==len(alone['losses'])==30 and len(two['rows'])==2
    assert abs(two['losses']-alone['losses']).max() < 1e-5
    assert two['losses'][-5:].mean() < two['losses'][:5].mean()/2   # it does learn
    for whole, a, b in zip(alone['rows'][0], *two['rows']): assert a+b==whole and not set(a) & set(b)

def test_the_other_way_of_starting_gives_the_same(path, alone, tmp_path, monkeypatch):
    "On Windows, on macOS, on Colab and beside a GPU there is no fork; then a script does it, with all arguments."
    monkeypatch.setattr(scaling, 'can_fork', lambda: False)
    launch(train, path, tmp_path/'out', epochs=1, accumulate=2, processes=2)
    found = read_run(tmp_path/'out')
    assert len(found['rows'])==2 and len(found['losses'])==20
    assert abs(found['losses'].reshape(-1, 2).mean(1)-alone['losses'][:10]).max() < 1e-5

def test_accumulation_is_the_large_batch_and_bf16_is_not(path, alone, tmp_path):
    launch(train, path, tmp_path/'a', processes=1, accumulate=4)
    launch(train, path, tmp_path/'b', processes=1, precision='bf16')
    assert abs(read_run(tmp_path/'a')['losses'].reshape(-1, 4).mean(1)-alone['losses']).max() < 1e-5
    assert 1e-6 < abs(read_run(tmp_path/'b')['losses']-alone['losses']).max() < 0.05

def test_fastai_and_the_trainer_learn_the_same_on_two(path, tmp_path):
    for function in train_fastai, train_trainer:
        for n in 1, 2: launch(function, path, tmp_path/f'{function.__name__}{n}', epochs=1, processes=n)
        one, two = [read_run(tmp_path/f'{function.__name__}{n}') for n in (1, 2)]
        assert abs(one['final']-two['final']) < 1e-5 and one['final'] < 0.6
        if function is train_fastai: assert abs(one['losses']-two['losses']).max() < 1e-5

def test_every_evaluation_row_is_counted_once(path, tmp_path):
    launch(count_answers, tmp_path)
    found = read_run(tmp_path)
    assert sorted(found['right'])==list(range(97)) and len(found['raw']) > 97

def test_the_order_of_fastai_seen_from_above():
    rows = list(range(12))
    order = in_halves(rows, 4)
    assert sorted(order)==rows and order[:4]==[0, 1, 6, 7] and order[-4:]==[4, 5, 10, 11]
    assert in_halves(rows, 4, parts=1)==rows

def test_parts_are_equal_in_every_process_and_no_batch_is_short(path):
    (a, _, dl), (b, _, _) = make_parts(path, 80), make_parts(path, 80)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))
    assert {len(idx) for idx, _, _ in dl}=={80} and make_parts(path, 80, double=True)[0][1].weight.dtype==torch.float64


# ------------------------------------------------------------------ killed and resumed

def test_killed_and_resumed_gives_the_undisturbed_curve(path, alone, tmp_path):
    "Killed in the middle of an epoch of ten steps, so that the place within it counts as well."
    code = f'import practicaldl.scaling as s; s.train_resumable({str(path)!r}, {str(tmp_path)!r}, hang_at=18)'
    process = subprocess.Popen([sys.executable, '-c', code], env=scaling.child_environment(), stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic()+90
        while not (tmp_path/'step_0015').exists() and process.poll() is None and time.monotonic() < until: time.sleep(0.05)
    finally: process.kill()
    assert process.wait()!=0 and (tmp_path/'step_0015').exists() and not (tmp_path/'step_0020').exists() and not (tmp_path/'0.json').exists()
    (tmp_path/'part').mkdir(exist_ok=True); (tmp_path/'part'/'model.safetensors').write_bytes(b'half')   # and it was just about to write another
    launch(train_resumable, path, tmp_path, processes=1)
    assert np.array_equal(read_run(tmp_path)['losses'], alone['losses'])

def test_resumed_by_more_processes(path, alone, tmp_path):
    launch(train_resumable, path, tmp_path, processes=1, epochs=2)
    launch(train_resumable, path, tmp_path, processes=2)
    assert abs(read_run(tmp_path)['losses']-alone['losses']).max() < 1e-5

class Writer:
    "Something like an Accelerator that writes, and may fail in the middle."
    is_main_process, process_index = True, 0
    def __init__(self, fails=False): self.fails, self.loaded = fails, None
    def wait_for_everyone(self): pass
    def load_state(self, folder): self.loaded = folder
    def save_state(self, folder):
        folder.mkdir(parents=True); (folder/'model').write_text('half')
        if self.fails: raise OSError('no space left')

def test_a_half_checkpoint_is_never_taken(tmp_path):
    assert load_checkpoint(Writer(), tmp_path)==(0, [])
    save_checkpoint(Writer(), tmp_path, 9, [.5])
    save_checkpoint(Writer(), tmp_path, 10, [.5, .4])
    with pytest.raises(OSError): save_checkpoint(Writer(fails=True), tmp_path, 15, [.3])
    reader = Writer()
    assert load_checkpoint(reader, tmp_path)==(10, [.5, .4]) and reader.loaded.name=='step_0010'   # 10 is newer than 9, and 15 is not there
    save_checkpoint(Writer(), tmp_path, 15, [.3])
    assert load_checkpoint(reader, tmp_path)[0]==15 and not (tmp_path/'part').exists()


# ------------------------------------------------------------------ what it costs, and faults

def test_the_calculated_step():
    assert paper_step(1, 2., 1e9, 1e9, .1)==2.
    assert paper_step(2, 2., 1e9, 1e9, .1)==pytest.approx(1+1+.2)
    assert paper_step(2, 2., 1e9, 1e9, .1, weak=True)==pytest.approx(2+1+.2)
    assert paper_step([1, 4], 4., 0, 1, 0).tolist()==[4, 1]

def test_ports_are_free_and_differ():
    assert len({free_port() for _ in range(5)}) > 1 and all(p > 1023 for p in [free_port()])

def test_a_batch_that_cannot_be_divided_is_told_in_a_line(path, tmp_path, capfd):
    with pytest.raises(CourseError, match=r'Process \d failed: ValueError: .*80.*3') as e: launch(train, path, tmp_path, processes=3)
    assert '\n' not in str(e.value) and 'Traceback' not in ''.join(capfd.readouterr())

@pytest.mark.skipif(not scaling.can_fork(), reason='processes are not copied here, but started anew')
def test_nobody_begins_while_a_process_is_still_being_copied(tmp_path):
    "Else a copy could inherit a lock that is held in the moment of copying, and wait for it for ever. Copying is slow here, so that it would show."
    code = """import os, sys, time
from pathlib import Path
from practicaldl.scaling import launch
copied = []
os.register_at_fork(before=lambda: (time.sleep(0.5), copied.append(time.monotonic())))
def note(folder): (Path(folder)/str(os.getpid())).write_text(str(time.monotonic()))
launch(note, sys.argv[1], processes=3)
print(len(copied), min(float(o.read_text()) for o in Path(sys.argv[1]).iterdir()) - max(copied))"""
    done = subprocess.run([sys.executable, '-c', code, str(tmp_path)], capture_output=True, text=True, encoding='utf-8', timeout=200)
    times, after = done.stdout.split()
    assert int(times)>=3 and len(list(tmp_path.iterdir()))==3 and float(after)>0, done.stderr

def test_a_process_that_nobody_answers_gives_up(tmp_path):
    "In a program of its own, as in a fresh notebook: what earlier launches left in this one must not matter. It ends, whatever the library does."
    code = f"from practicaldl.scaling import launch, wait_for_ever\ntry: launch(wait_for_ever, {str(tmp_path)!r}, 1)\nexcept Exception as e: print(type(e).__name__, e)"
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, encoding='utf-8', timeout=200).stdout
    assert said.startswith('CourseError Process 0 failed: ') and len(said.splitlines())==1

def test_scripts_that_fail_or_hang(tmp_path):
    (tmp_path/'bad.py').write_text("raise ValueError('these digits are upside down')", encoding='utf-8')
    with pytest.raises(CourseError, match='bad.py failed: ValueError: these digits are upside down'): run_script(tmp_path/'bad.py', launcher='python')
    (tmp_path/'long.py').write_text('import time; time.sleep(60)', encoding='utf-8')
    with pytest.raises(CourseError, match='long.py was not ready after 1 s'): run_script(tmp_path/'long.py', launcher='python', timeout=1)
    with pytest.raises(CourseError, match="no launcher 'acelerate'.*Did you mean 'accelerate'"): run_script('x.py', launcher='acelerate')

def test_the_line_that_names_the_error():
    assert last_error('[rank1]: Traceback (most recent call last):\n[rank1]:   File\n[rank1]: torch.cuda.OutOfMemoryError: no\nRuntimeError: later')=='torch.cuda.OutOfMemoryError: no'
    assert last_error('one\ntwo\n')=='two' and last_error('')=='it printed nothing'

def test_a_run_that_is_not_there(tmp_path):
    with pytest.raises(CourseError, match='There is no run in'): read_run(tmp_path)
