"""The authors' tools: what they compare, what they keep, and that they notice a chapter that moved on."""
import io, json, re, shutil
from types import SimpleNamespace

import nbformat
import numpy as np
import psutil
import pytest
from conftest import ROOT
from PIL import Image

from bench import __main__ as commands, compare, measure, offline, plain, refresh, repeat
from bench import results as measured

def notebook(path, *outputs, sources=None):
    "A notebook with one code cell for each output (a text is one that was printed), or for each source."
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(o) for o in sources or ['']*len(outputs)])
    for cell, o in zip(nb.cells, outputs):
        o = nbformat.v4.new_output('stream', text=o) if isinstance(o, str) else nbformat.from_dict(o)
        cell.outputs.append(o)
    nbformat.write(nb, path)
    return path

def row(value=0.97, seconds=10., metric='accuracy', chapter='05_mnist'):
    return dict(chapter=chapter, metric=metric, value=value, seconds=seconds, first_seconds=3., peak_mb=900,
                passed=True)

@pytest.mark.parametrize('words', [[], ['measuer'], ['measure', '99_no'], ['compare', 'nowhere']])
def test_a_wrong_command_ends_in_a_line(words):
    with pytest.raises(SystemExit) as e:
        commands.main(words)
    assert e.value.code not in (0, 2, None) and '\n' not in e.value.code

def table(loss='0.13', time='00:01'):
    return (f'<style>#T_{time} {{}}</style><table><tr><th>loss</th><th>time</th></tr>'
            f'<tr><td>{loss}</td><td>{time}</td></tr></table>')

def shown(**kinds):
    data = {'plain': '<IPython.core.display.HTML object>', **kinds}
    return dict(output_type='display_data', metadata={}, data={f'text/{kind}': o for kind, o in data.items()})

def error(evalue='no file', line='1'):
    return dict(output_type='error', ename='ValueError', evalue=evalue, traceback=[line])

SAME = [
    ('practicaldl 0.1.0 · 01_bird · 2 threads', 'practicaldl 0.1.0 · 01_bird · 8 threads'),
    ('it took 3.2 s', 'it took 12.9 s'), ('0  0.3  00:05', '0  0.3  00:41'), (error(), error(line='2')),
    ('memory 1,123 MB', 'memory 987.5 MB'), ('<Figure at 0x7f8a123>', '<Figure at 0x7f8afff>'),
    ('4.1 s; ratio 1.35', '4.0 s; ratio 1.53'), (shown(html=table()), shown(html=table(time='00:41')))]
UNLIKE = [
    ('loss 0.9749', 'loss 0.9748', '+loss 0.9748'), ('a line', '', '-a line'),
    ('weights 12 MB', 'weights 13 MB', '+weights 13 MB'), (error(), error('lost'), '+ValueError: lost'),
    (shown(html=table()), shown(html=table(loss='0.14')), '+0.14 (time)'),
    (shown(html='a &lt; b'), shown(html='a &gt; b'), '+a > b'), (error(), '', '-ValueError: no file'),
    (shown(plain='loss 4.7', html='<svg/>'), shown(plain='loss 4.8', html='<svg/>'), '+loss 4.8'),
    (shown(plain=table(), html=table()), shown(plain=table('9'), html=table('9')), '+9 (time)'),
    (shown(markdown='**12**'), shown(markdown='**13**'), '+**13**')]

def test_times_and_addresses_may_differ_and_nothing_else(tmp_path):
    ones, others = zip(*SAME)
    a, b = tmp_path/'a.ipynb', tmp_path/'b.ipynb'
    assert compare.unlike(notebook(a, *ones), notebook(b, *others))==[]
    for one, other, told in UNLIKE:
        lines = compare.unlike(notebook(a, 'same', one), notebook(b, 'same', other))
        assert f'b.ipynb, cell 2: {told}' in lines and all('cell 2' in o for o in lines), lines
    assert 'code cells' in compare.unlike(a, notebook(b, 'same'))[0]

def test_a_committed_chapter_equals_itself_and_a_changed_one_does_not(tmp_path, capsys):
    run = tmp_path/'05_mnist.ipynb'
    shutil.copyfile(ROOT/'nbs'/run.name, run)
    assert compare.main([str(tmp_path)])==0
    run.write_text(run.read_text(encoding='utf-8').replace('accuracy: 0.', 'accuracy: 1.'), encoding='utf-8')
    assert compare.main([str(tmp_path)])==1 and '05_mnist.ipynb, cell' in capsys.readouterr().out

@pytest.mark.parametrize('mode, colours', [('RGBA', 200), ('RGBA', 5000), ('clear', 9)])
def test_a_lighter_picture_has_the_same_pixels(mode, colours):
    rng = np.random.default_rng(1)
    inks = rng.integers(0, 256, (colours, 3), np.uint8)
    picture = Image.fromarray(inks[rng.integers(0, colours, (90, 90))])
    picture.putalpha(99 if mode=='clear' else 255)
    stored = io.BytesIO()
    picture.save(stored, 'PNG')
    lighter = refresh.lighter_png(stored.getvalue())
    assert Image.open(io.BytesIO(lighter)).convert('RGBA').tobytes()==picture.tobytes()
    assert len(lighter) < len(stored.getvalue()) + (mode=='clear')

@pytest.mark.slow
def test_refresh_keeps_outputs_of_what_runs_and_leaves_what_fails(tmp_path, capsys):
    good = notebook(tmp_path/'01_good.ipynb', sources=['print("measured")'])
    bad = notebook(tmp_path/'02_bad.ipynb', sources=['raise ValueError("no")'])
    before = bad.read_bytes()
    assert commands.main(['refresh', '--from', str(tmp_path)])==1
    assert 'FAILED 02_bad, cell 1' in capsys.readouterr().err and bad.read_bytes()==before
    cell = nbformat.read(good, as_version=4).cells[0]
    assert cell.outputs[0].text=='measured\n' and cell.execution_count is None and cell.metadata=={}

@pytest.mark.parametrize('section', plain.SECTIONS)
def test_a_section_has_steps_and_cells_that_do_the_same(section):
    chapter, metric = plain.CHAPTERS[section]
    path = ROOT/'nbs'/f'{chapter}.ipynb'
    cells = '\n'.join(''.join(c['source']) for c in plain.cells_of(path, section))
    assert plain.STEPS[section][0]==(plain.DEFAULTS, {}) and f"record('{metric}'" in path.read_text('utf-8')
    assert re.search(r'\.(fit|fine_tune|train)', cells), f'{path.name}: its cells do not name the section'

@pytest.mark.slow
def test_plain_code_gets_to_its_training(usual_cache, monkeypatch):
    from fastai.vision.all import Learner
    def fit(learn, *args, **settings):
        learn.dls.one_batch()
        learn.recorder.values = [[0.5]*2]
    monkeypatch.setattr(Learner, 'fit_one_cycle', fit)
    monkeypatch.setattr(Learner, 'fine_tune', fit)
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    for section in ('pets', 'salaries', 'films'):
        for _, settings in plain.STEPS[section]:
            assert plain.one(section, settings)['value']==0.5

def test_steps_add_up_and_what_lies_around_stands_beside_the_last(monkeypatch):
    ran, kept = [], {}
    def apart(section, settings, env={}, busy=False):
        ran.append((dict(settings), env, busy))
        return dict(value=0.8, seconds=8. if busy else 2.)
    monkeypatch.setattr(plain, 'apart', apart)
    monkeypatch.setattr(plain, 'in_the_chapter', lambda section: dict(value=0.9, seconds=3.))
    before = {'machine': 'a laptop', 'plain': {'pets': {'steps': [], 'around': []}}}
    monkeypatch.setattr(measured, 'kept', lambda: before)
    monkeypatch.setattr(measured, 'keep', kept.update)
    assert commands.main(['plain', 'phrases'])==0
    assert [list(o) for o, *_ in ran[:3]]==[[], ['bs'], ['bs', 'rate']]
    found = kept['plain']['phrases']
    assert [o['what'] for o in found['steps']][::6]==[plain.DEFAULTS, plain.CHAPTER]
    assert [o['seconds']/o['before'] for o in found['around']]==[1., 1., 4., 4., 4.]
    assert list(kept['plain'])==['pets', 'phrases'] and kept['machine']=='a laptop'
    assert '| 4.00 |' in measured.around_table(kept['plain'])
    with pytest.raises(SystemExit, match='There are pets'):
        commands.main(['plain', 'dogs'])

def test_a_step_runs_in_a_process_of_its_own_beside_another_or_not(monkeypatch):
    "What fails ends the program, and the process that computed beside it is gone."
    busy = []
    def run(command, env, **kwargs):
        busy.append([o.pid for o in psutil.Process().children() if 'while True' in ' '.join(o.cmdline())])
        printed = 'what start says\n{"value": 0.5, "seconds": 1}\n'
        return SimpleNamespace(returncode=int('FAIL' in env), stdout=printed, stderr='it broke')
    monkeypatch.setattr(plain.subprocess, 'run', run)
    assert plain.apart('films', {})=={'value': 0.5, 'seconds': 1}
    with pytest.raises(SystemExit, match='it broke'):
        plain.apart('films', {}, dict(FAIL='1'), busy=True)
    assert [len(o) for o in busy]==[0, 1] and not psutil.pid_exists(busy[1][0])

@pytest.fixture
def played(tmp_path, monkeypatch):
    "Chapters and docs are played: what was run, and what was given to `measured.take`."
    seen = SimpleNamespace(ran=[], taken=None)
    def ran(name, out):
        seen.ran.append(name)
        out.mkdir(parents=True)
        nb = json.loads(notebook(out/f'{name}.ipynb', 'text', 'text').read_text(encoding='utf-8'))
        for cell, seconds in zip(nb['cells'], ('01.500', '02.500')):
            times = {'iopub.execute_input': '2026-01-01T00:00:00.000Z',
                     'shell.execute_reply': f'2026-01-01T00:00:{seconds}Z'}
            cell['metadata'] = {'execution': times, 'practicaldl': {'section': 'phrases', 'result': True}}
        (out/f'{name}.ipynb').write_text(json.dumps(nb), encoding='utf-8')
        return [row(0.7, 7., 'Pearson r on held-back pairs', name)], ''
    for name, value in dict(OUT=tmp_path/'out', ran=ran, machine=lambda: 'a laptop',
                            import_seconds=lambda: 0.02, keep_outputs=lambda *args: None).items():
        monkeypatch.setattr(measure, name, value)
    monkeypatch.setattr(measured, 'take', lambda *args: setattr(seen, 'taken', args))
    monkeypatch.setattr(measured, 'hindrances', lambda *args: [])
    return seen

def test_chapters_are_measured_in_turns(played):
    assert commands.main(['measure', '06', '05'])==0
    assert played.ran==['05_mnist', '06_transformers']*3
    runs, machine, _, others = played.taken
    assert [(name, len(o)) for name, o in runs.items()]==[('05_mnist', 3), ('06_transformers', 3)]
    ran = measure.OUT/'1'/'06_transformers'/'06_transformers.ipynb'
    assert runs['05_mnist'][0][0]['first_seconds']==1.5 and plain.seconds_of(ran, 'phrases')==4.
    assert machine=='a laptop' and others['rows']

def test_rows_of_other_versions_cannot_be_kept(played, monkeypatch):
    monkeypatch.setattr(measured, 'hindrances', lambda content, times: [f'runs of each chapter: {times}'])
    with pytest.raises(SystemExit, match='runs of each chapter: 3'):
        commands.main(['measure', '06'])
    assert played.ran==[]

def test_rows_of_another_machine_name_it(monkeypatch):
    "The others keep theirs, and the page says that seconds do not compare."
    written, others = {}, measured.kept()
    monkeypatch.setattr(measured, 'keep', written.update)
    measured.take({'05_mnist': [[row()]]*3}, 'a laptop', 9., others)
    named = {r['chapter']: r.get('machine') for r in written['rows']}
    assert named['05_mnist']=='a laptop' and named['06_transformers']!='a laptop'
    assert {o: written[o] for o in ('machine', 'import_seconds')}.items() <= others.items()
    said = measured.in_words(measured.Measured(**written))
    assert 'Chapter 05 was measured on another machine, a laptop' in said
    measured.take({'05_mnist': [[row()]]*3}, others['machine'], 9., others)
    assert not any(r.get('machine') for r in written['rows'] if r['chapter']=='05_mnist')

def test_a_run_that_differs_or_fails_is_told(tmp_path, monkeypatch, capsys):
    "The second run of a played chapter prints something else, the third has another value, the fourth fails."
    turns = iter([('text', 0.97), ('other', 0.97), ('text', 0.5), None])
    def ran(name, out):
        turn = next(turns)
        if turn is None:
            return [], 'FAILED 05_mnist: it broke'
        out.mkdir(parents=True)
        notebook(out/f'{name}.ipynb', turn[0])
        return [row(turn[1])], ''
    monkeypatch.setattr(repeat, 'ran', ran)
    monkeypatch.setattr(repeat, 'OUT', tmp_path)
    assert commands.main(['repeat', '05_mnist', '--times', '4'])==1
    out = capsys.readouterr().out
    assert re.findall(r'(?m)^run .*\b(same|DIFFERS|FAILED)', out)==['same', 'DIFFERS', 'DIFFERS', 'FAILED']
    for told in ('cell 1: +other', '0.97 in run 1, 0.5 in run 2', 'it broke', '4 runs of 05_mnist: 3 failed'):
        assert told in out

def test_a_check_that_passed_keeps_its_day(tmp_path, monkeypatch):
    "A chapter that was not in it keeps what it had, and nothing is kept of a single run."
    written = {}
    def ran(name, out):
        out.mkdir(parents=True, exist_ok=True)
        notebook(out/f'{name}.ipynb', 'text')
        return [row()], ''
    monkeypatch.setattr(repeat, 'ran', ran)
    monkeypatch.setattr(repeat, 'OUT', tmp_path)
    monkeypatch.setattr(measured, 'keep', written.update)
    assert commands.main(['repeat', '05', '--times', '1'])==0 and not written
    assert commands.main(['repeat', '05', '--times', '2'])==0
    told = written['checks']['repeat']['05_mnist']
    assert told.endswith(', 2 times') and f'| {told} |' in measured.dates_table(measured.Measured(**written))
    measured.take({'05_mnist': [[row()]]*3}, 'a laptop', 9., {**measured.kept(), 'checks': {}})
    assert written['checks']==measured.kept().get('checks', {})

@pytest.fixture
def namespace():
    try:
        return offline.alone()
    except offline.NoNamespace as e:
        pytest.skip(str(e))

@pytest.mark.slow
def test_a_run_without_a_network_fails_where_a_chapter_tries_to_leave(namespace, tmp_path, capfd):
    asks = "import socket, contextlib\nwith contextlib.suppress(OSError): socket.getaddrinfo('a.invalid', 80)"
    notebook(tmp_path/'04_stays.ipynb', sources=['print(1)'])
    notebook(tmp_path/'05_asks.ipynb', sources=[asks])
    command = ['offline', '--from', str(tmp_path), '--out', str(tmp_path/'out')]
    assert commands.main([*command, '04'])==0
    assert 'no attempt to leave the machine' in capfd.readouterr().out
    assert commands.main([*command, '05'])==1
    assert re.search(r'FAILED \d+ attempts .*: socket.getaddrinfo a.invalid', capfd.readouterr().err)

# ------------------------------------------------------------------ what reading is worth

def test_the_table_of_chapter_07_is_whole():
    "Every network and rival at every size, three times each, from the program that is there."
    from bench import reading
    found = json.loads(reading.OUT.read_text(encoding='utf-8'))
    networks = {'nothing', 'articles', 'reviews', 'both'}
    rivals = {'counting words', 'frozen sentence vectors'}
    assert set(found['accuracy'])==networks | rivals
    for by_size in found['accuracy'].values():
        assert list(by_size)==[str(n) for n in reading.SIZES]
        assert all(len(o)==len(reading.SEEDS) and 0.5 < min(o) <= max(o) < 1 for o in by_size.values())

def test_labels_are_drawn_evenly(tmp_path):
    from bench import reading
    files = [tmp_path/label/f'{i}.txt' for label in ('neg', 'pos') for i in range(20)]
    one, same, other = (reading.draw(files, 10, seed) for seed in (0, 0, 1))
    assert one==same!=other and len(set(one))==10
    assert sum(f.parent.name=='pos' for f in one)==5
