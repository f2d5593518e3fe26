"""What chapter 03 exports, and the tool of fastai that it shows to a person only."""
import numpy as np
import pytest
from PIL import Image

from practicaldl.production import reports, shifted


def picture():
    "A picture with a gradient, an edge and all three colours."
    rows, columns = np.mgrid[0:32, 0:32]
    return Image.fromarray(np.stack([rows*8, columns*8, (rows > columns)*255], -1).astype(np.uint8))

@pytest.mark.parametrize('kind', ['blur', 'noise', 'rotation', 'darkness'])
def test_a_shift_begins_with_the_picture_itself_and_grows(kind):
    first = np.asarray(picture(), dtype=int)
    apart = [np.abs(np.asarray(shifted(picture(), kind, amount), dtype=int)-first).mean() for amount in (0, 0.1, 0.25, 0.5)]
    assert apart[0]==0 and apart[1] > 0 and apart==sorted(apart)
    assert shifted(picture(), kind, 1).size==(32, 32)
    assert np.array_equal(shifted(picture(), kind, 0.5), shifted(picture(), kind, 0.5))

def test_darkness_and_rotation_do_what_they_say():
    assert np.asarray(shifted(picture(), 'darkness', 1)).mean() < 0.1*np.asarray(picture()).mean()
    assert np.array_equal(np.asarray(shifted(picture(), 'rotation', 1)), np.asarray(picture())[::-1, ::-1])

def test_an_unknown_shift_is_told():
    with pytest.raises(ValueError, match="no shift 'fog': take blur, noise, rotation or darkness"): shifted(picture(), 'fog', 1)

def test_reports_run_away_and_chance_holds_them_back():
    alone, mixed = reports(200), reports(200, 0.2)
    assert alone.shape==(200, 200) and ((alone > 0) & (alone < 1)).all()
    far = lambda told: np.abs(told[:, -1]-0.5).mean()
    assert far(alone) > 0.45 > far(mixed) > 0.2
    assert abs(alone[:, -1].mean()-0.5) < 0.1          # neither lake is favoured
    assert np.abs(reports(200, 1.0)[:, -1]-0.5).mean() < 0.05   # visits by chance alone tell the truth
    assert np.array_equal(reports(20), reports(20)) and not np.array_equal(reports(20), reports(20, seed=1))

def test_the_cleaner_hands_back_what_a_person_chose(tmp_path, monkeypatch):
    "In a batch run the chapter does not show it, since nobody is there to choose. So it is tried here."
    from fastai.vision.all import CategoryBlock, CrossEntropyLossFlat, DataBlock, ImageBlock, Learner, RandomSplitter, get_image_files, nn, parent_label
    import fastai.vision.widgets as widgets
    monkeypatch.setattr(widgets, 'display', lambda picture: None, raising=False)   # fastai takes it from IPython, where there is one
    for i in range(12):
        target = tmp_path/('bird', 'plane')[i%2]/f'{i}.png'
        target.parent.mkdir(exist_ok=True)
        shifted(picture(), 'rotation', i/12).save(target)
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, splitter=RandomSplitter(seed=1))
    learn = Learner(block.dataloaders(tmp_path, bs=4), nn.Sequential(nn.Flatten(), nn.Linear(3*32*32, 2)), loss_func=CrossEntropyLossFlat())
    with learn.no_bar(): cleaner = widgets.ImageClassifierCleaner(learn, max_n=4)
    menus = [w.children[1] for w in cleaner.iw.widget.children]
    assert len(menus)==4 and list(cleaner.delete())==[] and list(cleaner.change())==[]
    other = next(o for o in menus[1].options if o not in ('<Keep>', '<Delete>', menus[1].value))
    menus[0].value, menus[1].value = '<Delete>', other
    assert list(cleaner.delete())==[0] and list(cleaner.change())==[(1, other)]
    assert cleaner.fns[0].exists()   # nothing is changed by itself
