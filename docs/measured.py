"""Keep what `make bench` has measured, and write it to all places that show it.

docs/results.json is what the site makes its tables, cards and boxes from; README's table and the boxes in the
chapters are written from it here. A test compares all of them. `python docs/measured.py` writes them again.
"""
import datetime, importlib.metadata, json, platform, re, statistics, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docs.prepare import (BASE_URL, ROOT, Measured, SiteError, chapters, cost, measured, plain_in_words,
                          ratios_in_words, results_table, write)

RESULTS = ROOT/'docs'/'results.json'
PACKAGES = ('torch', 'fastai', 'transformers', 'timm', 'scikit-learn', 'pillow')

def kept() -> dict:
    "What docs/results.json has."
    return json.loads(RESULTS.read_text(encoding='utf-8'))

def keep(content):
    "Write docs/results.json, then README and the boxes."
    write(RESULTS, json.dumps(content, indent=1, ensure_ascii=False)+'\n')
    spread()

def versions() -> dict:
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {'Python': platform.python_version(), **found}

def hindrances(
    content:dict,  # of docs/results.json
    machine:str,   # in words
    times:int      # runs of each chapter
) -> list[str]:    # empty where chapters that are measured now can stand beside those of the file
    "Why rows of other chapters cannot be kept. A package that the file does not name is not compared."
    now = {'machine': machine, 'runs of each chapter': times, **versions()}
    then = {'machine': content['machine'], 'runs of each chapter': content['runs'], **content['versions']}
    return [f'{what}: {old} in docs/results.json, {now.get(what)} now'
            for what, old in then.items() if now.get(what)!=old]

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
    runs:list  # of one chapter: for each run the rows of its results.json
) -> list:     # rows with the median of the seconds, their range, and the largest peak
    "Several runs of a chapter as one."
    seconds = [rows[0]['seconds'] for rows in runs]
    price = {'seconds': round(statistics.median(seconds), 1), 'seconds_range': [min(seconds), max(seconds)],
             'peak_mb': max(rows[0]['peak_mb'] for rows in runs)}
    return [{**r, **price} for r in runs[0] if _is_value(r)]

def cost_elsewhere(
    content:dict  # of docs/results.json, before rows of another machine take its place
) -> dict:        # machine, days, and seconds and largest peak of each chapter
    "What stays of a machine when another one is measured: the price, which hangs on the machine."
    prices = {r['chapter']: {k: r[k] for k in ('seconds', 'peak_mb')} for r in content['rows']}
    return {'machine': content['machine'], 'measured': content.get('measured', {}), 'chapters': prices}

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
    if not any(found.values()):
        return ''
    return '; '.join(f'{what}: {", ".join(those) or "none"}' for what, those in found.items())

def take(
    runs:dict,    # chapter to a list of runs, each the rows of a results.json
    plain:list,   # rows about the plain code beside it
    machine:str,  # in words
    import_seconds:float,   # of `import practicaldl`
    others:dict|None=None,  # content of docs/results.json whose other chapters are kept, without `hindrances`
    keep_plain:bool=False   # leave the plain code of docs/results.json as it was measured
) -> str:         # what was written, in a line
    "Write docs/results.json, README and the boxes. Where one run is wrong, nothing is written: SystemExit."
    old = {}
    for row in others['rows'] if others else []:
        old.setdefault(row['chapter'], []).append(row)
    if faults := faults_of(runs, old):
        sys.exit(f'Nothing was written. {faults}.')
    names = [c.stem for c in chapters()]
    before = kept() if RESULTS.exists() else {}
    stay = [o for o in others['plain'] if o['chapter'] not in runs] if others else []
    if keep_plain:
        stay = before.get('plain', [])
    plain = [*(o for o in stay if o['chapter'] in names), *plain]
    days = dict.fromkeys(runs, datetime.date.today().isoformat())
    for name, day in (others or {}).get('measured', {}).items():
        if name in names:
            days.setdefault(name, day)
    rows = []
    for name in names:
        rows += merged(runs[name]) if name in runs else old[name]
    # The versions of the file stay with the rows that stay: it may name fewer packages than today.
    content = {'machine': machine, 'runs': min(map(len, runs.values())),
               'versions': others['versions'] if others else versions(),
               'import_seconds': round(import_seconds, 3), 'measured': dict(sorted(days.items())),
               'rows': rows,
               'plain': sorted(plain, key=lambda o: o['chapter'])}
    keep({**content, **_about_machines(before, machine)})
    return 'Written: docs/results.json, README.md, the boxes of the chapters.'

def _about_machines(before, machine):
    "Of the old file: what chapters cost elsewhere, and the minutes of a clone where the machine is the same."
    if not before:
        return {}
    elsewhere = [o for o in before.get('elsewhere', []) if o['machine'] not in (machine, before['machine'])]
    about = {}
    if before['machine']!=machine:
        elsewhere.append(cost_elsewhere(before))
    elif before.get('clone_minutes'):
        about['clone_minutes'] = before['clone_minutes']
    return {'elsewhere': elsewhere, **about} if elsewhere else about

def take_clone(
    minutes:dict,  # 'installation' and 'run'
    machine:str    # in words
) -> str:          # what was written, or why not
    "Write the time from a clone to the table, where it is of the machine that the other numbers are of."
    content = kept()
    if content['machine']!=machine:
        return f"Not written: docs/results.json is of another machine ({content['machine']})."
    keep({**content, 'clone_minutes': minutes})
    return 'Written: docs/results.json, README.md.'

def between(text, name, content):
    "`text` with `content` between the two marks of that name."
    pattern = re.compile(rf'(<!-- {name} -->\n).*?(<!-- end of {name} -->)', re.S)
    written, found = pattern.subn(lambda m: f'{m[1]}{content}\n{m[2]}', text)
    if found!=1:
        raise SiteError(f'README.md has no place between <!-- {name} --> and <!-- end of {name} -->.')
    return written

def readme_part(
    results:Measured
) -> str:  # Markdown
    "What README says of the results, between its marks."
    parts = [results.in_words(), results_table(results.rows)]
    if results.plain:
        table = f'[The table]({BASE_URL}results.html#beside-plain-code)'
        parts.insert(1, f'{ratios_in_words(results.plain)} {plain_in_words(results.plain)} '
                        f'{table} says what is compared.')
    return '\n\n'.join(parts)

def spread():
    "Write what docs/results.json has into README and into the boxes of the chapters."
    results = measured()
    readme = ROOT/'README.md'
    write(readme, between(readme.read_text(encoding='utf-8'), 'measured', readme_part(results)))
    for path in chapters():
        nb = json.loads(path.read_text(encoding='utf-8'))
        row = f'about {cost(results.of(path.stem))} on two processor cores (sample edition)'
        text, found = re.subn(r'(?m)^\| Time and memory \|.*$', f'| Time and memory | {row} |',
                              ''.join(nb['cells'][0]['source']))
        if found!=1:
            raise SiteError(f'{path.name}: the box in the first cell has no row "Time and memory".')
        nb['cells'][0]['source'] = text.splitlines(True)
        write(path, json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True)+'\n')

if __name__=='__main__':
    try:
        spread()
    except SiteError as e:
        sys.exit(str(e))
