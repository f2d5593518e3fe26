"""What was measured, and every place that shows it: `python -m bench results` writes them again.

docs/results.json is what the site makes its tables, cards and boxes from. The tables of README and of
nbs/index.ipynb, and the boxes of the chapters, are written from it here; a test compares all of them.
"""
import ast, datetime, importlib.metadata, json, platform, re, statistics, sys
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path

from bench import ROOT
from practicaldl.errors import CourseError
from practicaldl.registry import TWINS

NBS, RESULTS = ROOT/'nbs', ROOT/'docs'/'results.json'
PACKAGES = ('torch', 'fastai', 'transformers', 'timm', 'scikit-learn', 'pillow')

_config = ConfigParser(delimiters=['='])
_config.read(ROOT/'settings.ini', encoding='utf-8')
SETTINGS = _config['DEFAULT']
BLOB = f"{SETTINGS['git_url']}/blob/{SETTINGS['branch']}"
BASE_URL = f"{SETTINGS['doc_host']}{SETTINGS['doc_baseurl']}/"

def write(path, text): path.write_text(text, encoding='utf-8', newline='\n')
def write_notebook(path, nb): write(path, json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True)+'\n')

# ------------------------------------------------------------------ the chapters

def chapters() -> list[Path]: return sorted(NBS.glob('[0-9][0-9]_*.ipynb'))

def read(path) -> dict:
    "A notebook, with the source of each cell as one text."
    nb = json.loads(path.read_text(encoding='utf-8'))
    for cell in nb['cells']:
        cell['source'] = ''.join(cell['source'])
    return nb

def about(path) -> dict: return read(path)['metadata'].get('practicaldl', {})

def _of_first_cell(path, pattern, what):
    found = re.search(pattern, read(path)['cells'][0]['source'])
    if not found:
        raise CourseError(f'{path.name}: the first cell has no {what}.')
    return found[1]

def chapter_title(path) -> str:
    return _of_first_cell(path, r'\A# (.*)', 'title (a line that begins with "# ")')

def chapter_promise(path) -> str:
    return _of_first_cell(path, r'(?m)^> (.*)', 'promise (a line that begins with "> ")')

def launch_links(
    name:str  # of a chapter, for example '01_bird'
) -> dict:    # name of a place to its address
    "Where a notebook can be opened with one click."
    user, repo, branch = SETTINGS['user'], SETTINGS['repo'], SETTINGS['branch']
    in_repo, file = f'{user}/{repo}', f'nbs/{name}.ipynb'
    return {'Colab': f'https://colab.research.google.com/github/{in_repo}/blob/{branch}/{file}',
            'Kaggle': f'https://kaggle.com/kernels/welcome?src={BLOB}/{file}',
            'Binder': f'https://mybinder.org/v2/gh/{in_repo}/{branch}?urlpath=lab/tree/{file}'}

# ------------------------------------------------------------------ docs/results.json

@dataclass
class Measured:
    "A run of all chapters, as docs/results.json keeps it."
    machine:str    # in words
    versions:dict  # name of a package to its version
    rows:list      # one for each recorded value
    runs:int       # of each chapter
    import_seconds:float       # of `import practicaldl`
    plain:dict                 # section of bench/plain.py to machine, day, steps and what lies around them
    measured:dict              # chapter to the day of its runs, YYYY-MM-DD
    clone_minutes:dict = None  # from a clone to the table; None where it was not measured
    others:dict = field(default_factory=dict)   # 'newest' and 'oldest' to day, versions and chapters
    checks:dict = field(default_factory=dict)   # 'offline' and 'repeat' to chapter to when it passed

    def of(self, chapter): return [r for r in self.rows if r['chapter']==chapter]
    def seconds(self): return sum(self.of(p.stem)[0]['seconds'] for p in chapters())

    def headline(self, path):
        "The row that stands for a chapter: the one that its metadata name, else the first."
        rows = self.of(path.stem)
        return next((r for r in rows if r['metric']==about(path).get('headline')), rows[0])

def kept() -> dict:
    "What docs/results.json has."
    return json.loads(RESULTS.read_text(encoding='utf-8')) if RESULTS.exists() else {}

def measured() -> Measured:
    content = kept()
    there = {r['chapter'] for r in content.get('rows', [])}
    missing = [p.stem for p in chapters() if p.stem not in there]
    if missing:
        raise CourseError(f'docs/results.json has no rows for {", ".join(missing)}. '
                          'Run: python -m bench measure')
    return Measured(**content)

def keep(content):
    "Write docs/results.json, then all that is made from it."
    write(RESULTS, json.dumps(content, indent=1, ensure_ascii=False)+'\n')
    spread()

def versions() -> dict:
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {'Python': platform.python_version(), **found}

def hindrances(
    content:dict,  # of docs/results.json
    times:int      # runs of each chapter
) -> list[str]:    # empty where chapters that are measured now can stand beside those of the file
    "Why rows of other chapters cannot be kept. A package that the file does not name is not compared."
    now = {'runs of each chapter': times, **versions()}
    then = {'runs of each chapter': content['runs'], **content['versions']}
    return [f'{what}: {old} in docs/results.json, {now.get(what)} now'
            for what, old in then.items() if now.get(what)!=old]

# ------------------------------------------------------------------ several runs become rows

def _is_value(row): return not row['metric'].startswith('peak memory')   # every row has the peak

def differences(
    runs:list  # for each run the rows of its results.json
) -> list[str]:
    "Where the values of repeated runs differ; seconds and memory aside."
    values = [{(r['chapter'], r['metric']): r['value'] for r in rows if _is_value(r)} for rows in runs]
    first, told = values[0], []
    for i, found in enumerate(values[1:], 2):
        for key in {**first, **found}:
            if first.get(key)!=found.get(key):
                told.append(f'{", ".join(key)}: {first.get(key)} in run 1, {found.get(key)} in run {i}')
    return told

def merged(
    runs:list,        # of one chapter: for each run the rows of its results.json
    elsewhere:str=''  # the machine, where it is not that of the other chapters
) -> list:            # rows with the median of the seconds, their range, and the largest peak
    "Several runs of a chapter as one."
    seconds = [rows[0]['seconds'] for rows in runs]
    price = {'seconds': round(statistics.median(seconds), 1), 'seconds_range': [min(seconds), max(seconds)],
             'first_seconds': round(statistics.median(rows[0]['first_seconds'] for rows in runs), 1),
             'peak_mb': max(rows[0]['peak_mb'] for rows in runs),
             **({'machine': elsewhere} if elsewhere else {})}
    return [{**r, **price} for r in runs[0] if _is_value(r)]

def faults_of(
    runs:dict,  # chapter to a list of runs, each the rows of a results.json
    old:dict    # chapter to rows that are kept
) -> str:       # one line, empty where all is well
    "What stands against keeping these runs."
    rows = [r for several in runs.values() for one in several for r in one]
    told = [line for several in runs.values() for line in differences(several)]
    found = {'Missing chapters': [c.stem for c in chapters() if not runs.get(c.stem) and c.stem not in old],
             'missed bars': sorted({f"{r['chapter']}: {r['metric']}" for r in rows if not r['passed']}),
             'values that differ between runs': told}
    return '; '.join(f'{what}: {", ".join(those)}' for what, those in found.items() if those)

def take(
    runs:dict,    # chapter to a list of runs, each the rows of a results.json
    machine:str,  # in words
    import_seconds:float,   # of `import practicaldl`
    others:dict|None=None  # content of docs/results.json whose other chapters are kept, without `hindrances`
) -> str:         # what was written, in a line
    "Write docs/results.json and all that is made from it. Where one run is wrong, nothing: SystemExit."
    old = {}
    for row in others['rows'] if others else []:
        old.setdefault(row['chapter'], []).append(row)
    if faults := faults_of(runs, old):
        sys.exit(f'Nothing was written. {faults}.')
    names, before = [c.stem for c in chapters()], kept()
    days = {**(others or {}).get('measured', {}), **dict.fromkeys(runs, datetime.date.today().isoformat())}
    rows, main = [], others['machine'] if others else machine
    for name in names:
        rows += merged(runs[name], machine if machine!=main else '') if name in runs else old[name]
    content = {'machine': main, 'runs': min(map(len, runs.values())),
               'versions': others['versions'] if others else versions(),
               'import_seconds': round(import_seconds, 3) if machine==main else others['import_seconds'],
               'measured': {k: days[k] for k in names},
               'rows': rows, 'plain': before.get('plain', {}),
               'others': before.get('others', {}), 'checks': before.get('checks', {})}
    if before.get('machine')==main and before.get('clone_minutes'):
        content['clone_minutes'] = before['clone_minutes']
    keep(content)
    return 'Written: docs/results.json, README.md, nbs/index.ipynb, the boxes of the chapters.'

def take_clone(
    minutes:dict,  # 'installation' and 'run'
    machine:str    # in words
) -> str:          # what was written, or why not
    "Write the time from a clone to the table, where it is of the machine that the other numbers are of."
    if kept()['machine']!=machine:
        return f"Not written: docs/results.json is of another machine ({kept()['machine']})."
    keep({**kept(), 'clone_minutes': minutes})
    return 'Written: docs/results.json, README.md.'

def take_other(
    which:str,      # 'newest' or 'oldest'
    versions:dict,  # name of a package to its version
    names:list      # of the chapters that ran to their end
):
    "Write when, and on which versions, chapters last ran beside the lock."
    others, today = kept().get('others', {}), datetime.date.today().isoformat()
    days = {**others.get(which, {}).get('days', {}), **dict.fromkeys(names, today)}
    keep({**kept(), 'others': {**others, which: {'versions': versions, 'days': days}}})

def take_check(
    which:str,   # 'offline' or 'repeat'
    names:list,  # of the chapters that passed
    told=''      # behind the day
):
    "Write when chapters last passed a check."
    checks, today = kept().get('checks', {}), datetime.date.today().isoformat()
    passed = {**checks.get(which, {}), **dict.fromkeys(names, f'{today}{told}')}
    keep({**kept(), 'checks': {**checks, which: passed}})

# ------------------------------------------------------------------ tables and sentences

def inside_table(text) -> str: return str(text).replace('|', '\\|').replace('\n', ' ')
def number(value) -> str: return f'{value:.4g}' if abs(value)<1e4 else f'{value:,.0f}'
def bar(text) -> str: return (text or '').replace('>=', '≥').replace('<=', '≤')
def cost(rows) -> str: return f"{rows[0]['seconds']:.0f} s and {rows[0]['peak_mb']:,} MB"

def table(heads:list, rows:list) -> str:
    "A table in Markdown."
    lines = [heads, ['---']*len(heads), *rows]
    return '\n'.join(f"| {' | '.join(map(str, cells))} |" for cells in lines)

def minutes(seconds) -> str:
    return f'{seconds:.0f} s' if seconds<90 else f'{seconds/60:.1f} min'

def chapter_table(results:Measured, folder='nbs/') -> str:
    "One row a chapter: what you do, what it reaches, how long it takes, where else it can be run."
    rows = []
    for path in chapters():
        row, links = results.headline(path), launch_links(path.stem)
        reached = f"{row['metric']} {number(row['value'])}"
        if row['bar']:
            reached += f" (bar {bar(row['bar'])})"
        rows.append([f'[{path.stem[:2]} {chapter_title(path)}]({folder}{path.name})', about(path)['about'],
                     inside_table(reached), minutes(row['seconds']),
                     ' · '.join(f'[{k}]({links[k]})' for k in ('Colab', 'Kaggle'))])
    return table(['chapter', 'what you do', 'what came out', 'time', 'run it elsewhere'], rows)

def in_words(results:Measured) -> str:
    "How it was measured."
    days = sorted(set(results.measured.values()))
    when = f'on {days[0]}' if len(days)==1 else f'between {days[0]} and {days[-1]}'
    clone = ''
    if results.clone_minutes:
        install, run = results.clone_minutes['installation'], results.clone_minutes['run']
        clone = (f' On the same machine, `make run` in a fresh clone took {install+run:.0f} minutes: '
                 f'{install:.1f} for the installation, {run:.1f} for the data and all chapters.')
    elsewhere = {}
    for r in results.rows:
        if 'machine' in r and r['chapter'][:2] not in elsewhere.setdefault(r['machine'], []):
            elsewhere[r['machine']].append(r['chapter'][:2])
    places = ''
    for where, names in elsewhere.items():
        which = f"Chapter {names[0]} was" if len(names)==1 else f"Chapters {', '.join(names)} were"
        places += (f' {which} measured on another machine, {where}: seconds and memory do not compare with '
                   'those of the others.')
    return (f'Measured {when}, each chapter {results.runs} times in fresh processes, sample edition, on '
            f'{results.machine}.{places} All runs gave the same values. Seconds are the median, with the '
            'range behind it, and memory is the largest peak. All chapters together take '
            f'{results.seconds()/60:.0f} minutes; '
            f'`import practicaldl` takes {results.import_seconds:.2g} s.{clone}')

def price_table(results:Measured) -> str:
    "What a chapter costs: time, the wait until there is a result, memory."
    rows = []
    for r in (results.of(p.stem)[0] for p in chapters()):
        low, high = (f'{o:.0f}' for o in r['seconds_range'])
        seconds = f"{r['seconds']:.0f}" + ('' if low==high else f' ({low}–{high})')
        rows.append([r['chapter'], seconds, f"{r['first_seconds']:.0f}" if 'first_seconds' in r else '',
                     f"{r['peak_mb']:,}"])
    return table(['chapter', 'seconds', 'to the first result', 'peak MB'], rows)

def results_table(results:Measured) -> str:
    "Every recorded value."
    return table(['chapter', 'measured', 'value', 'bar'],
                 [[r['chapter'], inside_table(r['metric']), number(r['value']), bar(r['bar'])]
                  for r in results.rows])

def dates_table(results:Measured) -> str:
    "When each chapter last ran to its end: with the lock, with other versions, with no network, repeatedly."
    def of(which, name): return results.others.get(which, {}).get('days', {}).get(name, 'not yet')
    def passed(which, name): return results.checks.get(which, {}).get(name, '')
    heads = ['chapter', 'with the lock', 'newest versions', 'oldest versions', 'no network', 'the same again']
    return table(heads, [[name, results.measured[name], of('newest', name), of('oldest', name),
                          passed('offline', name), passed('repeat', name)]
                         for name in (p.stem for p in chapters())])

def versions_table(results:Measured) -> str:
    columns = {'lock': results.versions, **{k: o['versions'] for k, o in results.others.items()}}
    return table(['', *columns], [[name, *(c.get(name, '') for c in columns.values())]
                                  for name in results.versions])

def plain_table(section:dict) -> str:
    "From a usual start to a chapter: seconds, their share of those one row above, the value."
    above, rows = None, []
    for o in section['steps']:
        share = f"{o['seconds']/above:.2f}" if above else ''
        rows.append([o['what'], f"{o['seconds']:.1f}", share, number(o['value'])])
        above = o['seconds']
    return table(['what is done', 'seconds', 'share of the row above', 'value'], rows)

def around_table(plain:dict) -> str:
    "A step of a section with something else around it."
    rows = [[name, o['what'], f"{o['before']:.1f}", f"{o['seconds']:.1f}", f"{o['seconds']/o['before']:.2f}"]
            for name, section in plain.items() for o in section['around']]
    heads = ['section', 'what was changed', 'seconds, unchanged', 'seconds, changed', 'changed / unchanged']
    return table(heads, rows)

def plain_in_words(plain:dict) -> str:
    "When and where it was measured."
    places = {}
    for o in plain.values():
        places.setdefault(o['machine'], set()).add(o['day'])
    return 'Measured '+'; '.join(f'on {", ".join(sorted(days))} on {machine}'
                                 for machine, days in places.items())+'.'

def data_table() -> str:
    "Each twin: its name, what it is, its licence, and what it stands in for."
    return table(['name', 'the twin', 'its licence', 'what it stands in for'],
                 [[f'`{o.name}`', f'[{o.sample}]({o.origin})', o.licence, o.full] for o in TWINS.values()])

def module_table() -> str:
    "Each module of the package, and what it is for."
    rows = []
    for path in sorted((ROOT/'practicaldl').glob('[a-z]*.py')):
        about = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
        chapter = next((c for c in chapters() if f'#| default_exp {path.stem}' in c.read_text('utf-8')), None)
        about = f'helpers of chapter {chapter.stem[:2]}, {chapter_title(chapter)}' if chapter else about
        rows.append([f'{{py:mod}}`practicaldl.{path.stem}`', inside_table(about)])
    return table(['module', 'what it is for'], rows)

def cards(results:Measured) -> str:
    "The chapters on the front page: picture, promise, price."
    lines = ['::::{grid} 1 2 2 3', ':gutter: 3', ':class-container: chapter-cards', '']
    for path in chapters():
        alt = next(c['metadata']['practicaldl']['alt'] for c in read(path)['cells']
                   if c['metadata'].get('practicaldl', {}).get('card'))
        lines += [f':::{{grid-item-card}} {path.name[:2]} {chapter_title(path)}', f':link: {path.stem}',
                  ':link-type: doc', f':img-top: cards/{path.stem}.png',
                  f':img-alt: {json.dumps(alt, ensure_ascii=False)}', '',
                  chapter_promise(path), '+++', cost(results.of(path.stem)), ':::', '']
    return '\n'.join([*lines, '::::'])

# ------------------------------------------------------------------ README, index and boxes

def between(text, name, content, file):
    "`text` with `content` between the two marks of that name."
    pattern = re.compile(rf'(<!-- {name} -->).*?(<!-- end of {name} -->)', re.S)
    written, found = pattern.subn(lambda m: f'{m[1]}{content}{m[2]}', text)
    if found!=1:
        raise CourseError(f'{file} has no place between <!-- {name} --> and <!-- end of {name} -->.')
    return written

def readme(text:str, results:Measured) -> str:
    "README with what was measured."
    clone = ''
    if results.clone_minutes:
        total = sum(results.clone_minutes.values())
        clone = f' From a clone to the last table it took {total:.0f} minutes on two processor cores. '
    text = between(text, 'clone', clone, 'README.md')
    return between(text, 'measured', f'\n{chapter_table(results)}\n', 'README.md')

def with_box(nb:dict, results:Measured, name:str) -> dict:
    "A chapter whose box says what it costs."
    row = f'| Time and memory | about {cost(results.of(name))} on two processor cores (sample edition) |'
    text, found = re.subn(r'(?m)^\| Time and memory \|.*$', row, ''.join(nb['cells'][0]['source']))
    if found!=1:
        raise CourseError(f'{name}: the box in the first cell has no row "Time and memory".')
    nb['cells'][0]['source'] = text.splitlines(True)
    return nb

def spread():
    "Write what docs/results.json has into README, nbs/index.ipynb and the boxes of the chapters."
    results, file, index = measured(), ROOT/'README.md', NBS/'index.ipynb'
    write(file, readme(file.read_text(encoding='utf-8'), results))
    nb = json.loads(index.read_text(encoding='utf-8'))
    rows = f'\n{chapter_table(results, "")}\n'
    text = between(''.join(nb['cells'][0]['source']), 'measured', rows, index.name)
    nb['cells'][0]['source'] = text.splitlines(True)
    write_notebook(index, nb)
    for path in chapters():
        write_notebook(path, with_box(json.loads(path.read_text(encoding='utf-8')), results, path.stem))

def main(words) -> int:
    spread()
    return 0
