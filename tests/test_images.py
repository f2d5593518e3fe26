"""Searching for pictures when the search fails, and looking over what was found."""
import http.client, io, json, os, socket, struct, sys, time, types, urllib.request, warnings, zipfile, zlib
from functools import partial

import pytest
from conftest import dribble, endless, fill, picture, rubbish, silent, zip_of

from practicaldl import images
from practicaldl.errors import CourseError, DataError, PictureError


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    "No pauses between requests, and no memory of earlier ones."
    monkeypatch.setattr(images, 'PAUSE', 0)
    monkeypatch.setattr(images, '_last_request', {})

OPENVERSE_ANSWER = {'result_count': 2, 'results': [
    {'url': 'https://live.example/robin.jpg', 'title': 'A robin', 'creator': 'Ana', 'license': 'by-sa', 'license_version': '2.0', 'foreign_landing_url': 'https://example.org/robin'},
    {'url': 'https://live.example/wren.jpg', 'title': None, 'creator': None, 'license': 'cc0', 'license_version': None, 'foreign_landing_url': None},
    {'title': 'a result without an address'}]}
COMMONS_ANSWER = {'query': {'pages': {'7': {'title': 'File:Robin.jpg', 'imageinfo': [
    {'url': 'https://upload.example/Robin.jpg', 'thumburl': 'https://upload.example/640px-Robin.jpg', 'descriptionurl': 'https://commons.example/File:Robin.jpg',
     'extmetadata': {'Artist': {'value': '<a href="x">Ana <b>B.</b></a>'}, 'LicenseShortName': {'value': 'CC BY-SA 4.0'}}}]}}}}
ASKERS = {'openverse': OPENVERSE_ANSWER, 'commons': COMMONS_ANSWER}

def answering(content, status=200): return lambda handler: handler.send(content if isinstance(content, bytes) else json.dumps(content).encode(), status)
def asker(name, web, **options): return partial(getattr(images, name), address=web.url, **options)


# ------------------------------------------------------------------ the two catalogues

def test_openverse_keeps_the_attribution(web):
    web.answer = answering(OPENVERSE_ANSWER)
    found = asker('openverse', web)('bird photo', 5)
    assert found==['https://live.example/robin.jpg', 'https://live.example/wren.jpg']
    assert (found[0].title, found[0].creator, found[0].licence, found[0].page)==('A robin', 'Ana', 'CC BY-SA 2.0', 'https://example.org/robin')
    assert found[0].credit()=='A robin, Ana, CC BY-SA 2.0, https://example.org/robin'
    assert found[1].credit()=='untitled, unknown creator, CC CC0, https://live.example/wren.jpg'
    assert len(web.asked)==1 and 'q=bird+photo' in web.asked[0]

def test_commons_keeps_the_attribution(web):
    web.answer = answering(COMMONS_ANSWER)
    found = asker('commons', web)('robin', 5)
    assert found==['https://upload.example/640px-Robin.jpg']
    assert found[0].credit()=='File:Robin.jpg, Ana B., CC BY-SA 4.0, https://commons.example/File:Robin.jpg'

def test_openverse_turns_the_page(web):
    "Twenty to a page, and no more pages than are needed."
    def page(handler):
        from urllib.parse import parse_qs, urlparse
        n = int(parse_qs(urlparse(handler.path).query)['page'][0])
        answering({'results': [{'url': f'https://x.example/{n}-{i}.jpg'} for i in range(20)]})(handler)
    web.answer = page
    found = asker('openverse', web)('bird', 30)
    assert len(found)==len(set(found))==30 and len(web.asked)==2

def test_commons_goes_on_where_it_stopped(web):
    def page(handler):
        more = 'gsroffset' in handler.path
        answer = {'query': {'pages': {'1': {'title': 't', 'imageinfo': [{'url': f'https://x.example/{"b" if more else "a"}.jpg'}]}}}}
        answering(answer if more else {**answer, 'continue': {'gsroffset': 1, 'continue': 'gsroffset||'}})(handler)
    web.answer = page
    assert asker('commons', web)('bird', 9)==['https://x.example/a.jpg', 'https://x.example/b.jpg'] and len(web.asked)==2

@pytest.mark.parametrize('name', ASKERS)
@pytest.mark.parametrize('answer, why', [
    (answering(b'no', 403), 'HTTP 403'), (answering(b'{}', 202), 'HTTP 202'), (answering(b'slow down', 429), 'HTTP 429'), (answering(b'', 500), 'HTTP 500'),
    (answering(b'<html>Please enable JavaScript</html>'), 'not JSON'), (answering(b'\xff\xfe\x00garbage'), 'not JSON'), (answering(b''), 'not JSON'),
    (answering([1, 2, 3]), 'another shape'), (answering(b'['*200_000), 'not JSON'), (endless, 'without end'), (silent, 'timed out')],
    ids=['403', '202', '429', '500', 'a page', 'garbage', 'empty', 'a list', 'deep', 'endless', 'nothing at all'])
def test_a_catalogue_that_does_not_help(web, name, answer, why):
    web.answer = answer
    with pytest.raises(images._Unhelpful, match=why): asker(name, web, timeout=0.5)('bird', 5)
    assert len(web.asked)==1

@pytest.mark.parametrize('name', ASKERS)
def test_what_is_not_even_http(web, name):
    web.answer = rubbish
    with pytest.raises(images._Unhelpful): asker(name, web, timeout=2)('bird', 5)

@pytest.mark.parametrize('name, answer', [
    ('openverse', {'results': 'none'}), ('openverse', {'results': ['https://x.example/a.jpg']}), ('openverse', {'detail': 'Throttled'}),
    ('commons', {'query': []}), ('commons', {'query': {'pages': []}}), ('commons', {'query': {'pages': {'1': {'imageinfo': [{}]}}}}), ('commons', {'query': {'pages': {'1': None}}})])
def test_json_of_another_shape(web, name, answer, capsys, monkeypatch, usual_cache):
    "A catalogue that changes its answers is passed over like any other that does not help."
    web.answer = answering(answer)
    monkeypatch.setitem(images.PROVIDERS, name, asker(name, web))
    assert len(images.search_images('bird', 3, providers=(name, 'shipped')))==3
    assert f'pictures from shipped ({name}:' in capsys.readouterr().out

def test_a_closed_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0)); address = f'http://127.0.0.1:{s.getsockname()[1]}/'
    with pytest.raises(images._Unhelpful, match='(?i)refused|denied|10061'): images.openverse('bird', 3, timeout=2, address=address)

def test_commons_does_not_ask_for_ever(web):
    "A service that always says there is more, and never has anything."
    def more(handler): answering({'continue': {'gsroffset': 1}}, 200 if len(web.asked)<=50 else 500)(handler)
    web.answer = more
    assert asker('commons', web)('bird', 5)==[] and len(web.asked)<=50

def test_we_say_who_we_are(web):
    seen = []
    def answer(handler): seen.append(handler.headers['User-Agent']); handler.send(b'{"results": []}')
    web.answer = answer
    asker('openverse', web)('bird', 3)
    assert seen[0].startswith('practicaldl/')

def test_requests_to_one_service_keep_their_distance(monkeypatch):
    "A second after the last request to the same service; another service need not wait."
    now, slept = [100.0], []
    monkeypatch.setattr(images, 'PAUSE', 1.0)
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    monkeypatch.setattr(time, 'sleep', lambda s: (slept.append(round(s, 3)), now.__setitem__(0, now[0]+s)))
    images._pause('a'); assert slept==[]
    now[0] += 0.25; images._pause('a'); assert slept==[0.75]
    images._pause('b'); assert slept==[0.75]
    now[0] += 5; images._pause('a'); assert slept==[0.75]


# ------------------------------------------------------------------ ddgs and duckduckgo_search

def duck(monkeypatch, module, answer):
    "A stand-in for one of the two packages."
    class DDGS:
        def __init__(self, **options): pass
        def images(self, term, max_results=None): return answer(term, max_results)
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(DDGS=DDGS))

def raising(e):
    def answer(*a): raise e
    return answer

DUCKS = ('ddgs', 'duckduckgo_search')

@pytest.mark.parametrize('name', DUCKS)
def test_a_search_that_works(monkeypatch, name, capsys):
    duck(monkeypatch, name, lambda term, n: [{'image': f'https://x.example/{i}.jpg', 'title': term, 'url': 'https://x.example'} for i in range(n)] + [{'title': 'no picture'}])
    found = images.search_images('bird photo', 4, providers=(name,))
    assert list(found)==[f'https://x.example/{i}.jpg' for i in range(4)] and found[0].title=='bird photo' and found[0].page=='https://x.example'
    assert capsys.readouterr().out==f"'bird photo': 4 pictures from {name}.\n"

@pytest.mark.parametrize('name', DUCKS)
@pytest.mark.parametrize('answer, why', [
    (raising(RuntimeError('https://duckduckgo.com/i.js 403 Ratelimit\nmore')), 'RuntimeError: https://duckduckgo.com/i.js 403 Ratelimit'),
    (raising(ValueError()), 'ValueError'), (lambda *a: [], 'nothing found'), (lambda *a: [{'title': 'no picture'}], 'nothing found'), (lambda *a: None, "TypeError: 'NoneType' object is not iterable"),
    (lambda *a: time.sleep(20), 'no answer in 0.2 seconds')], ids=['ratelimit', 'no reason', 'empty', 'no pictures', 'none', 'hangs'])
def test_a_search_that_fails_goes_on_to_the_next(monkeypatch, name, answer, why, capsys, usual_cache):
    duck(monkeypatch, name, answer)
    found = images.search_images('bird photo', 3, providers=(name, 'shipped'), patience=0.2 if why.startswith('no answer') else 30)
    assert len(found)==3 and all(o.startswith('file://') for o in found)
    assert capsys.readouterr().out==f"'bird photo': 3 pictures from shipped ({name}: {why}).\n"

def test_the_shipped_pictures_have_the_time_they_need(monkeypatch):
    "They may have to be fetched first, over a slow network, and that ends by limits of its own."
    def slow(term, n): time.sleep(0.3); return [images.PictureUrl('file:///1.jpg')]
    monkeypatch.setitem(images.PROVIDERS, 'shipped', slow)
    assert images.search_images('bird', 1, providers=('shipped',), patience=0.05)==['file:///1.jpg']

@pytest.mark.parametrize('name', DUCKS)
def test_a_search_that_is_not_installed(monkeypatch, name, capsys, usual_cache):
    monkeypatch.setitem(sys.modules, name, None)
    images.search_images('plane', 2, providers=(name, 'shipped'))
    assert f'({name}: not installed)' in capsys.readouterr().out


# ------------------------------------------------------------------ one after the other

def test_all_of_them_in_turn(monkeypatch, web, capsys, usual_cache):
    "Every way to fail at once; the learner still has pictures, and one line says why they are these."
    for name in DUCKS: duck(monkeypatch, name, raising(RuntimeError('202 Ratelimit')))
    web.answer = answering(b'no', 429)
    monkeypatch.setenv('PRACTICALDL_EDITION', 'full')
    for name in ASKERS: monkeypatch.setitem(images.PROVIDERS, name, asker(name, web))
    found = images.search_images('bird photo', 5)
    said = capsys.readouterr().out
    assert len(found)==5 and said.count('\n')==1
    assert said.startswith("'bird photo': 5 pictures from shipped (ddgs: RuntimeError: 202 Ratelimit; duckduckgo_search: RuntimeError: 202 Ratelimit; openverse: HTTP 429; commons: HTTP 429)")

def test_the_first_that_answers_is_taken(monkeypatch, web, capsys):
    for name in DUCKS: duck(monkeypatch, name, raising(RuntimeError('403')))
    web.answer = answering(OPENVERSE_ANSWER)
    monkeypatch.setitem(images.PROVIDERS, 'openverse', asker('openverse', web))
    monkeypatch.setitem(images.PROVIDERS, 'commons', raising(AssertionError('not needed')))
    monkeypatch.setenv('PRACTICALDL_EDITION', 'full')
    assert len(images.search_images('bird', 5))==2
    assert 'pictures from openverse (ddgs: ' in capsys.readouterr().out

@pytest.mark.parametrize('answer', [dribble, silent], ids=['letter by letter', 'nothing at all'])
def test_a_provider_is_given_up_after_its_time(monkeypatch, web, answer, capsys, usual_cache):
    web.answer = answer
    monkeypatch.setitem(images.PROVIDERS, 'openverse', asker('openverse', web, timeout=20))
    images.search_images('bird', 2, providers=('openverse', 'shipped'), patience=0.5)
    assert '(openverse: no answer in 0.5 seconds)' in capsys.readouterr().out

def test_nothing_helps(monkeypatch, usual_cache):
    for name in DUCKS: duck(monkeypatch, name, lambda *a: [])
    with pytest.raises(PictureError) as e: images.search_images('zebra crossing', 5, providers=(*DUCKS, 'shipped'))
    for part in ("No pictures of 'zebra crossing'", 'ddgs: nothing found', 'there are bird, plane, cat, dog', 'Try another word', 'your own folder'): assert part in str(e.value)

def test_a_provider_that_does_not_exist_suggests_the_nearest():
    with pytest.raises(CourseError, match="openvers.*Did you mean 'openverse'"): images.search_images('bird', 3, providers=('openvers',))

def test_a_mistake_in_our_own_code_is_not_hidden(monkeypatch):
    monkeypatch.setitem(images.PROVIDERS, 'mine', raising(ZeroDivisionError('a mistake')))
    with pytest.raises(ZeroDivisionError, match='a mistake'): images.search_images('bird', 3, providers=('mine',))

def test_the_sample_edition_asks_nothing_of_the_network(monkeypatch, usual_cache, capsys):
    def no(*a, **k): pytest.fail('the network was asked')
    images.search_images('bird', 1, providers=('shipped',))
    capsys.readouterr()
    for place in (socket, 'create_connection'), (socket.socket, 'connect'), (urllib.request, 'urlopen'), (images, 'urlopen'), (http.client.HTTPConnection, 'connect'): monkeypatch.setattr(*place, no)
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    assert len(images.search_images('bird photo', 7))==7
    assert capsys.readouterr().out=="'bird photo': 7 pictures from shipped.\n"


# ------------------------------------------------------------------ the shipped pictures

@pytest.mark.parametrize('term, folder, start', [
    ('a photo of birds', 'bird', 'bird_'), ('Jumbo jet', 'plane', 'plane_'), ('airplane photo', 'plane', 'plane_'), ('aeroplanes', 'plane', 'plane_'),
    ('kittens', 'images', 'Cat_'), ('DOG', 'images', 'dog_')])
def test_a_known_word_is_enough(usual_cache, term, folder, start):
    found = images.shipped(term, 12)
    assert len(set(found))==12
    for o in found: assert o.startswith('file://') and f'/{folder}/{start}' in o and 'CIFAR-10' in o.credit()

def test_shipped_pictures_can_be_downloaded(usual_cache, tmp_path, monkeypatch):
    "fastai's `download_images` takes file:// addresses like any other, and keeps the names."
    from fastai.vision.utils import download_images, verify_images
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    urls = images.search_images('bird photo', 10)
    download_images(tmp_path/'bird', urls=urls, preserve_filename=True)
    files = sorted((tmp_path/'bird').iterdir())
    assert [f.name for f in files]==sorted(o.rsplit('/', 1)[1] for o in urls) and len(files)==10
    assert len(verify_images(files))==0

def test_fault_of_the_data_layer_is_passed_over(monkeypatch):
    "Where even the shipped pictures cannot be written, the message says so."
    def no(*a): raise DataError('BIRDS cannot be written: /x is read-only.')
    monkeypatch.setattr(images, 'dataset', no)
    with pytest.raises(PictureError, match='shipped: BIRDS cannot be written'): images.search_images('bird', 3, providers=('shipped',))


# ------------------------------------------------------------------ the doctor

def problems(table): return sorted(zip(table.problem, table.file))

def snapshot(folder): return {p.relative_to(folder).as_posix(): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob('*')}

def claim(width, height):
    "The start of a PNG whose header claims a size."
    def chunk(kind, content): return struct.pack('>I', len(content))+kind+content+struct.pack('>I', zlib.crc32(kind+content))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(b'\0'*1000)) + chunk(b'IEND', b'')

def test_a_sound_folder(tmp_path, capsys):
    folder = fill(tmp_path/'pets', n=5)
    table = images.check_images(folder)
    assert len(table)==0 and list(table.columns)==['file', 'label', 'split', 'problem', 'detail', 'other', 'across_split']
    said = capsys.readouterr().out
    assert said=='pets: 10 files, 0 broken, 0 of odd size.\nDuplicates: 0 exact, 0 near; 0 stand across the split.\nClasses: cat 5, dog 5, in balance.\n'

def test_there_is_no_such_folder(tmp_path):
    with pytest.raises(PictureError, match='no folder or zip at .*nowhere.*Check the spelling'): images.check_images(tmp_path/'nowhere')

def test_no_pictures(tmp_path):
    (tmp_path/'empty').mkdir(); (tmp_path/'empty'/'notes.txt').write_text('none yet'); (tmp_path/'empty'/'._cat.jpg').write_bytes(b'resource fork')
    with pytest.raises(PictureError, match='no pictures in .*one subfolder for each class'): images.check_images(tmp_path/'empty')

def test_one_class(tmp_path, capsys):
    images.check_images(fill(tmp_path/'pets', classes=('cat',)))
    assert "Classes: only 'cat'. A classifier needs two or more" in capsys.readouterr().out

def test_nothing_opens(tmp_path, capsys):
    for i, content in enumerate([b'', b'<html>', b'\xff\xd8\xff']):
        (tmp_path/'pets'/f'c{i}').mkdir(parents=True); (tmp_path/'pets'/f'c{i}'/'x.jpg').write_bytes(content)
    table = images.check_images(tmp_path/'pets')
    said = capsys.readouterr().out
    assert list(table.problem)==['broken']*3 and 'Classes: none, because no picture opens.' in said and said.count('\n')==3

def test_each_kind_of_broken_file_has_its_reason(tmp_path, capsys):
    folder = fill(tmp_path/'pets')
    buffer = io.BytesIO(); picture(7).save(buffer, 'JPEG')
    kinds = {'a_empty.png': b'', 'b_page.jpg': b'\n<!DOCTYPE html><h1>403</h1>', 'c_cut.jpg': buffer.getvalue()[:500], 'd_noise.gif': os.urandom(2000),
             'e_bomb.png': claim(20_000, 20_000), 'f_large.png': claim(12_000, 12_000)}
    for name, content in kinds.items(): (folder/'cat'/name).write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        table = images.check_images(folder)
    reasons = {f.split('/')[1]: d for f, d in zip(table.file, table.detail)}
    assert list(table.problem)==['broken']*6 and set(table.split)=={''}
    assert reasons['a_empty.png']=='the file is empty' and reasons['b_page.jpg']=='a web page, not a picture'
    assert reasons['c_cut.jpg'].startswith('does not open') and reasons['d_noise.gif'].startswith('does not open')
    assert reasons['e_bomb.png']=='too many pixels' and reasons['f_large.png']=='144 million pixels'
    assert capsys.readouterr().out.splitlines()[0]=='pets: 12 files, 6 broken, 0 of odd size.'
    assert [str(w.message) for w in caught if 'bomb' in str(w.message)]==[]

def test_the_same_picture_on_both_sides_of_the_split(tmp_path, capsys):
    "The first thing to know: a copy in the validation set flatters the score. Another format is still the same picture."
    folder = tmp_path/'pets'
    fill(folder/'train', first=0); fill(folder/'valid', n=2, first=1000)
    picture(0).save(folder/'valid'/'cat'/'copy.bmp')
    picture(1).save(folder/'train'/'cat'/'twice.png')
    table = images.check_images(folder)
    assert problems(table)==[('duplicate', 'train/cat/twice.png'), ('duplicate', 'valid/cat/copy.bmp')]
    copy = table[table.file=='valid/cat/copy.bmp'].iloc[0]
    assert (copy.other, copy.split, copy.label, bool(copy.across_split))==('train/cat/cat_0.png', 'valid', 'cat', True)
    assert not table[table.file=='train/cat/twice.png'].across_split.item()
    assert 'Duplicates: 2 exact, 0 near; 1 stand across the split, so the validation score would flatter.' in capsys.readouterr().out

def test_almost_the_same_picture(tmp_path):
    "Saved again as JPEG, a little smaller, a little brighter: still the same picture to a person."
    from PIL import ImageEnhance
    folder = fill(tmp_path/'pets', n=4)
    picture(0).save(folder/'cat'/'z_again.jpg', quality=60)
    picture(1).resize((60, 45)).save(folder/'cat'/'z_smaller.png')
    ImageEnhance.Brightness(picture(2)).enhance(1.03).save(folder/'cat'/'z_brighter.png')
    table = images.check_images(folder)
    assert sorted(zip(table.problem, table.file, table.other))==[('near duplicate', f'cat/z_{a}', f'cat/cat_{b}.png') for a, b in (('again.jpg', 0), ('brighter.png', 2), ('smaller.png', 1))]

def test_the_split_is_the_one_of_the_learner(tmp_path):
    "Without folders train and valid the split is `RandomSplitter`'s with the same seed, over the pictures that open."
    from fastai.data.transforms import RandomSplitter
    folder = fill(tmp_path/'pets', n=10)
    for n in range(10): picture(n).save(folder/'dog'/f'zz{n}.png')
    table = images.check_images(folder, valid_pct=0.3, seed=7)
    names = [p.relative_to(folder).as_posix() for p in images.picture_files(folder)]
    valid = {names[i] for i in RandomSplitter(0.3, seed=7)(names)[1]}
    assert len(table)==10 and set(table.problem)=={'duplicate'}
    assert list(table.split)==['valid' if f in valid else 'train' for f in table.file]
    assert list(table.across_split)==[(f in valid)!=(o in valid) for f, o in zip(table.file, table.other)] and 0 < table.across_split.sum() < 10

def test_imbalance(tmp_path, capsys):
    folder = fill(tmp_path/'pets', n=2); fill(folder, classes=('dog',), n=7, first=500)
    images.check_images(folder)
    assert 'Classes: cat 2, dog 7; the largest has 3.5 times the pictures of the smallest.' in capsys.readouterr().out

def test_odd_sizes(tmp_path, capsys):
    folder = fill(tmp_path/'pets')
    picture(50, (8, 6)).save(folder/'cat'/'icon.png'); picture(51, (300, 20)).save(folder/'dog'/'banner.png')
    table = images.check_images(folder)
    assert problems(table)==[('odd size', 'cat/icon.png'), ('odd size', 'dog/banner.png')] and '300 × 20 pixels' in set(table.detail)
    assert '2 of odd size' in capsys.readouterr().out

def test_a_zip_gives_what_the_folder_gives(tmp_path, capsys):
    folder = fill(tmp_path/'pets')
    picture(0).save(folder/'dog'/'copy.png'); (folder/'cat'/'empty.png').write_bytes(b'')
    of_folder = images.check_images(folder); said = capsys.readouterr().out
    of_zip = images.check_images(zip_of(folder, tmp_path/'pets.zip'))
    assert of_zip.equals(of_folder) and len(of_zip)==2
    assert capsys.readouterr().out==said.replace('pets:', 'pets.zip:')
    assert sorted(p.name for p in tmp_path.iterdir())==['pets', 'pets.zip']

def test_a_zip_with_a_path_that_leads_out(tmp_path):
    with zipfile.ZipFile(tmp_path/'pets.zip', 'w') as z: z.writestr('cat/a.png', b'1'); z.writestr('../b.png', b'2')
    with pytest.raises(DataError, match='leads out'): images.check_images(tmp_path/'pets.zip')
    with pytest.raises(DataError, match='leads out'): images.image_folder(tmp_path/'pets.zip')
    assert [p.name for p in tmp_path.iterdir()]==['pets.zip']

def spoiled(folder):
    "One of each problem in a folder."
    fill(folder, n=4)
    (folder/'cat'/'empty.png').write_bytes(b'')
    picture(0).save(folder/'dog'/'zcopy.png'); picture(1).save(folder/'dog'/'znear.jpg', quality=60); picture(60, (8, 6)).save(folder/'dog'/'icon.png')
    return folder

def test_nothing_is_changed_unless_asked(tmp_path, capsys):
    folder = spoiled(tmp_path/'pets'); before = snapshot(folder)
    assert len(images.check_images(folder))==4 and snapshot(folder)==before
    assert capsys.readouterr().out.count('\n')==3

def test_removing_on_request(tmp_path):
    "Broken files go, and of duplicates all but the first; a picture of odd size is for the learner to judge."
    folder = spoiled(tmp_path/'pets'); before = set(snapshot(folder))
    table = images.check_images(folder, remove=True)
    assert len(table)==4 and before-set(snapshot(folder))=={'cat/empty.png', 'dog/zcopy.png', 'dog/znear.jpg'}
    assert problems(images.check_images(folder))==[('odd size', 'dog/icon.png')]

def test_nothing_is_removed_from_a_zip(tmp_path):
    archive = zip_of(spoiled(tmp_path/'pets'), tmp_path/'pets.zip'); before = archive.read_bytes()
    with pytest.raises(PictureError, match='not a folder.*Unpack the zip first'): images.check_images(archive, remove=True)
    assert archive.read_bytes()==before


# ------------------------------------------------------------------ the learner's own pictures

def test_a_folder_comes_back_as_it_is(tmp_path):
    folder = fill(tmp_path/'pets'); before = snapshot(folder)
    assert images.image_folder(str(folder))==folder and snapshot(folder)==before

@pytest.mark.parametrize('top', ['', 'my pets/'])
def test_a_zip_is_unpacked_beside_it(tmp_path, top):
    "With or without a folder at the top, as the system of the learner packs it."
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip', top)
    with zipfile.ZipFile(archive, 'a') as z: z.writestr('__MACOSX/my pets/cat/._cat_0.png', b'resource fork')
    folder = images.image_folder(archive)
    assert folder==tmp_path/'pets'/top.strip('/') and len(images.picture_files(folder))==6 and {f.parent.name for f in images.picture_files(folder)}=={'cat', 'dog'}
    assert images.image_folder(archive)==folder

def test_a_zip_is_unpacked_where_the_learner_says(tmp_path):
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    assert images.image_folder(archive, tmp_path/'there')==tmp_path/'there' and not (tmp_path/'pets').exists()

def test_a_second_try_after_a_damaged_zip_starts_clean(tmp_path):
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip'); whole = bytearray(archive.read_bytes())
    at = whole.index(b'IDAT', len(whole)//2)
    archive.write_bytes(whole[:at+20] + bytes(b ^ 255 for b in whole[at+20:at+40]) + whole[at+40:])
    with pytest.raises(DataError, match='pets.zip is damaged'): images.image_folder(archive)
    assert sorted(p.name for p in tmp_path.iterdir())==['pets.zip', 'src']
    archive.write_bytes(whole)
    assert len(images.picture_files(images.image_folder(archive)))==6

def test_a_zip_beside_which_nothing_can_be_written(tmp_path, monkeypatch):
    "On Kaggle the data that is attached cannot be written to: the message names the way out."
    from pathlib import Path
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    mkdir = Path.mkdir
    def refused(self, *a, **k):
        if self.parent==tmp_path and 'pets' in self.name: raise PermissionError(13, 'Permission denied', str(self))
        return mkdir(self, *a, **k)
    monkeypatch.setattr(Path, 'mkdir', refused)
    with pytest.raises(CourseError, match='dest'): images.image_folder(archive)
    assert images.image_folder(archive, tmp_path/'there')==tmp_path/'there'

@pytest.mark.parametrize('make, why', [
    (lambda p: None, 'no folder or zip at'),
    (lambda p: p.mkdir(), 'no pictures in'),
    (lambda p: fill(p, classes=('cat',)), "of one class \\('cat'\\)"),
    (lambda p: [(p/'cat').mkdir(parents=True), (p/'cat'/'a.png').write_text('<html>'), (p/'cat'/'b.png').write_bytes(b'')], 'None of the 2 pictures in .* opens'),
    (lambda p: [fill(p, classes=('cat',)), (p/'dog').mkdir(), (p/'dog'/'a.png').write_bytes(b'')], "of one class \\('cat'\\)")],
    ids=['missing', 'empty', 'one class', 'nothing opens', 'one class opens'])
def test_a_folder_that_cannot_be_trained_on(tmp_path, make, why):
    make(tmp_path/'pets')
    with pytest.raises(PictureError, match=why): images.image_folder(tmp_path/'pets')

def test_a_file_that_is_no_archive(tmp_path):
    picture(0).save(tmp_path/'cat.png')
    with pytest.raises(CourseError, match='cat.png is not an archive'): images.image_folder(tmp_path/'cat.png')
    assert [p.name for p in tmp_path.iterdir()]==['cat.png']

def test_a_zip_without_an_ending(tmp_path):
    "A browser may save a zip without the ending of its name."
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets')
    try: folder = images.image_folder(archive)
    except CourseError as e: assert 'dest' in str(e)
    else: assert len(images.picture_files(folder))==6
    assert archive.is_file()
