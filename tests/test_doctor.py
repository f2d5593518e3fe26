"Looking a folder of pictures over."
import numpy as np
import pytest
from conftest import fill, picture, zip_of
from PIL import Image, ImageEnhance, ImageOps

from practicaldl import doctor
from practicaldl.errors import PictureError
from practicaldl.images import PictureSplitter, picture_files

def problems(table):
    return sorted(zip(table.problem, table.file))

def snapshot(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*.*')}

def spoiled(folder):
    "One of each problem in a folder."
    fill(folder, n=4)
    (folder/'cat'/'empty.png').write_bytes(b'')
    picture(100).save(folder/'dog'/'zcopy.png')
    picture(1).save(folder/'dog'/'znear.jpg', quality=60)
    picture(60, (8, 6)).save(folder/'dog'/'icon.png')
    return folder

def test_a_sound_folder(tmp_path, capsys):
    table = doctor.check_images(fill(tmp_path/'pets', n=60))
    assert len(table)==0
    assert list(table.columns)==['file', 'label', 'split', 'problem', 'detail', 'other', 'across_split']
    assert len(table[table.across_split])==0   # as chapter 01 asks
    assert capsys.readouterr().out==('pets: 120 pictures, 0 broken, 0 of odd size.\n'
                                     'Duplicates: 0 exact, 0 near; 0 stand across the split.\n'
                                     'Classes: cat 60, dog 60, in balance.\n')

def test_the_line_about_classes(tmp_path, capsys):
    def told():
        doctor.check_images(folder)
        return capsys.readouterr().out.splitlines()[2]
    folder = fill(tmp_path/'pets', ('cat',), n=2)
    assert told()=="Classes: only 'cat'. A classifier needs two or more, each in a subfolder of its own."
    fill(folder, ('dog',), n=7, first=500)
    assert told()=='Classes: cat 2, dog 7; the largest has 3.5 times the pictures of the smallest.'
    for file in picture_files(folder):
        file.write_bytes(b'\xff\xd8\xff')
    assert told()=='Classes: none, because no picture opens.'

def test_odd_sizes(tmp_path, capsys):
    folder = fill(tmp_path/'pets')
    picture(50, (8, 6)).save(folder/'cat'/'icon.png')
    picture(51, (300, 20)).save(folder/'dog'/'banner.png')
    table = doctor.check_images(folder)
    assert problems(table)==[('odd size', 'cat/icon.png'), ('odd size', 'dog/banner.png')]
    assert '300 × 20 pixels' in set(table.detail) and '2 of odd size' in capsys.readouterr().out

def test_the_same_picture_on_both_sides_of_the_split(tmp_path, capsys):
    "A copy in the validation set flatters the score. In another format it is still the same picture."
    folder = tmp_path/'pets'
    fill(folder/'train', first=0)
    fill(folder/'valid', n=2, first=1000)
    picture(0).save(folder/'valid'/'cat'/'copy of 0.bmp')
    picture(1).save(folder/'train'/'cat'/'cat_1 (1).png')
    table = doctor.check_images(folder).set_index('file')
    assert list(table.problem)==['duplicate']*2
    copy, twice = table.loc['valid/cat/copy of 0.bmp'], table.loc['train/cat/cat_1 (1).png']
    assert (copy.other, copy.split, copy.across_split)==('train/cat/cat_0.png', 'valid', True)
    assert (twice.other, twice.split, twice.across_split)==('train/cat/cat_1.png', 'train', False)
    said = capsys.readouterr().out
    assert '2 exact, 0 near; 1 stand across the split, so the validation score would flatter.' in said

def test_the_split_is_the_one_that_is_trained_on(tmp_path):
    "Over the pictures that open."
    from fastai.data.transforms import RandomSplitter
    folder = fill(tmp_path/'pets', n=10)
    for n in range(10):
        picture(n).save(folder/'cat'/f'a copy of {n}.png')
    (folder/'cat'/'a_broken.png').write_bytes(b'')
    sound = [f for f in picture_files(folder) if f.name!='a_broken.png']
    for splitter in (RandomSplitter(0.3, seed=7), PictureSplitter(0.3, seed=7)):
        table = doctor.check_images(folder, splitter)
        table = table[table.problem=='duplicate']
        names = [f.relative_to(folder).as_posix() for f in sound]
        valid = {names[i] for i in splitter(sound)[1]}
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
    table = doctor.check_images(folder)
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
    assert len(doctor.check_images(folder))==0
    assert list(doctor.check_images(folder, max_difference=1).file)==['dog/skyblue.png']   # by hash alone

def test_a_zip_gives_what_the_folder_gives(tmp_path, capsys):
    folder = spoiled(tmp_path/'pets')
    of_folder = doctor.check_images(folder)
    said = capsys.readouterr().out
    for top in ('', 'my pets/'):
        assert doctor.check_images(zip_of(folder, tmp_path/'pets.zip', top)).equals(of_folder)
        assert capsys.readouterr().out==said.replace('pets:', 'pets.zip:')
    assert sorted(p.name for p in tmp_path.iterdir())==['pets', 'pets.zip']

def test_the_doctor_needs_pictures(tmp_path):
    with pytest.raises(PictureError, match='no folder or zip at'):
        doctor.check_images(tmp_path/'nowhere')
    (tmp_path/'._cat.jpg').write_bytes(b'resource fork')
    with pytest.raises(PictureError, match='no pictures in'):
        doctor.check_images(tmp_path)

def test_nothing_is_changed_unless_asked_and_all_of_it_comes_back(tmp_path, capsys):
    folder = spoiled(tmp_path/'pets')
    before = snapshot(folder)
    assert len(doctor.check_images(folder))==4 and snapshot(folder)==before
    doctor.check_images(folder, set_aside=True)
    assert set(before)-set(snapshot(folder))=={'cat/empty.png', 'dog/zcopy.png'}   # no near duplicate
    beside = tmp_path/'pets_set_aside'
    assert sorted(snapshot(beside))==['cat/empty.png', 'dog/zcopy.png', 'list.csv']
    picture(70).save(folder/'cat'/'empty.png')   # the place is taken meanwhile
    (folder/'dog'/'again.png').write_bytes(b'')
    doctor.check_images(folder, set_aside=True)
    capsys.readouterr()
    assert sorted(p.name for p in doctor.put_back(folder))==['again.png', 'zcopy.png']
    assert 'cat/empty.png stays in pets_set_aside' in capsys.readouterr().out
    (folder/'cat'/'empty.png').unlink()
    assert len(doctor.put_back(folder))==1 and doctor.put_back(folder)==[]
    (folder/'dog'/'again.png').unlink()
    assert snapshot(folder)==before

def test_the_folder_that_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(spoiled(tmp_path/'pets'))
    doctor.check_images('.', set_aside=True)
    assert (tmp_path/'pets_set_aside'/'list.csv').exists() and len(doctor.put_back('.'))==2

def test_what_cannot_be_set_aside(tmp_path, monkeypatch):
    with pytest.raises(PictureError, match='Unpack it first'):
        doctor.check_images(zip_of(fill(tmp_path/'pets'), tmp_path/'pets.zip'), set_aside=True)
    with pytest.raises(PictureError, match='Nothing was set aside'):
        doctor.put_back(tmp_path/'pets')
    (tmp_path/'pets_set_aside').write_text('a file in the way')
    with pytest.raises(PictureError, match='cannot be moved'):
        doctor.check_images(spoiled(tmp_path/'pets'), set_aside=True)

def test_a_picture_in_two_classes_is_for_the_learner_to_judge(tmp_path, capsys):
    folder = fill(tmp_path/'pets', n=4)
    picture(0).save(folder/'dog'/'cat_0 (1).png')
    table = doctor.check_images(folder, set_aside=True)
    assert list(zip(table.problem, table.file, table.other))==[
        ('two classes', 'dog/cat_0 (1).png', 'cat/cat_0.png')]
    assert 'In two classes: 1. Which is right?' in capsys.readouterr().out
    assert (folder/'dog'/'cat_0 (1).png').exists()

def test_a_copy_is_not_taken_for_the_original(tmp_path):
    "Whatever the alphabet says: the shortest name stays. A hidden copy is none."
    folder = fill(tmp_path/'pets', n=4)
    picture(0).save(folder/'cat'/'a copy of cat_0.png')
    (folder/'.ipynb_checkpoints').mkdir()
    picture(1).save(folder/'.ipynb_checkpoints'/'c.png')
    assert problems(doctor.check_images(folder))==[('duplicate', 'cat/a copy of cat_0.png')]

@pytest.mark.parametrize('name, make', [
    ('16 bits', lambda i: Image.fromarray(np.asarray(picture(i).convert('L')).astype('uint16')*16 + 300)),
    ('transparent', lambda i: Image.merge('RGBA', [Image.new('L', (64, 48))]*3 + [picture(i).convert('L')]))])
def test_different_pictures_are_not_called_the_same(tmp_path, name, make):
    "Cut at 255, or black on black, they were the same, and were deleted."
    for label in ('cat', 'dog'):
        (tmp_path/label).mkdir()
        for i in range(3):
            make(i + 50*(label=='dog')).save(tmp_path/label/f'{i}.png')
    assert len(doctor.check_images(tmp_path))==0
