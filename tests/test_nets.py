"""Chapters 04 and 05: slopes, walks, bent lines, spirals; digits."""
import ast, json, math

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn

from practicaldl import mnist
from practicaldl.errors import CourseError, DataError
from practicaldl.nets import lr_limit, two_spirals

def row(*values):
    return torch.tensor(values, dtype=torch.float64)

def bowl(p):
    "Curvatures 10 and 1, bottom at (2, −1)."
    return 5*(p[0]-2)**2 + 0.5*(p[1]+1)**2

def cells_of_04():
    nb = json.loads((ROOT/'nbs'/'04_how_nets_learn.ipynb').read_text(encoding='utf-8'))
    return [''.join(c['source']) for c in nb['cells'] if c['cell_type']=='code']

def defined_in_04(*names, **here):
    "The functions that the chapter lets its reader write, without running the chapter."
    here |= dict(torch=torch, nn=nn)
    for source in cells_of_04():
        tree = ast.parse('' if '%pip' in source else source)
        found = [o for o in tree.body if isinstance(o, ast.FunctionDef) and o.name in names]
        exec(compile(ast.Module(found, []), '04', 'exec'), here)
    return [here[name] for name in names]

gradient, autograd, descend, rectified, follow = defined_in_04(
    'gradient', 'autograd', 'descend', 'rectified', 'follow')

# ------------------------------------------------------------------ curves, slopes, walks

@pytest.mark.parametrize('slope', [gradient, autograd])
def test_slopes_are_those_of_calculus(slope):
    def wavy(p):
        return p[0].sin()*p[1]**3
    expected = row(8*math.cos(0.5), 12*math.sin(0.5))
    torch.testing.assert_close(slope(wavy, row(0.5, 2)), expected, atol=1e-6, rtol=0)
    assert slope(bowl, row(2, -1)).abs().max() < 1e-9

def test_slopes_leave_the_parameters_alone():
    p = row(3, 1).requires_grad_()
    p.grad = row(7, 7)
    assert autograd(bowl, p).tolist()==[10, 2]
    assert p.tolist()==[3, 1] and p.grad.tolist()==[7, 7]

def test_descend_follows_the_closed_form():
    "Each direction shrinks by 1 − lr · curvature at every step."
    start, lr, steps = row(5, 4), 0.15, 12
    n = torch.arange(steps+1, dtype=torch.float64)
    expected = torch.stack([2+3*(1-10*lr)**n, -1+5*(1-lr)**n], 1)
    torch.testing.assert_close(descend(bowl, start, lr, steps, autograd), expected, atol=1e-12, rtol=0)
    assert descend(bowl, start, lr, 0, autograd).tolist()==[[5, 4]]

def test_beyond_the_limit_of_the_learning_rate_a_walk_leaves():
    start = row(5, 4)
    limit = lr_limit(bowl, start)
    assert limit==pytest.approx(0.2)
    assert bowl(descend(bowl, start, 0.99*limit, 400, autograd)[-1]) < 1e-3
    assert bowl(descend(bowl, start, 1.01*limit, 400, autograd)[-1]) > bowl(start)

def test_no_bottom_no_limit():
    with pytest.raises(CourseError, match='no bottom'):
        lr_limit(lambda p: -bowl(p), row(0, 0))

# ------------------------------------------------------------------ bent lines, spirals

def test_a_rectified_line():
    assert rectified(row(-5, 1, 1.5, 4), -2, 1).tolist()==[0, 0, -1, -6]

@pytest.mark.parametrize('n', [2, 17])
def test_a_sum_of_lines_is_an_interpolation(n):
    "Equal to NumPy's between the points and to the left of them."
    g = torch.Generator().manual_seed(n)
    xs = torch.rand(n, generator=g, dtype=torch.float64).add(0.01).cumsum(0)
    ys = torch.randn(n, generator=g, dtype=torch.float64)
    where = torch.linspace(-1, xs[-1].item(), 400, dtype=torch.float64)
    numpys = torch.tensor(np.interp(where, xs, ys))
    torch.testing.assert_close(follow(xs, ys, where), numpys, atol=1e-9, rtol=0)

def test_two_spirals_lie_on_their_formula():
    points, arms = two_spirals(200, noise=0., turns=1.25, seed=1)
    assert points.shape==(200, 2) and arms.shape==(200, 1)
    assert sorted(arms.flatten().tolist())==[-1]*100+[1]*100
    radius = points.norm(dim=1)
    angle = 2*math.pi*1.25*radius + math.pi*(arms[:, 0]>0)
    on_spiral = radius[:, None]*torch.stack([angle.cos(), angle.sin()], 1)
    assert radius.max() <= 1 and 0.15 < (radius<0.5).double().mean() < 0.35   # a quarter, by area
    torch.testing.assert_close(points, on_spiral, atol=1e-5, rtol=0)
    same, other = two_spirals(200, noise=0., seed=1)[0], two_spirals(200, noise=0., seed=2)[0]
    assert torch.equal(points, same) and not torch.equal(points, other)

# ------------------------------------------------------------------ digits

def test_digits_are_read_in_order(tmp_path):
    from PIL import Image
    for i, digit in enumerate('733333'):
        (tmp_path/'train'/digit).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((28, 28), 51*i, dtype=np.uint8)).save(tmp_path/'train'/digit/f'{9-i}.png')
    x, digits = mnist.load_digits(tmp_path/'train')
    assert digits.tolist()==[3, 3, 3, 3, 3, 7] and x.shape==(6, 28, 28)
    assert x[:, 0, 0].tolist()==pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])   # by name, ink from 0 to 1
    with pytest.raises(DataError, match='named 0 to 9'):
        mnist.load_digits(tmp_path/'valid')

# ------------------------------------------------------------------ sliders in a live notebook

def test_the_cells_with_live_sliders(monkeypatch):
    "With ipywidgets' own interact, as where somebody is there: a slider draws anew."
    import matplotlib
    matplotlib.use('Agg')
    import ipywidgets
    import matplotlib.pyplot as plt
    made, shown = [], []
    def noted(**sliders):
        return lambda function: made.append(ipywidgets.interactive(function, **sliders))
    monkeypatch.setattr(ipywidgets, 'interact', noted)
    monkeypatch.setattr(plt, 'title', lambda text: shown.append(text))
    monkeypatch.setattr(plt, 'plot', lambda x, y, *args, **kwargs: shown.append(y))
    x = torch.linspace(-2, 2, 9)
    here = dict(plt=plt, torch=torch, quadratic=defined_in_04('quadratic')[0], x=x, y=3-x**2)
    for source in cells_of_04():
        if '@interact(' in source:
            exec(source, here)
    jet, own = made
    assert [(w.description, w.value) for w in jet.children[:3]]==[('a', 0.5), ('b', -0.5), ('c', 2)]
    shown.clear()
    jet.children[2].value = 4.5
    assert len(shown)==2 and torch.allclose(shown[0], 0.5*x**2-0.5*x+4.5) and shown[1].startswith('loss ')
    own.children[0].value = 1.
    plt.close('all')
    assert torch.allclose(shown[2], torch.sin(own.children[1].value*x))
