"""The helpers of chapter 02, and what `models` gives it: against closed forms, in both editions, and with what a learner gets wrong."""
import struct

import numpy as np
import pytest

from practicaldl import intro
from practicaldl.errors import CourseError, DataError

# ------------------------------------------------------------------ names of files, titles of films

@pytest.mark.parametrize('name, cat', [('Cat_1.jpg', True), ('dog_1.jpg', False), ('Maine_Coon_3.jpg', True), ('english_cocker_spaniel_9.jpg', False)])
def test_a_capital_is_a_cat(name, cat): assert intro.is_cat(name) is cat

def test_titles_come_from_the_table(tmp_path):
    (tmp_path/'movies.csv').write_text('movieId,title,genres\n7,"Fabuleux destin d\'Amélie, Le (2001)",Comedy\n2,Se7en (1995),Crime\n', encoding='utf-8')
    assert intro.film_titles(tmp_path)=={7: "Fabuleux destin d'Amélie, Le (2001)", 2: 'Se7en (1995)'}

def test_films_without_titles_have_numbers(tmp_path):
    (tmp_path/'ratings.csv').write_text('userId,movieId,rating,timestamp\n1,50,4,0\n1,7,3,0\n2,50,5,0\n', encoding='utf-8')
    assert intro.film_titles(str(tmp_path))=={7: 'film 7', 50: 'film 50'}


# ------------------------------------------------------------------ the angular field

def scaled(x): return 2*(x-x.min())/(x.max()-x.min())-1

@pytest.mark.parametrize('n', [2, 3, 17, 128])
@pytest.mark.parametrize('seed', range(3))
def test_gadf_is_its_closed_form(n, seed):
    "sin(a - b) = sin a cos b - cos a sin b, without an angle."
    series = np.random.default_rng(seed).normal(size=n)
    x = scaled(series); root = np.sqrt(1-x**2)
    matrix = intro.gadf(series)
    assert matrix.shape==(n, n) and matrix.dtype==np.float64
    np.testing.assert_allclose(matrix, root[:, None]*x[None, :] - x[:, None]*root[None, :], atol=1e-12)
    np.testing.assert_allclose(matrix, -matrix.T, atol=1e-15)
    assert (np.diag(matrix)==0).all() and np.abs(matrix).max() <= 1

def test_gadf_does_not_depend_on_unit_and_offset():
    series = np.random.default_rng(1).normal(size=30)
    np.testing.assert_allclose(intro.gadf(series*1.8+32), intro.gadf(series), atol=1e-7)
    np.testing.assert_allclose(intro.gadf(-series), -intro.gadf(series), atol=1e-12)   # arccos(-x) = pi - arccos(x)

def test_gadf_says_which_moment_is_lower():
    np.testing.assert_allclose(intro.gadf([1, 2]), np.zeros((2, 2)), atol=1e-15)   # the angles are 180 and 0 degrees, and the sine of 180 is 0
    matrix = intro.gadf([0, 1, 4])
    assert matrix[0, 1] > 0 and matrix[1, 2] > 0 and matrix[1, 0] < 0

def test_gadf_of_many_series_is_each_by_itself():
    many = np.random.default_rng(2).normal(size=(2, 3, 11))
    out = intro.gadf(many)
    assert out.shape==(2, 3, 11, 11)
    for i in range(2):
        for j in range(3): np.testing.assert_array_equal(out[i, j], intro.gadf(many[i, j]))

def test_gadf_takes_lists_and_tensors_and_leaves_them_alone():
    import torch
    series = torch.tensor([0, 1, 2])
    np.testing.assert_array_equal(intro.gadf(series), intro.gadf([0, 1, 2]))
    assert series.tolist()==[0, 1, 2]

@pytest.mark.parametrize('series', [[5.], [2, 2, 2], [0]*40])
def test_gadf_of_a_series_that_never_changes(series):
    np.testing.assert_array_equal(intro.gadf(series), np.zeros((len(series), len(series))))

@pytest.mark.parametrize('series, said', [([], 'needs a series'), (3., 'needs a series'), ([1, np.nan, 2], 'gaps'), ([1, np.inf], 'gaps')])
def test_gadf_says_what_it_cannot_use(series, said):
    with pytest.raises(DataError, match=said): intro.gadf(series)
    assert issubclass(DataError, CourseError)


# ------------------------------------------------------------------ series

@pytest.mark.parametrize('kind', intro.KINDS)
def test_a_wave_is_repeatable_and_has_its_shape(kind):
    a, b = (intro.wave(kind, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.shape==(128,) and intro.wave(kind, np.random.default_rng(3), n=64).shape==(64,)
    assert np.abs(a[:10]).max() < 5   # before it begins there is only noise

def test_bells_rise_and_funnels_fall():
    "The mean of many, each laid on its own begin and end, is a rising or a falling line."
    class NoNoise:
        def __init__(self): self.numbers = iter([16, 0.])   # begin; height 6 + 0
        def uniform(self, low, high): return next(self.numbers) if low < 20 else 80
        def normal(self, size=None): return 0. if size is None else np.zeros(size)
    bell, funnel, cylinder = (intro.wave(k, NoNoise()) for k in ('bell', 'funnel', 'cylinder'))
    assert bell[16]==0 and bell[96]==6 and (np.diff(bell[16:97]) > 0).all() and (bell[97:]==0).all()
    np.testing.assert_allclose(funnel[16:97], bell[16:97][::-1], atol=1e-12)
    assert (cylinder[16:97]==6).all() and (cylinder[:16]==0).all()

def test_an_unknown_kind():
    with pytest.raises(DataError, match="no series 'sine'. It can be cylinder, bell, funnel"): intro.wave('sine', np.random.default_rng(0))


# ------------------------------------------------------------------ bytes as a picture

def test_a_file_is_its_bytes_in_rows(tmp_path):
    file = tmp_path/'a name with blanks é.bin'
    file.write_bytes(bytes(range(256)))
    np.testing.assert_array_equal(intro.file_picture(file, width=16), np.arange(256, dtype=np.uint8).reshape(16, 16))
    np.testing.assert_array_equal(intro.file_picture(str(file), width=100), np.append(np.arange(256), [0]*44).reshape(3, 100))
    assert intro.file_picture(file, width=8, height=4).tolist()==np.arange(32).reshape(4, 8).tolist()

def test_numbers_of_four_bytes_make_stripes(tmp_path):
    (tmp_path/'n.bin').write_bytes(b''.join(struct.pack('<f', 1+i/1000) for i in range(256)))
    picture = intro.file_picture(tmp_path/'n.bin')
    assert (picture[:, 3::4]==0x3f).all()   # sign and exponent of a number from 1 to 2

def test_files_without_a_picture(tmp_path):
    (tmp_path/'empty').write_bytes(b'')
    with pytest.raises(DataError, match='is empty'): intro.file_picture(tmp_path/'empty')
    with pytest.raises(DataError, match='cannot be read'): intro.file_picture(tmp_path/'not there')
    with pytest.raises(DataError, match='cannot be read'): intro.file_picture(tmp_path)


# ------------------------------------------------------------------ models for pixels and texts

@pytest.fixture
def edition(usual_cache, monkeypatch):
    return lambda name: monkeypatch.setenv('PRACTICALDL_EDITION', name)

def test_a_u_net_sees_five_sizes(edition):
    import torch
    from practicaldl.models import unet_arch
    edition('sample')
    body, x, sizes = unet_arch()().eval(), torch.zeros(1, 3, 64, 96), []
    with torch.no_grad():
        for stage in body:
            x = stage(x); sizes.append(tuple(x.shape[-2:]))
    assert list(dict.fromkeys(sizes))==[(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)] and x.shape[1]==320

def test_a_u_net_gives_a_class_for_each_pixel(edition):
    import torch
    from fastai.vision.learner import create_unet_model
    from practicaldl.models import unet_arch
    edition('sample')
    model = create_unet_model(unet_arch(), 7, (64, 96), pretrained=True, last_cross=False).eval()
    with torch.no_grad(): out = model(torch.rand(2, 3, 64, 96))
    assert out.shape==(2, 7, 64, 96) and torch.isfinite(out).all()

def test_the_full_edition_has_resnet_and_the_large_language_model(edition, monkeypatch, tmp_path):
    from practicaldl import models
    edition('full')
    assert models.unet_arch().__name__=='resnet18'
    monkeypatch.setattr(models, 'dataset', lambda name: tmp_path)   # fastai's archive has no card
    chosen = models.text_model()
    assert not chosen['pretrained'] and chosen['config']['n_layers']==3 and chosen['config']['n_hid']==1152

def test_the_sample_edition_has_a_small_language_model(edition, usual_cache):
    import torch
    from fastai.text.all import AWD_LSTM, get_text_classifier
    from fastai.text.models.awdlstm import awd_lstm_clas_config
    from practicaldl.models import text_model
    edition('sample')
    chosen = text_model()
    assert not chosen['pretrained'] and chosen['config']['n_layers']==2 and awd_lstm_clas_config['n_layers']==3   # fastai's own dict is untouched
    assert 'out_bias' in text_model(is_lm=True)['config'] and 'out_bias' not in chosen['config']
    classifier = get_text_classifier(AWD_LSTM, vocab_sz=50, n_class=2, config=chosen['config']).eval()
    assert classifier[0].module.encoder.weight.shape==(50, 128)
    with torch.no_grad(): assert classifier(torch.randint(2, 50, (3, 9)))[0].shape==(3, 2)
