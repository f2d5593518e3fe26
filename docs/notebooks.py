"""What a notebook goes through on its way to a page: nbdev's directives, the box, texts for figures, entries.

Nothing is run. A reader of the site sees the text, code and outputs that were committed.
"""
import importlib, inspect, re

import nbformat
from sphinx.errors import ExtensionError

from bench.results import BLOB
from docs import glossary

# What nbdev's directives (https://nbdev.fast.ai/explanations/directives.html) mean as tags of MyST-NB.
TAG = {'hide': 'remove-cell', 'include: false': 'remove-cell', 'hide_input': 'remove-input',
       'echo: false': 'remove-input', 'hide_output': 'remove-output', 'output: false': 'remove-output',
       'eval: false': 'remove-output', 'code-fold: true': 'hide-input',
       'default_exp': None, 'export': None, 'exporti': None, 'exports': None}

def tags_of(
    cell:dict  # a code cell; its source loses the directives at its top
) -> set:      # tags of MyST-NB, which say what of the cell is shown
    top = re.match(r'(\s*#\s*\|.*(\n|\Z))*', cell['source'])[0]
    cell['source'] = cell['source'][len(top):].strip('\n')
    told = re.findall(r'#\s*\|\s*([\w-]+)(?:(:)\s*(\w+))?', top)
    told = {f'{name}{": "*bool(colon)}{value}' for name, colon, value in told}
    if unknown := told-set(TAG):
        raise ExtensionError(f'Cell {cell["id"]}: the site does not know the directive {min(unknown)}. '
                             f'Known are: {", ".join(TAG)}.')
    folded = cell['metadata'].get('jupyter', {}).get('source_hidden')
    bare = not cell['source'] or folded and 'told(' in cell['source'] and not cell.get('outputs')   # a check
    return ({TAG[o] for o in told} | {folded and 'hide-input', bare and 'remove-cell'}) - {None, False}

def pictures(cell) -> list:
    return [o for o in cell.get('outputs', []) if any(k.startswith('image/') for k in o.get('data', {}))]

def describe(cell, docname):
    "Hand the alternative text and the width of a picture on to MyST-NB."
    alt = cell['metadata'].get('practicaldl', {}).get('alt')
    for picture in pictures(cell):
        if not alt:
            raise ExtensionError(f'{docname}, cell {cell["id"]}: its picture has no alternative text. Write '
                                 'what it shows into the cell\'s metadata: "practicaldl": {"alt": "…"}.')
        # Figures have two dots for each pixel of the page, and say how wide they are meant to be.
        width = picture['metadata'].get('image/png', {}).get('width')
        about = {'alt': alt, 'width': f'{width}px'} if width else {'alt': alt}
        cell['metadata'].setdefault('mystnb', {})['image'] = about

def defined(source) -> list:
    "Public names that a cell defines at the left margin, in their order."
    found = re.findall(r'(?m)^(?:(?:def|class) +(\w+)|(\w+(?:, *\w+)*) *=(?!=))', source)
    return [o for names in found for o in re.findall(r'\w+', ''.join(names)) if o[0]!='_']

def fold_title(source) -> str:
    "What stands on a folded cell."
    if '%pip' in source:
        return 'Show the cell that installs the course where it is missing'
    names = ', '.join(defined(source))
    return f'Show the code of {names}' if names else 'Show the code'

def module_of(cells):
    "The module that a notebook is exported to."
    code = '\n'.join(c['source'] for c in cells)
    return importlib.import_module('practicaldl.' + re.search(r'(?m)^#\| *default_exp +(\w+)', code)[1])

def known_names(cells) -> str:
    "For links in code: what a chapter imports from the package, or makes for it, is known in all its cells."
    code, own = '\n'.join(c.source for c in cells if c.cell_type=='code'), module_of(cells)
    lines = re.findall(r'(?m)^from practicaldl[.\w]* import .*', code)
    lines.append(f'from {own.__name__} import {", ".join(own.__all__)}')
    return '\n'.join(['```{autolink-preface}', ':level: file', '', *lines, '```'])

def chapter(cells, docname):
    "A chapter: its number in the title, its box, its folds, texts for its figures."
    box, names = r'(?m)^(\| *\| *\|\n(?:\|.*(?:\n|\Z))+)', known_names(cells)
    first = re.sub(box, r':::{div} at-a-glance\n\1\n:::\n', cells[0].source)
    cells[0].source = f'# {docname[:2]} {first.removeprefix("# ")}\n\n{names}'
    for cell in cells:
        if cell.cell_type=='code':
            cell.metadata.tags = sorted(tags_of(cell))
            if 'hide-input' in cell.metadata.tags:
                cell.metadata.mystnb = {'code_prompt_show': fold_title(cell.source)}
            if not {'remove-cell', 'remove-output'} & set(cell.metadata.tags):
                describe(cell, docname)

def entries(module, names) -> str:
    "What Sphinx's autodoc is told about public names."
    lines = ['```{eval-rst}', f'.. currentmodule:: {module.__name__}', '']
    for name in names:
        thing = getattr(module, name)
        kind = 'autofunction' if callable(thing) else 'py:data'   # autodoc would show the help of dict or int
        if inspect.isclass(thing):
            kind = 'autoexception' if issubclass(thing, Exception) else 'autoclass'
        lines += [f'.. {kind}:: {name}', '   :members:' if kind=='autoclass' else '', '']
    return '\n'.join([*lines, '```'])

def reference(cells):
    "A notebook behind a module: its text and examples, with an entry in place of each definition."
    module = module_of(cells)
    name = module.__name__.removeprefix('practicaldl.')
    for i, cell in enumerate(cells):
        if cell.cell_type=='code':
            exported, tags, cell.outputs = re.search(r'(?m)^#\| *export', cell.source), tags_of(cell), []
            cell.metadata.tags = sorted(tags)
            if exported and not {'remove-cell', 'remove-input'} & tags:
                names = [o for o in defined(cell.source) if o in module.__all__]
                cells[i] = nbformat.v4.new_markdown_cell(entries(module, names))
    cells[0].source = '\n'.join([
        f'# `{module.__name__}`', cells[0].source.partition('\n')[2], '',
        f'```{{py:module}} {module.__name__}\n```', '',
        f'Made from [{name}.ipynb]({BLOB}/nbs/lib/{name}.ipynb), where each example is also a test.'])

def on_read(app, docname, source):
    "Sphinx has read a file: what MyST-NB is given in place of a notebook."
    if not str(app.env.doc2path(docname)).endswith('.ipynb'):
        return
    nb = nbformat.reads(source[0], as_version=4)
    if docname=='glossary':
        glossary.page(nb.cells)
    elif docname.startswith('api/'):
        reference(nb.cells)
    else:
        chapter(nb.cells, docname)
    nb.metadata = {'kernelspec': nb.metadata.kernelspec,
                   'language_info': {'name': 'python', 'pygments_lexer': 'ipython3'},
                   # Else a cell has 10,000 lines, and docutils reads as many empty ones above each entry.
                   'source_map': list(range(1, len(nb.cells)+1))}
    source[0] = nbformat.writes(nb)
