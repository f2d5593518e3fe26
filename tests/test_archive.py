"""A learner's archive: what is unpacked, and what is refused."""
import io, stat, tarfile, zipfile

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from practicaldl.archive import extract
from practicaldl.errors import DataError


@pytest.fixture
def dest(tmp_path):
    place = tmp_path/'dest'
    place.mkdir()
    return place


def zip_with(path, **members):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, content in members.items():
            z.writestr(name, content)
    return path


def tar_with(path, name, content=b'x', kind=tarfile.REGTYPE, mode='w:gz'):
    with tarfile.open(path, mode) as t:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, '/etc/passwd'
        info.size = len(content) if kind==tarfile.REGTYPE else 0
        t.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize('make', [
    lambda d: zip_with(d/'a.zip', **{'cats/1.png': b'x'}), lambda d: tar_with(d/'a.tgz', 'cats/1.png'),
    lambda d: tar_with(d/'a.tar', 'cats/1.png', mode='w:')], ids=['zip', 'tgz', 'tar'])
def test_a_sound_archive_is_unpacked(tmp_path, dest, make):
    assert extract(make(tmp_path), dest)==[dest/'cats'/'1.png'] and (dest/'cats'/'1.png').read_bytes()==b'x'


@pytest.mark.parametrize('name', ['../evil.txt', 'a/../../evil.txt', '/evil.txt', 'C:/evil.txt',
                                  '..\\evil.txt'])
def test_a_path_that_leads_out_is_refused(tmp_path, dest, name):
    for archive in (zip_with(tmp_path/'a.zip', **{'good.txt': b'x', name: b'x'}),
                    tar_with(tmp_path/'a.tgz', name)):
        with pytest.raises(DataError, match='leads out of its folder'):
            extract(archive, dest)
    assert not list(dest.iterdir()) and not (tmp_path/'evil.txt').exists()


@pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path, dest, kind):
    with pytest.raises(DataError, match='holds a link'):
        extract(tar_with(tmp_path/'a.tar', 'x', kind=kind, mode='w:'), dest)


def test_a_link_in_a_zip_is_refused(tmp_path, dest):
    link = zipfile.ZipInfo('x')
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path/'a.zip', 'w') as z:
        z.writestr(link, '/etc/passwd')
    with pytest.raises(DataError, match='holds a link'):
        extract(tmp_path/'a.zip', dest)


def test_a_bomb_is_refused_before_anything_is_written(tmp_path, dest):
    zeros = b'0'*3_000_000
    for archive in (zip_with(tmp_path/'a.zip', zeros=zeros), tar_with(tmp_path/'a.tgz', 'zeros', zeros)):
        with pytest.raises(DataError, match='more than the 2 MB'):
            extract(archive, dest, limit_mb=2)
    assert not list(dest.iterdir())


def test_a_zip_that_lies_about_its_size_does_not_write_more(tmp_path, dest):
    path = zip_with(tmp_path/'a.zip', zeros=b'0'*1_000_000)
    content = path.read_bytes().replace((1_000_000).to_bytes(4, 'little'), (10).to_bytes(4, 'little'))
    path.write_bytes(content)
    with pytest.raises(DataError, match='damaged'):
        extract(path, dest)
    assert sum(p.stat().st_size for p in dest.rglob('*')) <= 10


@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
def test_a_truncated_archive(tmp_path, dest, name):
    content = bytes(i*7919 % 251 for i in range(5000))
    path = zip_with(tmp_path/name, x=content) if name.endswith('zip') else tar_with(tmp_path/name, 'x',
                                                                                    content)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(DataError, match='damaged|not a zip or tar'):
        extract(path, dest)


@pytest.mark.parametrize('content', [b'', b'<!doctype html><title>403</title>', b'Rar!\x1a\x07\x00'])
def test_what_is_no_archive(tmp_path, dest, content):
    (tmp_path/'a.zip').write_bytes(content)
    with pytest.raises(DataError, match='not a zip or tar archive'):
        extract(tmp_path/'a.zip', dest)


def test_a_zip_with_a_password(tmp_path, dest):
    path = zip_with(tmp_path/'a.zip', x=b'secret')
    content = bytearray(path.read_bytes())
    for start, offset in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
        content[content.index(start)+offset] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match='Pack it again as a plain zip'):
        extract(path, dest)


_names = st.text(st.characters(blacklist_categories=('Cs', 'Cc'), blacklist_characters='\\/:*?"<>|.'),
                 min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(members=st.dictionaries(_names.map(str.strip).filter(bool), st.binary(max_size=300), min_size=1,
                               max_size=5))
def test_what_is_packed_is_what_comes_out(tmp_path_factory, members):
    folder = tmp_path_factory.mktemp('packed')
    with zipfile.ZipFile(folder/'a.zip', 'w') as z:
        for name, content in members.items():
            z.writestr(f'top/{name}', content)
    (folder/'dest').mkdir()
    extract(folder/'a.zip', folder/'dest')
    assert {p.name: p.read_bytes() for p in (folder/'dest'/'top').iterdir()}==members
