"What a picture is: the same file gives the same tensor on every way."
import io, os, warnings

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image, ImageCms

from practicaldl import doctor, images, serving
from practicaldl.images import open_picture, picture_files, to_rgb, why_not

SQUARE = dict(format=2, vocab=['a', 'b'], size=[16, 16], method='squish', mean=[0.5]*3, std=[0.25]*3)
MODES = ['1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'CMYK', 'LAB', 'I', 'I;16', 'I;16B', 'F']

def in_mode(mode, size):
    "A picture with something in it, in one of Pillow's modes."
    base = picture(1, size)
    if mode.startswith('I;16'):
        values = np.asarray(base.convert('L')).astype('>u2' if mode=='I;16B' else '<u2')
        return Image.fromarray(values*257)
    if mode=='LAB':
        profiles = [ImageCms.createProfile(o) for o in ('sRGB', 'LAB')]
        return ImageCms.profileToProfile(base, *profiles, outputMode='LAB')
    if mode in ('RGBA', 'LA', 'PA'):
        base.putalpha(Image.linear_gradient('L').resize(size))
    return base.convert(mode)

def files_in(mode, folder):
    "Each format that can hold the mode, upright and turned, small and larger than `MAX_PIXELS`."
    for format, endings in images.picture_types().items():
        if mode[0] in 'IF' and format not in ('PNG', 'TIFF', 'PPM'):   # Pillow would cut at 255 as it writes
            continue
        for orientation, size in ((1, (30, 20)), (6, (30, 20)), (3, (40, 41))):
            file = folder/f'{orientation}{endings[-1]}'
            notes = Image.Exif()
            notes[images.ORIENTATION] = orientation
            try:
                in_mode(mode, size).save(file, format, exif=notes)
            except (OSError, ValueError, KeyError, TypeError):   # a format does not know every mode
                file.unlink(missing_ok=True)
    return picture_files(folder)

@pytest.mark.parametrize('mode', MODES)
def test_the_same_file_gives_the_same_tensor_on_every_way(mode, tmp_path, monkeypatch):
    "The doctor, fastai's loaders, a saved model, the page."
    from fastai.vision.all import DataBlock, ImageBlock, Normalize, Resize
    monkeypatch.setattr(images, 'MAX_PIXELS', 1500)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')   # Pillow 13 will not write mode I as PNG
        files = files_in(mode, tmp_path)
    assert len(files) >= 3
    block = DataBlock(ImageBlock, get_items=lambda _: files*2, item_tfms=Resize(16, method='squish'),
                      batch_tfms=Normalize.from_stats([0.5]*3, [0.25]*3, cuda=False))
    loaded = block.dataloaders('.', bs=1, device='cpu').test_dl(files, bs=len(files)).one_batch()[0]
    model = serving.Classifier(torch.nn.Identity(), SQUARE)
    opened = [open_picture(f) for f in files]
    for batch in (model.batch(files), model.batch(opened), model.batch(map(serving.open_upload, files))):
        assert torch.equal(batch, loaded.as_subclass(torch.Tensor))
    for file, im in zip(files, opened):
        with Image.open(file) as raw:
            turned = raw.getexif().get(images.ORIENTATION)==6
        assert im.mode=='RGB' and why_not(file) is None and images.verify_image(file)
        assert im.size in ((20, 30) if turned else (30, 20), (20, 21)), file   # the large one at a half
        assert doctor._look(file)['width']==im.width
        assert 5 < np.asarray(im).std() and np.asarray(im).mean() < 250

@pytest.mark.parametrize('mode', ['RGB', 'L', 'I;16', 'I;16B', 'RGBA'])
def test_what_is_seen_is_what_was_drawn(mode, tmp_path):
    "Upright, with the brightness that it had, on white."
    drawn = in_mode(mode, (30, 20))
    turned = Image.Exif()
    turned[images.ORIENTATION] = 8
    for ending in ('png', 'tif'):
        drawn.save(tmp_path/f'a.{ending}', exif=turned)
        wanted = np.asarray(picture(1, (30, 20)).convert('L' if mode[0] in 'LI' else 'RGB').convert('RGB'))
        if mode=='RGBA':
            share = np.asarray(drawn.getchannel('A'))[..., None]/255
            wanted = wanted*share + 255*(1-share)
        seen = np.asarray(open_picture(tmp_path/f'a.{ending}'), dtype=float)
        assert np.abs(np.rot90(wanted)-seen).max() <= 1

@pytest.mark.parametrize('values, seen', [
    ([0, 128, 255], [0, 128, 255]), ([0, 2048, 4095], [0, 128, 255]), ([0, 30000, 65535], [0, 117, 255]),
    ([-1024, 0, 3071], [0, 64, 255]), ([0., 0.5, 1.], [0, 128, 255]), ([0., np.nan, 255.], [0, 0, 255])])
def test_more_than_8_bits_are_scaled(values, seen):
    kind = np.float32 if isinstance(values[0], float) else np.int32 if min(values) < 0 else np.uint16
    made = to_rgb(Image.fromarray(np.array([values], dtype=kind)))
    assert np.asarray(made)[0, :, 0].tolist()==seen

def test_which_files_count(tmp_path, monkeypatch):
    "Not what this machine thinks is a picture; no hidden files and folders; links are followed."
    from fastai.vision.all import get_image_files
    elsewhere = tmp_path/'elsewhere'
    for name in ('pets/cat/a.JPG', 'pets/cat/b.jfif', 'pets/cat/c.svg', 'pets/cat/.d.png',
                 'pets/.ipynb_checkpoints/a.png', 'elsewhere/e.webp'):
        (tmp_path/name).parent.mkdir(parents=True, exist_ok=True)
        picture(0).save(tmp_path/name, 'PNG')
    try:
        (tmp_path/'pets'/'dog').symlink_to(elsewhere, target_is_directory=True)
    except OSError:   # Windows asks for a privilege
        elsewhere.rename(tmp_path/'pets'/'dog')
    found = picture_files(tmp_path/'pets')
    assert [f.name for f in found]==['a.JPG', 'b.jfif', 'e.webp']
    assert sorted(get_image_files(tmp_path/'pets'))==found

def test_the_reason_why_a_file_is_no_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 600_000)   # Pillow warns of more, and refuses the double
    whole = io.BytesIO()
    picture(7, (50, 50)).save(whole, 'JPEG')
    kinds = {'empty.png': (b'', 'the file is empty'),
             'page.jpg': (b'\n<!DOCTYPE html><h1>403</h1>', 'a web page, not a picture'),
             'cut.jpg': (whole.getvalue()[:700], 'does not open'),
             'noise.gif': (os.urandom(2000), 'does not open'),
             'eps.png': (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'does not open')}
    for name, (content, _) in kinds.items():
        (tmp_path/name).write_bytes(content)
    picture(7, (1200, 1200)).save(tmp_path/'bomb.png')
    kinds['bomb.png'] = None, 'too large'
    for name, (_, why) in kinds.items():
        assert why_not(tmp_path/name).startswith(why)

def test_a_very_large_photograph_is_opened_smaller(tmp_path, monkeypatch):
    "Pillow refuses it; as a JPEG it is read at a smaller scale. Nobody calls it broken."
    from fastai.vision.utils import verify_images
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 300_000)
    monkeypatch.setattr(images, 'MAX_PIXELS', 250_000)
    picture(7, (1000, 800)).save(tmp_path/'photo.jpg')
    assert open_picture(tmp_path/'photo.jpg').size==(500, 400)
    assert list(verify_images([tmp_path/'photo.jpg']))==[]
    images.resize_image('photo.jpg', tmp_path/'small', src=tmp_path, max_size=100)
    assert open_picture(tmp_path/'small'/'photo.jpg').size==(100, 80)

def test_resizing_keeps_what_is_up(tmp_path):
    from fastai.vision.utils import resize_images
    turned = Image.Exif()
    turned[images.ORIENTATION] = 6
    picture(1, (400, 200)).save(tmp_path/'phone.jpg', exif=turned)
    picture(2, (40, 20)).save(tmp_path/'small.png')
    (tmp_path/'page.jpg').write_text('<html>')
    for _ in range(2):   # a second time in place: nothing more happens
        resize_images(tmp_path, max_size=100, dest=tmp_path, max_workers=0)
        assert open_picture(tmp_path/'phone.jpg').size==(50, 100)
    assert open_picture(tmp_path/'small.png').size==(40, 20)
    resize_images(tmp_path, max_size=10, dest=tmp_path/'other', ext='.png', max_workers=0)
    assert sorted(p.name for p in (tmp_path/'other').iterdir())==['phone.png', 'small.png']

def test_a_split_has_every_class_on_both_sides():
    files = [f'owl/{i}.png' for i in range(2)] + [f'wren/{i}.png' for i in range(30)] + ['kite/0.png']
    train, valid = images.PictureSplitter(0.1, seed=3)(files)
    assert sorted(train+valid)==list(range(33)) and [files[i][:3] for i in valid].count('owl')==1
    assert 32 in train and images.PictureSplitter(0.1, seed=3)(files)==(train, valid)

@pytest.mark.parametrize('folders, wanted', [
    (['train', 'valid'], 'tv'), (['Training', 'val'], 'tv'), (['train', 'test'], 'tv'),
    (['train', 'validation', 'test', 'extra'], 'tv--'), (['train', 'cats'], None), (['valid', 'test'], None)])
def test_folders_that_are_a_split_are_respected(folders, wanted):
    sides = images.sides_of([f'{o}/cat/1.png' for o in folders])
    assert sides==(wanted and [{'t': 'train', 'v': 'valid', '-': ''}[o] for o in wanted])
