"""A learner's archive: what is unpacked, and what is refused."""
import io, stat, tarfile, tempfile, warnings, zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
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

# ------------------------------------------------------------------ whatever the archive holds

def tries(n):
    return settings(max_examples=n, deadline=None, derandomize=True, database=None,
                    suppress_health_check=list(HealthCheck))

# Names as an attacker, a careless program or another system would write them.
KINDS = st.sampled_from(['zip', 'tgz', 'tar'])
# TOP stands for the temporary folder of the test: should a path lead out, then no farther than to there.
starts = st.sampled_from(['', '/TOP/', '\\TOP\\', '//TOP/', './', '../', 'C:\\', '\\\\TOP\\'])
odd_parts = st.sampled_from(['..', '.', '', 'a', 'b', 'C:', '~', 'a.txt', 'con', ' ', 'é', '\u202e', 'n'*300,
                             '-rf', '*'])
parts = st.lists(st.one_of(odd_parts, st.text(min_size=1, max_size=6)), min_size=1, max_size=4)
separators = st.sampled_from(['/', '\\'])
names = st.builds(lambda start, middle, sep: start+sep.join(middle), starts, parts, separators)
contents = st.binary(max_size=200)

def packed(kind, members, path):
    "An archive with the members, as far as its format can hold their names; None where it cannot."
    try:
        if kind=='zip':
            with warnings.catch_warnings(), zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
                warnings.simplefilter('ignore')   # of names that come twice
                for name, content in members:
                    z.writestr(zipfile.ZipInfo(name), content)
        else:
            with tarfile.open(path, 'w:gz' if kind=='tgz' else 'w') as t:
                for name, content in members:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    t.addfile(info, io.BytesIO(content))
    except (UnicodeError, ValueError):
        return None
    return path

def below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*'))

@tries(100)
@given(kind=KINDS, members=st.lists(st.tuples(names, contents), min_size=1, max_size=4))
def test_extract_never_writes_outside(kind, members):
    "Whatever the names: all files lie in the folder, or the fault is told in a line."
    with tempfile.TemporaryDirectory() as d:
        top = Path(d)
        dest = top/'1'/'2'/'3'/'4'/'5'/'dest'   # so deep that no number of '..' leads out of `top`
        dest.mkdir(parents=True)
        named = [(name.replace('TOP', str(top).strip('/')), content) for name, content in members]
        archive = packed(kind, named, top/f'a.{kind}')
        if archive is None:
            return
        made, before = [], below(top)
        try:
            made = extract(archive, dest)
        except DataError as e:
            assert f'a.{kind}' in str(e) and str(e).isprintable()
        except OSError:   # a name that is too long for the disk, or a file where another needs a folder
            pass
        for p in made:
            assert p.is_file() and not p.is_symlink() and dest.resolve() in p.resolve().parents
        inside = dest.relative_to(top).as_posix()
        assert [o for o in below(top) if not o.startswith(inside+'/')]==before

flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8)

@tries(150)
@example(kind='tgz', damage=[(0.6953125, 1)], keep=1.0)   # the checksum at the end of a gzip file
@given(kind=KINDS, damage=flips, keep=st.one_of(st.just(1.), st.floats(0, 1)))
def test_a_damaged_archive_is_told_or_read(kind, damage, keep):
    "A message of ours or sound files, never another exception and never more than was packed."
    with tempfile.TemporaryDirectory() as d:
        dest = Path(d)/'in'/'dest'
        dest.mkdir(parents=True)
        archive = packed(kind, [('x/a.txt', b'one'*40), ('x/b.bin', bytes(range(256)))], Path(d)/f'a.{kind}')
        whole = bytearray(archive.read_bytes())
        for where, flip in damage:
            whole[int(where*len(whole))] ^= flip
        archive.write_bytes(whole[:int(keep*len(whole))])
        try:
            extract(archive, dest, limit_mb=1)
        except DataError as e:
            assert archive.name in str(e) and str(e).isprintable()
        assert sum(p.stat().st_size for p in dest.rglob('*') if p.is_file()) <= 1e6
        assert all(o=='dest' or o.startswith('dest/') for o in below(dest.parent))
