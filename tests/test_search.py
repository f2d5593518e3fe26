"Searching for pictures when the search fails."
import inspect, json, sys, time, types
from functools import partial

import pytest
from conftest import picture

from practicaldl import search
from practicaldl.errors import DataError, PictureError

OPENVERSE = {'results': [
    {'url': 'https://live.example/robin.jpg', 'title': 'A robin', 'creator': 'Ana', 'license': 'by-sa',
     'license_version': '2.0', 'foreign_landing_url': 'https://example.org/robin'},
    {'url': 'https://live.example/wren.jpg', 'title': None, 'creator': None, 'license': 'cc0',
     'license_version': None, 'foreign_landing_url': None}]}
ROBIN = {'url': 'https://up.example/Robin.jpg', 'thumburl': 'https://up.example/640px-Robin.jpg',
         'descriptionurl': 'https://example.org/Robin',
         'extmetadata': {'Artist': {'value': '<a href="x">Ana <b>B.</b></a>'},
                         'LicenseShortName': {'value': 'CC BY-SA 4.0'}}}
COMMONS = {'query': {'pages': {'7': {'title': 'File:Robin.jpg', 'imageinfo': [ROBIN]}}}}

@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    "No pauses, and providers that a test adds are gone after it."
    monkeypatch.setattr(search, 'PAUSE', 0)
    web = {name: ask for name, ask in search.PROVIDERS.items() if name!='shipped'}   # which `course` adds
    monkeypatch.setattr(search, 'PROVIDERS', web)

def answering(content, status=200):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda handler: handler.send(content, status)

def refusing(fault):
    def ask(*args, **kwargs):
        raise fault
    return ask

def urls(n):
    return [search.PictureUrl(f'https://x.example/{i}.jpg') for i in range(n)]

def passed_over(name, why, capsys):
    "The next provider has pictures; one line says why this one had none."
    search.PROVIDERS['next'] = lambda term, n: urls(n)
    assert search.search_images('bird', 3, [name, 'next'])==urls(3)
    said = capsys.readouterr().out
    assert said.startswith(f"'bird': 3 pictures from next ({name}: ") and why in said and said.count('\n')==1

def test_openverse_keeps_the_attribution(web):
    web.answer = answering(OPENVERSE)
    robin, wren = search.openverse('bird photo', 5, address=web.url)
    assert robin=='https://live.example/robin.jpg'
    assert robin.credit()=='A robin, Ana, CC BY-SA 2.0, https://example.org/robin'
    assert wren.credit()=='untitled, unknown creator, CC CC0, https://live.example/wren.jpg'
    assert len(web.asked)==1 and 'q=bird+photo' in web.asked[0]

def test_openverse_turns_the_page(web):
    "Twenty to a page, and no more pages than are needed."
    def page(handler):
        full = [{**OPENVERSE['results'][0], 'url': f'{len(web.asked)}-{i}'} for i in range(20)]
        answering({'results': full})(handler)
    web.answer = page
    found = search.openverse('bird', 50, address=web.url)
    assert len(found)==len(set(found))==50
    assert [path.rpartition('page=')[2] for path in web.asked[1:]]==['2', '3']

def test_commons_goes_on_where_it_stopped(web):
    def page(handler):
        is_second = 'gsroffset=1' in handler.path
        answering(COMMONS if is_second else {**COMMONS, 'continue': {'gsroffset': 1}})(handler)
    web.answer = page
    assert len(search.commons('bird', 9, address=web.url))==2 and len(web.asked)==2
    assert all('iiurlwidth=500' in o for o in map(str, web.asked))   # it answers 429 to other widths

def test_a_service_that_always_has_more_and_never_has_anything(web):
    web.answer = answering({'continue': {'gsroffset': 1}})
    assert search.commons('bird', 5, address=web.url)==[] and len(web.asked) < 20

def test_requests_keep_their_distance_and_say_who_asks(web, monkeypatch):
    monkeypatch.setattr(search, 'PAUSE', 0.15)
    times, agents = [time.monotonic()], []
    def answer(handler):
        times.append(time.monotonic())
        agents.append(handler.headers['User-Agent'])
        answering({'results': [OPENVERSE['results'][0]]*20})(handler)
    web.answer = answer
    search.openverse('bird', 25, address=web.url)
    assert len(times)==3 and all(b-a >= 0.15 for a, b in zip(times, times[1:]))
    assert all(o.startswith('practicaldl/') for o in agents)

@pytest.mark.parametrize('provider, answer, why', [
    ('openverse', answering(b'slow down', 429), 'HTTP 429'),
    ('openverse', answering(b'<html>Please enable JavaScript</html>'), 'odd answer'),
    ('openverse', answering({'detail': 'Throttled'}), 'odd answer'),
    ('openverse', answering([1, 2, 3]), 'odd answer'),
    ('openverse', lambda handler: time.sleep(1), 'nothing came'),
    ('openverse', answering({'results': []}), 'nothing found'),
    ('commons', answering(b'no', 403), 'HTTP 403'),
    ('commons', answering({'query': []}), 'odd answer'),
    ('commons', answering({'batchcomplete': ''}), 'nothing found')])
def test_a_catalogue_that_does_not_help_is_passed_over(web, monkeypatch, capsys, provider, answer, why):
    web.answer = answer
    monkeypatch.setattr(search, 'TIMEOUT', 0.3 if why=='nothing came' else 30)
    search.PROVIDERS['mine'] = partial(getattr(search, provider), address=web.url)
    passed_over('mine', why, capsys)
    assert len(web.asked)==1

def pretend(monkeypatch, module, answer):
    "A stand-in for ddgs or its predecessor; an answer of None is a package that is not there."
    class DDGS:
        def __init__(self, timeout):
            assert timeout==search.TIMEOUT
        def images(self, term, max_results):
            return answer(term, max_results)
    monkeypatch.setitem(sys.modules, module, answer and types.SimpleNamespace(DDGS=DDGS))

def hits(term, n):
    return [{'image': url, 'title': term, 'url': 'https://x.example'} for url in urls(n)] + [{}]

@pytest.mark.parametrize('module', ['ddgs', 'duckduckgo_search'])
def test_a_search_that_works(monkeypatch, module, capsys):
    "With the package, or where it is missing with its predecessor."
    pretend(monkeypatch, 'ddgs', None)
    pretend(monkeypatch, module, hits)
    found = search.search_images('bird photo', 4, providers='ddgs')
    assert found==urls(4) and (found[0].title, found[0].page)==('bird photo', 'https://x.example')
    assert capsys.readouterr().out=="'bird photo': 4 pictures from ddgs.\n"

@pytest.mark.parametrize('answer, why', [
    (refusing(RuntimeError('i.js 403 Ratelimit\nmore')), '403 Ratelimit'),
    (refusing(ConnectionError('timed out')), 'nothing came'),
    (lambda *a: [], 'nothing found'),
    (None, 'ModuleNotFound')])
def test_a_search_that_fails_goes_on_to_the_next(monkeypatch, capsys, answer, why):
    pretend(monkeypatch, 'ddgs', answer)
    pretend(monkeypatch, 'duckduckgo_search', None)
    passed_over('ddgs', why, capsys)

def test_ddgs_and_its_predecessor_still_take_what_we_pass():
    for module in ('ddgs', 'duckduckgo_search'):
        DDGS = pytest.importorskip(module).DDGS
        inspect.signature(DDGS).bind(timeout=1)
        inspect.signature(DDGS.images).bind(None, 'bird', max_results=3)

def test_on_the_full_edition_all_are_asked_in_turn(monkeypatch, capsys):
    "The first with pictures is taken; one line says who refused; a fault of ours counts as that."
    monkeypatch.setenv('PRACTICALDL_EDITION', 'full')
    asks = [refusing(PictureError('closed')), refusing(DataError('no room')), lambda term, n: urls(1)]
    first, second, third = list(search.PROVIDERS)[:3]
    search.PROVIDERS.update(zip((first, second, third), asks), shipped=refusing(AssertionError('not needed')))
    assert search.search_images('bird')==urls(1)
    said = f"'bird': 1 picture from {third} ({first}: closed; {second}: no room).\n"
    assert capsys.readouterr().out==said

def test_on_the_sample_edition_only_the_shipped_pictures_are_asked(monkeypatch):
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    for name in search.PROVIDERS:
        search.PROVIDERS[name] = refusing(AssertionError('the network was asked'))
    with pytest.raises(PictureError, match='`start`'):   # nobody has added them
        search.search_images('bird')
    search.PROVIDERS['shipped'] = lambda term, n: urls(n)
    assert search.search_images('bird', 7)==urls(7)

def test_nothing_helps():
    search.PROVIDERS.update(a=lambda *args: [], b=refusing(PictureError('closed')))
    with pytest.raises(PictureError, match=r"'zebra' \(a: nothing found; b: closed\).*your own folder"):
        search.search_images('zebra', 5, ['a', 'b'])

def test_a_mistake_in_a_provider_is_not_hidden():
    search.PROVIDERS['mine'] = refusing(ZeroDivisionError('a mistake'))
    with pytest.raises(ZeroDivisionError):
        search.search_images('bird', 3, ['mine'])

def test_what_was_found_can_be_downloaded(web, tmp_path):
    "From the web, and from a folder with other letters in its name, as the shipped pictures may be."
    from fastai.vision.utils import download_images, verify_images
    shipped = tmp_path/"Zoë's 家"/'b.png'
    shipped.parent.mkdir()
    picture(1).save(shipped)
    web.answer = lambda handler: handler.send(shipped.read_bytes(), kind='image/png')
    both = [search.PictureUrl(o) for o in (web.url+'a.png', shipped.as_uri())]
    search.PROVIDERS['mine'] = lambda *args: both
    download_images(tmp_path/'got', urls=search.search_images('bird', 2, 'mine'), preserve_filename=True)
    files = sorted((tmp_path/'got').iterdir())
    assert [f.name for f in files]==['a.png', 'b.png'] and len(verify_images(files))==0
