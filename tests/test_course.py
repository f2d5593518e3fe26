"""The first and the last line of a chapter."""
import json, math

import pytest
from practicaldl import course, edition
from practicaldl.course import bar_text, pick, record, start, work_folder
from practicaldl.errors import BarMissed, CourseError, DataError

@pytest.fixture
def gpu(monkeypatch):
    "PyTorch sees a GPU; what a chapter needs is fetched without asking anybody."
    asked = []
    monkeypatch.setattr(course, 'has_gpu', lambda: True)
    monkeypatch.setattr(course, '_use_gpu', lambda: False)
    monkeypatch.setattr(course, 'full_folder', lambda name: asked.append(name))
    return asked

def test_start_says_edition_device_seed_and_what_stands_in(usual_cache, capsys):
    start('05_mnist', needs=['MNIST_SAMPLE'])
    first, second = capsys.readouterr().out.splitlines()
    assert '05_mnist · sample edition (no GPU here) · processor' in first and first.endswith('seed 42')
    assert second.startswith('MNIST_SAMPLE: 1,000 handwritten 3s and 7s, in place of MNIST: 14,434')

def test_start_fixes_the_seed_and_loads_data_in_this_process():
    import numpy as np, random, torch
    from fastcore.basics import defaults
    def numbers():
        start('x', seed=7)
        return random.random(), np.random.rand(), torch.rand(1).item()
    assert numbers()==numbers() and defaults.cpus==0

def test_auto_with_a_gpu_is_full(gpu, capsys):
    start('x', needs=['PETS'])
    said = capsys.readouterr().out
    assert gpu==['PETS'] and 'full edition (there is a GPU)' in said and 'in place of' not in said

def test_auto_falls_back_to_the_sample_with_the_reason(gpu, usual_cache, monkeypatch, capsys):
    def unreachable(name):
        raise ConnectionError('Connection refused')
    monkeypatch.setattr(course, 'full_folder', unreachable)
    start('x', needs=['MNIST_SAMPLE'])
    said = capsys.readouterr().out.splitlines()[0]
    assert 'sample edition (the full MNIST_SAMPLE cannot be had: the network cannot be reached' in said

def test_full_stops_with_one_line(monkeypatch, web):
    "fastai asks a server that answers 404, as when an archive has moved."
    from fastai.data.external import URLs
    web.answer = lambda handler: handler.send(b'', status=404)
    monkeypatch.setattr(URLs, 'MNIST_SAMPLE', f'{web.url}mnist_sample.tgz')
    monkeypatch.setenv('PRACTICALDL_EDITION', 'full')
    with pytest.raises(DataError,
                       match='^MNIST_SAMPLE: the server answered HTTP 404[^\n]*PRACTICALDL_EDITION=sample'):
        start('x', needs=['MNIST_SAMPLE'])

@pytest.mark.parametrize('variable, value, words', [
    ('PRACTICALDL_EDITION', 'ful', "Did you mean 'full'?"),
                                                    ('PRACTICALDL_DEVICE', 'cpuu', "Did you mean 'cpu'?"),
    ('PRACTICALDL_DEVICE', 'mps', 'the GPU of a Mac'), ('PRACTICALDL_DEVICE', 'cuda', 'PyTorch sees no GPU')])
def test_a_wrong_word_in_the_environment(monkeypatch, variable, value, words):
    monkeypatch.setenv(variable, value)
    with pytest.raises(DataError, match=words.replace('?', r'\?')):
        start('x')

def test_an_unknown_need_suggests_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'MNIST_SAMPLE'"):
        start('x', needs=['MNIST_SMAPLE'])

def test_the_edition_that_was_chosen_holds(monkeypatch):
    monkeypatch.setattr(edition, 'has_gpu', lambda: True)
    assert edition.edition()=='full' and pick(sample=1, full=2)==2
    edition.choose_edition('sample')
    assert edition.edition()=='sample' and pick(sample=1, full=2)==1

def test_the_shipped_pictures_answer_a_search(usual_cache, capsys):
    from practicaldl.search import search_images
    start('x')
    found = search_images('kitten, or a cat', max_images=3)
    assert [o.title for o in found]==['Cat_1', 'Cat_2', 'Cat_3'] and 'CIFAR-10' in found[0].credit()
    assert '3 pictures from shipped' in capsys.readouterr().out

def test_the_work_folder_is_empty_and_nothing_is_deleted(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for content in 'xyz':
        (work_folder('a')/'mine').write_text(content)
    assert list(work_folder('a').iterdir())==[]==list(work_folder('a').iterdir())
    kept = [(tmp_path/'work'/f'a-earlier-{n}'/'mine').read_text() for n in (1, 2, 3)]
    assert kept==['x', 'y', 'z'] and capsys.readouterr().out.count('is now a-earlier-')==3
    (tmp_path/'work'/'b').write_text('a file')
    with pytest.raises(CourseError, match='cannot be made'):
        work_folder('b')

@pytest.mark.parametrize('at_least, at_most, said', [
    (None, None, None), (0.95, None, '>= 0.95'), (None, 10, '<= 10'), (0, 1, '>= 0 and <= 1')])
def test_a_bar_in_words(at_least, at_most, said):
    assert bar_text(at_least, at_most)==said

@pytest.mark.parametrize('value, bars, passed', [
    (0.95, dict(at_least=0.95), True), (0.94, dict(at_least=0.95), False), (11, dict(at_most=10), False),
    (math.nan, dict(at_least=0), False), (math.nan, {}, True)])
def test_what_is_recorded_is_kept_and_a_missed_bar_is_an_error(monkeypatch, tmp_path, value, bars, passed):
    import numpy as np
    monkeypatch.setenv('PRACTICALDL_RESULTS', str(tmp_path/'r.jsonl'))
    if passed:
        record('m', np.float64(value), **bars)
    else:
        with pytest.raises(BarMissed, match='Run the chapter again'):
            record('m', value, **bars)
    row = json.loads((tmp_path/'r.jsonl').read_text())
    kept = None if math.isnan(value) else pytest.approx(value)
    assert (row['metric'], row['value'], row['passed'])==('m', kept, passed)
