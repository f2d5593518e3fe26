"""Keep what `make bench` has measured, and write it to all places that show it.

docs/results.json is what the site makes its tables, cards and boxes from; README's table and the boxes in the chapters are written from it here.
A test compares all of them. `python docs/measured.py` alone writes README and boxes again.
"""
import importlib.metadata, json, platform, re, statistics, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from prepare import ROOT, SiteError, chapters, cost, measured, results_table

PACKAGES = ('torch', 'fastai', 'transformers', 'timm', 'scikit-learn')

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

def take(
    runs:dict,    # chapter to a list of runs, each the rows of a results.json
    plain:list,   # rows about the plain code beside it, see bench/bench.py
    machine:str,  # in words
    import_seconds:float  # of `import practicaldl`
) -> str:         # what was written, in a line
    "Write docs/results.json with the versions of this environment, then README and the boxes. Ends the program, with nothing written, where something is wrong."
    missing = [c.stem for c in chapters() if not runs.get(c.stem)]
    failed = sorted({f"{r['chapter']}: {r['metric']}" for several in runs.values() for rows in several for r in rows if not r['passed']})
    told = [line for several in runs.values() for line in differences(several)]
    if missing or failed or told:
        sys.exit(f"Nothing was written. Missing chapters: {', '.join(missing) or 'none'}; missed bars: {', '.join(failed) or 'none'}; values that differ between runs: {'; '.join(told) or 'none'}.")
    versions = {'Python': platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}
    rows = [row for chapter in chapters() for row in merged(runs[chapter.stem])]
    content = {'machine': machine, 'runs': min(map(len, runs.values())), 'versions': versions, 'import_seconds': round(import_seconds, 3), 'rows': rows, 'plain': plain}
    (ROOT/'docs'/'results.json').write_text(json.dumps(content, indent=1, ensure_ascii=False)+'\n', encoding='utf-8', newline='\n')
    spread()
    return 'Written: docs/results.json, README.md, the boxes of the chapters.'

def between(text, name, content):
    "`text` with `content` between the two marks of that name."
    pattern = re.compile(rf'(<!-- {name} -->\n).*?(<!-- end of {name} -->)', re.S)
    written, found = pattern.subn(lambda m: f'{m[1]}{content}\n{m[2]}', text)
    if found!=1: raise SiteError(f'README.md has no place between <!-- {name} --> and <!-- end of {name} -->.')
    return written

def spread():
    "Write what docs/results.json has into README and into the boxes of the chapters."
    results = measured()
    readme = (ROOT/'README.md').read_text(encoding='utf-8')
    readme = between(readme, 'measured', f'{results.in_words()}\n\n{results_table(results.rows)}')
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
