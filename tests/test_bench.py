"""The measuring tools: what they compare, what they leave out, and that they notice when a chapter has moved on."""
import json, os, re, shutil, subprocess, sys
from pathlib import Path

import pytest
from conftest import ROOT
pytest.importorskip('nbdev', reason='measuring keeps outputs with nbdev, which is part of the dev extra')
sys.path[:0] = [str(ROOT/'bench'), str(ROOT/'docs')]
import bench, clone, compare, measured, offline, plain, prepare, repeat
from prepare import chapters
from test_machines import first_cells


def notebook(path, *texts):
    "A notebook with one code cell for each text that was printed."
    return with_outputs(path, *(dict(output_type='stream', name='stdout', text=[t]) for t in texts))

def with_outputs(path, *outputs):
    "A notebook with one code cell for each output."
    cells = [dict(cell_type='code', id=f'c{i}', metadata={}, source=[], execution_count=None, outputs=[o]) for i, o in enumerate(outputs)]
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)), encoding='utf-8')
    return path

# ------------------------------------------------------------------ are two runs the same?

@pytest.mark.parametrize('one, other', [
    ('practicaldl 0.1.0 · 01_bird · sample edition (no GPU here) · processor, 2 threads · seed 42', 'practicaldl 0.1.0 · 01_bird · sample edition (no GPU here) · processor, 8 threads · seed 42'),
    ('0  0.31  0.29  0.88  00:05', '0  0.31  0.29  0.88  00:41'),
    ('it took 3.2 s', 'it took 12.9 s'), ('2 workers: memory 1,123 MB', '2 workers: memory 987.5 MB'), ('<Figure at 0x7f8a12345678>', '<Figure at 0x7f8affffffff>'),
    ('32 bits: 4.1 s, loss 3.726; 16 bits: 3.0 s, loss 3.726; ratio 1.35', '32 bits: 4.0 s, loss 3.726; 16 bits: 2.6 s, loss 3.726; ratio 1.53')])
def test_times_and_addresses_may_differ(tmp_path, one, other):
    assert compare.unlike(notebook(tmp_path/'a.ipynb', one), notebook(tmp_path/'b.ipynb', other))==[]

@pytest.mark.parametrize('one, other', [
    ('accuracy: 0.9749 (the bar is >= 0.95: reached)', 'accuracy: 0.9748 (the bar is >= 0.95: reached)'), ('0  0.31  0.29  0.88', '0  0.31  0.29  0.89'),
    ('12 of 12 are right', '11 of 12 are right'), ('a line', ''), ('practicaldl is here', 'practicaldl is there'),
    ('weights 12 MB', 'weights 13 MB'), ('memory 1 GB', 'memory 2 GB')])
def test_any_other_difference_is_told_with_its_cell(tmp_path, one, other):
    told = compare.unlike(notebook(tmp_path/'a.ipynb', 'same', one), notebook(tmp_path/'b.ipynb', 'same', other))
    assert told and all(line.startswith('b.ipynb, cell 2: ') for line in told) and f'b.ipynb, cell 2: -{one}' in told

def table(loss='0.131573', time='00:01', head='valid_loss'):
    "A table of epochs as fastai shows it."
    return f'<table><tr><th>epoch</th><th>{head}</th><th>time</th></tr><tr><td>0</td><td>{loss}</td><td>{time}</td></tr></table>'

def displayed(**kinds): return dict(output_type='display_data', metadata={}, data={f"text/{kind}": [text] for kind, text in {'plain': '<IPython.core.display.HTML object>', **kinds}.items()})
def error(ename='ValueError', evalue='no such file'): return dict(output_type='error', ename=ename, evalue=evalue, traceback=['at 0x123'])

@pytest.mark.parametrize('one, other', [
    (displayed(html=table()), displayed(html=table(time='00:41'))), (displayed(plain=table(), html=table()), displayed(plain=table(time='1:00:41'), html=table(time='1:00:41'))),
    (displayed(html='<style>#T_1 {}</style><b id="T_1">5</b>'), displayed(html='<style>#T_2 {}</style><b id="T_2">5</b>')), (displayed(markdown='**12** in 3 s'), displayed(markdown='**12** in 4 s')),
    (error(evalue='it took 3 s'), error(evalue='it took 9 s')), ({**error(), 'traceback': ['line 1']}, {**error(), 'traceback': ['line 2']})])
def test_times_and_styles_of_tables_may_differ(tmp_path, one, other):
    assert compare.unlike(with_outputs(tmp_path/'a.ipynb', one), with_outputs(tmp_path/'b.ipynb', other))==[]

@pytest.mark.parametrize('one, other, told', [
    (displayed(html=table()), displayed(html=table(loss='0.131574')), '+0 0.131574 (time)'), (displayed(html=table()), displayed(html=table(head='perplexity')), '+epoch perplexity time'),
    (displayed(plain=table(), html=table()), displayed(plain=table(loss='9'), html=table(loss='9')), '+0 9 (time)'), (displayed(html='a &lt; b'), displayed(html='a &gt; b'), '+a > b'),
    (displayed(plain='a walk, loss 4.7', html='<svg/>'), displayed(plain='a walk, loss 4.8', html='<svg/>'), '+a walk, loss 4.8'), (displayed(markdown='**12**'), displayed(markdown='**13**'), '+**13**'),
    (error(), error(evalue='no such folder'), '+ValueError: no such folder'), (error(), error(ename='TypeError'), '+TypeError: no such file'), (error(), displayed(plain=''), '-ValueError: no such file')])
def test_tables_and_errors_are_compared_by_their_words(tmp_path, one, other, told):
    lines = compare.unlike(with_outputs(tmp_path/'a.ipynb', one), with_outputs(tmp_path/'b.ipynb', other))
    assert f'b.ipynb, cell 1: {told}' in lines and len(lines) <= 3

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
    found = bench.run_plain('salaries')
    assert found['name']=='salaries' and 0 <= found['value'] <= 1 and found['seconds'] > 0

def test_the_machine_is_named(): assert 'processor cores (' in bench.machine() and ' GB)' in bench.machine()

def test_what_plain_code_costs_is_said_in_a_sentence():
    def section(ratio, ours, theirs, more=True): return dict(ratio=ratio, value=ours, plain_value=theirs, more_is_better=more)
    said = prepare.ratios_in_words([section(0.8, 0.9, 0.95), section(12.34, 0.9, 0.8), section(3, 0.1, 0.1, False), section(2, 0.3, 0.2, False)])
    assert said.startswith('4 sections of') and 'take 0.8 to 12.3 times as many' in said and 'median 2.5' in said and 'better value than ours in 2 of 4.' in said
    assert prepare.ratios_in_words([])==''

def test_when_and_where_plain_code_was_measured_is_said_beside_it():
    def section(day, machine): return dict(day=day, machine=machine)
    assert prepare.plain_in_words([])==''
    assert prepare.plain_in_words([section('2026-01-02', 'a laptop')]*2)=='Measured on 2026-01-02 on a laptop.'
    assert prepare.plain_in_words([section('2026-01-03', 'a laptop'), section('2026-01-02', 'a laptop'), section('2026-01-04', 'a server')])=='Measured between 2026-01-02 and 2026-01-03 on a laptop; on 2026-01-04 on a server.'

# ------------------------------------------------------------------ what is written

PLAIN = [dict(section=s, chapter=about[0], metric=about[1], more_is_better=about[2], value=1., seconds=1., plain_value=1., plain_seconds=2., ratio=2., machine='a laptop', day='2026-01-02')
         for s, about in bench.SECTIONS.items()]

@pytest.fixture
def written(tmp_path, monkeypatch):
    "Results of all chapters but 03 and 08 and of all sections, in a copy of what `make bench` writes; a function reads docs/results.json."
    (tmp_path/'nbs').mkdir(); (tmp_path/'docs').mkdir()
    for name in prepare.GOAL: shutil.copy(ROOT/'nbs'/f'{name}.ipynb', tmp_path/'nbs')
    shutil.copy(ROOT/'README.md', tmp_path)
    for module, name, value in ((prepare, 'ROOT', tmp_path), (prepare, 'NBS', tmp_path/'nbs'), (measured, 'ROOT', tmp_path), (measured, 'RESULTS', tmp_path/'docs'/'results.json')): monkeypatch.setattr(module, name, value)
    measured.take({name: runs_of(name) for name in prepare.GOAL}, PLAIN, 'a laptop', 0.01)
    return lambda: json.loads((tmp_path/'docs'/'results.json').read_text(encoding='utf-8'))

def runs_of(chapter, seconds=10., value=0.97): return [[{**row(value, seconds), 'chapter': chapter}] for _ in range(3)]
def readme(): return (measured.ROOT/'README.md').read_text(encoding='utf-8').split('<!-- measured -->\n')[1].split('\n<!-- end of measured -->')[0]
def day(content, **days): measured.keep({**content, 'measured': {**content['measured'], **days}})

def test_the_readme_is_up_to_date():
    assert readme()==measured.readme_part(prepare.measured()), 'README and docs/results.json differ; run: python docs/measured.py'

def test_all_of_it_is_written_from_scratch(written):
    content = written()
    assert len(content['rows'])==6 and content['plain']==PLAIN and set(content['measured'])==set(prepare.GOAL) and 'pillow' in content['versions'] and 'clone_minutes' not in content
    assert readme()==measured.readme_part(prepare.measured()) and 'Together 60 s.' in readme() and '9 sections of' in readme() and 'clone' not in readme()

def test_one_chapter_is_measured_and_the_others_stay(written):
    day(written(), **dict.fromkeys(prepare.GOAL, '2026-01-02'))
    before = written()
    assert 'Measured on 2026-01-02 by' in readme()
    fresh = dict(PLAIN[6], ratio=3.)
    assert fresh['chapter']=='05_mnist'
    measured.take({'05_mnist': runs_of('05_mnist', 20., 0.5)}, [fresh], 'a laptop', 0.02, before)
    after = written()
    def others(o): return [r for r in o['rows']+o['plain'] if r['chapter']!='05_mnist']
    assert others(after)==others(before) and [o['section'] for o in after['plain']]==[o['section'] for o in PLAIN] and fresh in after['plain']
    assert [r['chapter'] for r in after['rows']]==list(prepare.GOAL) and [r['value'] for r in after['rows'] if r['chapter']=='05_mnist']==[0.5]
    assert after['measured']['01_bird']=='2026-01-02' < after['measured']['05_mnist'] and f"Measured between 2026-01-02 and {after['measured']['05_mnist']} by" in readme()

def test_plain_code_can_stay_as_it_was_measured_on_another_machine(written):
    before = written()
    measured.take({name: runs_of(name) for name in prepare.GOAL}, [], 'a server', 0.01, keep_plain=True)
    assert written()['machine']=='a server' and written()['plain']==before['plain'] and prepare.plain_in_words(prepare.measured().plain)=='Measured on 2026-01-02 on a laptop.'
    measured.take({name: runs_of(name) for name in prepare.GOAL}, [], 'a server', 0.01)
    assert written()['plain']==[]

def test_what_another_machine_took_is_kept(written):
    "When a second machine is measured, the first one stays as a sentence; when it is measured again itself, it is no longer told of as another one."
    def again(machine, seconds): measured.take({name: runs_of(name, seconds) for name in prepare.GOAL}, [], machine, 0.01)
    day(written(), **dict.fromkeys(prepare.GOAL, '2026-01-02'))
    again('a server', 5.)
    assert 'on a server' in readme() and 'Together 30 s.' in readme() and ' On a laptop, on 2026-01-02, 01, 02 and 04 to 07 took 60 s together.' in readme()
    again('a server', 4.)
    again('a palmtop', 100.)
    assert readme().count(' took ')==2 and [o['machine'] for o in written()['elsewhere']]==['a laptop', 'a server'] and ' took 24 s together.' in readme()
    again('a laptop', 7.)
    assert [o['machine'] for o in written()['elsewhere']]==['a server', 'a palmtop'] and 'Together 42 s.' in readme()
    assert prepare.other_machine({**written()['elsewhere'][0], 'chapters': {}})==''

def test_chapters_without_plain_code_join_the_others(written):
    "As 03 and 08 do. Until they are measured, nothing can be written; then the sum says which chapters the goal is about."
    before = written()
    for name in ('03_production', '08_scaling'): shutil.copy(ROOT/'nbs'/'05_mnist.ipynb', prepare.NBS/f'{name}.ipynb')
    with pytest.raises(prepare.SiteError, match='no rows for 03_production, 08_scaling'): measured.spread()
    with pytest.raises(SystemExit, match='Missing chapters: 08_scaling'): measured.take({'03_production': runs_of('03_production')}, [], 'a laptop', 0.01, before)
    assert written()==before
    measured.take({name: runs_of(name, 50.) for name in ('03_production', '08_scaling')}, [], 'a laptop', 0.01, before)
    assert [r['chapter'] for r in written()['rows']]==[p.stem for p in chapters()] and len(chapters())==8 and written()['plain']==PLAIN
    assert 'All 8 chapters together 160 s; of these 01, 02 and 04 to 07, whose goal is 480 s, 60 s.' in readme()

def test_a_file_without_days_and_pillow_can_be_read_and_joined(written):
    "As docs/results.json was before both were kept: no day is claimed for rows whose day is not known, and no version either."
    old = written()
    del old['measured'], old['versions']['pillow']
    measured.keep(old)
    assert readme().startswith('Measured by `make bench`') and measured.hindrances(old, 'a laptop', 3)==[]
    measured.take({'05_mnist': runs_of('05_mnist')}, PLAIN[6:7], 'a laptop', 0.01, old)
    assert written()['measured'].keys()=={'05_mnist'} and 'pillow' not in written()['versions'] and readme().startswith('Measured by `make bench`')

def test_rows_of_another_machine_or_other_versions_cannot_be_joined(written, monkeypatch, capsys):
    content = written()
    assert measured.hindrances(content, 'a laptop', 3)==[]
    assert measured.hindrances(content, 'a server', 2)==['machine: a laptop in docs/results.json, a server now', 'runs of each chapter: 3 in docs/results.json, 2 now']
    content['versions']['torch'] = '1.0'
    assert [o.startswith('torch: 1.0 in docs/results.json, ') for o in measured.hindrances(content, 'a laptop', 3)]==[True]
    for words, message in ((['05_mnist', '--machine', 'a server'], 'machine: a laptop in docs/results.json, a server now'), (['99_no'], 'There is no chapter 99_no')):
        monkeypatch.setattr(sys, 'argv', ['bench.py', *words])
        with pytest.raises(SystemExit, match=message): bench.main()

@pytest.mark.parametrize('name, words, sections', [('04_how_nets_learn', [], []), ('05_mnist', [], ['digits']), ('05_mnist', ['--keep-plain'], [])])
def test_the_program_measures_the_named_chapters_and_their_plain_code(written, monkeypatch, tmp_path, name, words, sections):
    "Chapters and plain code are played; 04 has no plain code, as 03 and 08 have none."
    asked, before = [], written()
    metric = bench.SECTIONS['digits'][1]
    def run_chapter(chapter, out):
        asked.append(chapter)
        out.mkdir(parents=True)
        notebook(out/f'{chapter}.ipynb', 'text')
        return [{**row(0.99, 7., metric=metric), 'chapter': chapter}]
    def run_plain(section):
        asked.append(section)
        return dict(value=0.98, seconds=6.)
    for function, played in (('run_chapter', run_chapter), ('run_plain', run_plain), ('seconds_of', lambda *_: 2.), ('import_seconds', lambda: 0.02)): monkeypatch.setattr(bench, function, played)
    monkeypatch.setattr(sys, 'argv', ['bench.py', name, *words, '--machine', 'a laptop', '--out', str(tmp_path/'out')])
    bench.main()
    assert asked==[*sections, name, name, name]
    assert [r['seconds'] for r in written()['rows'] if r['chapter']==name]==[7.] and len(written()['rows'])==len(before['rows'])
    today = written()['measured'][name]
    assert len(written()['plain'])==len(before['plain'])
    assert [o for o in written()['plain'] if o not in before['plain']]==[
        dict(section=s, chapter=name, metric=metric, more_is_better=True, value=0.99, seconds=2., plain_value=0.98, plain_seconds=6., ratio=3., machine='a laptop', day=today) for s in sections]

# ------------------------------------------------------------------ from a clone to the table

@pytest.fixture
def repo(tmp_path):
    "A git repository with a Makefile that makes nothing."
    if os.name=='nt' or not (shutil.which('make') and shutil.which('git')): pytest.skip('needs git and make')
    place = tmp_path/'repo'; place.mkdir()
    (place/'Makefile').write_text('.venv/.ready:\n\ttest -n "$(PYTHON)"\nrun:\n\ttest "$(PRACTICALDL_EDITION)" = sample && test ! -e "$(PRACTICALDL_CACHE)"\n')
    git = ['git', '-c', 'user.name=a', '-c', 'user.email=a@example.org']
    for words in (['init', '-q'], ['add', '.'], ['commit', '-q', '-m', 'a']): subprocess.run([*git, *words], cwd=place, check=True)
    return place

def test_a_clone_is_installed_and_run(repo, written):
    found = clone.minutes_of(repo)
    assert list(found)==['installation', 'run'] and all(0 <= o < 1 for o in found.values())
    assert measured.take_clone({'installation': 4.2, 'run': 8.1}, 'a server').startswith('Not written') and 'clone' not in readme()
    measured.take_clone({'installation': 4.2, 'run': 8.1}, 'a laptop')
    assert '`make run` in a fresh clone took 12.3 minutes: 4.2 for the installation, 8.1 for' in readme()
    for machine, stays in (('a laptop', True), ('a server', False)):   # a new `make bench` there
        measured.take({name: runs_of(name) for name in prepare.GOAL}, PLAIN, machine, 0.01)
        assert ('clone_minutes' in written())==stays

def test_a_clone_that_fails_is_told(repo):
    (repo/'Makefile').write_text('.venv/.ready:\n\tfalse\n')
    subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@example.org', 'commit', '-qam', 'b'], cwd=repo, check=True)
    with pytest.raises(SystemExit, match='Nothing was written: make .venv/.ready .* ended with 2'): clone.minutes_of(repo)

# ------------------------------------------------------------------ again and again

def test_a_run_that_differs_or_fails_is_told(tmp_path, monkeypatch, capsys):
    "The chapter is played: the second run prints something else, the third has another value, the fourth fails."
    def played(turn_said, turn_value, turn_fails, times=4):
        turns = iter(range(1, times+1))
        def ran(name, out):
            out.mkdir(parents=True, exist_ok=True)
            turn = next(turns)
            if turn==turn_fails: return [], 'FAILED 05_mnist: it broke'
            notebook(out/f'{name}.ipynb', 'other' if turn==turn_said else 'text')
            return [row(0.5 if turn==turn_value else 0.97)], ''
        monkeypatch.setattr(repeat, 'ran', ran)
        monkeypatch.setattr(sys, 'argv', ['repeat.py', '05_mnist', '--times', str(times), '--out', str(tmp_path)])
        return repeat.main(), capsys.readouterr().out.splitlines()
    status, lines = played(2, 3, 4)
    assert status==1 and lines[-1]=='4 runs of 05_mnist, 10.0 to 10.0 s: 3 failed or differed.' and [o.split()[-1] for o in lines if o.startswith('run ')]==['same', 'DIFFERS', 'DIFFERS', 'FAILED']
    assert '  05_mnist.ipynb, cell 1: +other' in lines and '  01_bird, accuracy: 0.97 in run 1, 0.5 in run 2' in lines and '  FAILED 05_mnist: it broke' in lines
    status, lines = played(None, None, None, 2)
    assert status==0 and lines[-1]=='2 runs of 05_mnist, 10.0 to 10.0 s: all the same.' and len(lines)==3

# ------------------------------------------------------------------ without a network

def run_offline(folder, **env):
    return subprocess.run([sys.executable, str(ROOT/'bench'/'offline.py'), '--from', str(folder), '--out', str(folder/'out')], capture_output=True, text=True, encoding='utf-8', errors='replace', env={**os.environ, **env})

@pytest.fixture
def namespace():
    try: return offline.alone()
    except offline.NoNamespace as e: pytest.skip(str(e))

def test_a_chapter_runs_where_the_kernel_lets_nothing_out(namespace, tmp_path):
    "Chapter 04 up to its first bar."
    (tmp_path/'04_how_nets_learn.ipynb').write_text(json.dumps(first_cells('04_how_nets_learn', 'record(')), encoding='utf-8')
    done = run_offline(tmp_path)
    assert done.returncode==0 and done.stdout.endswith('No network, and no attempt to leave the machine.\n'), done.stdout[-2000:]+done.stderr[-2000:]
    assert json.loads((tmp_path/'out'/'results.json').read_text(encoding='utf-8'))[0]['passed']

def test_an_attempt_to_leave_fails_the_run_even_where_the_chapter_does_without(namespace, tmp_path):
    nb = json.loads(notebook(tmp_path/'04_a.ipynb', 'x').read_text(encoding='utf-8'))
    nb['cells'][0] |= dict(source="import urllib.request\ntry: urllib.request.urlopen('http://practicaldl.invalid/')\nexcept OSError: pass", outputs=[])
    (tmp_path/'04_a.ipynb').write_text(json.dumps(nb), encoding='utf-8')
    done = run_offline(tmp_path)
    assert done.returncode==1 and re.search(r'FAILED \d+ attempts to leave the machine, the first: socket.getaddrinfo practicaldl.invalid', done.stderr), done.stderr
    assert 'practicaldl.invalid' in (tmp_path/'out'/'network.log').read_text(encoding='utf-8')

def test_the_proof_is_itself_tried(namespace, tmp_path):
    "A watch that is not there, and a command that runs with the network of the machine where it has one, are noticed."
    log = tmp_path/'network.log'
    assert offline.blind_spot(namespace, offline.watched(log), log)=='' and not log.exists()
    assert offline.blind_spot(namespace, {**offline.watched(log), 'PYTHONPATH': ''}, log)=='an attempt to leave is not written down'
    assert offline.blind_spot([sys.executable, '-c', ''], offline.watched(log), log)=='an attempt to leave is not written down'
    assert offline.blind_spot([sys.executable, '-c', 'raise SystemExit(1)'], offline.watched(log), log)=='the machine can be left'

def test_a_system_without_namespaces_is_told_in_a_line(tmp_path):
    done = run_offline(tmp_path, PATH=str(tmp_path))
    told = 'unshare and ip cannot be found' if sys.platform=='linux' else 'This needs Linux'
    assert done.returncode==1 and done.stderr.startswith(told) and len(done.stderr.splitlines())==1
