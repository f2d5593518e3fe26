"""Keep what `make bench` has measured, and write it to all places that show it.

docs/results.json is what the site makes its tables, cards and boxes from; README's table and the boxes in the chapters are written from it here.
A test compares all of them. `python docs/measured.py` alone writes README and boxes again.
"""
import datetime, importlib.metadata, json, platform, re, statistics, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from prepare import BASE_URL, ROOT, Measured, SiteError, chapters, cost, measured, plain_in_words, ratios_in_words, results_table

RESULTS = ROOT/'docs'/'results.json'
PACKAGES = ('torch', 'fastai', 'transformers', 'timm', 'scikit-learn', 'pillow')

def kept() -> dict:
    "What docs/results.json has."
    return json.loads(RESULTS.read_text(encoding='utf-8'))

def keep(content):
    "Write docs/results.json, then README and the boxes."
    RESULTS.write_text(json.dumps(content, indent=1, ensure_ascii=False)+'\n', encoding='utf-8', newline='\n')
    spread()

def versions() -> dict: return {'Python': platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}

def hindrances(
    content:dict,  # of docs/results.json
    machine:str,   # in words
    times:int      # runs of each chapter
) -> list[str]:    # empty where chapters that are measured now can stand beside those of the file
    "Why rows of other chapters cannot be kept. A package that the file does not name is not compared."
    now = {'machine': machine, 'runs of each chapter': times, **versions()}
    then = {'machine': content['machine'], 'runs of each chapter': content['runs'], **content['versions']}
    return [f'{what}: {old} in docs/results.json, {now.get(what)} now' for what, old in then.items() if now.get(what)!=old]

def differences(
    runs:list  # for each run the rows of its results.json
) -> list[str]:
    "Where the values of repeated runs differ; seconds and memory aside."
    told, first = [], {(r['chapter'], r['metric']): r['value'] for r in runs[0] if not r['metric'].startswith('peak memory')}
    for i, rows in enumerate(runs[1:], 2):
        found = {(r['chapter'], r['metric']): r['value'] for r in rows if not r['metric'].startswith('peak memory')}
        told += [f'{chapter}, {metric}: {first.get((chapter, metric))} in run 1, {found.get((chapter, metric))} in run {i}'
                 for chapter, metric in {**first, **found} if first.get((chapter, metric))!=found.get((chapter, metric))]
    return told

def merged(
    runs:list  # of one chapter: for each run the rows of its results.json
) -> list:     # rows with the median of the seconds, their range, and the largest peak
    "Several runs of a chapter as one; rows about the limit of memory are left out, since every row has the peak."
    seconds = [rows[0]['seconds'] for rows in runs]
    return [{**r, 'seconds': round(statistics.median(seconds), 1), 'seconds_range': [min(seconds), max(seconds)], 'peak_mb': max(rows[0]['peak_mb'] for rows in runs)}
            for r in runs[0] if not r['metric'].startswith('peak memory')]

def cost_elsewhere(
    content:dict  # of docs/results.json, before rows of another machine take its place
) -> dict:        # machine, days, and seconds and largest peak of each chapter
    "What stays of a machine when another one is measured: the price, since how long a chapter takes hangs on the machine more than on anything else."
    return {'machine': content['machine'], 'measured': content.get('measured', {}), 'chapters': {r['chapter']: {k: r[k] for k in ('seconds', 'peak_mb')} for r in content['rows']}}

def take(
    runs:dict,    # chapter to a list of runs, each the rows of a results.json
    plain:list,   # rows about the plain code beside it, see bench/bench.py
    machine:str,  # in words
    import_seconds:float,  # of `import practicaldl`
    others:dict|None=None, # the content of docs/results.json from which chapters that were not run now are kept; `hindrances` must have none
    keep_plain:bool=False  # leave the plain code of docs/results.json as it was measured, be it on another day or machine
) -> str:         # what was written, in a line
    "Write docs/results.json with the versions of this environment, then README and the boxes. Ends the program, with nothing written, where something is wrong."
    old = {row['chapter']: [r for r in others['rows'] if r['chapter']==row['chapter']] for row in others['rows']} if others else {}
    missing = [c.stem for c in chapters() if not runs.get(c.stem) and c.stem not in old]
    failed = sorted({f"{r['chapter']}: {r['metric']}" for several in runs.values() for rows in several for r in rows if not r['passed']})
    told = [line for several in runs.values() for line in differences(several)]
    if missing or failed or told:
        sys.exit(f"Nothing was written. Missing chapters: {', '.join(missing) or 'none'}; missed bars: {', '.join(failed) or 'none'}; values that differ between runs: {'; '.join(told) or 'none'}.")
    names = [c.stem for c in chapters()]
    rows = [row for name in names for row in (merged(runs[name]) if name in runs else old[name])]
    before = kept() if RESULTS.exists() else {}
    stay = before.get('plain', []) if keep_plain else [o for o in others['plain'] if o['chapter'] not in runs] if others else []
    plain = [*[o for o in stay if o['chapter'] in names], *plain]
    today = datetime.date.today().isoformat()
    days = {name: today for name in runs} | {name: day for name, day in (others or {}).get('measured', {}).items() if name not in runs and name in names}
    # The versions of the file stay with the rows that stay: it may name fewer packages than today.
    content = {'machine': machine, 'runs': min(map(len, runs.values())), 'versions': others['versions'] if others else versions(), 'import_seconds': round(import_seconds, 3),
               'measured': dict(sorted(days.items())), 'rows': rows, 'plain': sorted(plain, key=lambda o: o['chapter'])}
    elsewhere = [o for o in before.get('elsewhere', []) if o['machine'] not in (machine, before['machine'])]
    if before and before['machine']!=machine: elsewhere.append(cost_elsewhere(before))
    if elsewhere: content['elsewhere'] = elsewhere
    if before.get('clone_minutes') and before['machine']==machine: content['clone_minutes'] = before['clone_minutes']
    keep(content)
    return 'Written: docs/results.json, README.md, the boxes of the chapters.'

def take_clone(
    minutes:dict,  # 'installation' and 'run'
    machine:str    # in words
) -> str:          # what was written, or why not
    "Write the time from a clone to the table into docs/results.json, where it is of the machine that the other numbers are of."
    content = kept()
    if content['machine']!=machine: return f"Not written: docs/results.json is of another machine ({content['machine']})."
    keep({**content, 'clone_minutes': minutes})
    return 'Written: docs/results.json, README.md.'

def between(text, name, content):
    "`text` with `content` between the two marks of that name."
    pattern = re.compile(rf'(<!-- {name} -->\n).*?(<!-- end of {name} -->)', re.S)
    written, found = pattern.subn(lambda m: f'{m[1]}{content}\n{m[2]}', text)
    if found!=1: raise SiteError(f'README.md has no place between <!-- {name} --> and <!-- end of {name} -->.')
    return written

def readme_part(
    results:Measured
) -> str:  # Markdown
    "What README says of the results, between its marks."
    beside = f'{ratios_in_words(results.plain)} {plain_in_words(results.plain)} [The table]({BASE_URL}results.html#beside-plain-code) says what is compared.\n\n' if results.plain else ''
    return f'{results.in_words()}\n\n{beside}{results_table(results.rows)}'

def spread():
    "Write what docs/results.json has into README and into the boxes of the chapters."
    results = measured()
    readme = between((ROOT/'README.md').read_text(encoding='utf-8'), 'measured', readme_part(results))
    (ROOT/'README.md').write_text(readme, encoding='utf-8', newline='\n')
    for path in chapters():
        nb = json.loads(path.read_text(encoding='utf-8'))
        row = f'| Time and memory | about {cost(results.of(path.stem))} on two processor cores (sample edition) |'
        text, found = re.subn(r'(?m)^\| Time and memory \|.*$', row, ''.join(nb['cells'][0]['source']))
        if found!=1: raise SiteError(f'{path.name}: the box in the first cell has no row "Time and memory".')
        nb['cells'][0]['source'] = text.splitlines(True)
        path.write_text(json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True)+'\n', encoding='utf-8', newline='\n')

if __name__=='__main__':
    try: spread()
    except SiteError as e: sys.exit(str(e))
