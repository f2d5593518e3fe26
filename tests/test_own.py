"Taking in a learner's own pictures: folders and zips of every kind."
import io, re, zipfile

import pytest
from conftest import fill, picture, zip_of

from practicaldl import doctor, own
from practicaldl.cache import use_twins
from practicaldl.errors import CourseError, DataError, PictureError
from practicaldl.images import picture_files

def said_by(function, folder, capsys):
    function(folder)
    return capsys.readouterr().out

@pytest.mark.parametrize('top', ['', 'my pets/'])
def test_a_zip_is_unpacked_beside_it(tmp_path, top):
    "With or without a folder at the top, as systems pack it; a second call finds it there."
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip', top)
    with zipfile.ZipFile(archive, 'a') as z:
        z.writestr('__MACOSX/my pets/cat/._cat_0.png', b'resource fork')
    folder = own.image_folder(archive)
    assert folder==tmp_path/'pets'/top.strip('/')
    assert {f.parent.name for f in picture_files(folder)}=={'cat', 'dog'}
    assert sorted(p.name for p in tmp_path.iterdir())==['pets', 'pets.zip', 'src']
    assert own.image_folder(archive)==folder

def test_a_zip_is_unpacked_where_the_learner_says(tmp_path, monkeypatch):
    for name in ('HOME', 'USERPROFILE'):
        monkeypatch.setenv(name, str(tmp_path))
    zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    assert own.image_folder('~/pets.zip', '~/there/mine')==tmp_path/'there'/'mine'
    assert not (tmp_path/'pets').exists()

def test_a_zip_without_an_ending(tmp_path):
    "A browser may save a zip without the ending of its name."
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets')
    assert len(picture_files(own.image_folder(archive)))==6 and archive.is_file()

def test_a_second_try_after_a_damaged_zip_starts_clean(tmp_path):
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    whole = bytearray(archive.read_bytes())
    at = whole.index(b'IDAT', len(whole)//2)
    archive.write_bytes(whole[:at+20] + bytes(b ^ 255 for b in whole[at+20:at+40]) + whole[at+40:])
    with pytest.raises(DataError, match='pets.zip is damaged'):
        own.image_folder(archive)
    assert sorted(p.name for p in tmp_path.iterdir())==['pets.zip', 'src']
    archive.write_bytes(whole)
    assert len(picture_files(own.image_folder(archive)))==6

def test_an_archive_that_is_refused_leaves_nothing(tmp_path):
    archive = tmp_path/'pets.zip'
    with zipfile.ZipFile(archive, 'w') as z:
        z.writestr('cat/a.png', b'1')
        z.writestr('../b.png', b'2')
    for function in (doctor.check_images, own.image_folder):
        with pytest.raises(DataError, match='leads out'):
            function(archive)
        assert list(tmp_path.iterdir())==[archive]

def test_a_zip_beside_which_nothing_can_be_written(tmp_path, read_only):
    "On Kaggle the data that is attached cannot be written to: the message names the way out."
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    with pytest.raises(PictureError, match='dest='):
        own.image_folder(archive, read_only/'pets')

def test_a_changed_zip_is_unpacked_anew_and_nothing_is_overwritten(tmp_path, capsys):
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    (tmp_path/'pets').mkdir()   # of the learner
    first = own.image_folder(archive)
    assert first.name=='pets-2' and 'pets is from another file, or yours' in capsys.readouterr().out
    (first/'cat'/'cat_0.png').unlink()   # tidied up, and it stays so
    assert own.image_folder(archive)==first and len(picture_files(first))==5
    fill(tmp_path/'src', ('owl',))
    second = own.image_folder(zip_of(tmp_path/'src', archive))
    assert second.name=='pets-3' and len(picture_files(second))==9 and len(picture_files(first))==5
    assert list((tmp_path/'pets').iterdir())==[]

@pytest.mark.parametrize('make, why', [
    (lambda p: None, 'no folder or zip at .*pets.* Check the spelling'),
    (lambda p: p.mkdir(), 'no pictures in .*one subfolder for each class'),
    (lambda p: fill(p, ('cat',)), r"of one class \('cat'\)"),
    (lambda p: (fill(p, ('cat',), n=0)/'cat'/'a.png').write_text('<html>'), 'None of the 1 pictures'),
    (lambda p: (fill(fill(p, ('cat',)), ('dog',), n=0)/'dog'/'a.png').write_bytes(b''), r"class \('cat'\)"),
    (lambda p: p.write_bytes(b'\x89PNG'), 'pets is not a zip'),
    (lambda p: fill(p, n=1), 'Too few pictures .cat 1, dog 1.: none is left to test on'),
    (lambda p: (fill(p, ('cat',), n=0)/'cat'/'a.HEIC').write_bytes(b'1'),
     'no pictures in .*Left out: 1 .heic. To open HEIC, run pip install pillow-heif')],
    ids=['missing', 'empty', 'one class', 'nothing opens', 'one opens', 'no archive', 'one each', 'heic'])
def test_what_cannot_be_trained_on(tmp_path, make, why):
    make(tmp_path/'pets')
    with pytest.raises(CourseError, match=why):
        own.image_folder(tmp_path/'pets')

@pytest.mark.parametrize('make, line', [
    (lambda p: (p/'cat'/'notes.txt').write_text('1'), 'Left out: 1 .txt.'),
    (lambda p: [(p/'cat'/f'{o}.HEIC').write_bytes(b'1') for o in 'ab'],
     'Left out: 2 .heic. To open HEIC, run pip install pillow-heif and restart.'),
    (lambda p: (p/'cat'/'noending').write_bytes(b'1'), 'Left out: 1 without an ending.'),
    (lambda p: picture(90).save(p/'stray.png'), 'Left out: 1 beside the class folders (stray.png).'),
    (lambda p: (p/'cat'/'bad.jpg').write_text('<html>'),
     'Left out: 1 of 61 pictures, which do not open (check_images says which).'),
    (lambda p: fill(p, ('Cat ',), n=10, first=500), "'Cat ' and 'cat' would be 2 classes."),
    (lambda p: fill(p/'cat', ('indoor',), n=10, first=500),
     'Folders within class folders: the innermost is the class (cat/indoor).'),
    (lambda p: fill(p, ('owl',), n=3, first=500), 'Few pictures: owl 3. Take 50 or more of each class.'),
    (lambda p: fill(p, ('owl',), n=1, first=500), 'Few pictures: owl 1. Take 50 or more of each class.'),
    (lambda p: (p/'cat'/'cat_5.png').unlink(),
     'The validation set has 11 pictures: one mistake more or less changes the error rate by 0.09.')])
def test_every_door_says_what_is_odd(tmp_path, capsys, make, line):
    folder = fill(tmp_path/'pets', n=30)
    make(folder)
    doors = [own.image_folder, doctor.check_images]
    for door in doors if 'do not open' not in line else doors[:1]:   # the doctor has a row for each
        assert line in said_by(door, folder, capsys)

def test_what_needs_no_word(tmp_path, capsys):
    folder = fill(tmp_path/'pets', n=60)
    for name in ('Thumbs.db', 'desktop.ini', '.DS_Store', '._cat_0.png'):
        (folder/'cat'/name).write_bytes(b'1')
    (folder/'.ipynb_checkpoints').mkdir()
    picture(0).save(folder/'.ipynb_checkpoints'/'cat_0-checkpoint.png')
    assert said_by(own.image_folder, folder, capsys)==''
    assert {f.parent.name for f in own.usable_pictures(folder)}=={'cat', 'dog'}

@pytest.mark.parametrize('encoding, names', [
    ('gbk', ['猫', '狗']), ('shift_jis', ['ねこ', 'いぬ']), ('cp437', ['Bär', 'été']),
    ('utf-8', ['猫', '狗'])])
def test_class_names_from_an_old_zip(tmp_path, capsys, encoding, names):
    "Written as programs do that do not mark their names as UTF-8."
    packed, plain = io.BytesIO(), {name: f'{i}'*len(name.encode(encoding)) for i, name in enumerate(names)}
    with zipfile.ZipFile(packed, 'w') as z:
        for i, name in enumerate(plain.values()):
            for n in range(10):
                file = io.BytesIO()
                picture(10*i+n).save(file, 'PNG')
                z.writestr(f'{name}/{n}.png', file.getvalue())
    content = packed.getvalue()
    for name, stand_in in plain.items():
        content = content.replace(f'{stand_in}/'.encode(), name.encode(encoding)+b'/')
    (tmp_path/'old.zip').write_bytes(content)
    folder = own.image_folder(tmp_path/'old.zip')
    assert sorted(p.name for p in folder.iterdir() if p.is_dir())==sorted(names)
    guessed = re.search('were read as (.*?)[.] ', capsys.readouterr().out)
    assert bool(guessed)==(encoding!='utf-8')
    again = own.image_folder(tmp_path/'old.zip', tmp_path/'named', encoding=encoding)
    assert sorted(p.name for p in again.iterdir() if p.is_dir())==sorted(names)

@pytest.fixture
def weights(usual_cache):
    use_twins(['timm/tf_efficientnet_lite0.in1k'])

@pytest.mark.slow
@pytest.mark.parametrize('n', [2, 5, 12, 19])
def test_few_pictures_are_trained_on_and_told(weights, tmp_path, capsys, n):
    "Batches were larger than the training set, so nothing was trained, without a word."
    from practicaldl.bird import train_classifier
    folder = fill(tmp_path/'pets', n=n)
    (folder/'cat'/'page.jpg').write_text('<html>')
    (folder/'cat'/'own.heic').write_bytes(b'1')
    before = {p: p.read_bytes() for p in folder.rglob('*.*')}
    learn = train_classifier(folder, sz=32, epochs=1)
    assert learn.train_iter >= 1 and learn.recorder.losses[-1].isfinite()
    said = capsys.readouterr().out
    assert 'The validation set has' in said and '1 .heic' in said and 'which do not open' in said
    assert {p: p.read_bytes() for p in folder.rglob('*.*')}==before

@pytest.mark.slow
def test_training_respects_the_folders_of_a_split(weights, tmp_path, capsys):
    from practicaldl.bird import train_classifier
    for side, first in (('train', 0), ('val', 300), ('test', 600)):
        fill(tmp_path/'pets'/side, n=4, first=first)
    learn = train_classifier(tmp_path/'pets', sz=32, epochs=1)
    assert 'Kept out of training and validation: 8 in other folders' in capsys.readouterr().out
    sides = [{f.parent.parent.name for f in dl.items} for dl in (learn.dls.train_ds, learn.dls.valid_ds)]
    assert sides==[{'train'}, {'val'}]
    split = doctor.check_images(fill(tmp_path/'pets'/'val', ('cat',), n=1, first=0).parent).split
    assert list(split)==['valid']   # the copy of a training picture
