"A model in files, and a page around it: what is refused, what strangers send, a browser, a Space."
import contextlib, hashlib, json, os, pickle, re, socket, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import requests
import torch
from conftest import ROOT, USUAL_CACHE
from PIL import Image

from practicaldl import serving
from practicaldl.errors import CourseError, PictureError

MESSAGES = dict(text='no picture that opens', bomb='50 million pixels', large='more than 10')

# ------------------------------------------------------------ a small model, with weights that mean nothing

def noise(n):
    drawn = np.random.default_rng(1).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    return [Image.fromarray(o) for o in drawn]

@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    "Sixty files, each a sky of another blue."
    folder, rng = tmp_path_factory.mktemp('pictures'), np.random.default_rng(2)
    for i in range(60):
        blue = tuple(rng.integers((90, 140, 200), (130, 180, 250)).tolist())
        Image.new('RGB', (32, 32), blue).save(folder/f'{i:02d}.png')
    return sorted(folder.iterdir())

def make_learner(pictures, arch, size):
    from fastai.vision.all import (CategoryBlock, DataBlock, ImageBlock, Normalize, RandomSplitter, Resize,
                                   set_seed, vision_learner)
    set_seed(1)
    block = DataBlock((ImageBlock, CategoryBlock), get_items=lambda _: pictures,
                      get_y=lambda f: 'plane' if int(f.stem)%2 else 'bird', splitter=RandomSplitter(seed=1),
                      item_tfms=Resize(size, method='squish'),
                      batch_tfms=Normalize.from_stats([0.5]*3, [0.4]*3))
    return vision_learner(block.dataloaders('.', bs=8), arch, pretrained=False)

@pytest.fixture(scope='module')
def learn(pictures):
    return make_learner(pictures, 'tf_efficientnet_lite0', 64)

@pytest.fixture(scope='module')
def saved(learn, pictures, tmp_path_factory):
    "The folder of a model that knows what it has learnt from."
    folder = tmp_path_factory.mktemp('served')/'model'
    model = serving.load_model(serving.save_model(learn, folder))
    return serving.save_model(serving.learn_known(model, pictures[:40], pictures[40:]), folder)

@pytest.fixture
def copy(saved, tmp_path):
    "A copy of the model that a test may spoil."
    (tmp_path/'copy').mkdir()
    for path in saved.iterdir():
        (tmp_path/'copy'/path.name).write_bytes(path.read_bytes())
    return tmp_path/'copy'

def rewrite(folder, **changed):
    said = {**json.loads((folder/'model.json').read_text(encoding='utf-8')), **changed}
    (folder/'model.json').write_text(json.dumps(said), encoding='utf-8')

def put_weights(folder, content):
    (folder/'model.safetensors').write_bytes(content)
    rewrite(folder, sha256=hashlib.sha256(content).hexdigest())

# ------------------------------------------------------------ files

@pytest.mark.parametrize('arch, size', [('tf_efficientnet_lite0', 64), ('test_vit', 160)])
def test_the_loaded_model_gives_the_same_answers(pictures, tmp_path, arch, size):
    learn, drawn = make_learner(pictures, arch, size), torch.get_rng_state()
    model = serving.load_model(serving.save_model(learn, tmp_path/'model'))
    assert torch.equal(torch.get_rng_state(), drawn)   # the caller's random numbers go on
    with learn.no_bar():
        theirs, _ = learn.get_preds(dl=learn.dls.test_dl(pictures[:16]))
    ours, features = model.answers(pictures[:16])
    assert (ours-theirs).abs().max() <= 1e-5 and torch.allclose(features.norm(dim=1), torch.ones(16))
    assert list(model.predict(pictures[0]))[0]==model.vocab[ours[0].argmax()]

def test_what_is_known_is_kept(saved, pictures):
    model = serving.load_model(saved)
    unlike = model.distances(model.answers(noise(8))[1]) > model.limit
    like = model.distances(model.answers(pictures[40:])[1]) <= model.limit
    assert model.known.shape[0]==40 and unlike.all() and like.float().mean() >= 0.9

@pytest.mark.parametrize('changed, why', [
    ({'format': 1}, 'not in format 2'), ({'architecture': 'os.system'}, 'timm has no'),
    ({'architecture': []}, 'no model'), ({'vocab': ['a', 'b', 'c']}, 'state_dict'),
    ({'vocab': ['a']*20_000}, 'classes'), ({'size': [9**9]*2}, 'pixels'), ({'sha256': ''}, 'not the file')])
def test_a_description_that_is_not_right(copy, changed, why):
    rewrite(copy, **changed)
    with pytest.raises(CourseError, match=why) as told:
        serving.load_model(copy)
    assert len(str(told.value).splitlines())==1 and 'Copy both files again' in str(told.value)

@pytest.mark.parametrize('content', [b'', b'[]', b'\xff\xfe\x00'])
def test_a_description_that_is_none(copy, content):
    (copy/'model.json').write_bytes(content)
    with pytest.raises(CourseError, match='no model in'):
        serving.load_model(copy)

def test_a_pickle_in_place_of_the_weights_is_not_run(copy, tmp_path):
    "Neither with the old hash nor with its own."
    mark = tmp_path/'it_ran'
    class Surprise:
        def __reduce__(self):
            return os.mkdir, (str(mark),)
    evil = pickle.dumps(Surprise())
    (copy/'model.safetensors').write_bytes(evil)
    with pytest.raises(CourseError, match='not the file'):
        serving.load_model(copy)
    put_weights(copy, evil)
    with pytest.raises(CourseError, match='no model in'):
        serving.load_model(copy)
    assert not mark.exists()
    pickle.loads(evil)
    assert mark.exists()   # so the pickle would have done it

def test_a_model_that_cannot_be_saved_is_told_before_anything_is_written(learn, tmp_path):
    from torch import nn
    wider = nn.Sequential(learn.model[0], nn.Sequential(*learn.model[1], nn.Linear(2, 2)))
    bare = SimpleNamespace(vocab=['bird', 'plane'], after_item=object(), after_batch=object())
    for arch, dls, model in ((nn.Linear, learn.dls, learn.model), (learn.arch, bare, learn.model),
                             (learn.arch, learn.dls, wider)):
        with pytest.raises(CourseError, match='cannot be saved in this way'):
            serving.save_model(SimpleNamespace(arch=arch, dls=dls, model=model), tmp_path/'new')
    assert not (tmp_path/'new').exists()

# ------------------------------------------------------------ what a stranger may send

@pytest.fixture
def wrong_files(tmp_path):
    "A text, a picture with too many pixels, a file that is too large."
    (tmp_path/'text.png').write_text('no picture', encoding='utf-8')
    Image.new('1', (8000, 8000)).save(tmp_path/'bomb.png')
    (tmp_path/'large.png').write_bytes(bytes(12_000_000))
    return {name: tmp_path/f'{name}.png' for name in MESSAGES}

def test_what_is_taken_and_what_is_refused(wrong_files, tmp_path):
    for name in ('a.png', 'b.jpg', 'c.webp', 'd.gif', 'e.bmp'):
        noise(1)[0].save(tmp_path/name)
        assert serving.open_upload(tmp_path/name).size==(32, 32)
    (tmp_path/'cut.png').write_bytes((tmp_path/'a.png').read_bytes()[:60])
    (tmp_path/'eps.png').write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n')   # for Ghostscript
    for name in ('text', 'bomb', 'large', 'cut', 'eps'):
        with pytest.raises(PictureError, match=MESSAGES.get(name, MESSAGES['text'])):
            serving.open_upload(tmp_path/f'{name}.png')

# ------------------------------------------------------------ the page

@contextlib.contextmanager
def served(words, cwd=None, **env):
    "A page in a process of its own; its address and the process."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    env = {**os.environ, 'GRADIO_SERVER_PORT': str(port), 'PYTHONUNBUFFERED': '1', **env}
    process = subprocess.Popen([sys.executable, *words], cwd=cwd, env=env, text=True, stdout=subprocess.PIPE)
    try:
        assert any('127.0.0.1' in line for line in process.stdout), 'the page did not start'
        yield f'http://127.0.0.1:{port}/', process
    finally:
        process.kill()
        process.wait(20)

@pytest.fixture(scope='module')
def page(saved, tmp_path_factory):
    "The page around the small model; each connection that it opens is written down."
    log = tmp_path_factory.mktemp('log')/'network.log'
    code = f'from practicaldl.serving import *; serve(make_app(load_model({str(saved)!r})))'
    watched = os.pathsep.join([str(ROOT/'tests'/'watched'), str(ROOT)])
    with served(['-c', code], PYTHONPATH=watched, PRACTICALDL_NETWORK_LOG=str(log)) as started:
        yield started
    assert not log.exists(), log.read_text(encoding='utf-8')

def client_of(address):
    from gradio_client import Client
    return Client(address, verbose=False, analytics_enabled=False)

@pytest.fixture
def client(page):
    return client_of(page[0])

def ask(client, path):
    from gradio_client import handle_file
    return client.predict(handle_file(path), api_name='/classify')

def test_the_page_gives_the_answers_of_the_model(client, saved, pictures, tmp_path):
    said, note = ask(client, pictures[0])
    expected = serving.load_model(saved).predict(pictures[0])
    assert 'only learnt: bird, plane' in note and 'unlike' not in note
    assert {o['label']: o['confidence'] for o in said['confidences']}==pytest.approx(expected, abs=1e-4)
    noise(1)[0].save(tmp_path/'noise.png')
    assert 'unlike everything' in ask(client, tmp_path/'noise.png')[1]

def test_the_page_says_what_is_wrong_with_a_file(client, wrong_files):
    for name, path in wrong_files.items():
        with pytest.raises(Exception, match=MESSAGES[name]) as told:
            ask(client, path)
        assert 'Traceback' not in str(told.value) and str(path.parent) not in str(told.value)

def test_a_file_of_the_server_is_not_handed_out(page, pictures):
    "Neither as a picture to classify nor as an address."
    api, path = f'{page[0]}gradio_api/', str(pictures[0])
    for sent in ({'path': path, 'meta': {'_type': 'gradio.FileData'}}, {'path': path}):
        event = requests.post(f'{api}call/classify', json={'data': [sent]}, timeout=20).json()['event_id']
        answer = requests.get(f'{api}call/classify/{event}', timeout=20).text
        assert 'event: error' in answer and 'confidence' not in answer
    for route in (f'{api}file=', f'{page[0]}file='):
        assert requests.get(f'{route}{path}', timeout=20).status_code in (403, 404)

def test_it_answers_on_this_machine_only_and_reports_to_nobody(client, page):
    import psutil
    import gradio.analytics
    listening = {c.laddr.ip for c in psutil.Process(page[1].pid).net_connections() if c.status=='LISTEN'}
    assert listening=={'127.0.0.1'}
    assert not client.analytics_enabled and not gradio.analytics.analytics_enabled()

@pytest.mark.slow
def test_many_requests_at_a_time(client, page, pictures):
    "Each gets the answer to its own picture."
    expected = {path: ask(client, path) for path in pictures[:10]}
    clients = [client_of(page[0]) for _ in range(4)]   # one for all threads may lose an answer
    def right(one):
        return all(ask(one, path)==expected[path] for path in pictures[:10])
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, clients))

def test_a_person_uploads_a_picture(browser, page, pictures, wrong_files):
    "The label with its probability, the note, the message for a wrong file; nobody else is asked."
    context = browser.new_context(viewport={'width': 1000, 'height': 800})
    tab, asked, complaints = context.new_page(), [], []
    tab.on('request', lambda r: asked.append(r.url))
    tab.on('pageerror', lambda e: complaints.append(str(e)))
    for path, expected in ((pictures[0], 'I have only learnt'), (wrong_files['text'], MESSAGES['text'])):
        tab.goto(page[0])
        tab.wait_for_selector('input[type=file]', state='attached', timeout=60_000)
        tab.set_input_files('input[type=file]', str(path))
        tab.get_by_text(expected).first.wait_for(timeout=60_000)
        if path==pictures[0]:
            assert re.search(r'(bird|plane)\s*\d+%', tab.inner_text('body').replace('\n', ' '))
        if folder := os.environ.get('PRACTICALDL_SCREENSHOTS'):
            tab.screenshot(path=str(Path(folder)/f'app_{path.stem}.png'))
    context.close()
    assert [u for u in asked if not u.startswith((page[0], 'data:', 'blob:'))]==[] and complaints==[]

def test_a_port_that_is_taken(saved):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        port = s.getsockname()[1]
        with pytest.raises(CourseError, match=f'Port {port} is in use. Try {port+100}'):
            serving.serve(serving.make_app(serving.load_model(saved)), port=port, wait=False)

def test_on_colab_a_window_is_opened(saved, monkeypatch):
    "127.0.0.1 is a machine at Google there."
    asked = []
    output = SimpleNamespace(serve_kernel_port_as_window=asked.append)
    monkeypatch.setitem(sys.modules, 'google.colab', SimpleNamespace(output=output))
    app = serving.make_app(serving.load_model(saved))
    serving.serve(app)   # does not wait either
    assert asked==[app.server_port]
    app.close()

@pytest.mark.parametrize('variable, told', [
    ('KAGGLE_KERNEL_RUN_TYPE', "Kaggle opens no page.*model.predict"), ('COLAB_RELEASE_TAG', 'from a cell')])
def test_where_no_page_can_be_opened_it_is_said(saved, monkeypatch, variable, told):
    monkeypatch.setenv(variable, '1')
    app = serving.make_app(serving.load_model(saved))
    with pytest.raises(CourseError, match=told):
        serving.serve(app)
    app.close()


# ------------------------------------------------------------ the page of chapter 03

def cell_of(text):
    "The one code cell of chapter 03 that holds this text."
    nb = nbformat.read(ROOT/'nbs'/'03_production.ipynb', as_version=4)
    found = [c.source for c in nb.cells if c.cell_type=='code' and text in c.source]
    assert len(found)==1, text
    return found[0]

@pytest.fixture(scope='module')
def chapter_page(tmp_path_factory):
    "The page that a learner starts in chapter 03: its own cells, run as a program; and what they write."
    folder = tmp_path_factory.mktemp('chapter')
    run = [cell_of('default_exp production').replace('%matplotlib inline', ''), cell_of('learn = vision_'),
           cell_of('prevent_thread_lock=').replace("print('The page is at', public or address)", ''),
           "folder = work_folder('production')", cell_of('save_file(learn'), cell_of('web_page = '),
           "print('127.0.0.1', flush=True)", 'page.block_thread()']
    (folder/'run.py').write_text('\n'.join(run), encoding='utf-8')
    env = dict(PRACTICALDL_CACHE=str(USUAL_CACHE), PRACTICALDL_EDITION='sample')
    with served(['run.py'], cwd=folder, **env) as (address, _):
        yield address, folder/'work'/'production'

def image(path):
    return np.asarray(Image.open(path).convert('RGB'), dtype=float)

@pytest.mark.slow
def test_the_picture_of_the_page_is_what_a_browser_shows(browser, chapter_page, tmp_path):
    "PRACTICALDL_SCREENSHOTS names a folder where the new picture is left, for assets/page.png."
    context = browser.new_context(viewport={'width': 820, 'height': 440})
    tab = context.new_page()
    tab.goto(chapter_page[0])
    tab.locator('button.gallery-item').first.click()
    tab.get_by_role('button', name='Submit').click()
    tab.get_by_text('%').first.wait_for(timeout=60_000)
    tab.wait_for_timeout(1500)   # the bars grow
    shot = Path(os.environ.get('PRACTICALDL_SCREENSHOTS') or tmp_path)/'page.png'
    tab.screenshot(path=str(shot))
    seen = re.sub(r'\s+', ' ', tab.inner_text('body'))
    context.close()
    Image.open(shot).quantize(64).save(shot, optimize=True)
    kept, new = image(ROOT/'practicaldl'/'assets'/'page.png'), image(shot)
    assert kept.shape==new.shape and np.abs(kept-new).mean() < np.abs(kept-255).mean()/3
    assert re.search(r'Is it a bird\?.*(bird|plane) \d+%', seen), seen

@pytest.mark.slow
def test_a_web_page_of_ones_own_asks_the_page(browser, chapter_page, pictures):
    "The index.html of chapter 03, from another server, as it would stand on the web."
    address, folder = chapter_page
    words = [sys.executable, '-m', 'http.server', '--bind', '127.0.0.1', '--directory', str(folder), '0']
    process = subprocess.Popen(words, env={**os.environ, 'PYTHONUNBUFFERED': '1'}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    context = browser.new_context()
    try:
        tab = context.new_page()
        tab.goto(re.search(r'http://\S+/', process.stdout.readline())[0])
        tab.set_input_files('#file', str(pictures[0]))
        tab.get_by_text(re.compile('^(bird|plane)$')).wait_for(timeout=60_000)
        assert tab.inner_text('#answer')==ask(client_of(address), pictures[0])['label']
    finally:
        context.close()
        process.kill()
        process.wait(20)

@pytest.mark.slow
def test_the_app_of_the_chapter_runs_without_a_notebook(chapter_page, pictures):
    address, folder = chapter_page
    magic, _, app = cell_of('%%writefile').partition('\n')
    assert magic=='%%writefile {space}/app.py'
    (folder/'space'/'app.py').write_text(app, encoding='utf-8')
    cured = "import runpy, practicaldl.compat; runpy.run_path('app.py', run_name='__main__')"
    with served(['-c', cured], cwd=folder/'space') as (own, _):   # `compat`: torchvision may not fit torch
        said = ask(client_of(own), pictures[1])
    expected = ask(client_of(address), pictures[1])
    own, notebooks = ({o['label']: o['confidence'] for o in a['confidences']} for a in (said, expected))
    assert own==pytest.approx(notebooks, abs=1e-3)
