"""Make the sources of the site, in one folder, from what is committed.

Nothing is run here, and nothing is fetched. What a reader of the site sees is what stands in the notebooks:
their text, their code without nbdev's directives, and the outputs that were committed with them.
"""
import ast, base64, importlib, inspect, io, json, re, shutil, statistics
from configparser import ConfigParser
from dataclasses import dataclass, is_dataclass
from pathlib import Path

import nbformat
from execnb.nbio import dict2nb
from fastcore.docments import docments, empty
from nbdev.process import extract_directives
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NBS, PAGES, STATIC = ROOT/'nbs', ROOT/'docs'/'pages', ROOT/'docs'/'static'

_config = ConfigParser(delimiters=['='])
_config.read(ROOT/'settings.ini', encoding='utf-8')
SETTINGS = _config['DEFAULT']
REPO = SETTINGS['git_url']
BLOB = f"{REPO}/blob/{SETTINGS['branch']}"
BASE_URL = f"{SETTINGS['doc_host']}{SETTINGS['doc_baseurl']}/"

def chapters() -> list[Path]: return sorted(NBS.glob('[0-9][0-9]_*.ipynb'))
def read(path) -> nbformat.NotebookNode: return nbformat.read(path, as_version=4)
def inside_table(text) -> str: return str(text).replace('|', '\\|').replace('\n', ' ')
def write(path, text): path.write_text(text, encoding='utf-8', newline='\n')

class SiteError(Exception):
    "The site cannot be made from what is committed; the message says what an author has to do."


# ------------------------------------------------------------------ where a chapter can be run

def launch_links(
    name:str  # of a chapter, for example '01_bird'
) -> dict:    # name of a place to its address
    "Where a notebook can be opened with one click."
    user, repo, branch = SETTINGS['user'], SETTINGS['repo'], SETTINGS['branch']
    in_repo, file = f'{user}/{repo}', f'nbs/{name}.ipynb'
    return {'Colab': f'https://colab.research.google.com/github/{in_repo}/blob/{branch}/{file}',
            'Kaggle': f'https://kaggle.com/kernels/welcome?src={BLOB}/{file}',
            'Binder': f'https://mybinder.org/v2/gh/{in_repo}/{branch}?urlpath=lab/tree/{file}'}

# Files of the repository that are pages of the site.
PAGE_OF = {'README.md': 'index.md', 'nbs/index.ipynb': 'index.md', 'CONTRIBUTING.md': 'contributing.md',
           'CHANGELOG.md': 'changelog.md', 'nbs/glossary.ipynb': 'glossary.md'}

def local_links(
    text:str,     # Markdown of a file of the repository
    folder:Path,  # the folder of that file
    to_root:str   # the way from the page to the top of the site: '' or '../'
) -> str:
    "Links between files of the repository become links between pages, or to GitHub where there is no page."
    def own_page(m):
        kind = 'ipynb' if (NBS/f'{m[1]}.ipynb') in chapters() else 'md'
        return f']({to_root}{m[1]}.{kind}'
    def mended(m):
        target, _, anchor = m[1].partition('#')
        file = (folder/target).resolve()
        if not target or not file.is_relative_to(ROOT) or not file.exists():
            return m[0]
        name = file.relative_to(ROOT).as_posix()
        if file in chapters():
            page = file.name
        elif file.parent==NBS/'lib':
            page = f'api/{file.stem}.md'
        else:
            page = PAGE_OF.get(name)
        address = to_root+page if page else f'{BLOB}/{name}'
        return f']({address}{"#"+anchor if anchor else ""})'
    text = re.sub(rf'\]\({re.escape(BASE_URL)}([\w/]+)\.html', own_page, text)
    return re.sub(r'\]\((?![a-z]+:|#)([^)\s]+)\)', mended, text)


# ------------------------------------------------------------------ what was measured

# What these chapters may take together, on two processor cores.
GOAL = ('01_bird', '02_intro', '04_how_nets_learn', '05_mnist', '06_transformers', '07_ulmfit')
GOAL_SECONDS = 480

@dataclass
class Measured:
    "A run of all chapters, as `docs/results.json` keeps it."
    machine:str    # in words
    versions:dict  # name of a package to its version
    rows:list      # one for each recorded value
    runs:int       # of each chapter
    import_seconds:float     # of `import practicaldl`
    plain:list     # the sections that were measured beside plain fastai and transformers
    measured:dict  # chapter to the day of its runs, YYYY-MM-DD; a chapter may be missing
    clone_minutes:dict|None  # from a clone to the table; None where it was not measured
    elsewhere:list  # what the chapters cost on machines that were measured before

    def of(self, chapter): return [r for r in self.rows if r['chapter']==chapter]

    def seconds(self, names=None):
        return sum(self.of(p.stem)[0]['seconds'] for p in chapters() if names is None or p.stem in names)

    def together(self):
        "The seconds of all chapters, and of those that the goal is about where there are others."
        if {p.stem for p in chapters()}==set(GOAL):
            return f'Together {self.seconds():.0f} s.'
        return (f'All {len(chapters())} chapters together {self.seconds():.0f} s; of these 01, 02 and 04 to '
                f'07, whose goal is {GOAL_SECONDS} s, {self.seconds(GOAL):.0f} s.')

    def days(self):
        "When it was measured, as words after \"Measured\"; nothing where that is not known of each chapter."
        days = {self.measured.get(p.stem) for p in chapters()}
        return '' if None in days else f' {between_days(days)}'

    def cloned(self):
        "What a fresh clone took; nothing where it was not measured."
        if not self.clone_minutes:
            return ''
        install, run = self.clone_minutes['installation'], self.clone_minutes['run']
        return (f' On the same machine, `make run` in a fresh clone took {install+run:.1f} minutes: '
                f'{install:.1f} for the installation, {run:.1f} for the data and all chapters.')

    def in_words(self):
        "How it was measured, for README and site."
        times, several = 'once', ''
        if self.runs > 1:
            times = f'{self.runs} times'
            several = ('All runs gave the same values. Seconds are the median, with the range behind it, '
                       'and memory is the largest peak. ')
        v = self.versions
        return (f'Measured{self.days()} by `make bench`: each chapter {times} in fresh processes, sample '
                f"edition, on {self.machine}; Python {v['Python']}, torch {v['torch']}, "
                f"fastai {v['fastai']}, transformers {v['transformers']}. {several}{self.together()} "
                '`import practicaldl` takes '
                f'{self.import_seconds:.2g} s.{self.cloned()}{"".join(map(other_machine, self.elsewhere))}')

def between_days(days) -> str:
    "Days as words: on one, or between two."
    first, last = min(days), max(days)
    return f'on {first}' if first==last else f'between {first} and {last}'

def other_machine(
    place:dict  # one of `Measured.elsewhere`
) -> str:       # a sentence; nothing where chapters of the goal were not measured there
    "What the chapters of the goal took on another machine."
    if not set(GOAL) <= place['chapters'].keys() & place['measured'].keys():
        return ''
    days = between_days([place['measured'][o] for o in GOAL])
    seconds = sum(place['chapters'][o]['seconds'] for o in GOAL)
    return f" On {place['machine']}, {days}, 01, 02 and 04 to 07 took {seconds:.0f} s together."

def measured() -> Measured:
    content = json.loads((ROOT/'docs'/'results.json').read_text(encoding='utf-8'))
    there = {r['chapter'] for r in content['rows']}
    missing = [p.stem for p in chapters() if p.stem not in there]
    if missing:
        raise SiteError(f'docs/results.json has no rows for {", ".join(missing)}. Run the chapters and keep '
                        'their results: see CONTRIBUTING.md, "Measured numbers".')
    return Measured(content['machine'], content['versions'], content['rows'], content['runs'],
                    content['import_seconds'], content['plain'], content.get('measured', {}),
                    content.get('clone_minutes'), content.get('elsewhere', []))

def number(value) -> str: return f'{value:.4g}' if abs(value)<1e4 else f'{value:,.0f}'
def bar(text) -> str: return (text or '').replace('>=', '≥').replace('<=', '≤')
def cost(rows) -> str: return f"{rows[0]['seconds']:.0f} s and {rows[0]['peak_mb']:,} MB"

def spread_of(row) -> str:
    "Seconds of a row: the median, and the range where there is one."
    low, high = (f'{o:.0f}' for o in row['seconds_range'])
    return f"{row['seconds']:.0f}" + ('' if low==high else f' ({low}–{high})')

def results_table(
    rows:list  # of `Measured`
) -> str:      # a table in Markdown, as README has it
    lines = ['| chapter | measured | value | bar | seconds | peak MB |', '|---|---|---|---|---|---|']
    for r in rows:
        cells = (r['chapter'], inside_table(r['metric']), number(r['value']), bar(r['bar']), spread_of(r),
                 f"{r['peak_mb']:,}")
        lines.append(f"| {' | '.join(cells)} |")
    return '\n'.join(lines)

def plain_table(
    plain:list  # of `Measured`
) -> str:       # a table in Markdown
    "The sections of the course beside the same sections in plain fastai and transformers."
    if not plain:
        return 'Not measured yet: `make bench` does it.'
    lines = ['| chapter | measured | here | plain | seconds here | seconds plain | plain / here |',
             '|---|---|---|---|---|---|---|']
    for o in plain:
        better = 'more' if o['more_is_better'] else 'less'
        cells = (o['chapter'], f"{inside_table(o['metric'])} ({better} is better)", number(o['value']),
                 number(o['plain_value']), f"{o['seconds']:.0f}", f"{o['plain_seconds']:.0f}",
                 f"{o['ratio']:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return '\n'.join(lines)

def plain_in_words(
    plain:list  # of `Measured`
) -> str:       # a sentence, or nothing where nothing was measured
    "When and where the two sides were measured: together, but not always with the other table."
    places = {}
    for o in plain:
        places.setdefault(o['machine'], set()).add(o['day'])
    parts = [f'{between_days(days)} on {machine}' for machine, days in places.items()]
    return f"Measured {'; '.join(parts)}." if parts else ''

def ratios_in_words(
    plain:list  # of `Measured`
) -> str:       # a sentence, or nothing where nothing was measured
    "How much longer plain code takes, and how often its value is the better one."
    if not plain:
        return ''
    ratios = sorted(o['ratio'] for o in plain)
    better = 0
    for o in plain:
        better += o['plain_value']!=o['value'] and (o['plain_value'] > o['value'])==o['more_is_better']
    return (f'{len(plain)} sections of the chapters, written in plain fastai or transformers with default '
            f'settings, take {ratios[0]:.1f} to {ratios[-1]:.1f} times as many seconds on the same data and '
            f'machine (median {statistics.median(ratios):.1f}), and reach a better value than ours in '
            f'{better} of {len(plain)}.')


# ------------------------------------------------------------------ notebooks

FOLD, DROP, NO_OUTPUT, ONLY_OUTPUT = 'hide-input', 'remove-cell', 'remove-output', 'remove-input'
DIRECTIVES = {'default_exp', 'export', 'exporti', 'exports', 'hide', 'hide_input', 'hide_output', 'include',
              'echo', 'output', 'eval', 'code-fold'}

def apply_directives(
    cell:dict  # a code cell; its source loses the directives at its top
) -> set:      # tags in the sense of MyST-NB, which say what of the cell is shown
    "What the directives mean for a page, after https://nbdev.fast.ai/explanations/directives.html."
    node = dict2nb({'cells': [dict(cell)], 'metadata': {}, 'nbformat': 4, 'nbformat_minor': 5}).cells[0]
    found = {}
    for name, args in extract_directives(node, remove=True).items():
        found[name.rstrip(':')] = ' '.join(args).strip().lower()
    unknown = sorted(set(found)-DIRECTIVES)
    if unknown:
        raise SiteError(f'Cell {cell["id"]}: the site does not know the directive {", ".join(unknown)}. '
                        f'Known are: {", ".join(sorted(DIRECTIVES))}.')
    # nbdev leaves those with a colon to Quarto
    cell['source'] = re.sub(r'\A(\s*#\s*\|.*(\n|\Z))+', '', node.source).strip('\n')
    tags = set()
    if 'hide' in found or found.get('include')=='false' or not cell['source'].strip():
        tags.add(DROP)
    if 'hide_input' in found or found.get('echo')=='false':
        tags.add(ONLY_OUTPUT)
    if 'hide_output' in found or 'false' in (found.get('output'), found.get('eval')):
        tags.add(NO_OUTPUT)
    if found.get('code-fold')=='true' or cell['metadata'].get('jupyter', {}).get('source_hidden'):
        tags.add(FOLD)
    return tags

def _visible(html):
    return re.sub(r'(?s)<style.*?</style>|<script.*?</script>|<!--.*?-->|<[^>]+>|\s', '', html)

def tidy_outputs(cell):
    "Leave out what shows nothing: remains of progress bars, and styles that pandas repeats with each table."
    kept = []
    for out in cell['outputs']:
        data = out.get('data', {})
        html = data.get('text/html')
        if html is not None:
            if not _visible(html) and not re.search(r'<(svg|img|canvas)', html):
                continue
            html = re.sub(r'(?s)<style scoped>.*?</style>\s*', '', html)
            html = html.replace('<table border="1" class="dataframe">', '<table class="dataframe">')
            out['data'] = {'text/html': html, 'text/plain': data.get('text/plain', '')}
        if 'image/png' in data:
            data.pop('image/jpeg', None)
        kept.append(out)
    cell['outputs'] = kept

def has_picture(cell) -> bool:
    return any(kind.startswith('image/') for o in cell.get('outputs', []) for kind in o.get('data', {}))

def describe_picture(cell, name):
    "Hand the alternative text of a cell's picture, from the cell's metadata, on to MyST-NB."
    if not has_picture(cell):
        return
    alt = cell['metadata'].get('practicaldl', {}).get('alt')
    if not alt:
        raise SiteError(f'{name}, cell {cell["id"]}: its picture has no alternative text. Write what it '
                        'shows into the cell\'s metadata: "practicaldl": {"alt": "…"}.')
    # Figures have two dots for each pixel of the page, and say how wide they are meant to be.
    about = [o.get('metadata', {}).get('image/png') for o in cell['outputs']]
    widths = [o['width'] for o in about if o]
    cell['metadata']['mystnb'] = {'image': {'alt': alt, **({'width': f'{max(widths)}px'} if widths else {})}}

def fold_title(source) -> str:
    "What stands on a folded cell."
    if '%pip' in source:
        return 'Show the cell that installs the course where it is missing'
    try:
        names = [name for name in _defined(source) if not name.startswith('_')]
    except SyntaxError:   # a command of IPython, such as `!ls`
        names = []
    return f'Show the code of {", ".join(names)}' if names else 'Show the code'

def at_a_glance(
    text:str,   # the first cell of a chapter
    rows:list,  # of `Measured`, for this chapter
    name:str
) -> str:
    "The box of a chapter: its table becomes a list of terms, with what was measured and where it can be run."
    box = re.search(r'(?m)^\| *\| *\|\n\|[-| ]+\|\n((?:\|.*\|\n?)+)', text)
    if not box:
        raise SiteError(f'{name}: there is no box, a table without a heading, in the first cell.')
    links = ' '.join(f'[{place}]({address})' for place, address in launch_links(name).items())
    download = f'<a href="notebooks/{name}.ipynb" download>Download the notebook</a>'
    price = f'{cost(rows)}, measured on two processor cores, sample edition ([how](results.md))'
    own = {'Time and memory': price, 'Run it elsewhere': f'{links} {download}'}
    items = []
    for line in box[1].strip().splitlines():
        head, mark, what = (o.strip() for o in line.strip().strip('|').partition('|'))
        if not mark:
            raise SiteError(f'{name}: a row of the box in the first cell has not two columns.')
        items.append(f'{head}\n: {own.get(head, what)}')
    listed = '\n\n'.join(items)
    return f'{text[:box.start()]}\n:::{{div}} at-a-glance\n{listed}\n:::\n{text[box.end():]}'

def stage_code(cell, name):
    "A code cell for MyST-NB: directives applied, outputs tidied, pictures described."
    tags = apply_directives(cell)
    tidy_outputs(cell)
    if not {DROP, NO_OUTPUT} & tags:
        describe_picture(cell, name)
    if FOLD in tags:
        cell.metadata.setdefault('mystnb', {}).update(code_prompt_show=fold_title(cell.source))
    if NO_OUTPUT in tags:
        cell['outputs'] = []
    cell.metadata['tags'] = sorted({*cell.metadata.get('tags', []), *tags-{NO_OUTPUT}})

def stage_chapter(path, out, rows):
    nb = read(path)
    first = nb.cells[0]
    if first.cell_type!='markdown':
        raise SiteError(f'{path.name}: the first cell has to be text, with title, promise and box.')
    first.source = at_a_glance(re.sub(r'\A# ', f'# {path.stem[:2]} ', first.source), rows, path.stem)
    for cell in nb.cells:
        if cell.cell_type=='markdown':
            cell.source = local_links(cell.source, NBS, '')
        else:
            stage_code(cell, path.name)
    nb.cells = [c for c in nb.cells if DROP not in c.metadata.get('tags', [])]
    nb.metadata['kernelspec'] = {'name': 'python3', 'display_name': 'Python 3', 'language': 'python'}
    nb.metadata['mystnb'] = {'execution_mode': 'off'}
    nbformat.write(nb, out/path.name)

def chosen_picture(path) -> tuple:
    "The picture that stands for a chapter, that of the cell whose metadata says `card`, and what it shows."
    for cell in read(path).cells:
        about = cell.metadata.get('practicaldl', {})
        if cell.cell_type!='code' or not about.get('card'):
            continue
        pngs = [o['data']['image/png'] for o in cell.outputs if 'image/png' in o.get('data', {})]
        if not pngs or not about.get('alt'):
            raise SiteError(f'{path.name}, cell {cell.id}: the picture of the card needs an output of the '
                            'kind PNG, and an "alt" in the metadata.')
        return Image.open(io.BytesIO(base64.b64decode(pngs[0]))).convert('RGB'), about['alt']
    raise SiteError(f'{path.name}: no cell has "card": true in its metadata ("practicaldl"), so the front '
                    'page has no picture for this chapter.')


# ------------------------------------------------------------------ the glossary

@dataclass
class Term:
    "An entry of the glossary."
    name:str       # the canonical term
    forms:list     # other ways to write it
    chinese:str
    meaning:str
    chapters:list  # names of chapters; the first explains it

def _term(row) -> Term:
    parts = [p.strip() for p in row.strip().strip('|').split('|')]
    if len(parts)!=4:
        raise SiteError(f'nbs/glossary.ipynb: this row has not four columns: {row}')
    name, *forms = [o.strip() for o in parts[0].split(',')]
    term = Term(name, forms, parts[1], parts[2], re.findall(r'\(([\w]+)\.ipynb\)', parts[3]))
    lost = [c for c in term.chapters if not (NBS/f'{c}.ipynb').exists()]
    if lost:
        raise SiteError(f'nbs/glossary.ipynb: "{name}" names a chapter that does not exist: {lost[0]}.')
    return term

def terms() -> list:
    "The entries of nbs/glossary.ipynb, in its order."
    found = []
    for cell in read(NBS/'glossary.ipynb').cells:
        rows = [line for line in cell.source.splitlines() if line.startswith('|')]
        found += [_term(row) for row in rows if not re.match(r'\| *(term *\||-)', row)]
    return found

def stage_glossary(out):
    entries, letter = terms(), ''
    titles = {p.stem: chapter_title(p) for p in chapters()}
    lines = [local_links(read(NBS/'glossary.ipynb').cells[0].source, NBS, ''), '']
    for t in sorted(entries, key=lambda t: t.name[0].upper()):
        if t.name[0].upper()!=letter:
            lines += ['````'] if letter else []
            letter = t.name[0].upper()
            lines += [f'## {letter}', '````{glossary}']
        names = [f'<span class="chinese" lang="zh">{t.chinese}</span>'] if t.chinese!=t.name else []
        names += [f'also: {", ".join(t.forms)}'] if t.forms else []
        where = ' · '.join(f'[{c[:2]}]({c}.ipynb "{titles[c]}")' for c in t.chapters)
        more = ' · '.join([*names, f'{"chapters" if len(t.chapters) > 1 else "chapter"} {where}'])
        lines += [t.name, f'  {t.meaning}', '', f'  {{.term-more}}\n  {more}', '']
    write(out/'glossary.md', '\n'.join([*lines, '````', '']))
    write(out/'glossary.json', json.dumps([vars(t) for t in entries], ensure_ascii=False))

def _of_first_cell(path, pattern, what):
    found = re.search(pattern, read(path).cells[0].source)
    if not found:
        raise SiteError(f'{path.name}: the first cell has no {what}.')
    return found[1]

def chapter_title(path) -> str:
    return _of_first_cell(path, r'\A# (.*)', 'title (a line that begins with "# ")')

def chapter_promise(path) -> str:
    return _of_first_cell(path, r'(?m)^> (.*)', 'promise (a line that begins with "> ")')


# ------------------------------------------------------------------ the reference

def _type(anno):
    if anno is empty or anno is inspect.Parameter.empty or anno is None:
        return ''
    if isinstance(anno, str):
        return anno
    name = getattr(anno, '__name__', '')
    if name in ('NoneType', 'builtin_function_or_method', 'function'):   # guessed from a default
        return ''
    return name if inspect.isclass(anno) else str(anno).replace('typing.', '')

class _Named:
    "A function as a default value, shown by its name and not by its place in memory."
    def __init__(self, function): self.name = getattr(function, '__name__', type(function).__name__)
    def __repr__(self): return self.name

def _signature(function, skip_self=False):
    try:
        sig = inspect.signature(function)
    except (TypeError, ValueError):
        return '()'
    shown = []
    for p in list(sig.parameters.values())[skip_self:]:
        named = callable(p.default) and p.default is not p.empty
        shown.append(p.replace(annotation=p.empty, default=_Named(p.default) if named else p.default))
    return str(sig.replace(parameters=shown, return_annotation=sig.empty))

def _fields(function, skip=()):
    "Parameters and result as a list of fields, from the comments beside them (docments)."
    lines = []
    for name, o in docments(function, full=True, returns=True).items():
        text, kind = ' '.join((o.docment or '').split()), _type(o.anno)
        if name in skip:
            continue
        if name!='return':
            lines.append(f':param {name}: {text}')
            lines += [f':type {name}: {kind}'] if kind else []
        else:
            lines += [f':returns: {text}'] if text else []
            lines += [f':rtype: {kind}'] if kind else []
    return lines

def _file_link(module, lines='') -> str:
    return f"[source]({BLOB}/{module.__name__.replace('.', '/')}.py{lines})"

def source_link(thing, module) -> str:
    lines, first = inspect.getsourcelines(thing)
    return _file_link(module, f'#L{first}-L{first+len(lines)-1}')

def _comment_on(module, name) -> str:
    "What the source says of a constant: the comment on its line, or those above it."
    found = re.search(rf'(?m)((?:^#(?! %%).*\n)*)^(?:\w+, *)*{name}\b.*=(?!=).*$', inspect.getsource(module))
    if not found:
        return ''
    before, line = found.group(1, 0)
    above = ' '.join(o.lstrip('# ') for o in before.splitlines())
    beside = re.search(r'\s{2,}# (.*)$', line.splitlines()[-1])
    told = beside[1] if beside else above
    return f'{told[0].upper()}{told[1:].rstrip(".")}. ' if told else ''

def _directive(kind, head, body): return [f'````{{py:{kind}}} {head}', *body, '````', '']

def _class_entry(thing, module, name):
    own_init = '__init__' in vars(thing)
    body = [f'{inspect.getdoc(thing) or ""} {source_link(thing, module)}', '']
    if own_init:
        body += [*_fields(thing if is_dataclass(thing) else thing.__init__, ('self', 'return')), '']
    for method, function in vars(thing).items():
        if inspect.isfunction(function) and not method.startswith('_') and inspect.getdoc(function):
            head = f'```{{py:method}} {method}{_signature(function, True)}'
            body += ['', head, inspect.getdoc(function), '', *_fields(function, ('self',)), '```']
    kind = 'exception' if issubclass(thing, Exception) else 'class'
    return _directive(kind, name+(_signature(thing) if own_init else ''), body)

def entry(module, name) -> list:
    "Lines of Markdown about a function, class or constant: signature, what it does, parameters, source."
    thing = getattr(module, name)
    if inspect.isclass(thing):
        return _class_entry(thing, module, name)
    if callable(thing):
        about = f'{inspect.getdoc(thing) or ""} {source_link(thing, module)}'
        return _directive('function', name+_signature(thing), [about, '', *_fields(thing)])
    value = repr(thing)
    shown = [f':value: {value}', ''] if len(value)<100 else []
    return _directive('data', name, [*shown, _comment_on(module, name)+_file_link(module)])

def _defined(source) -> list:
    "Public names that a cell defines, in their order."
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [o.id for t in node.targets for o in ast.walk(t) if isinstance(o, ast.Name)]
    return names

def reference_page(path, module) -> str:
    "The page of a module with a notebook of its own: text and examples, with an entry for each definition."
    public, seen, lines = set(module.__all__), set(), []
    for i, cell in enumerate(read(path).cells):
        if cell.cell_type=='markdown':
            text = local_links(cell.source, path.parent, '../')
            if i==0:
                text = re.sub(r'^# .*', f'# `{module.__name__}`', text)
                text += (f'\n\n```{{py:module}} {module.__name__}\n```\n\nMade from '
                         f'[{path.name}]({BLOB}/nbs/lib/{path.name}), where each example is also a test.')
            lines += [text, '']
            continue
        exported = re.search(r'(?m)^#\| *export', cell.source)
        if {DROP, ONLY_OUTPUT} & apply_directives(cell):
            continue
        if not exported:
            lines += ['```python', cell.source, '```', '']
            continue
        for name in _defined(cell.source):
            if name in public and name not in seen:
                lines += entry(module, name)
            seen.add(name)
    return '\n'.join(lines)

def helper_page(path, module) -> str:
    "The page of a module that is made in a chapter: its helpers, and the way to the chapter."
    chapter = f'[{chapter_title(path)}](../{path.name})'
    lines = [f'# `{module.__name__}`', '',
             f'> Helpers of the chapter {chapter}, where they are made and used.', '',
             f'```{{py:module}} {module.__name__}\n```', '']
    for name in module.__all__:
        lines += entry(module, name)
    return '\n'.join(lines)

def module_of(path) -> str|None:
    "The module that a notebook is exported to."
    for cell in read(path).cells:
        if cell.cell_type=='code' and (found := re.search(r'(?m)^#\| *default_exp +(\w+)', cell.source)):
            return found[1]

def stage_reference(out):
    (out/'api').mkdir()
    rows = {True: [], False: []}   # of chapters or not
    names = []
    for path in [*sorted((NBS/'lib').glob('*.ipynb')), *chapters()]:
        if not (name := module_of(path)):
            continue
        names.append(name)
        module = importlib.import_module(f'practicaldl.{name}')
        of_chapter = path.parent==NBS
        page, about = reference_page, chapter_promise(path)
        if of_chapter:
            page, about = helper_page, f'helpers of chapter {path.name[:2]}, {chapter_title(path)}'
        write(out/'api'/f'{name}.md', page(path, module)+'\n')
        rows[of_chapter].append(f'| [`practicaldl.{name}`]({name}.md) | {inside_table(about)} |')
    def table(of_chapter): return '\n'.join(['| module | what it is for |', '|---|---|', *rows[of_chapter]])
    made = {'REPO': REPO, 'TOC': '\n'.join(names), 'LIBRARY': table(False), 'HELPERS': table(True)}
    write(out/'api'/'index.md', filled(PAGES/'api.md', made))


# ------------------------------------------------------------------ pages

def section(
    file:str,   # a Markdown file of the repository
    title:str   # of one of its sections of level two
) -> str:       # that section without its title
    "A section of README or another text that the site shows as well."
    text = (ROOT/file).read_text(encoding='utf-8')
    found = re.search(rf'(?ms)^## {re.escape(title)}\n(.*?)(?=^## |\Z)', text)
    if not found:
        raise SiteError(f'{file} has no section "{title}", which a page of the site shows.')
    return local_links(found[1].strip(), ROOT, '')

def assets() -> str:
    "What is shipped in the package, from its own README, one level lower; of hashes the beginning."
    folder = ROOT/'practicaldl'/'assets'
    text = re.sub(r'(?m)^(#+ )', r'#\1', (folder/'README.md').read_text(encoding='utf-8'))
    return local_links(re.sub(r'\b([0-9a-f]{12})[0-9a-f]{52}\b', r'\1…', text), folder, '')

def cards(results, out) -> str:
    lines = ['::::{grid} 1 2 2 3', ':gutter: 3', ':class-container: chapter-cards', '']
    for path in chapters():
        picture, alt = chosen_picture(path)
        if picture.width > 3*picture.height:   # half of a long row of pictures
            picture = picture.crop((0, 0, picture.width//2, picture.height))
        picture.save(out/f'{path.stem}.png', optimize=True)
        lines += [f':::{{grid-item-card}} {path.name[:2]} {chapter_title(path)}', f':link: {path.stem}',
                  ':link-type: doc', f':img-top: {path.stem}.png',
                  f':img-alt: {json.dumps(alt, ensure_ascii=False)}', '',
                  chapter_promise(path), '+++', cost(results.of(path.stem)), ':::', '']
    return '\n'.join([*lines, '::::'])

def filled(
    page:Path,  # a file of docs/pages
    made:dict   # mark to its text
) -> str:
    "A page with what is generated in place of marks: `%NAME%`, `%SECTION file: title%`, `%FILE file%`."
    def made_for(m):
        if m[1] not in made:
            raise SiteError(f'docs/pages/{page.name}: nothing is made for %{m[1]}%. '
                            f'Known are: {", ".join(sorted(made))}.')
        return made[m[1]]
    def file(m): return local_links((ROOT/m[1]).read_text(encoding='utf-8'), (ROOT/m[1]).parent, '')
    text = re.sub(r'%SECTION (\S+?): (.+?)%', lambda m: section(m[1], m[2]), page.read_text(encoding='utf-8'))
    return re.sub(r'%([A-Z]+)%', made_for, re.sub(r'%FILE (\S+?)%', file, text))

def stage_pages(out, results):
    first = chapters()[0]
    made = {'CARDS': cards(results, out), 'RESULTS': results_table(results.rows), 'ASSETS': assets(),
            'MEASURED': results.in_words(), 'PLAIN': plain_table(results.plain),
            'RATIOS': ratios_in_words(results.plain), 'TOGETHER': plain_in_words(results.plain),
            'VERSIONS': ', '.join(f'{k} {v}' for k, v in results.versions.items()),
            'TOC': '\n'.join(f'{p.stem[:2]} {chapter_title(p)} <{p.stem}>' for p in chapters()),
            'TOTAL': f'{results.seconds()/60:.0f}', 'FIRST': first.stem, 'FIRSTALT': chosen_picture(first)[1]}
    for page in sorted(PAGES.glob('*.md')):
        if page.name!='api.md':
            write(out/page.name, filled(page, made))

def social_card(
    path:Path  # of a PNG of 1200 × 630 pixels, the size that services ask for
):
    "Draw the picture that is shown where somebody shares a link: name, promise, and a first result."
    import numpy as np
    from matplotlib.figure import Figure
    fig = Figure(figsize=(12, 6.3), dpi=100, facecolor='#123f6b')
    valley = fig.add_axes([0.06, 0.60, 0.11, 0.26])
    x = np.linspace(-1, 1, 50)
    valley.plot(x, x**2, color='#9fd0ff', lw=9, solid_capstyle='round')
    valley.scatter([-0.85, -0.6, 0], [0.85, 0.48, 0.12], s=[90, 160, 420], color='#ffb454', zorder=3)
    valley.set(xlim=(-1.15, 1.15), ylim=(-0.2, 1.15))
    valley.axis('off')
    fig.text(0.20, 0.74, 'practicaldl', color='white', fontsize=50, weight='bold')
    fig.text(0.20, 0.635, 'A deep-learning course whose chapters run', color='#d6e8fb', fontsize=25)
    row = fig.add_axes([0.05, 0.08, 0.90, 0.42])
    row.imshow(chosen_picture(chapters()[0])[0])
    row.axis('off')
    fig.savefig(path)

def prepare(
    out:Path  # a folder; what is in it is removed
):
    "Write all sources of the site."
    if out.exists():
        shutil.rmtree(out)
    (out/'downloads'/'notebooks').mkdir(parents=True)
    (out/'downloads'/'_static').mkdir()
    (out/'.sources').touch()
    results = measured()
    for path in chapters():
        stage_chapter(path, out, results.of(path.stem))
        shutil.copyfile(path, out/'downloads'/'notebooks'/path.name)
    social_card(out/'downloads'/'_static'/'social-card.png')
    stage_glossary(out)
    stage_reference(out)
    stage_pages(out, results)
    chosen_picture(chapters()[0])[0].save(out/'first-result.png', optimize=True)
