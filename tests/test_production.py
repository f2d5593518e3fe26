"What chapter 03 exports."
import functools

import numpy as np
import pytest
from PIL import Image

from practicaldl import bird, serving
from practicaldl.production import bird_model, reports, shifted

def gradient():
    "A picture with a gradient, an edge and all three colours."
    rows, columns = np.mgrid[0:32, 0:32]
    return Image.fromarray(np.stack([rows*8, columns*8, (rows > columns)*255], -1).astype(np.uint8))

@pytest.mark.parametrize('kind', ['blur', 'noise', 'rotation', 'darkness'])
def test_a_shift_begins_with_the_picture_itself_and_grows(kind):
    first = np.asarray(gradient(), dtype=int)
    changed = [np.asarray(shifted(gradient(), kind, amount), dtype=int) for amount in (0, 0.1, 0.25, 0.5)]
    apart = [np.abs(o-first).mean() for o in changed]
    assert apart[0]==0 and apart[1] > 0 and apart==sorted(apart)
    assert np.array_equal(changed[3], np.asarray(shifted(gradient(), kind, 0.5)))

def test_darkness_and_rotation_do_what_they_say():
    assert np.asarray(shifted(gradient(), 'darkness', 1)).mean() < 0.1*np.asarray(gradient()).mean()
    assert np.array_equal(np.asarray(shifted(gradient(), 'rotation', 1)), np.asarray(gradient())[::-1, ::-1])
    with pytest.raises(ValueError, match="no shift 'fog': take blur"):
        shifted(gradient(), 'fog', 1)

def test_reports_run_away_chance_holds_them_back_and_counting_visits_cures_them():
    def far(told):
        return np.abs(told[:, -1]-0.5).mean()
    alone, mixed = reports(200), reports(200, 0.2)
    assert alone.shape==(200, 200) and ((alone > 0) & (alone < 1)).all()
    assert far(alone) > 0.45 > far(mixed) > 0.2
    assert abs(alone[:, -1].mean()-0.5) < 0.1    # neither lake is favoured
    assert far(reports(200, 1.0)) < 0.05         # visits by chance alone tell the truth
    assert far(reports(200, per_visit=True)) < 0.1
    assert np.array_equal(reports(20), reports(20)) and not np.array_equal(reports(20), reports(20, seed=1))

# ------------------------------------------------------------------ the bird model

@pytest.fixture
def quick(usual_cache, monkeypatch):
    "Training takes one epoch of tiny pictures; how often it was asked for."
    asked, train = [], functools.partial(bird.train_classifier, sz=32, epochs=1, bs=128)
    def trained(folder, splitter):
        asked.append(sorted(p.name for p in folder.iterdir()))
        return train(folder, splitter=splitter)
    monkeypatch.setattr(bird, 'train_classifier', trained)
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    return asked

@pytest.mark.slow
def test_the_bird_model_is_trained_once(quick, tmp_path, capsys):
    "And once more where what was kept is spoilt."
    first, second = bird_model(tmp_path/'kept'), bird_model(tmp_path/'kept')
    assert quick==[['bird', 'plane']] and first.vocab==['bird', 'plane'] and second.limit==first.limit > 0
    assert capsys.readouterr().out.count('This happens once')==1
    kept = tmp_path/'kept'/'model.safetensors'
    kept.write_bytes(kept.read_bytes()[:1000])
    assert bird_model(tmp_path/'kept').limit and len(quick)==2 and serving.load_model(tmp_path/'kept').limit

@pytest.mark.slow
def test_a_bird_model_that_cannot_be_kept(quick, read_only, capsys):
    assert bird_model(read_only/'kept').limit and 'cannot be kept' in capsys.readouterr().out
