"""The figure with sliders of chapter 04, and the question whether somebody is there to move them."""
import json, math, os, re
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest

from practicaldl.errors import CourseError
from practicaldl.figures import bends_figure, digit_box, fit_figure, interact_once, is_live, use_font_for

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

def test_bends_are_added_one_by_one(browser):
    "A new bend changes nothing until its slope is moved; the walk goes where Python's goes."
    page, p = browser.new_page(reduced_motion='reduce'), [Y.mean(), 0, -2]
    page.set_content(bends_figure(X, Y, bends=3, lr=0.02).html)
    def shown(): return float(page.locator('.loss').inner_text())
    def height(p): return p[0] + sum(m*np.maximum(X-k, 0) for m, k in zip(p[1::2], p[2::2]))
    def of(p): return ((height(p)-Y)**2).mean()
    assert shown()==pytest.approx(of(p), abs=6e-4) and page.locator('label:visible').count()==3
    page.get_by_role('button', name='add a bend').click()
    assert shown()==pytest.approx(of(p), abs=6e-4) and page.locator('label:visible').count()==5
    for name, value in (('slope 1', 1.5), ('slope 2', -3), ('kink 2', 0.25)):
        page.get_by_label(f'parameter {name}').fill(str(value))
    p = np.array([Y.mean(), 1.5, -2, -3, 0.25])
    assert shown()==pytest.approx(of(p), abs=6e-3)
    page.get_by_role('button', name='one step downhill').click()
    error = 2*(height(p)-Y)
    slopes = [error.mean()]
    for m, k in ((1.5, -2), (-3, 0.25)):
        slopes += [(error*np.maximum(X-k, 0)).mean(), (-error*m*(X>k)).mean()]
    assert shown()==pytest.approx(of(p-0.02*np.array(slopes)), abs=0.02)
    before = shown()
    page.get_by_role('button', name='walk downhill').click()
    assert shown() < before
    page.get_by_role('button', name='add a bend').click()
    assert page.get_by_role('button', name='add a bend').is_disabled()
    page.get_by_role('button', name='start again').click()
    assert shown()==pytest.approx(Y.var(), abs=6e-4) and page.locator('label:visible').count()==3
    page.close()

def test_interact_draws_once_in_a_batch(monkeypatch):
    import ipywidgets
    usual = ipywidgets.interact
    monkeypatch.setattr(ipywidgets, 'interact', usual)
    monkeypatch.setattr('practicaldl.figures.is_live', lambda: True)
    interact_once()
    assert ipywidgets.interact is usual
    monkeypatch.setattr('practicaldl.figures.is_live', lambda: False)
    interact_once()
    seen = []
    def draw(a, b=2):
        seen.append((a, b))
    assert ipywidgets.interact(a=(-1., 3.))(draw) is draw and seen==[(1, 2)]

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

# ------------------------------------------------------------------ a box to draw in

@pytest.fixture
def read_digits(usual_cache):
    "A small net that has learnt the ten digits, and how its input is scaled."
    import torch
    from PIL import Image
    from torch import nn

    from practicaldl.cache import twin_folder
    pictures = sorted(twin_folder('MNIST').rglob('*.png'))
    x = torch.tensor(np.stack([np.array(Image.open(p)) for p in pictures])).float().view(-1, 784)/255
    y = torch.tensor([int(p.parent.name) for p in pictures])
    mean, std = x.mean().item(), x.std().item()
    torch.manual_seed(42)
    net = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(6):
        for rows in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(net((x[rows]-mean)/std), y[rows])
            opt.zero_grad()
            loss.backward()
            opt.step()
    return net, mean, std

def strokes(*lines):
    return [[(round(x), round(y)) for x, y in line] for line in lines]

RING = [(140+60*math.cos(i*math.pi/12), 140+90*math.sin(i*math.pi/12)) for i in range(25)]
DRAWN = {'1': strokes([(150, 45), (135, 235)]), '0': strokes(RING),
         '7': strokes([(75, 60), (205, 60)], [(205, 60), (125, 235)])}

@pytest.mark.slow
def test_a_drawn_digit_is_read(read_digits, browser, tmp_path):
    "With the mouse: a 1, a 7 and a 0; what the page calculates is what PyTorch calculates."
    import torch
    net, mean, std = read_digits
    box = digit_box(net, mean, std)
    (tmp_path/'box.html').write_text(f'<!doctype html><meta charset="utf-8">{box.html}', encoding='utf-8')
    page, asked = browser.new_page(viewport={'width': 375, 'height': 900}), []
    page.on('request', lambda request: asked.append(request.url))
    page.goto((tmp_path/'box.html').as_uri())
    frame = page.locator('.pdl-draw .pad').bounding_box()
    def at(x, y):
        return frame['x']+x/280*frame['width'], frame['y']+y/280*frame['height']
    for digit, lines in DRAWN.items():
        page.get_by_role('button', name='clear').click()
        for line in lines:
            page.mouse.move(*at(*line[0]))
            page.mouse.down()
            for point in line[1:]:
                page.mouse.move(*at(*point), steps=4)
            page.mouse.up()
        said = page.locator('.pdl-draw .answer').inner_text()
        assert said.startswith(f'{digit} (probability '), (digit, said)
        rgba = page.evaluate("""() => Array.from(document.querySelector('.pdl-draw .seen')
            .getContext('2d').getImageData(0, 0, 28, 28).data)""")
        seen = torch.tensor(rgba[3::4]).float()/255
        ys, xs = seen.view(28, 28).nonzero(as_tuple=True)
        assert 19 <= max(ys.max()-ys.min(), xs.max()-xs.min())+1 <= 22   # as MNIST's digits are
        ours = net((seen-mean)[None]/std).softmax(1)[0]
        bars = [float(o) for o in page.locator('.pdl-draw .bars li span:last-child').all_inner_texts()]
        assert np.abs(np.array(bars)-ours.detach().numpy()).max() < 0.02
    page.get_by_role('button', name='clear').focus()
    for key, told in (('Tab', '0 ('), ('Tab', '1 ('), ('Tab', '7 (')):
        page.keyboard.press(key)
        page.keyboard.press('Enter')
        assert page.locator('.pdl-draw .answer').inner_text().startswith(told)
    page.keyboard.press('Shift+Tab')
    assert page.evaluate('document.documentElement.scrollWidth') <= 375
    if folder := os.environ.get('PRACTICALDL_SCREENSHOTS'):
        page.screenshot(path=f'{folder}/digit_box.png')
    assert [o for o in asked if not o.startswith('file:')]==[]
    page.close()
