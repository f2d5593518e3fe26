"""The figure with sliders of chapter 04, and the question whether somebody is there to move them."""
import json, math, re
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest

from practicaldl.errors import CourseError
from practicaldl.figures import fit_figure, is_live, use_font_for

X, Y, START = np.linspace(-2, 2, 9), np.array([0., 2, 3, 4, 4.5, 4, 3.5, 2, 1]), (0.5, -0.5, 2)
POWERS = np.stack([X**2, X, X**0], 1)

def loss(p): return ((POWERS@p-Y)**2).mean()
def numbers(html): return json.loads(unescape(re.search('data-fit="(.*?)"', html)[1]))
@pytest.fixture
def html(): return fit_figure(X, Y, start=START).html

def test_the_figure_may_stand_anywhere(html):
    assert re.findall(r'//|@|url\(|\b(?:import|fetch|src|href)\b| id=', html)==[]   # works anywhere
    assert html==fit_figure(X.tolist(), list(Y), start=np.array(START)).html

def test_the_figure_starts_at_the_loss_of_python(html):
    fit, best = numbers(html), loss(np.polyfit(X, Y, 2))
    limit = 2/np.linalg.eigvalsh(2*POWERS.T@POWERS/len(X)).max()   # of the learning rate
    assert [fit['x'], fit['y'], fit['start'], fit['size']]==[X.tolist(), Y.tolist(), list(START), [360, 220]]
    assert [fit['loss'], fit['best'], fit['lr']]==pytest.approx([loss(START), best, limit/2], rel=1e-5)
    assert f'>{loss(START):.3f}<' in html and f'the best possible is {best:.3f}' in html
    assert f'9 points, loss {loss(START):.3f}' in repr(fit_figure(X, Y, start=START))

def test_a_picture_where_scripts_do_not_run(html):
    "The curve is drawn at the start, in the axes of the figure; the controls are hidden."
    fit, curve = numbers(html), re.search('class="curve" d="M(.*?)"', html)[1].split('L')
    x, y = np.array([point.split() for point in curve], dtype=float).T
    x = fit['xlim'][0] + x/360*np.ptp(fit['xlim'])
    y = fit['ylim'][1] - y/220*np.ptp(fit['ylim'])
    np.testing.assert_allclose(y, np.polyval(START, x), atol=0.03)
    assert html.count('<circle')==len(X) and re.search('class="controls"[^>]* hidden>', html)

def test_labels_are_escaped():
    nasty = '</text><script>alert(1)</script>"\'&{x}'
    html = fit_figure(X, Y, labels=(nasty, nasty)).html
    assert html.count('<script>')==1 and html.count('&lt;script&gt;alert(1)')==2 and '{x}' in html

@pytest.mark.parametrize('y, why', [([1, 2], 'same length'), ([1, math.nan, 2], 'missing or infinite')])
def test_points_that_are_no_points(y, why):
    with pytest.raises(CourseError, match=why):
        fit_figure([1, 2, 3], y)

def test_points_in_one_place_and_a_learning_rate_of_ones_own():
    fit = numbers(fit_figure([1, 1, 1], [2, 2, 2], lr=0.03).html)   # nothing is divided by a width of zero
    assert [fit['best'], fit['lr']]==pytest.approx([0, 0.03], abs=1e-9)

def test_the_script_calculates_as_python_does(html, browser):
    page, p = browser.new_page(reduced_motion='reduce'), np.array(START)
    page.set_content(html)
    def after(button):
        page.get_by_role('button', name=button).click()
        return float(page.locator('.loss').inner_text())
    for _ in range(3):
        p = p - numbers(html)['lr']*2*POWERS.T@(POWERS@p-Y)/len(X)
        assert after('one step downhill')==pytest.approx(loss(p), abs=6e-4)
    assert after('start again')==pytest.approx(loss(START), abs=6e-4)
    assert after('walk downhill')==pytest.approx(numbers(html)['best'], abs=6e-4)
    page.get_by_label('parameter c').fill('4')
    p = [float(o) for o in page.locator('label span:last-child').all_inner_texts()]
    assert [p[2], float(page.locator('.loss').inner_text())]==pytest.approx([4, loss(p)], abs=6e-3)

def test_somebody_is_there_where_the_kernel_may_ask(monkeypatch):
    assert is_live() is False   # no Jupyter at all
    for asks in (True, False):
        shell = SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=asks))
        monkeypatch.setattr('fastcore.imports.ipython_shell', lambda: shell)
        assert is_live() is asks

def test_letters_get_a_font_or_a_word(monkeypatch):
    "The fonts of this machine, and a machine that has but one."
    import matplotlib
    from matplotlib import font_manager
    before = list(matplotlib.rcParams['font.family'])
    own = font_manager.findfont('DejaVu Sans')
    usual = [o for o in font_manager.fontManager.ttflist if o.fname==own]
    plain = font_manager.findfont('STIXGeneral')
    assert use_font_for('Zoë, Ελλάδα, птица')==[] and matplotlib.rcParams['font.family']==before
    monkeypatch.setattr(font_manager.fontManager, 'ttflist', usual)
    said = use_font_for('鸟 and 犬')
    assert len(said)==1 and 'in place of 犬鸟: no font here has them. Install' in said[0]
    missing = {chr(o) for o in font_manager.get_font(own).get_charmap()}
    letter = chr(min(o for o in font_manager.get_font(plain).get_charmap() if chr(o) not in missing))
    font_manager.fontManager.ttflist.append(font_manager.FontEntry(fname=plain, name='STIXGeneral'))
    with matplotlib.rc_context():
        assert use_font_for(letter)==[] and matplotlib.rcParams['font.family'][-1]=='STIXGeneral'
