"""A model in files, and a page around it: what is refused, what a stranger may send, many requests at once, a real browser, the folder for a Space."""
import contextlib, hashlib, json, os, pickle, re, socket, subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, _usual_cache
from PIL import Image

from practicaldl import cli, serving
from practicaldl.data import dataset, settle
from practicaldl.errors import CourseError, PictureError

@pytest.fixture(scope='module')
def pictures():
    "Some pictures of the course that open: bird, plane, bird, …"
    with pytest.MonkeyPatch.context() as m:
        m.setenv('PRACTICALDL_CACHE', str(_usual_cache))
        settle('sample')
        folder = dataset('BIRDS')
        settle(None)
    found = []
    for pair in zip(*(sorted((folder/kind).iterdir())[:40] for kind in ('bird', 'plane'))):
        for path in pair:
            with contextlib.suppress(Exception):   # some are broken on purpose
                Image.open(path).load(); found.append(path)
    return found

@pytest.fixture(scope='module')
def learn(pictures):
    "A learner with a trained body and a head of random numbers: its answers are worth nothing, and repeat to the last digit."
    import practicaldl.models as models
    from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, RandomSplitter, Resize, parent_label, set_seed, vision_learner
    with pytest.MonkeyPatch.context() as m:
        m.setenv('PRACTICALDL_CACHE', str(_usual_cache))
        settle('sample'); set_seed(1)
        block = DataBlock((ImageBlock, CategoryBlock), get_items=lambda _: pictures, get_y=parent_label, splitter=RandomSplitter(seed=1), item_tfms=Resize(64, method='squish'))
        made = vision_learner(block.dataloaders('.', bs=8), models.vision_arch())
        settle(None)
    return made

@pytest.fixture(scope='module')
def saved(learn, pictures, tmp_path_factory):
    "The folder of a model that knows what it has learnt from."
    folder = tmp_path_factory.mktemp('served')/'model'
    model = serving.load_model(serving.save_model(learn, folder))
    return serving.save_model(serving.learn_known(model, pictures[:40], pictures[40:]), folder)

@pytest.fixture
def copy(saved, tmp_path):
    "A copy of the model that a test may spoil."
    folder = tmp_path/'copy'; folder.mkdir()
    for path in saved.iterdir(): (folder/path.name).write_bytes(path.read_bytes())
    return folder

def rewrite(folder, **changed):
    "Change the description; None takes a field out."
    said = {**json.loads((folder/'model.json').read_text(encoding='utf-8')), **changed}
    (folder/'model.json').write_text(json.dumps({k: v for k, v in said.items() if v is not None}), encoding='utf-8')

def put_weights(folder, content):
    "Other weights, with the hash that belongs to them."
    (folder/'model.safetensors').write_bytes(content)
    rewrite(folder, sha256=hashlib.sha256(content).hexdigest())


# ------------------------------------------------------------------ files

def test_the_loaded_model_gives_the_same_answers(learn, saved, pictures):
    model = serving.load_model(saved)
    with learn.no_bar(): theirs, _ = learn.get_preds(dl=learn.dls.test_dl(pictures[:16]))
    ours, _ = model.answers(model.batch(pictures[:16]))
    assert (ours-theirs).abs().max().item() <= 1e-6 and ours.sum(1).sub(1).abs().max().item() < 1e-5
    assert list(model.predict(pictures[0]))[0]==model.vocab[ours[0].argmax()]

@pytest.mark.parametrize('changed, why', [
    ({'format': 2}, "'format' is missing, or not what it can be"), ({'architecture': 'os.system'}, "'architecture'"), ({'architecture': None}, "'architecture'"), ({'architecture': []}, "'architecture'"), ({'method': {}}, "'method'"), ({'resample': [2]}, "'resample'"),
    ({'vocab': ['bird']}, "'vocab'"), ({'vocab': ['bird', 'bird']}, "'vocab'"), ({'vocab': ['a', 'b', 'c']}, 'size mismatch|Error'), ({'size': 10**9}, "'size'"), ({'size': '64'}, "'size'"),
    ({'method': 'import os'}, "'method'"), ({'mean': [0.5]}, "'mean'"), ({'std': [0, 1, 1]}, "'std'"), ({'sha256': 'no'}, 'not the file that model.json was written with'),
    ({'known': {}}, "'known' has no limit"), ({'known': None}, "'known' is in one of the two files only")], ids=str)
def test_a_description_that_is_not_right(copy, changed, why):
    rewrite(copy, **changed)
    with pytest.raises(CourseError, match=why) as told: serving.load_model(copy)
    assert len(str(told.value).splitlines())==1 and 'Copy both files again' in str(told.value)

@pytest.mark.parametrize('content', [b'', b'[]', b'{', b'\xff\xfe\x00', b'null'])
def test_a_description_that_is_none(copy, content):
    (copy/'model.json').write_bytes(content)
    with pytest.raises(CourseError, match='cannot be used'): serving.load_model(copy)

def test_a_pickle_in_place_of_the_weights_is_not_run(copy, tmp_path):
    "Neither with the old hash nor with its own."
    mark = tmp_path/'it_ran'
    class Surprise:
        def __reduce__(self): return os.mkdir, (str(mark),)
    evil = pickle.dumps(Surprise())
    (copy/'model.safetensors').write_bytes(evil)
    with pytest.raises(CourseError, match='not the file'): serving.load_model(copy)
    put_weights(copy, evil)
    with pytest.raises(CourseError, match='cannot be used'): serving.load_model(copy)
    assert not mark.exists()
    pickle.loads(evil)
    assert mark.exists()   # so the pickle would have done it

def test_weights_of_another_shape(copy):
    import torch
    from safetensors.torch import save
    for tensors in ({}, {'0.0.weight': torch.zeros(1)}):
        put_weights(copy, save(tensors))
        with pytest.raises(CourseError, match='cannot be used'): serving.load_model(copy)

def test_known_pictures_of_another_model(copy):
    import torch
    from safetensors.torch import load, save
    weights = load((copy/'model.safetensors').read_bytes())
    put_weights(copy, save({**weights, 'known': torch.ones(3, 7)}))
    with pytest.raises(CourseError, match="'known' does not fit the model"): serving.load_model(copy)

def test_a_model_that_cannot_be_saved_is_told_before_anything_is_written(learn, tmp_path):
    import torch
    from torch import nn
    class Other: arch, dls, model = nn.Linear, learn.dls, learn.model
    class Wider:
        arch, dls = learn.arch, learn.dls
        model = nn.Sequential(learn.model[0], nn.Sequential(*learn.model[1], nn.Linear(2, 2)))
    class Plain:
        arch, model = learn.arch, learn.model
        class dls: after_item, after_batch, vocab = type('P', (), {'fs': []}), type('P', (), {'fs': []}), ['bird', 'plane']
    for wrong, why in ((Other, 'architecture is'), (Wider, "not efficientnet_lite0 with fastai's own head"), (Plain, 'not made equal by one Resize')):
        with pytest.raises(CourseError, match=why): serving.save_model(wrong, tmp_path/'new')
    assert not (tmp_path/'new').exists()

def test_a_folder_that_cannot_be_written(learn, read_only):
    with pytest.raises(CourseError, match='cannot be written.*Name a folder'): serving.save_model(learn, read_only/'model')


# ------------------------------------------------------------------ what a stranger may send

def picture_file(tmp_path, name, **options):
    Image.new('RGB', (40, 30), (90, 120, 200)).save(tmp_path/name, **options)
    return tmp_path/name

def test_pictures_that_are_taken(tmp_path, pictures):
    for name in ('a.png', 'b.jpg', 'c.webp', 'd.gif', 'e.bmp'): assert serving.open_picture(picture_file(tmp_path, name)).mode=='RGB'
    assert serving.open_picture(pictures[0]).size==(32, 32)

@pytest.mark.parametrize('name, content, why', [
    ('empty.png', b'', 'not a picture'), ('page.jpg', b'<!doctype html>', 'not a picture'), ('weights.png', pickle.dumps(print), 'not a picture'),
    ('cut.jpg', None, 'not a picture'), ('page.eps', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'not a picture')])
def test_files_that_are_no_pictures(tmp_path, name, content, why):
    if content is None: content = picture_file(tmp_path, 'whole.jpg').read_bytes()[:300]
    (tmp_path/name).write_bytes(content)
    with pytest.raises(PictureError, match=why): serving.open_picture(tmp_path/name)

def test_files_that_are_too_large(tmp_path):
    Image.new('1', (8000, 8000)).save(tmp_path/'bomb.png')
    with pytest.raises(PictureError, match='million pixels'): serving.open_picture(tmp_path/'bomb.png')
    (tmp_path/'large.png').write_bytes(bytes(11_000_000))
    with pytest.raises(PictureError, match='11 MB, and at most 10 MB are accepted'): serving.open_picture(tmp_path/'large.png')

def test_noise_is_unlike_all_that_is_known(saved, pictures):
    model = serving.load_model(saved)
    noise = [Image.fromarray(o) for o in np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)]
    assert (serving.distances_to_known(model, noise) > model.limit).all()
    assert (serving.distances_to_known(model, pictures[40:]) > model.limit).float().mean() <= 0.1   # 5 in 100 by construction


# ------------------------------------------------------------------ the page

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

@contextlib.contextmanager
def served(words, port, **env):
    "A page in a process of its own; its address and the process."
    env = {**os.environ, 'GRADIO_SERVER_PORT': str(port), 'GRADIO_SERVER_NAME': '127.0.0.1', **{k: str(v) for k, v in env.items()}}
    process = subprocess.Popen([sys.executable, *map(str, words)], cwd=env.pop('AT', None), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding='utf-8', errors='replace')
    said, up = [], threading.Event()
    def listen():
        for line in process.stdout:
            said.append(line)
            if '127.0.0.1' in line: up.set()
        up.set()
    threading.Thread(target=listen, daemon=True).start()
    try:
        assert up.wait(120) and process.poll() is None, ''.join(said)
        yield f'http://127.0.0.1:{port}/', process
    finally:
        process.terminate()
        try: process.wait(20)
        except subprocess.TimeoutExpired: process.kill(); process.wait(20)

@pytest.fixture(scope='module')
def page(saved, tmp_path_factory):
    "`practicaldl app` around the small model; each connection that it opens is written down."
    port, log = free_port(), tmp_path_factory.mktemp('log')/'network.log'
    code = f"import sys; from practicaldl.cli import main; sys.exit(main(['app', '--model', {str(saved)!r}, '--port', '{port}']))"
    watched = os.pathsep.join([str(ROOT/'tests'/'watched'), str(ROOT)])
    with served(['-c', code], port, PYTHONPATH=watched, PRACTICALDL_NETWORK_LOG=log) as (address, process):
        yield address, process
    assert not log.exists(), log.read_text(encoding='utf-8')

@pytest.fixture
def client(page):
    from gradio_client import Client
    return Client(page[0], verbose=False, analytics_enabled=False)

def ask(client, path):
    from gradio_client import handle_file
    return client.predict(handle_file(path), api_name='/classify')

def test_the_page_gives_the_answers_of_the_model(client, saved, pictures):
    said, note = ask(client, pictures[0])
    expected = serving.load_model(saved).predict(pictures[0])
    assert said['label']==next(iter(expected)) and 'only learnt: bird, plane' in note
    assert {o['label']: round(o['confidence'], 4) for o in said['confidences']}=={k: round(v, 4) for k, v in expected.items()}

def test_the_page_says_what_is_wrong_with_a_file(client, tmp_path):
    (tmp_path/'text.png').write_text('no picture', encoding='utf-8')
    Image.new('1', (8000, 8000)).save(tmp_path/'bomb.png')
    (tmp_path/'large.png').write_bytes(bytes(12_000_000))
    for name, why in (('text.png', 'not a picture'), ('bomb.png', 'million pixels'), ('large.png', 'at most 10 MB')):
        with pytest.raises(Exception, match=why) as told: ask(client, tmp_path/name)
        assert 'Traceback' not in str(told.value) and str(tmp_path) not in str(told.value)

def test_a_file_of_the_server_is_not_handed_out(client, page, saved):
    "Neither as a picture to classify nor as an address."
    from urllib.error import HTTPError
    from urllib.request import urlopen
    with pytest.raises(Exception): client.predict({'path': str(saved/'model.json'), 'meta': {'_type': 'gradio.FileData'}}, api_name='/classify')
    for route in ('gradio_api/file=', 'file='):
        with pytest.raises(HTTPError) as told: urlopen(f'{page[0]}{route}{saved/"model.json"}', timeout=20)
        assert told.value.code in (403, 404)

def test_nobody_is_told_that_gradio_is_used(client):
    import gradio.analytics
    assert not client.analytics_enabled and not gradio.analytics.analytics_enabled()

def test_it_answers_on_this_machine_only(page):
    import psutil
    listening = {c.laddr.ip for c in psutil.Process(page[1].pid).net_connections() if c.status=='LISTEN'}
    assert listening=={'127.0.0.1'}

def test_200_requests_4_at_a_time(client, page, pictures):
    "All are answered, with the answers of a single request, and memory does not grow with their number."
    import psutil
    from gradio_client import Client
    expected = {path: ask(client, path) for path in pictures[:10]}
    process = psutil.Process(page[1].pid)
    clients = [client, *(Client(page[0], verbose=False, analytics_enabled=False) for _ in range(3))]   # one each: a client that is shared between threads may lose an answer
    def some(n):
        with ThreadPoolExecutor(4) as pool:
            return [o for answers in pool.map(lambda c: [ask(c, path)==expected[path] for path in (pictures[:10]*n)[:n//4]], clients) for o in answers]
    some(40)   # the first requests fill pools of threads and memory
    before = process.memory_info().rss
    answers = some(200)
    grown = (process.memory_info().rss-before)/1e6
    assert len(answers)==200 and all(answers)
    assert grown < 40, f'{grown:.0f} MB more after 200 requests'

def test_a_person_uploads_a_picture(browser, page, pictures, tmp_path):
    "In a browser: the label with its probability, the note, the message for a file that is no picture; nobody else is asked, nothing complains."
    (tmp_path/'text.png').write_text('no picture', encoding='utf-8')
    context = browser.new_context(viewport={'width': 1000, 'height': 800})
    tab, asked, complaints = context.new_page(), [], []
    tab.on('request', lambda r: asked.append(r.url))
    tab.on('pageerror', lambda e: complaints.append(str(e)))
    tab.goto(page[0]); tab.wait_for_selector('input[type=file]', state='attached', timeout=60_000)
    tab.set_input_files('input[type=file]', str(pictures[0]))
    tab.get_by_text('I have only learnt: bird, plane').first.wait_for(timeout=60_000)
    assert re.search(r'(bird|plane)\s*\d+%', tab.inner_text('body').replace('\n', ' '))
    if folder := os.environ.get('PRACTICALDL_SCREENSHOTS'): tab.screenshot(path=str(Path(folder)/'app.png'))
    tab.reload(); tab.wait_for_selector('input[type=file]', state='attached', timeout=60_000)
    tab.set_input_files('input[type=file]', str(tmp_path/'text.png'))
    tab.get_by_text('This is not a picture that can be opened').first.wait_for(timeout=60_000)
    if folder: tab.screenshot(path=str(Path(folder)/'refused.png'))
    context.close()
    assert [u for u in asked if not u.startswith((page[0], 'data:', 'blob:'))]==[] and complaints==[]

def test_the_folder_of_a_space_runs(saved, pictures, tmp_path):
    from gradio_client import Client
    space, port = serving.space_folder(serving.load_model(saved), tmp_path/'space', title='Birds: which one? # 1'), free_port()
    with served(['app.py'], port, AT=space) as (address, _):
        said, note = ask(Client(address, verbose=False, analytics_enabled=False), pictures[1])
    assert said['label'] in ('bird', 'plane') and 'only learnt' in note
    head = (space/'README.md').read_text(encoding='utf-8').split('---')[1]
    import gradio, yaml
    assert yaml.safe_load(head)['sdk_version']==gradio.__version__ and yaml.safe_load(head)['app_file']=='app.py' and yaml.safe_load(head)['title']=='Birds: which one? # 1'
    settings = (ROOT/'settings.ini').read_text(encoding='utf-8')
    assert re.search(r'git\+(\S+)', (space/'requirements.txt').read_text(encoding='utf-8'))[1].removeprefix('https://github.com/')=='/'.join(re.search(rf'(?m)^{o} = (\S+)', settings)[1] for o in ('user', 'repo'))


# ------------------------------------------------------------------ practicaldl app

def test_the_command_says_what_is_wrong(capsys, tmp_path, saved):
    assert cli.main(['app', '--model', str(tmp_path/'nowhere')])==1
    assert 'There is no model in' in capsys.readouterr().err
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0)); s.listen()
        port = s.getsockname()[1]
        assert cli.main(['app', '--model', str(saved), '--port', str(port)])==1
    assert f'Port {port} is in use. Name another one' in capsys.readouterr().err

@pytest.fixture
def quick(monkeypatch, saved):
    "Training gives the small model; how often it was asked for."
    asked = []
    def trained():
        asked.append(1)
        return serving.load_model(saved)
    monkeypatch.setattr(serving, '_trained_bird_model', trained)
    return asked

def test_the_bird_model_is_trained_once(quick, cache, capsys):
    first, second = serving.bird_model(), serving.bird_model()
    assert len(quick)==1 and first.vocab==second.vocab and second.limit==first.limit
    assert capsys.readouterr().out=='Training the bird model. This happens once.\n'

def test_a_kept_model_that_is_spoilt_is_trained_again(quick, cache, capsys):
    serving.bird_model()
    kept = next(cache.rglob('model.safetensors'))
    kept.write_bytes(kept.read_bytes()[:1000])
    assert serving.bird_model().limit and len(quick)==2 and 'cannot be used, so another one is trained' in capsys.readouterr().out
    assert serving.bird_model().limit and len(quick)==2

def test_a_cache_that_cannot_be_written(quick, read_only, monkeypatch, capsys):
    monkeypatch.setenv('PRACTICALDL_CACHE', str(read_only))
    assert serving.bird_model().limit and 'The page works all the same' in capsys.readouterr().out
