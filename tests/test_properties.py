"""Properties that hold for any input, tried with what hypothesis makes up: names, the cache, pictures."""
import io, tempfile
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from conftest import picture
from hypothesis import HealthCheck, given, settings, strategies as st

from practicaldl import doctor, images, own
from practicaldl.cache import build_whole
from practicaldl.errors import DataError, PictureError
from practicaldl.registry import TWINS, find_twin

def tries(n):
    "The same examples in every run, since a test that fails by chance teaches nobody; no deadline."
    return settings(max_examples=n, deadline=None, derandomize=True, database=None,
                    suppress_health_check=list(HealthCheck))

def files_below(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*') if p.is_file()}

# ------------------------------------------------------------------ names of data sets

@tries(150)
@given(st.one_of(st.text(max_size=20), st.none(), st.integers(), st.sampled_from(list(TWINS))), st.booleans())
def test_any_name_is_found_or_explained(name, small):
    asked = name.lower() if small and isinstance(name, str) else name
    if name in TWINS:
        assert find_twin(asked) is TWINS[name]
    else:
        with pytest.raises(DataError, match='^There is no data set') as e:
            find_twin(asked)
        assert all(known in str(e.value) for known in TWINS)

@tries(60)
@given(st.sampled_from(list(TWINS)), st.integers(0, 100))
def test_a_letter_that_is_missing_is_guessed(name, at):
    "One slip of the finger: the suggestion is the name that was meant."
    at = at%len(name)
    with pytest.raises(DataError) as e:
        find_twin(name[:at]+name[at+1:])
    assert f"Did you mean '{name}'?" in str(e.value)

# ------------------------------------------------------------------ a set in the cache

paths = st.sampled_from(['a.txt', 'b/c.txt', 'é/d e.txt', 'empty'])
sets = st.dictionaries(paths, st.binary(max_size=200), min_size=1)
spoilt = st.sampled_from(['gone', 'shorter', 'longer', 'list', 'more', 'nothing'])

@tries(80)
@given(files=sets, spoil=spoilt, rubbish=st.binary(max_size=300))
def test_a_set_is_built_again_exactly_when_it_is_not_whole(files, spoil, rubbish):
    built = []
    def build(part):
        built.append(part)
        for name, content in files.items():
            (part/name).parent.mkdir(exist_ok=True)
            (part/name).write_bytes(content)
    with tempfile.TemporaryDirectory() as d:
        folder = build_whole(Path(d)/'SET', build)
        assert build_whole(folder, build)==folder and len(built)==1
        name, content = next(iter(files.items()))
        if spoil=='gone':
            (folder/name).unlink()
        elif spoil=='shorter':
            (folder/name).write_bytes(content[:-1])
        elif spoil=='longer':
            (folder/name).write_bytes(content+b'1')
        elif spoil=='list':
            folder.with_name('SET.files.json').write_bytes(rubbish)
        elif spoil=='more':
            (folder/'note').write_bytes(b'1')
        left_alone = spoil in ('more', 'nothing') or spoil=='shorter' and not content
        build_whole(folder, build)
        assert len(built)==(1 if left_alone else 2)
        assert files.items() <= files_below(folder).items()

# ------------------------------------------------------------------ a folder of pictures

def png(seed, size):
    made = io.BytesIO()
    picture(seed, size).save(made, 'PNG')
    return made.getvalue()

def cut(content, share):
    return content[:int(share*len(content))]

def flip(content, share, byte):
    at = int(share*len(content))
    return content[:at]+bytes([byte])+content[at+1:]

sound = st.sampled_from([png(seed, size) for seed in range(4) for size in ((16, 12), (40, 40))])
shares = st.floats(0, 1, exclude_max=True)
starts = st.sampled_from([b'', b'<!doctype html>', b'BM', b'GIF89a', b'\x89PNG\r\n\x1a\n',
                          b'\xff\xd8\xff\xe0', b'II*\0', b'RIFF\x10\0\0\0WEBPVP8 '])
pieces = st.one_of(sound, st.builds(cut, sound, shares), st.builds(flip, sound, shares, st.integers(0, 255)),
                   st.builds(lambda a, b: a+b, starts, st.binary(max_size=300)))
labels = st.sampled_from(['cat', 'dog', 'train/cat', 'valid/dog', 'Zoë 家'])
names = st.sampled_from(['a.png', 'b.jpg', 'c d.PNG', 'e.gif', 'f.webp', 'g.tif', 'n.txt', 'noname'])

def written(files, folder):
    folder.mkdir()
    for (label, name), content in files.items():
        (folder/label).mkdir(parents=True, exist_ok=True)
        (folder/label/name).write_bytes(content)
    return folder

@tries(60)
@given(files=st.dictionaries(st.tuples(labels, names), pieces, max_size=8))
def test_any_folder_is_looked_over(files):
    "A table or a message of ours; nothing changes; what is left after `set_aside` is found to be sound."
    with tempfile.TemporaryDirectory() as d, redirect_stdout(io.StringIO()):
        folder = written(files, Path(d)/'pets')
        before = files_below(folder)
        try:
            assert own.image_folder(folder)==folder
            assert len({f.parent.name for f in images.picture_files(folder)}) >= 2
        except PictureError as e:
            assert '\n' not in str(e) and str(e).endswith('.')
        if not images.picture_files(folder):
            return
        table = doctor.check_images(folder)
        assert files_below(folder)==before and set(table.file) <= set(before)
        assert set(table.problem) <= {'broken', 'duplicate', 'near duplicate', 'odd size', 'two classes'}
        doctor.check_images(folder, set_aside=True)
        if images.picture_files(folder):
            assert not doctor.check_images(folder).problem.isin(['broken', 'duplicate']).any()
        else:
            assert set(table.problem)=={'broken'}
