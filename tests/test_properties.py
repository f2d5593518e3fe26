"""Properties that hold for any input, tried with what hypothesis makes up: the extractor, the registry, `check_images`."""
import csv, io, string, tarfile, tempfile, warnings, zipfile
from contextlib import redirect_stdout
from pathlib import Path

import pytest

pytest.importorskip('hypothesis', reason='hypothesis is not installed: pip install -e ".[dev]"')
from conftest import picture
from hypothesis import HealthCheck, given, settings, strategies as st

from practicaldl import data, images
from practicaldl.errors import DataError, PictureError, did_you_mean

# The same examples in every run: a test that fails by chance teaches nobody. No deadline: a busy machine is not a fault.
tries = lambda n: settings(max_examples=n, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))

# Names as an attacker, a careless program or another system would write them.
parts = st.one_of(st.sampled_from(['..', '.', '', 'a', 'b', 'C:', '~', 'a.txt', 'con', ' ', 'é', '\u202e', 'n'*300, '-rf', '*']), st.text(min_size=1, max_size=6))
names = st.builds(lambda start, middle, sep: start+sep.join(middle), st.sampled_from(['', '/', '\\', '//', './', '../', 'C:\\', '\\\\host\\']), st.lists(parts, min_size=1, max_size=4), st.sampled_from(['/', '\\']))
contents = st.binary(max_size=200)

def packed(kind, members, path):
    "An archive with the members, as far as its format can hold their names; None where it cannot."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')   # of names that come twice
            if kind=='zip':
                with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
                    for name, content in members: z.writestr(zipfile.ZipInfo(name), content)
            else:
                with tarfile.open(path, 'w:gz' if kind=='tgz' else 'w') as t:
                    for name, content in members:
                        info = tarfile.TarInfo(name); info.size = len(content)
                        t.addfile(info, io.BytesIO(content))
    except (UnicodeError, ValueError): return None
    return path

def below(folder): return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*'))

@tries(100)
@given(kind=st.sampled_from(['zip', 'tgz', 'tar']), members=st.lists(st.tuples(names, contents), min_size=1, max_size=4))
def test_extract_never_writes_outside(kind, members):
    "Whatever the names: all files lie in the folder, or the fault is told in a line; nothing appears anywhere else."
    with tempfile.TemporaryDirectory() as d:
        top = Path(d); dest = top/'in'/'dest'; dest.mkdir(parents=True)
        archive = packed(kind, members, top/f'a.{kind}')
        if archive is None: return
        outside = [o for o in below(top) if not o.startswith('in/dest/')]
        try: made = data.extract(archive, dest)
        except DataError as e: assert f'a.{kind}' in str(e) and str(e).isprintable()
        else: assert all(p.is_file() and not p.is_symlink() and dest.resolve() in p.resolve().parents for p in made)
        assert [o for o in below(top) if not o.startswith('in/dest/')]==outside

@tries(80)
@given(members=st.dictionaries(st.text(string.ascii_letters+string.digits+' _é家', min_size=1, max_size=12).map(lambda o: 'f'+o.strip()+'.txt'), contents, min_size=1, max_size=6),
       kind=st.sampled_from(['zip', 'tgz', 'tar']))
def test_extract_gives_back_what_was_packed(members, kind):
    "Names that differ only in capitals are one file on some systems, so of those only the first is packed."
    members = {n: c for i, (n, c) in enumerate(members.items()) if n.lower() not in [o.lower() for o in list(members)[:i]]}
    with tempfile.TemporaryDirectory() as d:
        dest = Path(d)/'dest'; dest.mkdir()
        made = data.extract(packed(kind, [(f'top/{n}', c) for n, c in members.items()], Path(d)/f'a.{kind}'), dest)
        assert {p.name: p.read_bytes() for p in made}==members

@tries(150)
@given(kind=st.sampled_from(['zip', 'tgz', 'tar']), damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8), keep=st.one_of(st.just(1.), st.floats(0, 1)))
def test_a_damaged_archive_is_told_or_read(kind, damage, keep):
    "Bytes that flip and an end that is missing: a message of ours or sound files, never another exception and never more than was packed."
    with tempfile.TemporaryDirectory() as d:
        dest = Path(d)/'in'/'dest'; dest.mkdir(parents=True)
        archive = packed(kind, [('x/a.txt', b'one'*40), ('x/b.bin', bytes(range(256)))], Path(d)/f'a.{kind}')
        whole = bytearray(archive.read_bytes())
        for where, flip in damage: whole[int(where*len(whole))] ^= flip
        archive.write_bytes(whole[:int(keep*len(whole))])
        try: data.extract(archive, dest, limit_mb=1)
        except DataError as e: assert archive.name in str(e) and str(e).isprintable()
        assert sum(p.stat().st_size for p in dest.rglob('*') if p.is_file()) <= 1e6 and below(Path(d)/'in')[:1]==['dest'] and all(o.startswith('dest') for o in below(Path(d)/'in'))

@tries(60)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=5), limit=st.integers(1, 8000))
def test_the_limit_is_kept(sizes, limit):
    "An archive is unpacked whole where it fits, and not at all where it does not."
    with tempfile.TemporaryDirectory() as d:
        dest = Path(d)/'dest'; dest.mkdir()
        archive = packed('zip', [(f'{i}.bin', bytes(n)) for i, n in enumerate(sizes)], Path(d)/'a.zip')
        if sum(sizes) <= limit: assert len(data.extract(archive, dest, limit_mb=limit/1e6))==len(sizes)
        else:
            with pytest.raises(DataError, match='allowed'): data.extract(archive, dest, limit_mb=limit/1e6)
            assert below(dest)==[]


# ------------------------------------------------------------------ the registry

@tries(150)
@given(name=st.one_of(st.text(max_size=20), st.none(), st.integers(), st.sampled_from(list(data.REGISTRY)).flatmap(lambda o: st.integers(0, len(o)-1).map(lambda i: o[:i]+o[i+1:]))))
def test_any_name_is_found_or_explained(name):
    try: row = data.find_row(name)
    except DataError as e: assert all(o in str(e) for o in data.REGISTRY) and str(e).startswith('There is no data set')
    else: assert row.name==str(name).upper()

@tries(60)
@given(name=st.sampled_from(list(data.REGISTRY)), flips=st.lists(st.booleans(), min_size=20, max_size=20))
def test_capitals_never_matter(name, flips):
    assert data.find_row(''.join(c.lower() if f else c for c, f in zip(name, flips))) is data.REGISTRY[name]

@tries(60)
@given(name=st.sampled_from(list(data.REGISTRY)), at=st.integers(0, 30))
def test_a_letter_that_is_missing_is_guessed(name, at):
    "One slip of the finger: the suggestion is the name that was meant."
    at = at % len(name)
    wrong = name[:at]+name[at+1:]
    if wrong not in data.REGISTRY: assert f"Did you mean '{name}'?" in did_you_mean(wrong, list(data.REGISTRY), 'data set')

@tries(60)
@given(files=st.dictionaries(st.sampled_from(['a.txt', 'b/c.txt', 'é/d e.txt', 'empty']), contents, min_size=1), spoil=st.sampled_from(['gone', 'shorter', 'longer', 'more', 'nothing']))
def test_a_data_set_is_whole_exactly_when_its_files_are(files, spoil):
    with tempfile.TemporaryDirectory() as d:
        def build(tmp):
            for name, content in files.items(): (tmp/name).parent.mkdir(exist_ok=True, parents=True); (tmp/name).write_bytes(content)
        folder = data.write_whole(Path(d)/'SET', build)
        assert data.is_complete(folder) and data.size_on_disk(folder)==sum(map(len, files.values()))
        name, content = next(iter(files.items()))
        if spoil=='gone': (folder/name).unlink()
        if spoil=='shorter': (folder/name).write_bytes(content[:-1])
        if spoil=='longer': (folder/name).write_bytes(content+b'1')
        if spoil=='more': (folder/'note').write_bytes(b'1')
        assert data.is_complete(folder)==(spoil in ('more', 'nothing') or spoil=='shorter' and not content)
        assert data.is_complete(data.write_whole(folder, build)) and all((folder/n).read_bytes()==c for n, c in files.items())

@tries(60)
@given(st.binary(max_size=300))
def test_any_list_of_files_is_read_without_a_crash(content):
    with tempfile.TemporaryDirectory() as d:
        folder = Path(d)/'SET'; folder.mkdir()
        data._list_path(folder).write_bytes(content)
        assert data.is_complete(folder) is False

@tries(80)
@given(st.binary(max_size=200))
def test_what_is_no_table_is_explained(content):
    row = data.REGISTRY['ML_SAMPLE']
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/'ratings.csv').write_bytes(content)
        with pytest.raises(DataError, match='ML_SAMPLE: .*ratings.csv'): data.check_layout(Path(d), row)

NEEDED = data.REGISTRY['ML_SAMPLE'].columns['ratings.csv']
cell_texts = st.text(st.characters(codec='utf-8', exclude_characters='\0'), max_size=8)

@tries(80)
@given(columns=st.sets(cell_texts, max_size=3).flatmap(lambda more: st.permutations([*NEEDED, *more])), lost=st.one_of(st.none(), st.sampled_from(NEEDED)), rows=st.lists(st.lists(cell_texts, max_size=5), max_size=4),
       mark=st.sampled_from(['', '\ufeff']), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), spoil=st.booleans())
def test_a_table_passes_exactly_when_it_has_its_columns_and_is_utf8(columns, lost, rows, mark, quoting, spoil):
    "In any order, quoted or not, with a mark at the start, with others beside them; whatever stands below."
    columns = [o for o in columns if o!=lost]
    made = io.StringIO(newline='')
    csv.writer(made, quoting=quoting).writerows([columns, *rows])
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/'ratings.csv').write_bytes((mark+made.getvalue()).encode()+(b'\xfcber\n' if spoil else b''))
        if not lost and not spoil: assert data.check_layout(Path(d), data.REGISTRY['ML_SAMPLE']) is None
        else:
            with pytest.raises(DataError, match='not in UTF-8' if spoil else f'has no column {lost}'): data.check_layout(Path(d), data.REGISTRY['ML_SAMPLE'])


# ------------------------------------------------------------------ check_images

def png(seed, size):
    made = io.BytesIO(); picture(seed, size).save(made, 'PNG')
    return made.getvalue()

PICTURES = [png(seed, size) for seed in range(4) for size in ((16, 12), (40, 40))]
pieces = st.one_of(st.sampled_from(PICTURES), st.builds(lambda o, share: o[:int(share*len(o))], st.sampled_from(PICTURES), st.floats(0, 1)),
                   st.builds(lambda o, at, b: o[:int(at*len(o))]+bytes([b])+o[int(at*len(o))+1:], st.sampled_from(PICTURES), st.floats(0, 1, exclude_max=True), st.integers(0, 255)),
                   st.binary(max_size=60), st.sampled_from([b'', b'<!doctype html>', b'GIF89a', b'\xff\xd8\xff']))
folders = st.dictionaries(st.tuples(st.sampled_from(['cat', 'dog', 'train/cat', 'valid/dog', 'Zoë 家']), st.sampled_from(['a.png', 'b.jpg', 'c d.PNG', 'e.gif', 'n.txt', 'noname'])), pieces, max_size=8)

def written(files, folder):
    for (label, name), content in files.items(): (folder/label).mkdir(parents=True, exist_ok=True); (folder/label/name).write_bytes(content)
    return folder

@tries(60)
@given(files=folders)
def test_check_images_survives_any_folder(files):
    "A table or a message of ours; nothing changes; each finding is a file that is there; what is left after `remove` is found to be sound."
    with tempfile.TemporaryDirectory() as d, redirect_stdout(io.StringIO()):
        folder = written(files, Path(d)/'pets'); folder.mkdir(exist_ok=True)
        before = {o: (folder/o).read_bytes() for o in below(folder) if (folder/o).is_file()}
        if not images.picture_files(folder):
            with pytest.raises(PictureError, match='no pictures'): images.check_images(folder)
            return
        table = images.check_images(folder)
        assert {o: (folder/o).read_bytes() for o in below(folder) if (folder/o).is_file()}==before
        assert set(table.file) <= set(before) and set(table.problem) <= {'broken', 'duplicate', 'near duplicate', 'odd size'}
        assert set(table[table.problem.isin(['duplicate', 'near duplicate'])].other) <= set(before)
        images.check_images(folder, remove=True)
        left = images.picture_files(folder)
        if left: assert not images.check_images(folder).problem.isin(['broken', 'duplicate']).any()
        else: assert set(table.problem)=={'broken'}

@tries(40)
@given(files=folders)
def test_image_folder_says_what_is_wrong_or_gives_two_classes(files):
    with tempfile.TemporaryDirectory() as d:
        folder = written(files, Path(d)/'pets'); folder.mkdir(exist_ok=True)
        try: assert images.image_folder(folder)==folder
        except PictureError as e: assert str(e).count('\n')==0 and 'pets' in str(e)
        else: assert len({f.parent.name for f in images.picture_files(folder)}) >= 2

@tries(40)
@given(st.binary(max_size=400), st.sampled_from(['a.png', 'a.jpg', 'a.gif', 'a.bmp', 'a.webp', 'a.tif']), st.sampled_from([b'', b'BM', b'GIF89a', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xe0', b'II*\0', b'RIFF\x10\0\0\0WEBPVP8 ']))
def test_any_bytes_are_a_picture_or_broken(content, name, start):
    with tempfile.TemporaryDirectory() as d:
        (Path(d)/name).write_bytes(start+content)
        seen = images._look(Path(d)/name)
        assert seen.get('broken') or seen['width']*seen['height'] > 0
