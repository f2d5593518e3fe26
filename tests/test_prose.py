"""Prose bound to runs: a number in a chapter's text stands in an output or the code of that chapter.

What is from no run is told apart: whole numbers up to 12 and years, school arithmetic that is written out,
the section of questions (which invents cases), and what tests/numbers.json lists with a reason.
"""
import json, re

import pytest
from conftest import ROOT

from bench.results import chapters, read

NUMBER = re.compile(r'(?<![\w.,])[−-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w]|[.,]\d)|'
                    r'(?<![\w.,])[−-]?\d+(?:\.\d+)?(?![\w]|[.,]\d)')
LISTED = json.loads((ROOT/'tests'/'numbers.json').read_text(encoding='utf-8'))   # chapter: number: reason
ROUND = {20, 25, 50, 100, 1000}   # said of anything

def bare(text):
    "Prose without code, links, formulas, headings, and numbers that only name a place or a thing."
    for pattern in (r'(?s)```.*?```', r'`[^`]*`', r'(?s)\$\$?.*?\$\$?', r'<[^>]+>', r'(?m)^#.*$',
                    r'(?m)^(\*\*)?\d+\.', r'(?i)\b(chapters?|sections?|exercises?|seeds?|versions?|cells?) '
                    r'\d+(,? (and|to|or) \d+)*'):
        text = re.sub(pattern, ' ', text)
    text = re.sub(r'\]\([^)]*\)', '] ', text)
    arithmetic = r'[^.?!\n]*\d\s*[·×/+−-]\s*[\d(][^.?!\n]*[=≈≤][^.?!\n]*'
    return re.sub(arithmetic, ' ', text)

def numbers_in(text):
    return [(m[0], float(m[0].replace('−', '-').replace(',', ''))) for m in NUMBER.finditer(text)]

def values_of(nb):
    "All numbers in the code and in the text of the outputs."
    texts = []
    for cell in (c for c in nb['cells'] if c['cell_type']=='code'):
        texts.append(re.sub(r'(?<=\d)_(?=\d)', '', cell['source']))
        for o in cell['outputs']:
            shown = [o.get('text', ''), *(v for k, v in o.get('data', {}).items() if k.startswith('text/'))]
            texts += [''.join(v) for v in shown]
    found = re.findall(r'-?\d+(?:\.\d+)?(?:e[+-]?\d+)?', re.sub(r'(?<=\d),(?=\d{3})', '', ' '.join(texts)))
    return {float(v) for v in found}

def unbound(name, nb):
    "Numbers in the prose of a chapter that are neither measured in it nor listed."
    prose = '\n'.join(c['source'] for c in nb['cells'][1:] if c['cell_type']=='markdown')
    prose = re.sub(r'(?ms)^## Questions\n.*?(?=^## |\Z)', '', prose)
    values, left = values_of(nb), []
    for said, value in numbers_in(bare(prose)):
        digits = len(said.partition('.')[2])
        if digits==0 and (abs(value)<=12 or 1900<=value<=2100) or value in ROUND:
            continue
        if said in LISTED.get(name, {}):
            continue
        if not any(abs(round(scale*o, digits)-value) < 1e-9 for o in values for scale in (1, -1, 100)):
            left.append(said)
    return left

@pytest.mark.parametrize('path', chapters(), ids=lambda p: p.stem)
def test_a_number_in_prose_is_measured_or_listed(path):
    assert unbound(path.stem, read(path))==[]

def test_what_is_listed_is_still_said():
    for name, listed in LISTED.items():
        prose = bare('\n'.join(c['source'] for c in read(ROOT/'nbs'/f'{name}.ipynb')['cells']
                               if c['cell_type']=='markdown'))
        said = {o for o, _ in numbers_in(prose)}
        assert set(listed) <= said and all(len(reason) > 10 for reason in listed.values()), name

def test_a_wrong_number_is_caught():
    "In a text like ours, against an output like ours."
    cells = [dict(cell_type='markdown', source='# Title'),
             dict(cell_type='code', source='print(error)', outputs=[dict(text='0.0326 of 399')]),
             dict(cell_type='markdown', source='An error of 0.033 on 399 pictures, 3 % of them; 0.04 would '
                  'be 25 times 1.7. In 2014, in section 14, `x[77]`, 6 · 7 = 42.')]
    assert unbound('none', dict(cells=cells))==['0.04', '1.7']
