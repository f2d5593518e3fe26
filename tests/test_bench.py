"""The measuring tools: what they compare, what they leave out, and that they notice when a chapter has moved on."""
import json, re, subprocess, sys
from pathlib import Path

import pytest
from conftest import ROOT
pytest.importorskip('nbdev', reason='measuring keeps outputs with nbdev, which is part of the dev extra')
sys.path[:0] = [str(ROOT/'bench'), str(ROOT/'docs')]
import bench, compare, measured, plain
from prepare import chapters


def notebook(path, *texts):
    "A notebook with one code cell for each text that was printed."
    cells = [dict(cell_type='code', id=f'c{i}', metadata={}, source=[], execution_count=None, outputs=[dict(output_type='stream', name='stdout', text=[t])]) for i, t in enumerate(texts)]
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)), encoding='utf-8')
    return path

# ------------------------------------------------------------------ are two runs the same?

@pytest.mark.parametrize('one, other', [
    ('practicaldl 0.1.0 · 01_bird · sample edition (no GPU here) · processor, 2 threads · seed 42', 'practicaldl 0.1.0 · 01_bird · sample edition (no GPU here) · processor, 8 threads · seed 42'),
    ('0  0.31  0.29  0.88  00:05', '0  0.31  0.29  0.88  00:41'),
    ('it took 3.2 s', 'it took 12.9 s'), ('<Figure at 0x7f8a12345678>', '<Figure at 0x7f8affffffff>'),
    ('32 bits: 4.1 s, loss 3.726; 16 bits: 3.0 s, loss 3.726; ratio 1.35', '32 bits: 4.0 s, loss 3.726; 16 bits: 2.6 s, loss 3.726; ratio 1.53')])
def test_times_and_addresses_may_differ(tmp_path, one, other):
    assert compare.unlike(notebook(tmp_path/'a.ipynb', one), notebook(tmp_path/'b.ipynb', other))==[]

@pytest.mark.parametrize('one, other', [
    ('accuracy: 0.9749 (the bar is >= 0.95: reached)', 'accuracy: 0.9748 (the bar is >= 0.95: reached)'), ('0  0.31  0.29  0.88', '0  0.31  0.29  0.89'),
    ('12 of 12 are right', '11 of 12 are right'), ('a line', ''), ('practicaldl is here', 'practicaldl is there')])
def test_any_other_difference_is_told_with_its_cell(tmp_path, one, other):
    told = compare.unlike(notebook(tmp_path/'a.ipynb', 'same', one), notebook(tmp_path/'b.ipynb', 'same', other))
    assert told and all(line.startswith('b.ipynb, cell 2: ') for line in told) and f'b.ipynb, cell 2: -{one}' in told

def test_a_chapter_with_another_number_of_cells_is_told(tmp_path):
    assert 'code cells' in compare.unlike(notebook(tmp_path/'a.ipynb', 'x'), notebook(tmp_path/'b.ipynb', 'x', 'y'))[0]

def test_the_committed_chapters_equal_themselves_and_a_changed_one_does_not(tmp_path):
    "The command that `make same` uses, on copies of the committed chapters."
    def same(): return subprocess.run([sys.executable, str(ROOT/'bench'/'compare.py'), str(tmp_path)], capture_output=True, text=True, encoding='utf-8')
    assert same().returncode==1 and 'no executed chapters' in same().stderr
    for path in chapters(): (tmp_path/path.name).write_bytes(path.read_bytes())
    assert same().returncode==0
    changed = tmp_path/'01_bird.ipynb'
    text, found = re.subn(r'(accuracy: 0\.)\d+', r'\g<1>1234', changed.read_text(encoding='utf-8'), count=1)
    assert found
    changed.write_text(text, encoding='utf-8')
    done = same()
    assert done.returncode==1 and '01_bird.ipynb, cell' in done.stdout and '0.1234' in done.stdout

def row(value=0.97, seconds=10., peak=900, metric='accuracy'): return dict(chapter='01_bird', metric=metric, value=value, bar='>= 0.95', passed=True, edition='sample', seconds=seconds, peak_mb=peak)

def test_repeated_runs_must_agree_in_values_but_not_in_seconds_or_memory():
    assert measured.differences([[row()], [row(seconds=12., peak=950)]])==[]
    assert measured.differences([[row()], [row(value=0.96)]])==['01_bird, accuracy: 0.97 in run 1, 0.96 in run 2']
    assert measured.differences([[row()], []])==['01_bird, accuracy: 0.97 in run 1, None in run 2']
    assert measured.differences([[row(900, metric='peak memory (MB)')], [row(950, metric='peak memory (MB)')]])==[]

def test_several_runs_become_one_row():
    merged, = measured.merged([[row(seconds=s, peak=p)] for s, p in ((12., 900), (9., 950), (10., 920))])
    assert (merged['seconds'], merged['seconds_range'], merged['peak_mb'], merged['value'])==(10., [9., 12.], 950, 0.97)

# ------------------------------------------------------------------ plain code beside ours

def test_every_section_has_plain_code_and_every_plain_code_a_section(): assert set(bench.SECTIONS)==set(plain.SECTIONS)

@pytest.mark.parametrize('section', bench.SECTIONS)
def test_the_cells_of_a_section_are_there_and_measure_what_is_compared(section):
    chapter, metric, _, ids = bench.SECTIONS[section]
    cells = {c['id']: ''.join(c['source']) for c in json.loads((ROOT/'nbs'/f'{chapter}.ipynb').read_text(encoding='utf-8'))['cells']}
    assert set(ids) <= set(cells) and len(set(ids))==len(ids)
    assert any('fit' in cells[i] or 'train()' in cells[i] for i in ids), 'one of them trains'
    assert any(metric in s for s in cells.values())

def test_seconds_come_from_the_times_in_the_notebook(tmp_path):
    path = notebook(tmp_path/'a.ipynb', 'x', 'y')
    nb = json.loads(path.read_text(encoding='utf-8'))
    for cell, (began, ended) in zip(nb['cells'], (('00:01.000', '00:03.500'), ('00:10.000', '00:10.250'))):
        cell['metadata']['execution'] = {'iopub.execute_input': f'2026-01-01T00:{began}Z', 'shell.execute_reply': f'2026-01-01T00:{ended}Z'}
    path.write_text(json.dumps(nb), encoding='utf-8')
    assert bench.seconds_of(path, ('c0', 'c1'))==2.75 and bench.seconds_of(path, ('c1',))==0.25
    with pytest.raises(SystemExit, match='has no cell c7'): bench.seconds_of(path, ('c7',))

def test_a_section_that_does_not_exist_is_told_in_a_line():
    done = subprocess.run([sys.executable, str(ROOT/'bench'/'plain.py'), 'planes'], capture_output=True, text=True, encoding='utf-8')
    assert done.returncode==1 and done.stderr.startswith('Name one section: birds, ') and len(done.stderr.splitlines())==1

def test_one_plain_section_runs(usual_cache):
    "The quickest; the others run in `make bench`."
    found = bench.run_plain('digits')
    assert found['name']=='digits' and 0 <= found['value'] <= 1 and found['seconds'] > 0

def test_the_machine_is_named(): assert 'processor cores (' in bench.machine() and ' GB)' in bench.machine()
