"""What chapter 04 exports: slopes, walks, sums of bent lines; and the figure with sliders that it uses."""
import json, math, re, shutil, subprocess, sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ROOT

from practicaldl.errors import CourseError
from practicaldl.figures import fit_figure, is_live
from practicaldl.nets import autograd_slope, descend, finite_difference, lr_limit, quadratic, rectified_line, relu_interpolation, sum_of_lines, two_spirals

def row(*values): return torch.tensor(values, dtype=torch.float64)
def bowl(p): return 5*(p[0]-2)**2 + 0.5*(p[1]+1)**2   # curvatures 10 and 1, bottom at (2, −1)


# ------------------------------------------------------------------ curves, slopes, walks

def test_the_module_is_light():
    "Torch and Matplotlib are imported when they are needed."
    code = "import sys, practicaldl.figures, practicaldl.nets; print(sorted({'torch', 'matplotlib', 'IPython', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip())==(0, '[]'), done.stderr

def test_quadratic_takes_what_can_be_multiplied():
    f = quadratic(2, -3, 1)
    assert [f(0), f(1), f(10)]==[1, 0, 171]
    assert f(np.array([0, 10])).tolist()==f(torch.tensor([0, 10])).tolist()==[1, 171]

@pytest.mark.parametrize('slope', [finite_difference, autograd_slope])
def test_slopes(slope):
    torch.testing.assert_close(slope(bowl, row(3, 1)), row(10, 2), atol=1e-8, rtol=0)
    torch.testing.assert_close(slope(lambda p: p[0].sin()*p[1]**3, row(0.5, 2)), row(8*math.cos(0.5), 12*math.sin(0.5)), atol=1e-6, rtol=0)
    assert slope(bowl, row(2, -1)).abs().max() < 1e-9

def test_slopes_leave_the_parameters_alone():
    p = row(3, 1).requires_grad_()
    p.grad = row(7, 7)
    assert autograd_slope(bowl, p).tolist()==[10, 2] and p.tolist()==[3, 1] and p.grad.tolist()==[7, 7]

def test_nudging_asks_for_double_precision():
    with pytest.raises(CourseError, match='float32.*dtype=torch.float64'): finite_difference(bowl, torch.tensor([1., 2.]))

def test_descend_follows_the_closed_form():
    "Each direction shrinks by 1 − lr · curvature at every step."
    start, lr, steps = row(5, 4), 0.15, 12
    path = descend(bowl, start, lr, steps, autograd_slope)
    n = torch.arange(steps+1, dtype=torch.float64)
    expected = torch.stack([2+3*(1-10*lr)**n, -1+5*(1-lr)**n], 1)
    assert path.shape==(steps+1, 2)
    torch.testing.assert_close(path, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(descend(bowl, start, lr, steps, finite_difference), expected, atol=1e-7, rtol=0)
    assert descend(bowl, start, lr, 0, autograd_slope).tolist()==[[5, 4]]

def test_the_limit_of_the_learning_rate():
    limit = lr_limit(bowl, row(5, 4))
    assert limit==pytest.approx(0.2)
    def end(lr): return bowl(descend(bowl, row(5, 4), lr, 400, autograd_slope)[-1])
    assert end(0.99*limit) < 1e-3 and end(1.01*limit) > bowl(row(5, 4))

def test_no_bottom_no_limit():
    with pytest.raises(CourseError, match='no bottom'): lr_limit(lambda p: -bowl(p), row(0, 0))


# ------------------------------------------------------------------ bent lines

def test_a_rectified_line():
    assert rectified_line(-2, 1)(row(-5, 1, 1.5, 4)).tolist()==[0, 0, -1, -6]

@pytest.mark.parametrize('n', [2, 3, 17])
def test_a_sum_of_lines_is_an_interpolation(n):
    "Equal to NumPy's, between the points and outside of them."
    g = torch.Generator().manual_seed(n)
    xs = torch.rand(n, generator=g, dtype=torch.float64).add(0.01).cumsum(0)
    ys = torch.randn(n, generator=g, dtype=torch.float64)
    where = torch.linspace(-1, xs[-1].item()+1, 400, dtype=torch.float64)
    torch.testing.assert_close(sum_of_lines(where, relu_interpolation(xs, ys), xs, ys[0]), torch.tensor(np.interp(where, xs, ys)), atol=1e-9, rtol=0)

def test_a_sum_of_lines_keeps_the_shape():
    line = rectified_line(3, 1)
    x = torch.linspace(-2, 4, 12, dtype=torch.float64).view(3, 4)
    torch.testing.assert_close(sum_of_lines(x, row(3), row(1), 5.), line(x)+5)

@pytest.mark.parametrize('xs, ys, why', [([0, 1], [1], 'shapes'), ([0], [1], 'two or more'), ([[0, 1]], [[0, 1]], 'shapes'), ([0, 2, 1], [0, 0, 0], 'rise'), ([0, 1, 1], [0, 0, 0], 'twice'), ([0, math.nan], [0, 0], 'rise')])
def test_points_that_are_no_curve(xs, ys, why):
    with pytest.raises(CourseError, match=why): relu_interpolation(torch.tensor(xs, dtype=torch.float64), torch.tensor(ys, dtype=torch.float64))

def test_two_spirals():
    points, arms = two_spirals(200, noise=0., turns=1.25, seed=1)
    assert points.shape==(200, 2) and arms.shape==(200, 1) and arms.sum()==0 and set(arms.flatten().tolist())=={-1, 1}
    radius = points.norm(dim=1)
    assert radius.max() <= 1
    angle = 2*math.pi*1.25*radius + math.pi*(arms[:,0]>0)
    torch.testing.assert_close(points, radius[:,None]*torch.stack([angle.cos(), angle.sin()], 1), atol=1e-5, rtol=0)
    assert torch.equal(two_spirals(50, seed=3)[0], two_spirals(50, seed=3)[0]) and not torch.equal(two_spirals(50, seed=3)[0], two_spirals(50, seed=4)[0])


# ------------------------------------------------------------------ the figure with sliders

X, Y, START = np.linspace(-2, 2, 9), np.array([0., 2, 3, 4, 4.5, 4, 3.5, 2, 1]), (0.5, -0.5, 2)

class Page(HTMLParser):
    "Tags with their attributes, and the text of each."
    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)
    def handle_starttag(self, tag, attrs): self.tags.append((tag, dict(attrs)))
    def handle_data(self, data): self.texts.append(data)
    def named(self, name): return [attrs for tag, attrs in self.tags if tag==name]
    @property
    def fit(self): return json.loads(next(a['data-fit'] for a in self.named('div') if 'data-fit' in a))

@pytest.fixture
def page(): return Page(fit_figure(X, Y, start=START).html)

def test_the_figure_asks_nothing_of_the_network(page):
    html = fit_figure(X, Y).html
    assert '//' not in html and 'import' not in html and 'fetch' not in html and '@' not in html and 'url(' not in html
    assert not any({'src', 'href'} & set(attrs) for _, attrs in page.tags)

def test_the_figure_is_the_same_each_time():
    "Whatever the numbers come in; and it has no ids, so it may stand on a page several times."
    html = fit_figure(X, Y, start=START).html
    assert html==fit_figure(torch.tensor(X), Y.tolist(), start=list(START)).html
    assert not any('id' in attrs for _, attrs in Page(html).tags)

def test_the_figure_starts_at_the_loss_of_python(page):
    expected = float(((quadratic(*START)(X)-Y)**2).mean())
    best = float(((np.polyval(np.polyfit(X, Y, 2), X)-Y)**2).mean())
    fit = page.fit
    assert fit['x']==X.tolist() and fit['y']==Y.tolist() and fit['start']==list(START)
    assert fit['loss']==pytest.approx(expected, rel=1e-5) and fit['best']==pytest.approx(best, rel=1e-5)
    assert f'{expected:.3f}' in page.texts and any(f'the best possible is {best:.3f}' in t for t in page.texts)

def test_the_button_walks_with_half_of_the_limit(page):
    x, y = torch.tensor(X), torch.tensor(Y)
    limit = lr_limit(lambda p: ((quadratic(*p)(x)-y)**2).mean(), row(0, 0, 0))
    assert page.fit['lr']==pytest.approx(limit/2, rel=1e-5)
    assert Page(fit_figure(X, Y, lr=0.03).html).fit['lr']==0.03

def test_each_control_has_a_name(page):
    sliders = page.named('input')
    assert [s['aria-label'] for s in sliders]==['parameter a', 'parameter b', 'parameter c'] and {s['type'] for s in sliders}=={'range'}
    assert [float(s['value']) for s in sliders]==list(START) and all(float(s['min']) < float(s['value']) < float(s['max']) for s in sliders)
    assert len(page.named('label'))==3 and [b['type'] for b in page.named('button')]==['button']*3
    assert page.named('svg')[0]['role']=='img' and page.named('svg')[0]['aria-label']
    assert any(p.get('aria-live')=='polite' for p in page.named('p'))

def test_a_picture_where_scripts_do_not_run(page):
    "The curve is drawn at the start, and the controls are hidden until the script shows them."
    curve = next(p['d'] for p in page.named('path') if p.get('class')=='curve')
    fit = page.fit
    x, y = map(float, curve[1:].split('L')[30].split())
    x = fit['xlim'][0] + x/fit['size'][0]*(fit['xlim'][1]-fit['xlim'][0])
    y = fit['ylim'][1] - y/fit['size'][1]*(fit['ylim'][1]-fit['ylim'][0])
    assert y==pytest.approx(quadratic(*START)(x), abs=0.02)
    assert len(page.named('circle'))==len(X) and 'hidden' in next(d for d in page.named('div') if d.get('class')=='controls')

def test_no_fixed_colour_for_text(page):
    "Black on black cannot be read: text has the colour of the page around it."
    style = re.search(r'<style>(.*?)</style>', fit_figure(X, Y).html, re.S)[1]
    assert 'fill:currentColor' in style and not re.search(r'(?<![\w-])color:(?!inherit)', style) and not re.search(r'#(fff|000)\b|white|black', style)

def test_labels_are_escaped():
    nasty = '</text><script>alert(1)</script>"\'&'
    html = fit_figure(X, Y, labels=(nasty, nasty)).html
    assert html.count('<script>')==1 and '&lt;script&gt;alert(1)' in html and nasty in Page(html).texts

@pytest.mark.parametrize('x, y, why', [([1, 2], [1, 2], 'three or more'), ([1, 2, 3], [1, 2], 'same length'), ([[1, 2, 3]], [[1, 2, 3]], 'shapes'), ([1, 2, 3], [1, math.nan, 2], 'missing or infinite')])
def test_points_that_are_no_points(x, y, why):
    with pytest.raises(CourseError, match=why): fit_figure(x, y)

def test_a_line_of_text_where_there_is_no_html():
    figure = fit_figure(X, Y, start=START)
    assert repr(figure)==f'sliders to fit a parabola to 9 points, loss {Page(figure.html).fit["loss"]:.3f} at the start' and figure._repr_html_()==figure.html

def test_points_in_one_place():
    "No division by a width of zero."
    assert Page(fit_figure([1, 1, 1], [2, 2, 2]).html).fit['best']==pytest.approx(0, abs=1e-9)

STAGE = '''
const made = {}, element = name => made[name] ??= {hidden: false, style: {}, dataset: {}, attributes: {}, listeners: {},
  setAttribute(k, v) { this.attributes[k] = v; }, addEventListener(k, f) { this.listeners[k] = f; },
  parentNode: {lastElementChild: {}}};
const sliders = ['a', 'b', 'c'].map(element), buttons = ['step', 'walk', 'again'].map(element);
const box = {dataset: {fit: FIT}, querySelector: element, querySelectorAll: q => q=='input' ? sliders : buttons};
globalThis.document = {querySelectorAll: () => [box]};
globalThis.matchMedia = () => ({matches: true});
'''
SHOW = '''
const seen = [element('.loss').textContent], press = i => { buttons[i].listeners.click(); seen.push(element('.loss').textContent); };
press(0); press(2);
sliders[2].value = '4'; sliders[2].listeners.input(); seen.push(element('.loss').textContent);
press(2); press(1); clearInterval(0);
console.log(JSON.stringify({seen, places: sliders.map(s => s.value), controls: element('.controls').hidden, still: element('.still').hidden}));
process.exit(0);
'''

@pytest.mark.skipif(not shutil.which('node'), reason='there is no Node.js here to run the script with')
def test_the_script_calculates_as_python_does(page):
    "Its loss at the start, after one step, after a slider was moved, and after a walk."
    script = re.search(r'<script>(.*?)</script>', fit_figure(X, Y, start=START).html, re.S)[1]
    stage = STAGE.replace('FIT', json.dumps(json.dumps(page.fit)))
    done = subprocess.run(['node', '-e', stage+script+SHOW], capture_output=True, text=True, timeout=60)
    assert done.returncode==0, done.stderr
    told = json.loads(done.stdout)
    x, y = torch.tensor(X), torch.tensor(Y)
    def loss(p): return ((quadratic(*p)(x)-y)**2).mean()
    def shown(p): return f'{loss(p).item():.3f}'
    path = descend(loss, row(*START), page.fit['lr'], 200, autograd_slope)
    assert told['seen']==[shown(path[0]), shown(path[1]), shown(path[0]), shown(row(0.5, -0.5, 4)), shown(path[0]), shown(path[-1])]
    assert told['places']==pytest.approx(path[-1].tolist(), abs=1e-6) and told['controls'] is False and told['still'] is True


# ------------------------------------------------------------------ sliders in a live notebook

def test_nobody_is_there(monkeypatch):
    assert is_live() is False   # no Jupyter at all
    from fastcore import imports
    for asks in (True, False):
        monkeypatch.setattr(imports, 'ipython_shell', lambda: SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=asks)))
        assert is_live() is asks
    monkeypatch.setattr(imports, 'ipython_shell', lambda: SimpleNamespace())   # IPython in a terminal
    assert is_live() is False

def test_the_cell_with_live_sliders(monkeypatch):
    "The branch of the chapter that a batch run does not take."
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    nb = json.loads((ROOT/'nbs'/'04_how_nets_learn.ipynb').read_text(encoding='utf-8'))
    sources = [''.join(c['source']) for c in nb['cells'] if c['cell_type']=='code']
    here = dict(plt=plt, quadratic=quadratic, x=torch.tensor(X), y=torch.tensor(Y), is_live=lambda: True)
    for start in ('def draw_fit', 'from ipywidgets import interact'): exec(next(s for s in sources if s.startswith(start)), here)
    widget = here['try_fit'].widget
    assert [(w.description, w.value, w.min, w.max) for w in widget.children[:3]]==[('a', 0.5, -3, 3), ('b', -0.5, -3, 3), ('c', 2, -2, 8)]
    titles = []
    monkeypatch.setattr(plt, 'subplots', lambda *args, made=plt.subplots, **kw: (lambda f, ax: (titles.append(ax), (f, ax))[1])(*made(*args, **kw)))
    widget.children[2].value = 4.5
    assert len(titles)==1 and '+4.5' in titles[0].get_title()
    plt.close('all')
