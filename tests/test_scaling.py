"""What chapter 08 does not show: its scripts in other hands; what `terminal` and `%%ranks` say of faults."""
import json, re, shutil, sys

import numpy as np
import psutil
import pytest
import torch
from conftest import ROOT
from safetensors.torch import save_file

from practicaldl import ranks
from practicaldl.errors import CourseError
from practicaldl.ranks import Ranks, last_error, start_ranks, terminal
from practicaldl.scaling import step_time

CHAPTER = json.loads((ROOT/'nbs'/'08_scaling.ipynb').read_text(encoding='utf-8'))

@pytest.fixture(scope='module')
def work(tmp_path_factory):
    "A folder with the scripts as the chapter writes them, and 480 spots of ink in place of digits."
    folder = tmp_path_factory.mktemp('scripts')
    for cell in CHAPTER['cells']:
        magic, _, script = ''.join(cell['source']).partition('\n')
        name = re.fullmatch(r'%%writefile \{work\}/(\w+\.py)', magic)
        if name:
            (folder/name[1]).write_text(script+'\n', encoding='utf-8')
    digit = torch.arange(480) % 10
    ink = torch.rand(480, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    ink[torch.arange(480), 0, 2*digit] += 2   # each digit has a row of its own
    save_file({'x': ink, 'y': digit}, folder/'training.safetensors')
    return folder

def losses_of(file):
    return np.array(torch.load(file, weights_only=True))

@pytest.fixture(scope='module')
def undisturbed(work):
    "One process: three steps in each of two epochs."
    terminal('python train.py one.pt', work)
    return losses_of(work/'one.pt')

def test_the_scripts_are_all_there(work):
    names = {'digits', 'train', 'begin', 'checkpoints', 'resumable', 'ways', 'limited'}
    assert {o.stem for o in work.glob('*.py')}==names

@pytest.fixture
def copied(work, tmp_path):
    "The scripts once more, with a checkpoint every four steps."
    for name in 'digits.py', 'begin.py', 'checkpoints.py', 'training.safetensors':
        (tmp_path/name).write_bytes((work/name).read_bytes())
    script = (work/'resumable.py').read_text(encoding='utf-8')
    (tmp_path/'resumable.py').write_text(script.replace('% 10 == 0', '% 4 == 0'), encoding='utf-8')
    return tmp_path

@pytest.mark.slow
def test_killed_with_two_processes_and_resumed_with_one(copied, undisturbed):
    "From the middle of the second epoch; the order of the rows hangs on no number of processes."
    with pytest.raises(CourseError, match='failed'):
        terminal('torchrun --nproc-per-node 2 resumable.py 5', copied)
    assert [o.name for o in copied.glob('step_*')]==['step_000004']
    terminal('python resumable.py', copied)
    resumed = losses_of(copied/'resumed.pt')
    assert len(resumed)==6
    assert resumed==pytest.approx(undisturbed, abs=1e-5)
    assert undisturbed[-1] < undisturbed[0]

@pytest.mark.slow
def test_a_net_that_draws_random_numbers_is_resumed_to_the_bit(copied):
    "Dropout draws in each step, so the state of the random numbers has to come back, too."
    def change(name, old, new):
        text = (copied/name).read_text(encoding='utf-8')
        assert old in text
        (copied/name).write_text(text.replace(old, new), encoding='utf-8')
    change('digits.py', 'nn.Flatten(), ', 'nn.Flatten(), nn.Dropout(0.3), ')
    change('resumable.py', 'process_index == 1', 'process_index == 0')
    terminal('python resumable.py', copied)
    undisturbed = losses_of(copied/'resumed.pt')
    for o in copied.glob('step_*'):
        shutil.rmtree(o)
    with pytest.raises(CourseError, match='failed'):
        terminal('python resumable.py 5', copied)
    terminal('python resumable.py', copied)
    assert losses_of(copied/'resumed.pt').tolist()==undisturbed.tolist()

@pytest.mark.slow
def test_three_processes_and_160_rows_are_refused_in_a_line(work, capfd):
    with pytest.raises(CourseError, match=r'^`torchrun .*` failed: ValueError: .*160.*3'):
        terminal('torchrun --nproc-per-node 3 train.py three.pt', work)
    assert 'Traceback' not in ''.join(capfd.readouterr())

@pytest.mark.skipif(sys.platform!='linux', reason='only Linux sets such a limit')
def test_a_table_that_fits_is_read_in_all_three_ways(work, capsys):
    "So it is the limit that the third way fails at, and not a fault of its own."
    import pyarrow as pa
    import pyarrow.parquet as pq
    table = pa.table({'price': [1.5, 2.5], 'sold': [2, 4]})
    pq.write_table(table, work/'sales.parquet')
    with pa.ipc.new_file(str(work/'sales.arrow'), table.schema) as file:
        file.write_table(table)
    terminal('python limited.py', work)
    assert capsys.readouterr().out.count('13.00')==3

def test_the_law_of_a_step():
    assert step_time(1, 100, 0.5, 0.01, 1e9, [])==1.5
    assert step_time(4, 100, 0.5, 0.01, 0, [(4, 1, 0)])==0.75
    within, between = (8, 1e9, 0.), (2, 1e8, 0.)
    assert step_time(16, 0, 0, 0, 1e9, [within, between])==pytest.approx(2*7/8 + 10)
    assert step_time(16, 0, 0, 0, 0, [(8, 1, .1), (2, 1, .1)])==pytest.approx(1.4 + .2)

# ------------------------------------------------------------------ faults

def test_the_line_that_names_the_error():
    text = '[rank1]: Traceback (most recent call last):\n[rank1]: a.MemoryError: no\nBError: later'
    assert last_error(text)=='a.MemoryError: no'
    assert last_error('one\ntwo\n')=='two'
    assert last_error('')=='it printed nothing'

def test_commands_that_fail_or_hang(tmp_path):
    (tmp_path/'bad.py').write_text("raise ValueError('these digits are upside down')", encoding='utf-8')
    (tmp_path/'long.py').write_text('import subprocess, sys\n'
                                    'subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])',
                                    encoding='utf-8')
    with pytest.raises(CourseError, match='`python bad.py` failed: ValueError: these digits are upside down'):
        terminal('python bad.py', tmp_path)
    with pytest.raises(CourseError, match='`python long.py` was not ready after 1 s'):
        terminal('python long.py', tmp_path, timeout=1)
    assert psutil.wait_procs(psutil.Process().children(recursive=True), timeout=5)[1]==[]   # nor its child
    for command in 'acelerate launch x.py', 'accelerate lunch x.py':
        with pytest.raises(CourseError, match="Did you mean 'accelerate launch'"):
            terminal(command)

def test_nothing_of_a_command_reaches_a_shell(tmp_path):
    (tmp_path/'say.py').write_text("import sys; print(sys.argv[1:])", encoding='utf-8')
    terminal('python say.py ; echo x > made', tmp_path)
    assert not (tmp_path/'made').exists()

def test_a_process_that_waits_for_another_is_stopped(monkeypatch):
    "The one that failed is named at once; nobody waits for the end of the usual patience."
    two = Ranks(2)
    with pytest.raises(CourseError, match='^Process 1: ZeroDivisionError: .* A process did not answer'):
        two.run("import os, time\nif os.environ['RANK']=='1':\n    1/0\ntime.sleep(60)")
    assert all(o.poll() is not None for o in two.processes)
    with pytest.raises(CourseError, match='start_ranks'):
        two['1+1']

def test_an_interrupted_cell_leaves_no_process(monkeypatch):
    two = Ranks(2)
    def interrupt(timeout):
        raise KeyboardInterrupt
    monkeypatch.setattr(two.arrived, 'get', interrupt)
    with pytest.raises(KeyboardInterrupt):
        two.run('import time; time.sleep(60)')
    assert all(o.poll() is not None for o in two.processes)

def test_new_processes_take_the_place_of_the_old_ones(tmp_path):
    first = start_ranks(1, tmp_path)
    first.run('x = 3')
    assert first['x*2']==[6]
    second = start_ranks(2, tmp_path)
    assert first.processes[0].poll() is not None
    with pytest.raises(CourseError, match="Process 0: NameError: name 'x'"):
        second['x']
    assert second["__import__('os').getcwd()"]==[str(tmp_path.resolve())]*2
    second.stop()

def test_what_a_library_writes_does_not_get_between_the_answers():
    one = Ranks(1)
    one.run("import os\nos.write(1, b'a warning of C code')\nsys = __import__('sys')\nsys.stderr.write('x')")
    assert one['[1, 2.5, None]']==[[1, 2.5, None]]
    with pytest.raises(CourseError, match='TypeError|AttributeError'):
        one['{1, 2}']
    assert one['2']==[2]
    one.stop()
    assert ranks.process_settings()['HF_HUB_OFFLINE']=='1'
