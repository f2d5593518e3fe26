"Looking a folder of pictures over, and taking in a learner's own."
import io, os, warnings, zipfile

import pytest
from conftest import fill, picture, zip_of
from PIL import Image, ImageEnhance, ImageOps

from practicaldl import images
from practicaldl.errors import CourseError, DataError, PictureError

def problems(table):
    return sorted(zip(table.problem, table.file))

def snapshot(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*.*')}

def spoiled(folder):
    "One of each problem in a folder."
    fill(folder, n=4)
    (folder/'cat'/'empty.png').write_bytes(b'')
    picture(0).save(folder/'dog'/'zcopy.png')
    picture(1).save(folder/'dog'/'znear.jpg', quality=60)
    picture(60, (8, 6)).save(folder/'dog'/'icon.png')
    return folder

def test_a_sound_folder(tmp_path, capsys):
    table = images.check_images(fill(tmp_path/'pets', n=5))
    assert len(table)==0
    assert list(table.columns)==['file', 'label', 'split', 'problem', 'detail', 'other', 'across_split']
    assert len(table[table.across_split])==0   # as chapter 01 asks
    assert capsys.readouterr().out==('pets: 10 files, 0 broken, 0 of odd size.\n'
                                     'Duplicates: 0 exact, 0 near; 0 stand across the split.\n'
                                     'Classes: cat 5, dog 5, in balance.\n')

def test_the_line_about_classes(tmp_path, capsys):
    def told():
        images.check_images(folder)
        return capsys.readouterr().out.splitlines()[2]
    folder = fill(tmp_path/'pets', ('cat',), n=2)
    assert told()=="Classes: only 'cat'. A classifier needs two or more, each in a subfolder of its own."
    fill(folder, ('dog',), n=7, first=500)
    assert told()=='Classes: cat 2, dog 7; the largest has 3.5 times the pictures of the smallest.'
    for file in images.picture_files(folder):
        file.write_bytes(b'\xff\xd8\xff')
    assert told()=='Classes: none, because no picture opens.'

def test_odd_sizes(tmp_path, capsys):
    folder = fill(tmp_path/'pets')
    picture(50, (8, 6)).save(folder/'cat'/'icon.png')
    picture(51, (300, 20)).save(folder/'dog'/'banner.png')
    table = images.check_images(folder)
    assert problems(table)==[('odd size', 'cat/icon.png'), ('odd size', 'dog/banner.png')]
    assert '300 × 20 pixels' in set(table.detail) and '2 of odd size' in capsys.readouterr().out

def test_each_kind_of_broken_file_has_its_reason(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(images, 'MAX_PIXELS', 900_000)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 600_000)   # Pillow warns of more, and refuses the double
    made = {size: io.BytesIO() for size in (50, 1000, 1200)}
    for size, file in made.items():
        picture(7, (size, size)).save(file, 'JPEG')
    kinds = {'a_empty.png': (b'', 'the file is empty'),
             'b_page.jpg': (b'\n<!DOCTYPE html><h1>403</h1>', 'a web page, not a picture'),
             'c_cut.jpg': (made[50].getvalue()[:700], 'does not open'),
             'd_noise.gif': (os.urandom(2000), 'does not open'),
             'e_large.jpg': (made[1000].getvalue(), '1 million pixels'),
             'f_bomb.jpg': (made[1200].getvalue(), 'does not open (DecompressionBomb')}
    folder = fill(tmp_path/'pets')
    for name, (content, _) in kinds.items():
        (folder/'cat'/name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter('error')   # Pillow's own is not for the learner
        table = images.check_images(folder)
    assert list(table.problem)==['broken']*6 and set(table.split)=={''}
    for detail, (_, why) in zip(table.detail, kinds.values()):
        assert detail.startswith(why)
    assert capsys.readouterr().out.startswith('pets: 12 files, 6 broken, 0 of odd size.\n')

def test_the_same_picture_on_both_sides_of_the_split(tmp_path, capsys):
    "A copy in the validation set flatters the score. In another format it is still the same picture."
    folder = tmp_path/'pets'
    fill(folder/'train', first=0)
    fill(folder/'valid', n=2, first=1000)
    picture(0).save(folder/'valid'/'cat'/'copy.bmp')
    picture(1).save(folder/'train'/'cat'/'twice.png')
    table = images.check_images(folder).set_index('file')
    assert list(table.problem)==['duplicate']*2
    copy, twice = table.loc['valid/cat/copy.bmp'], table.loc['train/cat/twice.png']
    assert (copy.other, copy.split, copy.across_split)==('train/cat/cat_0.png', 'valid', True)
    assert (twice.other, twice.split, twice.across_split)==('train/cat/cat_1.png', 'train', False)
    said = capsys.readouterr().out
    assert '2 exact, 0 near; 1 stand across the split, so the validation score would flatter.' in said

def test_the_split_is_the_one_of_the_learner(tmp_path):
    "Without train and valid it is `RandomSplitter`'s with the same seed, over the pictures that open."
    from fastai.data.transforms import RandomSplitter
    folder = fill(tmp_path/'pets', n=10)
    for n in range(10):
        picture(n).save(folder/'dog'/f'zz{n}.png')
    (folder/'cat'/'a_broken.png').write_bytes(b'')
    table = images.check_images(folder, valid_pct=0.3, seed=7)
    table = table[table.problem=='duplicate']
    sound = [f for f in images.picture_files(folder) if f.name!='a_broken.png']
    names = [f.relative_to(folder).as_posix() for f in sound]
    valid = {names[i] for i in RandomSplitter(0.3, seed=7)(names)[1]}
    assert len(table)==10 and 0 < table.across_split.sum() < 10
    for row in table.itertuples():
        assert row.split==('valid' if row.file in valid else 'train')
        assert row.across_split==((row.file in valid)!=(row.other in valid))

def test_almost_the_same_picture(tmp_path):
    "Saved again as JPEG, a little smaller, a little brighter: still the same picture to a person."
    folder = fill(tmp_path/'pets', n=4)
    picture(0).save(folder/'cat'/'z_again.jpg', quality=60)
    ImageEnhance.Brightness(picture(2)).enhance(1.03).save(folder/'cat'/'z_brighter.png')
    picture(1).resize((60, 45)).save(folder/'cat'/'z_smaller.png')
    table = images.check_images(folder)
    assert set(table.problem)=={'near duplicate'}
    assert sorted(zip(table.other, table.file))==[
        ('cat/cat_0.png', 'cat/z_again.jpg'), ('cat/cat_1.png', 'cat/z_smaller.png'),
        ('cat/cat_2.png', 'cat/z_brighter.png')]

def test_pictures_that_only_resemble_each_other(tmp_path):
    "Much brighter, mirrored, or two plain skies of one hash."
    folder = fill(tmp_path/'pets', n=4)
    ImageEnhance.Brightness(picture(0)).enhance(1.5).save(folder/'cat'/'brighter.png')
    ImageOps.mirror(picture(1)).save(folder/'cat'/'mirrored.png')
    for name in ('royalblue', 'skyblue'):
        Image.new('RGB', (64, 48), name).save(folder/'dog'/f'{name}.png')
    assert len(images.check_images(folder))==0
    assert list(images.check_images(folder, max_difference=1).file)==['dog/skyblue.png']   # by hash alone

def test_a_zip_gives_what_the_folder_gives(tmp_path, capsys):
    folder = spoiled(tmp_path/'pets')
    of_folder = images.check_images(folder)
    said = capsys.readouterr().out
    for top in ('', 'my pets/'):
        assert images.check_images(zip_of(folder, tmp_path/'pets.zip', top)).equals(of_folder)
        assert capsys.readouterr().out==said.replace('pets:', 'pets.zip:')
    assert sorted(p.name for p in tmp_path.iterdir())==['pets', 'pets.zip']

def test_nothing_is_changed_unless_asked(tmp_path):
    "When asked, broken files go, and of duplicates all but the first; odd sizes are for you to judge."
    folder = spoiled(tmp_path/'pets')
    before = snapshot(folder)
    assert len(images.check_images(folder))==4 and snapshot(folder)==before
    images.check_images(folder, remove=True)
    assert set(before)-set(snapshot(folder))=={'cat/empty.png', 'dog/zcopy.png', 'dog/znear.jpg'}
    assert problems(images.check_images(folder))==[('odd size', 'dog/icon.png')]

def test_nothing_is_removed_from_a_zip(tmp_path):
    with pytest.raises(PictureError, match='Unpack the zip first'):
        images.check_images(zip_of(fill(tmp_path/'pets'), tmp_path/'pets.zip'), remove=True)

@pytest.mark.parametrize('top', ['', 'my pets/'])
def test_a_zip_is_unpacked_beside_it(tmp_path, top):
    "With or without a folder at the top, as systems pack it; a second call finds it there."
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip', top)
    with zipfile.ZipFile(archive, 'a') as z:
        z.writestr('__MACOSX/my pets/cat/._cat_0.png', b'resource fork')
    folder = images.image_folder(archive)
    assert folder==tmp_path/'pets'/top.strip('/')
    assert {f.parent.name for f in images.picture_files(folder)}=={'cat', 'dog'}
    assert sorted(p.name for p in tmp_path.iterdir())==['pets', 'pets.zip', 'src']
    assert images.image_folder(archive)==folder

def test_a_zip_is_unpacked_where_the_learner_says(tmp_path, monkeypatch):
    for name in ('HOME', 'USERPROFILE'):
        monkeypatch.setenv(name, str(tmp_path))
    zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    assert images.image_folder('~/pets.zip', '~/there/mine')==tmp_path/'there'/'mine'
    assert not (tmp_path/'pets').exists()

def test_a_zip_without_an_ending(tmp_path):
    "A browser may save a zip without the ending of its name."
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets')
    assert len(images.picture_files(images.image_folder(archive)))==6 and archive.is_file()

def test_a_second_try_after_a_damaged_zip_starts_clean(tmp_path):
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    whole = bytearray(archive.read_bytes())
    at = whole.index(b'IDAT', len(whole)//2)
    archive.write_bytes(whole[:at+20] + bytes(b ^ 255 for b in whole[at+20:at+40]) + whole[at+40:])
    with pytest.raises(DataError, match='pets.zip is damaged'):
        images.image_folder(archive)
    assert sorted(p.name for p in tmp_path.iterdir())==['pets.zip', 'src']
    archive.write_bytes(whole)
    assert len(images.picture_files(images.image_folder(archive)))==6

def test_an_archive_that_is_refused_leaves_nothing(tmp_path):
    archive = tmp_path/'pets.zip'
    with zipfile.ZipFile(archive, 'w') as z:
        z.writestr('cat/a.png', b'1')
        z.writestr('../b.png', b'2')
    for function in (images.check_images, images.image_folder):
        with pytest.raises(DataError, match='leads out'):
            function(archive)
        assert list(tmp_path.iterdir())==[archive]

def test_a_zip_beside_which_nothing_can_be_written(tmp_path, read_only):
    "On Kaggle the data that is attached cannot be written to: the message names the way out."
    archive = zip_of(fill(tmp_path/'src'), tmp_path/'pets.zip')
    with pytest.raises(PictureError, match='dest='):
        images.image_folder(archive, read_only/'pets')

@pytest.mark.parametrize('make, why', [
    (lambda p: None, 'no folder or zip at .*pets.* Check the spelling'),
    (lambda p: p.mkdir(), 'no pictures in .*one subfolder for each class'),
    (lambda p: fill(p, ('cat',)), r"of one class \('cat'\)"),
    (lambda p: (fill(p, ('cat',), n=0)/'cat'/'a.png').write_text('<html>'), 'None of the 1 pictures'),
    (lambda p: (fill(fill(p, ('cat',)), ('dog',), n=0)/'dog'/'a.png').write_bytes(b''), r"class \('cat'\)"),
    (lambda p: p.write_bytes(b'\x89PNG'), 'pets is not a zip')],
    ids=['missing', 'empty', 'one class', 'nothing opens', 'one class opens', 'no archive'])
def test_what_cannot_be_trained_on(tmp_path, make, why):
    make(tmp_path/'pets')
    with pytest.raises(CourseError, match=why):
        images.image_folder(tmp_path/'pets')

def test_the_doctor_needs_pictures(tmp_path):
    with pytest.raises(PictureError, match='no folder or zip at'):
        images.check_images(tmp_path/'nowhere')
    (tmp_path/'._cat.jpg').write_bytes(b'resource fork')
    with pytest.raises(PictureError, match='no pictures in'):
        images.check_images(tmp_path)
