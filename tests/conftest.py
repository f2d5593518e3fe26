"""What the tests share: a cache of their own, no network, a web server, pictures and wheels made by hand."""
import base64, contextlib, hashlib, os, shutil, stat, threading, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from practicaldl import cache as cache_module, exercises, registry
from practicaldl.edition import choose_edition

ROOT = Path(__file__).resolve().parent.parent
CLOSED = 'http://127.0.0.1:9/simple'        # a port where nothing listens
USUAL_CACHE = cache_module.cache_dir()     # as it stands before any test changes the environment

# ------------------------------------------------------------------ which tests run side by side

def runs_a_chapter(nodeid):
    return '::test_checkers_tell_right_from_wrong[' in nodeid

def pytest_collection_modifyitems(items):
    "The runs of whole chapters take longest, so they begin first."
    items.sort(key=lambda item: not runs_a_chapter(item.nodeid))

@pytest.hookimpl(optionalhook=True)   # there is no such hook without pytest-xdist
def pytest_xdist_make_scheduler(config, log):
    """What stands in one file runs in one process, so that what it shares is made once. The runs of whole
    chapters share nothing, and any process may take one of them. (The mark `xdist_group` would say the same,
    but with pytest 9.2 pytest-xdist 3.8 does not heed it.)"""
    from xdist.scheduler import LoadFileScheduling
    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return nodeid if runs_a_chapter(nodeid) else super()._split_scope(nodeid)
    return Scheduling(config, log) if config.getvalue('dist')=='loadfile' else None

# ------------------------------------------------------------------ a fresh start for each test

@pytest.fixture(scope='session', autouse=True)
def homes(tmp_path_factory):
    "fastai, IPython, Jupyter and the hub write to a temporary folder; subprocesses import this checkout."
    place = tmp_path_factory.mktemp('homes')
    with pytest.MonkeyPatch.context() as m:
        for name in ('FASTAI_HOME', 'HF_HOME', 'IPYTHONDIR', 'JUPYTER_RUNTIME_DIR'):
            m.setenv(name, str(place/name.lower()))
        m.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]))
        m.setenv('PYTHONIOENCODING', 'utf-8')
        yield place

@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    "No edition is chosen, nothing is asked for in the environment, the cache is an empty folder."
    for name in ('PRACTICALDL_EDITION', 'PRACTICALDL_DEVICE', 'PRACTICALDL_RESULTS',
                 'PRACTICALDL_US_PATENTS', 'CI'):
        monkeypatch.delenv(name, raising=False)
    for name in ('no_proxy', 'NO_PROXY'):
        monkeypatch.setenv(name, '127.0.0.1,localhost')
    monkeypatch.setenv('PRACTICALDL_CACHE', str(tmp_path/'cache'))
    monkeypatch.setattr(exercises, 'progress_file', lambda: tmp_path/'progress'/'progress.json')
    choose_edition(None)
    yield
    choose_edition(None)
    cache_module.leave_alone()

@pytest.fixture
def cache(clean):
    "The empty cache of this test."
    return cache_module.cache_dir()

@pytest.fixture
def usual_cache(clean, monkeypatch):
    "The cache of the person who runs the tests: what is there is used, what is missing is fetched once."
    monkeypatch.setenv('PRACTICALDL_CACHE', str(USUAL_CACHE))
    return USUAL_CACHE

@pytest.fixture
def read_only(tmp_path):
    "A folder that cannot be made or written to."
    if os.name=='nt':
        pytest.skip('Windows has no read-only folders in this sense')
    if os.geteuid()==0:
        if not Path('/sys/kernel').is_dir():
            pytest.skip('root may write everywhere, and there is no /sys here')
        yield Path('/sys/practicaldl')
        return
    place = tmp_path/'locked'
    place.mkdir()
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    yield place
    place.chmod(stat.S_IRWXU)

# ------------------------------------------------------------------ a browser

def find_browser():
    "A Chromium of the system, or the one named by PRACTICALDL_BROWSER."
    names = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'msedge')
    usual = ('/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
             r'C:\Program Files\Google\Chrome\Application\chrome.exe')
    there = [os.environ.get('PRACTICALDL_BROWSER'), *map(shutil.which, names),
             *(o for o in usual if Path(o).exists())]
    return next(filter(None, there), None)

@pytest.fixture(scope='module')
def browser():
    "Chromium or Chrome, for the tests of one file."
    without = pytest.fail if os.environ.get('PRACTICALDL_NEEDS_BROWSER') else pytest.skip
    try:
        import playwright.sync_api as api
    except ImportError:
        without('pages are not opened in a browser: playwright is missing, which is part of the dev extra')
    program = find_browser()
    if not program:
        without('pages are not opened in a browser: no Chromium is here, and PRACTICALDL_BROWSER names none')
    with api.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=program,
                                     args=['--disable-gpu', '--disable-background-networking'])
        yield chromium
        chromium.close()

# ------------------------------------------------------------------ pip without a network

@pytest.fixture
def offline_pip(monkeypatch):
    "pip asks a port where nobody answers, and knows no other place."
    for name in list(os.environ):
        if name.startswith('PIP_') or name.lower() in ('http_proxy', 'https_proxy', 'all_proxy'):
            monkeypatch.delenv(name)
    settings = dict(PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=CLOSED, PIP_RETRIES='1',
                    PIP_DEFAULT_TIMEOUT='2')
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

def make_wheel(folder, members, project='tiny_pictures', version='1.0'):
    "A wheel made by hand: a zip with the given members and the three files that pip wants to see."
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder/f'{project}-{version}-py3-none-any.whl', f'{project}-{version}.dist-info'
    whole = {**members,
             f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n'.encode(),
             f'{info}/WHEEL': b'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n'}
    record = ''
    for name, content in whole.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()
        record += f'{name},sha256={digest},{len(content)}\n'
    whole[f'{info}/RECORD'] = f'{record}{info}/RECORD,,\n'.encode()
    with zipfile.ZipFile(path, 'w') as z:
        for name, content in whole.items():
            z.writestr(name, content)
    return path

@pytest.fixture
def shelf(offline_pip, monkeypatch, tmp_path):
    "A folder that pip takes wheels from, instead of an index, as in a room without a network."
    folder = tmp_path/'shelf'
    folder.mkdir()
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', folder.as_uri())
    return folder

def _copy_words(dest, files):
    (dest/'words.csv').write_bytes(files['words.csv'].read_bytes())

@pytest.fixture
def tiny(shelf, monkeypatch):
    "A twin TINY that comes out of a small wheel on the shelf."
    path = make_wheel(shelf, {'tiny_pictures/words.csv': b'word,score\nbird,1\n'})
    wheel = registry.Wheel('tiny_pictures', '1.0', hashlib.sha256(path.read_bytes()).hexdigest(), 0.01)
    twin = registry.Twin('TINY', 'one word', 'more words', 'ours', 'https://example.org', 'TINY', _copy_words,
                         wheel=wheel, members=('tiny_pictures/words.csv',), layout=('words.csv',),
                         columns={'words.csv': ('word', 'score')})
    monkeypatch.setitem(registry.TWINS, 'TINY', twin)
    return twin

# ------------------------------------------------------------------ a web server

class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        with contextlib.suppress(ConnectionError):
            self.server.answer(self)
    do_HEAD = do_CONNECT = do_GET
    def log_message(self, *args):
        pass
    def send(self, content, status=200, kind='application/json', length=None, headers={}):
        "Answer; a `length` that is larger than the content is a connection that is cut in mid-file."
        self.send_response(status)
        for name, value in {'Content-Type': kind, 'Content-Length': length or len(content),
                            **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command!='HEAD':
            self.wfile.write(content)

@pytest.fixture
def web():
    "A web server on this machine; `web.answer` is what answers, `web.asked` the paths that were asked for."
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.daemon_threads, server.asked, server.stopped = True, [], threading.Event()
    server.url = f'http://127.0.0.1:{server.server_address[1]}/'
    server.answer = lambda handler: handler.send(b'{}')
    threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02), daemon=True).start()
    yield server
    server.stopped.set()
    server.shutdown()
    server.server_close()

# ------------------------------------------------------------------ pictures

def picture(seed, size=(64, 48)):
    "A picture of soft random blobs: every seed looks different from every other."
    import numpy as np
    from PIL import Image
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)

def fill(folder, classes=('cat', 'dog'), n=3, first=0):
    "A folder with a subfolder for each class and n different pictures in each."
    for c, name in enumerate(classes):
        (folder/name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            picture(first+100*c+i).save(folder/name/f'{name}_{i}.png')
    return folder

def zip_of(folder, path, top=''):
    "A zip of the files below a folder."
    with zipfile.ZipFile(path, 'w') as z:
        for p in sorted(folder.rglob('*')):
            if p.is_file():
                z.write(p, top+p.relative_to(folder).as_posix())
    return path
