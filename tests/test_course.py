"""What every chapter does first and last: start, pick, record; and how a fault looks in a notebook."""
import json, math, re, subprocess, sys
from pathlib import Path

import pytest

from practicaldl import __version__, course, data
from practicaldl.errors import BarMissed, CourseError, DataError, did_you_mean


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    "`start` changes defaults of fastai and PyTorch; they are put back."
    import torch
    from fastai.torch_core import defaults as torch_defaults
    from fastcore.basics import defaults
    kept, cpus, use_cuda = dict(course._state), getattr(defaults, 'cpus', None), getattr(torch_defaults, 'use_cuda', None)
    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    yield
    course._state.update(kept); defaults.cpus, torch_defaults.use_cuda = cpus, use_cuda
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = flags

def pretend(monkeypatch, gpu):
    for place in (course, data): monkeypatch.setattr(place, 'has_gpu', lambda: gpu)

def asked(monkeypatch, missing=()):
    "A stand-in for `dataset` that notes what was asked for; the full editions named in `missing` cannot be had."
    notes = []
    def dataset(name, which=None):
        which = which or data.edition()
        notes.append((name, which))
        if which=='full' and name in missing: raise DataError(f'{name} could not be fetched. Try again later.')
        return Path(name)
    monkeypatch.setattr(course, 'dataset', dataset)
    return notes


# ------------------------------------------------------------------ start

def test_start_says_one_line(monkeypatch, capsys):
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    notes = asked(monkeypatch)
    course.start('01_bird', ('BIRDS', 'VISION_WEIGHTS'), seed=7)
    out = capsys.readouterr().out
    assert re.fullmatch(rf'practicaldl {re.escape(__version__)} · 01_bird · sample edition \(as PRACTICALDL_EDITION says\) · processor, (1 thread|\d+ threads) · seed 7\n', out), out
    assert notes==[('BIRDS', 'sample'), ('VISION_WEIGHTS', 'sample')] and data.edition()=='sample'

def test_start_fixes_the_seed(monkeypatch):
    import random
    import numpy as np, torch
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    def draw(seed): course.start('x', seed=seed); return random.random(), np.random.rand(), torch.rand(1).item()
    assert draw(1)==draw(1)!=draw(2)

def test_start_loads_data_in_this_process(monkeypatch):
    "Worker processes take seconds to start on Windows and macOS, and die without a main guard."
    from fastcore.basics import defaults
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    course.start('x')
    assert defaults.cpus==0

def test_auto_without_a_gpu_is_the_sample(monkeypatch, capsys):
    pretend(monkeypatch, False)
    notes = asked(monkeypatch)
    course.start('x', ('BIRDS',))
    assert 'sample edition (no GPU here)' in capsys.readouterr().out and notes==[('BIRDS', 'sample')]

def test_auto_with_a_gpu_and_no_data_goes_on_with_a_notice(monkeypatch, capsys):
    pretend(monkeypatch, True)
    monkeypatch.setenv('PRACTICALDL_DEVICE', 'cpu')
    notes = asked(monkeypatch, missing=('PETS',))
    course.start('x', ('BIRDS', 'PETS'))
    out = capsys.readouterr().out
    assert 'sample edition (the full data cannot be had: PETS could not be fetched.' in out and out.count('\n')==1
    assert notes[-2:]==[('BIRDS', 'sample'), ('PETS', 'sample')] and data.edition()=='sample'

def test_auto_with_a_gpu_and_data_is_full(monkeypatch, capsys):
    pretend(monkeypatch, True)
    monkeypatch.setenv('PRACTICALDL_DEVICE', 'cpu')
    asked(monkeypatch)
    course.start('x', ('BIRDS',))
    assert 'full edition (there is a GPU)' in capsys.readouterr().out and data.edition()=='full' and course.pick(sample=1, full=2)==2

def test_auto_on_a_test_machine_is_the_sample(monkeypatch, capsys):
    pretend(monkeypatch, True)
    monkeypatch.setenv('CI', 'true'); monkeypatch.setenv('PRACTICALDL_DEVICE', 'cpu')
    notes = asked(monkeypatch)
    course.start('x', ('BIRDS',))
    assert 'sample edition (a test machine)' in capsys.readouterr().out and notes==[('BIRDS', 'sample')]

def test_full_without_data_is_an_error(monkeypatch, capsys):
    "Asked for, it is not silently replaced by something smaller."
    monkeypatch.setenv('PRACTICALDL_EDITION', 'full')
    asked(monkeypatch, missing=('PETS',))
    with pytest.raises(DataError, match='PETS could not be fetched'): course.start('x', ('BIRDS', 'PETS'))
    assert capsys.readouterr().out==''

def test_start_again_settles_anew(monkeypatch):
    pretend(monkeypatch, False)
    asked(monkeypatch)
    monkeypatch.setenv('PRACTICALDL_EDITION', 'full'); monkeypatch.setenv('PRACTICALDL_DEVICE', 'cpu'); course.start('x')
    assert data.edition()=='full'
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample'); course.start('x')
    assert data.edition()=='sample'

@pytest.mark.parametrize('variable, value, message', [
    ('PRACTICALDL_EDITION', 'smaple', "no edition 'smaple'. Did you mean 'sample'"), ('PRACTICALDL_DEVICE', 'gpu', "PRACTICALDL_DEVICE is 'gpu'. It can be auto, cpu, cuda"),
    ('PRACTICALDL_DEVICE', 'cuda', "PyTorch sees no GPU. Set it to 'cpu'")])
def test_a_wrong_word_in_the_environment(monkeypatch, variable, value, message):
    pretend(monkeypatch, False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(DataError, match=message): course.start('x')

def test_an_unknown_need_suggests_the_nearest(monkeypatch):
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    with pytest.raises(DataError, match="Did you mean 'BIRDS'"): course.start('x', ('BIRD',))


# ------------------------------------------------------------------ pick, folders, record

def test_pick(monkeypatch):
    data.settle('sample'); assert course.pick(sample=1, full=2)==1
    data.settle('full'); assert course.pick(sample=1, full=2)==2

def test_the_work_folder_is_emptied(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = course.work_folder('bird'); (folder/'old.txt').write_text('x'); (folder/'deep').mkdir()
    (tmp_path/'work'/'other').mkdir()
    assert course.work_folder('bird')==Path('work/bird') and list(folder.iterdir())==[] and (tmp_path/'work'/'other').is_dir()

def test_a_work_folder_that_cannot_be_made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path); (tmp_path/'work').write_text('a file')
    with pytest.raises(CourseError, match='cannot be made.*may write to'): course.work_folder('bird')

@pytest.mark.parametrize('at_least, at_most, said', [(None, None, None), (0.95, None, '>= 0.95'), (None, 10, '<= 10'), (0, 1, '>= 0 and <= 1')])
def test_a_bar_in_words(at_least, at_most, said): assert course.bar_text(at_least, at_most)==said

def test_what_is_recorded_is_kept_line_by_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('PRACTICALDL_RESULTS', str(tmp_path/'results.jsonl'))
    data.settle('sample'); course._state['chapter'] = '05_mnist'
    course.record('accuracy', 0.98123456, at_least=0.95)
    course.record('loss', 2)
    rows = [json.loads(line) for line in (tmp_path/'results.jsonl').read_text(encoding='utf-8').splitlines()]
    assert rows==[dict(chapter='05_mnist', metric='accuracy', value=0.981235, bar='>= 0.95', passed=True, edition='sample'),
                  dict(chapter='05_mnist', metric='loss', value=2.0, bar=None, passed=True, edition='sample')]
    assert capsys.readouterr().out=='accuracy: 0.9812 (the bar is >= 0.95: reached)\nloss: 2\n'

@pytest.mark.parametrize('value, bars', [(0.94, dict(at_least=0.95)), (11, dict(at_most=10)), (math.nan, dict(at_least=0)), (math.nan, dict(at_most=1)), (2, dict(at_least=0, at_most=1))])
def test_a_missed_bar_is_kept_and_raised(monkeypatch, tmp_path, capsys, value, bars):
    "The row is written first, so that the table shows what was measured."
    monkeypatch.setenv('PRACTICALDL_RESULTS', str(tmp_path/'results.jsonl'))
    data.settle('sample')
    with pytest.raises(BarMissed, match='the bar is'): course.record('m', value, **bars)
    assert json.loads((tmp_path/'results.jsonl').read_text())['passed'] is False and 'missed' in capsys.readouterr().out

@pytest.mark.parametrize('value', [0.95, 1.0])
def test_a_bar_that_is_just_reached(value):
    data.settle('sample')
    course.record('m', value, at_least=0.95, at_most=1)

def test_numpy_can_be_recorded(monkeypatch, tmp_path):
    "A value or a bar out of NumPy makes a row that JSON can keep."
    import numpy as np
    monkeypatch.setenv('PRACTICALDL_RESULTS', str(tmp_path/'rows'))
    course.record('error', np.float32(0.5), at_most=np.float64(0.5))
    assert json.loads((tmp_path/'rows').read_text(encoding='utf-8'))['passed'] is True

def test_tensors_can_be_recorded(capsys):
    import numpy as np, torch
    data.settle('sample')
    course.record('a', torch.tensor(0.5)); course.record('b', np.float32(0.25))
    assert capsys.readouterr().out=='a: 0.5\nb: 0.25\n'


# ------------------------------------------------------------------ faults in a notebook

@pytest.mark.parametrize('fault', [CourseError, DataError, BarMissed])
def test_a_fault_shows_its_message_and_nothing_else(fault):
    "In Jupyter: one line, no traceback; an ordinary mistake keeps its traceback."
    import atexit
    from IPython.core.interactiveshell import InteractiveShell
    class Shell(InteractiveShell):
        def _showtraceback(self, etype, evalue, stb): shown.append('\n'.join(stb))
    shown, shell = [], Shell()
    try:
        shell.user_ns['fault'] = fault
        shell.run_cell("raise fault('The disk is full. Free some space.')")
        shell.run_cell('1/0')
    finally: atexit.unregister(shell.atexit_operations)
    assert shown[0]==f'{fault.__name__}: The disk is full. Free some space.'
    assert 'Traceback' in shown[1] and 'ZeroDivisionError' in shown[1]

def test_a_near_name_is_suggested_and_a_far_one_is_not():
    assert did_you_mean('brid', ['bird', 'plane'])=="There is no name 'brid'. Did you mean 'bird'? There are: bird, plane."
    assert did_you_mean('xyzzy', ['bird', 'plane'])=="There is no name 'xyzzy'. There are: bird, plane."


# ------------------------------------------------------------------ memory

def test_memory_is_kept_where_glibc_is():
    "Large blocks that were freed are used again without a new page from the system."
    import platform
    if platform.libc_ver()[0]!='glibc':
        assert course.keep_memory() is False
        return
    code = ('import resource, torch; from practicaldl.course import keep_memory; assert keep_memory()\n'
            'def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n'
            'for _ in range(20): torch.ones(2**23)\n'    # 32 MB, 8,192 pages
            'before = faults()\n'
            'for _ in range(50): torch.ones(2**23)\n'
            'print(faults()-before)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert int(done.stdout) < 50*8192/2, done.stderr

def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'win32')
    assert course.keep_memory() is False
