"Exercises that answer back: what is said, what is kept, and each checker of each chapter."
import copy
import os

import pytest
from conftest import ROOT

from bench.offline import attempts_in, watched
from bench.results import chapters, read
from practicaldl import cli, course, exercises
from practicaldl.exercises import check, exercise, exercises_in, hint, read_progress, verdict

@pytest.fixture
def half(monkeypatch):
    "One exercise, in a chapter that somebody works through."
    monkeypatch.setattr(exercises, '_known', {})
    monkeypatch.setattr(exercises, '_told', {})
    monkeypatch.setattr(exercises, '_complained', [])
    monkeypatch.setattr(exercises, 'is_live', lambda: True)
    monkeypatch.setitem(course._state, 'chapter', '01_bird')
    @exercise(1, 'Not a whole.', 'Nearly all.')
    def a_half(answer):
        "Two of them are one."
        if answer!=0.5:
            return f'{answer} times 2 is {2*answer}.'
    return a_half

@pytest.mark.parametrize('answers, said', [
    ((...,), 'not attempted. Put your answer in place of the dots and run this cell again. hint(1) helps.'),
    ((0.5,), 'right. Two of them are one.'), ((3,), 'not yet. 3 times 2 is 6.'),
    ((None,), "not yet. This cannot be checked: None (TypeError: unsupported operand"),
    ((0.5, 1), 'not yet. This cannot be checked: 0.5, 1 (TypeError'),
    (('x'*200,), 'not yet. ')])
def test_what_is_said(half, answers, said, capsys):
    check(1, *answers)
    out = capsys.readouterr().out
    assert out.startswith(f'Exercise 1: {said}') and out.count('\n')==1

def test_cells_that_ran_out_of_order(half):
    assert 'no exercise 7 yet (there are: 1)' in verdict(7, 3)[1]
    exercise(2)(lambda answer: later > answer)   # noqa: F821
    outcome, said = verdict(2, 3)
    assert outcome=='not yet' and "name 'later' is not defined" in said and 'from the top' in said

def test_hints_come_one_by_one_and_end(half, capsys):
    for _ in range(3):
        hint(1)
    hint(5)
    said = capsys.readouterr().out.splitlines()
    assert [o[:11] for o in said[:3]]==['Hint 1 of 2', 'Hint 2 of 2', 'Hint 2 of 2']
    assert 'last one' in said[1] and 'no hint for exercise 5' in said[3]

def test_progress_is_kept_and_shown(half, tmp_path, capsys):
    folder = tmp_path/'progress'
    check(1, ...)
    assert read_progress()=={}
    for answer, kept in ((3, 'not yet'), (0.5, 'right'), (3, 'right')):
        check(1, answer)
        assert read_progress()=={'01_bird': {'1': kept}}
    assert [p.name for p in folder.iterdir()]==['progress.json']
    capsys.readouterr()
    assert cli.main(['progress', '--from', str(ROOT/'nbs')])==0
    assert '1 right' in capsys.readouterr().out
    for spoilt in ('{"01_bird":', '[]'):
        (folder/'progress.json').write_text(spoilt)
        assert read_progress()=={}

def test_a_batch_run_keeps_nothing(half, monkeypatch):
    monkeypatch.setattr(exercises, 'is_live', lambda: False)
    check(1, 0.5)
    assert not exercises.progress_file().exists()

def test_a_folder_that_cannot_be_written_is_told_once(half, monkeypatch, read_only, capsys):
    monkeypatch.setattr(exercises, 'progress_file', lambda: read_only/'progress.json')
    check(1, 0.5)
    check(1, 0.5)
    assert capsys.readouterr().out.count('Progress is not kept')==1

def test_a_missed_bar_stops_no_person(monkeypatch, capsys):
    monkeypatch.setattr(course, 'is_live', lambda: True)
    course.record('accuracy', 0.5, at_least=0.9)
    assert 'missed' in capsys.readouterr().out

# ------------------------------------------------------------------ the checkers of the chapters

WITH_EXERCISES = {p.stem: read(p) for p in chapters() if exercises_in(read(p))}

def test_each_exercise_is_complete():
    "A starter with dots, a solution, a hint, two mistakes at least; and numbers from 1 on."
    for name, nb in WITH_EXERCISES.items():
        found = exercises_in(nb)
        assert len(found) >= 4 and list(found)==list(range(1, len(found)+1)), name
        for number, one in found.items():
            assert '...' in one['starter'] and one['solution'] and len(one['mistakes']) >= 2, (name, number)

@pytest.mark.slow
@pytest.mark.timeout(1800)   # against one that hangs; a slow machine may take its time
@pytest.mark.parametrize('name', WITH_EXERCISES)
def test_checkers_tell_right_from_wrong(name, usual_cache, tmp_path, monkeypatch):
    """The chapter runs, with all that it tells, and leaves the machine alone. After it, in its kernel:
    starter, solution and typical mistakes of each exercise."""
    import nbclient
    import nbformat
    log = tmp_path/'network.log'
    for key in [o for o in os.environ if o.lower() in ('http_proxy', 'https_proxy', 'all_proxy')]:
        monkeypatch.delenv(key)
    for key, value in watched(log).items():
        monkeypatch.setenv(key, value)
    nb = nbformat.from_dict(copy.deepcopy(WITH_EXERCISES[name]))
    wanted = []
    for number, one in exercises_in(WITH_EXERCISES[name]).items():
        asking = one['starter'][one['starter'].index('check('):]
        tries = [(one['starter'], 'not attempted'), (f"{one['solution']}\n{asking}", 'right')]
        for code, told in one['mistakes']:
            tries.append((f'{code}\n{asking}', told))
        for code, told in tries:
            nb.cells.append(nbformat.v4.new_code_cell(code))
            wanted.append((number, code, told))
    nb.nbformat_minor = 5
    for i, cell in enumerate(nb.cells):
        cell.id = f'c{i}'
    nbclient.NotebookClient(nb, timeout=None, kernel_name='python3',
                            resources={'metadata': {'path': str(tmp_path)}}).execute()
    assert not attempts_in(log)
    for (number, code, told), cell in zip(wanted, nb.cells[-len(wanted):]):
        said = ''.join(o.get('text', '') for o in cell.outputs)
        said = said[said.index(f'Exercise {number}: '):]
        if told in ('right', 'not attempted'):
            assert said.startswith(f'Exercise {number}: {told}.'), (code, said)
        else:
            assert said.startswith(f'Exercise {number}: not yet.') and told in said, (code, said)
