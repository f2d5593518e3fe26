"""The command line: chapters made by hand are run, and every way to fail says which cell and why."""
import json, subprocess, sys
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pytest
import tqdm
from PIL import Image

from practicaldl import __version__, cli
from practicaldl.cache import twin_folder
from practicaldl.errors import DataError
from practicaldl.registry import TWINS

KEYS = {'chapter', 'metric', 'value', 'bar', 'passed', 'edition', 'seconds', 'peak_mb'}
RECORD = "from practicaldl import course\ncourse._state['chapter'] = 'whatever'\n"
CHILD = ('import subprocess, sys\nhungry = "x = bytearray(b\'1\')*150_000_000; import time; time.sleep(2)"\n'
         'subprocess.run([sys.executable, "-c", hungry], check=True)')
LATE = "get_ipython().events.register('post_execute', lambda: 1/0)"   # as when a figure cannot be drawn

@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    "The edition is named, so that no kernel has to ask PyTorch for a GPU; the working folder is a fresh one."
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    (tmp_path/'home').mkdir()
    monkeypatch.chdir(tmp_path/'home')

def chapter(folder, name, *sources, **about):
    "A chapter with the given code cells; `about` goes into its metadata."
    folder.mkdir(parents=True, exist_ok=True)
    cells = [nbformat.v4.new_markdown_cell('# '+name), *map(nbformat.v4.new_code_cell, sources)]
    nb = nbformat.v4.new_notebook(cells=cells, metadata={'practicaldl': about} if about else {})
    nbformat.write(nb, folder/f'{name}.ipynb')
    return folder/f'{name}.ipynb'

def outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    return [''.join(o.get('text', '') for o in c.outputs) for c in cells if c.cell_type=='code']

def said_by(capsys, *words):
    status = cli.main(list(words))
    return status, capsys.readouterr().err.splitlines()

@pytest.mark.slow
def test_chapters_that_run(tmp_path, capsys, monkeypatch):
    "A table, results.json with the promised keys, executed notebooks, and the sources untouched."
    monkeypatch.setattr('torch.version.cuda', None)
    monkeypatch.setenv('PRACTICALDL_CACHE', 'my cache')
    nbs = tmp_path/'nbs'
    skipped, good = '#| eval: false\nraise SystemError()', "course.record('accuracy', 0.97, at_least=0.95)"
    listed = 'import os\nprint(os.listdir())'
    first = chapter(nbs, '01_good', listed, skipped, CHILD, RECORD+good, memory_mb=5000)
    chapter(nbs, '02_quiet', 'from practicaldl.cache import cache_dir\nprint(cache_dir())')
    before = first.read_bytes()
    assert cli.main(['run', '--from', str(nbs), '--out', str(tmp_path/'out')])==0
    out = capsys.readouterr().out
    rows = json.loads((tmp_path/'out'/'results.json').read_text(encoding='utf-8'))
    assert all(set(r)==KEYS and r['passed'] is True and r['edition']=='sample' for r in rows)
    names = [(r['chapter'], r['metric'], r['value'], r['bar']) for r in rows]
    assert names==[('01_good', 'accuracy', 0.97, '>= 0.95'), ('02_quiet', 'runs to the end', 1.0, '>= 1')]
    assert 190 < rows[0]['peak_mb'] < 5000 and rows[0]['seconds'] > 2   # with the program that it starts
    assert outputs(tmp_path/'out'/'01_good.ipynb')[0]=='[]\n' and first.read_bytes()==before
    # A relative cache means the one beside us, not one in the empty folder that the kernel runs in.
    assert outputs(tmp_path/'out'/'02_quiet.ipynb')==[f"{Path('my cache').absolute()}\n"]
    assert '0.97 (the bar is >= 0.95)' in out and out.count('01_good')==2   # a line, a row of the table
    assert cli.main(['run', '02', '-v', '--from', str(nbs), '--out', 'out'])==0
    assert '02_quiet    2/2' in capsys.readouterr().out   # and a line for each cell

@pytest.mark.slow
def test_chapters_that_fail(tmp_path, capsys, monkeypatch):
    "Each is told in one line, and the others still run; a value that is no number is null in results.json."
    monkeypatch.setattr('torch.version.cuda', None)
    nbs = tmp_path/'nbs'
    chapter(nbs, '01_breaks', '# a remark\nx = 1\ny = x/0', 'print("not reached")')
    chapter(nbs, '02_misses', RECORD+"course.record('table: accuracy', float('nan'), at_least=0.9)")
    chapter(nbs, '03_draws', LATE)
    chapter(nbs, '04_dies', 'import os; os._exit(1)')
    chapter(nbs, '05_eats', 'x = 1', memory_mb=1)
    status, told = said_by(capsys, 'run', '--from', str(nbs), '--out', 'out')
    assert status==1 and len(told)==5
    assert told[0]=='FAILED 01_breaks, cell 2 (y = x/0): ZeroDivisionError: division by zero'
    about = (('02_misses', 'table: accuracy', '0.9'), ('03_draws, cell 2', 'ZeroDivisionError'),
             ('04_dies, cell 2', 'memory'), ('05_eats', 'peak memory', '<= 1'))
    for line, words in zip(told[1:], about):
        assert line.startswith(f'FAILED {words[0]}') and all(o in line for o in words), line
    text = Path('out/results.json').read_text(encoding='utf-8')
    rows = json.loads(text, parse_constant=Mock(side_effect=ValueError('NaN is not JSON')))
    assert [(r['chapter'], r['value']) for r in rows if r['metric']=='table: accuracy']==[('02_misses', None)]
    assert {r['chapter'] for r in rows if not r['passed']}=={p.stem for p in nbs.iterdir()}
    assert outputs('out/01_breaks.ipynb')[1]==''

def test_memory_is_not_judged_where_pytorch_is_a_build_for_cuda(monkeypatch):
    monkeypatch.setattr('torch.version.cuda', '12.1')
    rows = [dict(metric='accuracy', value=0.9, bar=None, passed=True, edition='sample')]
    assert cli._finish(rows, '01_eats', 1, 1234, 5.0, '')==[]
    assert len(rows)==1 and rows[0]['peak_mb']==1234

@pytest.fixture
def three(tmp_path):
    for name in ('01_bird', '05_mnist', '06_transformers', 'index', 'glossary', '5_not'):
        chapter(tmp_path/'nbs', name)
    return tmp_path/'nbs'

def test_chapters_are_looked_for_here_and_above(three, monkeypatch):
    for place in (three.parent, three, three.parent/'home'):
        monkeypatch.chdir(place)
        assert cli.chapter_folder().resolve()==three.resolve()

def test_what_cannot_be_run_is_told_in_a_line(three, capsys, monkeypatch):
    "An unknown chapter, a folder without chapters, a file in the way, Ctrl+C, an unknown edition."
    Path('file').write_text('mine')
    for words, told in ((['05_minst'], "Did you mean '05_mnist'?"), (['--from', 'nowhere'], '--from'),
                        (['01', '--out', 'file'], 'file')):
        status, lines = said_by(capsys, 'run', '--from', str(three), '--out', 'out', *words)
        assert status==1 and len(lines)==1 and told in lines[0], words
    monkeypatch.setattr(cli, 'run_chapter', Mock(side_effect=KeyboardInterrupt))
    assert said_by(capsys, 'run', '--from', str(three), '--out', 'out')==(1, ['FAILED stopped'])
    monkeypatch.setenv('PRACTICALDL_EDITION', 'smaple')
    status, lines = said_by(capsys, 'run', '--from', str(three))
    assert status==1 and "Did you mean 'sample'?" in lines[0]

def test_data_says_size_content_licence_and_place(tiny, cache, capsys):
    assert cli.main(['data', 'tiny'])==0
    out = capsys.readouterr().out
    assert all(o in out for o in ('TINY', '0.0 MB', 'one word', '[ours]', str(cache), 'PRACTICALDL_CACHE'))
    assert cli.main(['data', 'MNIST_SAMPEL'])==1

@pytest.mark.parametrize('edition, fault, told', [
    ('sample', DataError('the disk is full'), 'the disk is full'),
    ('full', ConnectionError('refused'), 'the network cannot be reached')])   # each library raises its own
def test_data_goes_on_after_a_failure(edition, fault, told, tmp_path, monkeypatch, capsys):
    def folder(name):
        if name=='PETS':
            raise fault
        return tmp_path
    monkeypatch.setattr(cli, {'sample': 'twin_folder', 'full': 'full_folder'}[edition], folder)
    assert cli.main(['data', '--edition', edition])==1
    out, err = capsys.readouterr()
    assert err.startswith(f'FAILED PETS: {told}') and err.count('\n')==1
    assert all((getattr(o, edition) in out)==(o.name!='PETS') for o in TWINS.values())

@pytest.mark.slow
def test_doctor_says_what_is_here(tiny, cache, capsys):
    twin_folder('TINY')
    assert cli.main(['doctor'])==0
    out = capsys.readouterr().out
    assert out.startswith(f'practicaldl {__version__}') and out.endswith('offline: TINY\n')
    assert all(o in out for o in ('torch ', 'fastai', 'transformers', 'GPU', f'Cache: {cache}'))

def test_doctor_looks_pictures_over(tmp_path, capsys):
    "A folder that has none ends in a line."
    folder = tmp_path/'mine'
    folder.mkdir()
    status, told = said_by(capsys, 'doctor', str(folder))
    assert status==1 and len(told)==1
    for name in ('bird', 'plane'):
        (folder/name).mkdir()
        Image.new('RGB', (40, 40), 'red' if name=='bird' else 'blue').save(folder/name/'1.png')
    (folder/'bird'/'2.jpg').write_text('403 Forbidden')
    assert cli.main(['doctor', str(folder)])==0
    assert '3 pictures, 1 broken' in capsys.readouterr().out

def test_doctor_names_what_is_missing(capsys, monkeypatch):
    monkeypatch.setattr(cli.importlib, 'import_module', Mock(side_effect=ModuleNotFoundError('not here')))
    status, told = said_by(capsys, 'doctor')
    assert status==1 and len(told)==6 and 'timm does not import' in told[3] and 'pip install' in told[3]

def test_app_starts_the_page_around_the_bird_model(monkeypatch):
    from practicaldl import production, serving
    serve = Mock()
    monkeypatch.setattr(production, 'bird_model', lambda: 'birds')
    monkeypatch.setattr('practicaldl.course.shipped', lambda term, n: [f'file:///{term}.png'])
    monkeypatch.setattr(serving, 'make_app', lambda model, title, examples: (model, len(examples)))
    monkeypatch.setattr(serving, 'serve', serve)
    assert cli.main(['app', '--port', '8000'])==0 and serve.call_args==((('birds', 3),), {'port': 8000})

@pytest.mark.parametrize('is_terminal', [True, False])
def test_app_shows_one_bar_while_it_trains(is_terminal, monkeypatch, capsys):
    "It goes over all batches of all epochs; without a terminal nothing is shown, and never a table."
    from fastai.test_utils import synth_learner
    from practicaldl import production, serving
    bar, learn = Mock(), []
    def trained():
        learn.append(synth_learner(cbs=[]))
        learn[0].fit(2)
    monkeypatch.setattr(production, 'bird_model', trained)
    monkeypatch.setattr('practicaldl.course.shipped', lambda term, n: [f'file:///{term}.png'])
    monkeypatch.setattr(serving, 'make_app', Mock())
    monkeypatch.setattr(serving, 'serve', Mock())
    if is_terminal:
        monkeypatch.setattr('tqdm.tqdm', Mock(return_value=bar))
    assert cli.main(['app'])==0 and capsys.readouterr()==('', '')
    if is_terminal:
        batches = 2*sum(map(len, learn[0].dls))
        assert tqdm.tqdm.call_args.kwargs['total']==bar.update.call_count==batches and bar.close.called

def test_the_command_line_itself(tmp_path, capsys):
    code = 'import sys; from practicaldl.cli import main; sys.exit(main())'
    command = [sys.executable, '-c', code, 'data', 'nothing at all']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert done.returncode==1 and done.stderr.startswith(b"FAILED There is no data set 'nothing at all'")
    with pytest.raises(SystemExit, match='2'):
        cli.main([])
    assert 'usage: practicaldl' in capsys.readouterr().err
