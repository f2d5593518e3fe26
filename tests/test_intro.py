"""What chapter 02 exports: titles of films, series and their angular field."""
import numpy as np
import pytest

from practicaldl import intro
from practicaldl.errors import DataError

# ------------------------------------------------------------------ titles of films

def test_titles_come_from_the_table_and_else_from_the_numbers(tmp_path):
    (tmp_path/'ratings.csv').write_text('userId,movieId,rating,timestamp\n1,50,4,0\n1,7,3,0\n2,50,5,0\n')
    assert intro.film_titles(str(tmp_path))=={7: 'film 7', 50: 'film 50'}
    table = 'movieId,title,genres\n7,"Fabuleux destin d\'Amélie, Le (2001)",Comedy\n2,Se7en (1995),Crime\n'
    (tmp_path/'movies.csv').write_text(table, encoding='utf-8')
    assert intro.film_titles(tmp_path)=={7: "Fabuleux destin d'Amélie, Le (2001)", 2: 'Se7en (1995)'}

# ------------------------------------------------------------------ the angular field

@pytest.mark.parametrize('n', [2, 3, 128])
def test_gadf_is_its_closed_form(n):
    "sin(a − b) = sin a cos b − cos a sin b, without an angle."
    series = np.random.default_rng(n).normal(size=n)
    x = 2*(series-series.min())/np.ptp(series) - 1
    root = np.sqrt(1-x**2)
    matrix = intro.gadf(series)
    np.testing.assert_allclose(matrix, np.outer(root, x)-np.outer(x, root), atol=1e-12)
    assert matrix.shape==(n, n) and matrix.dtype==np.float64 and (np.diag(matrix)==0).all()

def test_gadf_does_not_depend_on_unit_and_offset():
    series = np.random.default_rng(1).normal(size=30)
    np.testing.assert_allclose(intro.gadf(series*1.8+32), intro.gadf(series), atol=1e-7)

def test_gadf_of_many_series_is_each_by_itself():
    many = np.random.default_rng(2).normal(size=(2, 3, 11))
    many[1, 1] = 5.   # a series that never changes
    out = intro.gadf(many)
    assert out.shape==(2, 3, 11, 11) and (out[1, 1]==0).all()
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(out[i, j], intro.gadf(many[i, j]))

def test_gadf_takes_tensors_and_leaves_them_alone():
    import torch
    series = torch.tensor([0, 1, 2])
    np.testing.assert_array_equal(intro.gadf(series), intro.gadf([0, 1, 2]))
    assert series.tolist()==[0, 1, 2]

@pytest.mark.parametrize('series, why', [([], 'a series'), (3., 'a series'), ([1, np.nan], 'gaps')])
def test_gadf_says_what_it_cannot_use(series, why):
    with pytest.raises(DataError, match=why):
        intro.gadf(series)

# ------------------------------------------------------------------ series

def test_a_wave_is_repeatable_and_begins_with_noise():
    for kind in intro.KINDS:
        first, same = (intro.wave(kind, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(first, same)
        assert first.shape==(128,) and np.abs(first[:10]).max() < 5
    assert intro.wave('bell', np.random.default_rng(3), n=64).shape==(64,)

class NoNoise:
    "A source of chance that gives the begin 16, the length 80, the height 6, and no noise."
    def __init__(self):
        self.numbers = iter([16, 80])
    def uniform(self, low, high):
        return next(self.numbers)
    def normal(self, size=None):
        return 0. if size is None else np.zeros(size)

def test_bells_rise_and_funnels_fall():
    bell, funnel, cylinder = (intro.wave(kind, NoNoise()) for kind in ('bell', 'funnel', 'cylinder'))
    np.testing.assert_allclose(bell[16:97], np.linspace(0, 6, 81), atol=1e-12)
    np.testing.assert_allclose(funnel[16:97], bell[16:97][::-1], atol=1e-12)
    assert (cylinder[16:97]==6).all() and (cylinder[:16]==0).all() and (bell[97:]==0).all()

def test_an_unknown_kind_is_told_the_known_ones():
    with pytest.raises(DataError, match="'sine'.*cylinder, bell, funnel"):
        intro.wave('sine', np.random.default_rng(0))
