"""What a notebook goes through on its way to a page: nbdev's directives, links, the box, texts for figures.

Nothing is run. A reader of the site sees the text, code and outputs that were committed.
"""
import ast, importlib, inspect, json, re
from pathlib import Path

from sphinx.errors import ExtensionError

from bench.results import BASE_URL, BLOB, NBS, ROOT, chapter_title, chapters, read
from docs import glossary

PAGE_OF = {'README.md': 'index', 'nbs/index.ipynb': 'index', 'nbs/glossary.ipynb': 'glossary',
           'CONTRIBUTING.md': 'contributing', 'CHANGELOG.md': 'changelog'}
DIRECTIVES = {'default_exp', 'export', 'exporti', 'exports', 'hide', 'hide_input', 'hide_output', 'include',
              'echo', 'output', 'eval', 'code-fold'}

def local_links(
    text:str,     # Markdown of a file of the repository
    folder:Path   # the folder of that file
) -> str:
    "Links between files of the repository become links between pages, or to GitHub where there is no page."
    def mended(m):
        target, _, anchor = m[1].removeprefix(BASE_URL).partition('#')
        file, page = (folder/target).resolve(), re.fullmatch(r'([\w/]+)\.html', target)
        if m[1].startswith(BASE_URL):
            address = f'/{page[1]}' if page else m[1]
        elif not target or not file.is_relative_to(ROOT) or not file.exists():
            return m[0]
        else:
            name = file.relative_to(ROOT).as_posix()
            own = file.stem if file in chapters() else f'api/{file.stem}' if file.parent==NBS/'lib' else None
            page = own or PAGE_OF.get(name)
            address = f'/{page}' if page else f'{BLOB}/{name}'
        kind = ('.ipynb' if is_notebook(address) else '.md') if address.startswith('/') else ''
        return f']({address}{kind}{"#"+anchor if anchor else ""})'
    return re.sub(rf'\]\((?!(?!{re.escape(BASE_URL)})[a-z]+:|#)([^)\s]+)\)', mended, text)

def is_notebook(docname) -> bool:
    return (NBS/f'{docname.lstrip("/")}.ipynb') in chapters() or docname.startswith('/api/')

def tags_of(
    cell:dict  # a code cell; its source loses the directives at its top
) -> set:      # tags in the sense of MyST-NB, which say what of the cell is shown
    "What nbdev's directives mean for a page: https://nbdev.fast.ai/explanations/directives.html."
    top = re.match(r'(\s*#\s*\|.*(\n|\Z))*', cell['source'])[0]
    told = dict(re.findall(r'#\s*\|\s*([\w-]+):?\s*(.*)', top))
    cell['source'] = cell['source'][len(top):].strip('\n')
    if unknown := set(told)-DIRECTIVES:
        raise ExtensionError(f'Cell {cell["id"]}: the site does not know the directive {min(unknown)}. '
                             f'Known are: {", ".join(sorted(DIRECTIVES))}.')
    folded = told.get('code-fold')=='true' or cell['metadata'].get('jupyter', {}).get('source_hidden')
    tags = {'remove-cell': 'hide' in told or told.get('include')=='false' or not cell['source'],
            'remove-input': 'hide_input' in told or told.get('echo')=='false', 'hide-input': folded,
            'remove-output': 'hide_output' in told or 'false' in (told.get('output'), told.get('eval'))}
    return {tag for tag, holds in tags.items() if holds}

def pictures(cell) -> list:
    return [o for o in cell.get('outputs', []) if any(k.startswith('image/') for k in o.get('data', {}))]

def describe(cell, docname):
    "Hand the alternative text and the width of a picture on to MyST-NB."
    found = pictures(cell)
    alt = cell['metadata'].get('practicaldl', {}).get('alt')
    if found and not alt:
        raise ExtensionError(f'{docname}, cell {cell["id"]}: its picture has no alternative text. Write what '
                             'it shows into the cell\'s metadata: "practicaldl": {"alt": "…"}.')
    # Figures have two dots for each pixel of the page, and say how wide they are meant to be.
    widths = [o['metadata']['image/png']['width'] for o in found if 'image/png' in o.get('metadata', {})]
    if found:
        width = {'width': f'{max(widths)}px'} if widths else {}
        cell['metadata'].setdefault('mystnb', {})['image'] = {'alt': alt, **width}

def defined(source) -> list:
    "Public names that a cell defines, in their order."
    try:
        body = ast.parse(source).body
    except SyntaxError:   # a command of IPython, such as `!ls`
        return []
    names = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [o.id for t in node.targets for o in ast.walk(t) if isinstance(o, ast.Name)]
    return [o for o in names if not o.startswith('_')]

def fold_title(source) -> str:
    "What stands on a folded cell."
    if '%pip' in source:
        return 'Show the cell that installs the course where it is missing'
    names = ', '.join(defined(source))
    return f'Show the code of {names}' if names else 'Show the code'

def chapter(cells, docname):
    "A chapter: its number in the title, its box, its links; what a directive hides is left out."
    first = re.sub(r'\A# ', f'# {docname[:2]} ', cells[0]['source'])
    box = r'(?m)^(\| *\| *\|\n(?:\|.*(?:\n|\Z))+)'
    cells[0]['source'] = re.sub(box, r':::{div} at-a-glance\n\1\n:::\n', first)+'\n\n'+imports(cells, docname)
    for cell in cells:
        if cell['cell_type']=='markdown':
            cell['source'] = local_links(cell['source'], NBS)
            continue
        tags = tags_of(cell)
        if 'hide-input' in tags:
            cell['metadata']['mystnb'] = {'code_prompt_show': fold_title(cell['source'])}
        if not tags & {'remove-cell', 'remove-output'}:
            describe(cell, docname)
        cell['metadata']['tags'] = sorted(tags)
    return [c for c in cells if 'remove-cell' not in c['metadata'].get('tags', [])]

def markdown(*lines) -> dict:
    return {'cell_type': 'markdown', 'metadata': {}, 'source': '\n'.join(lines)}

def entry(module, name) -> str:
    "What Sphinx's autodoc is told about a public name."
    thing = getattr(module, name)
    kind = 'autofunction' if callable(thing) else 'py:data'   # autodoc would show the help of dict or int
    if inspect.isclass(thing):
        kind = 'autoexception' if issubclass(thing, Exception) else 'autoclass'
    return f'.. {kind}:: {name}\n' + '   :members:\n'*(kind=='autoclass')

def entries(module, names) -> dict:
    listed = [entry(module, o) for o in names]
    return markdown('```{eval-rst}', f'.. currentmodule:: {module.__name__}\n', *listed, '```')

def reference(cells, docname):
    "A notebook behind a module: its text and examples, with an entry in place of each definition."
    name = docname.removeprefix('api/')
    module, shown = importlib.import_module(f'practicaldl.{name}'), []
    for cell in cells:
        if cell['cell_type']=='markdown':
            shown.append({**cell, 'source': local_links(cell['source'], NBS/'lib')})
            continue
        exported = re.search(r'(?m)^#\| *export', cell['source'])
        if {'remove-cell', 'remove-input'} & tags_of(cell):
            continue
        names = [o for o in defined(cell['source']) if o in module.__all__]
        if not exported:
            shown.append({**cell, 'outputs': []})
        elif names:
            shown.append(entries(module, names))
    made_from = f'Made from [{name}.ipynb]({BLOB}/nbs/lib/{name}.ipynb), where each example is also a test.'
    shown[0] = markdown(f'# `practicaldl.{name}`', shown[0]['source'].partition('\n')[2], '',
                        f'```{{py:module}} practicaldl.{name}\n```', '', made_from)
    return shown

def module_of(path) -> str:
    "The module that a chapter is exported to."
    sources = '\n'.join(c['source'] for c in read(path)['cells'])
    return re.search(r'(?m)^#\| *default_exp +(\w+)', sources)[1]

def helper_page(path) -> str:
    "The page of a module that is made in a chapter: its helpers, and the way to the chapter."
    module = importlib.import_module(f'practicaldl.{module_of(path)}')
    return (f'# `{module.__name__}`\n\n> Helpers of the chapter [{chapter_title(path)}](/{path.name}), '
            f'where they are made and used.\n\n```{{py:module}} {module.__name__}\n```\n\n'
            f'{entries(module, module.__all__)["source"]}\n')

def on_read(app, docname, source):
    "Sphinx has read a file: what MyST is given in its place."
    if Path(app.env.doc2path(docname)).suffix!='.ipynb':
        return
    nb = json.loads(source[0])
    for cell in nb['cells']:
        cell['source'] = ''.join(cell['source'])
    if docname=='glossary':
        nb['cells'] = [markdown(glossary.page(local_links(nb['cells'][0]['source'], NBS)))]
    else:
        make = reference if docname.startswith('api/') else chapter
        nb['cells'] = make(nb['cells'], docname)
    for i, cell in enumerate(nb['cells']):
        cell.setdefault('id', f'made-{i}')
    nb['metadata'] = {'kernelspec': {'name': 'python3', 'display_name': 'Python 3', 'language': 'python'},
                      'language_info': {'name': 'python', 'pygments_lexer': 'ipython3'}}
    source[0] = json.dumps(nb)

def imports(cells, name) -> str:
    "For links in code: names of the package that a chapter imports or makes are known in each of its cells."
    code = '\n'.join(c['source'] for c in cells if c['cell_type']=='code')
    made = importlib.import_module(f'practicaldl.{module_of(NBS/f"{name}.ipynb")}')
    lines = [*re.findall(r'(?m)^from practicaldl[.\w]* import .*', code),
             f'from {made.__name__} import {", ".join(made.__all__)}']
    indented = '\n'.join(f'   {o}' for o in lines)
    return f'```{{eval-rst}}\n.. autolink-preface::\n   :level: file\n\n{indented}\n```'

def section(title) -> str:
    "A section of README that the site shows as well, without its title."
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    found = re.search(rf'(?ms)^## {re.escape(title)}\n(.*?)(?=^## |\Z)', text)
    if not found:
        raise ExtensionError(f'README.md has no section "{title}", which a page of the site shows.')
    return local_links(found[1].strip(), ROOT)

def whole(file, level=0) -> str:
    "A Markdown file of the repository, its headings `level` lower."
    text = re.sub(r'(?m)^(#+ )', '#'*level+r'\1', (ROOT/file).read_text(encoding='utf-8'))
    return local_links(text, (ROOT/file).parent)
