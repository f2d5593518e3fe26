"""Take over what a run has measured: `python docs/measured.py results/results.json`.

The rows go to docs/results.json, from which the site makes its tables, cards and boxes; README's table and the boxes in the chapters are written
from it here. A test compares all of them.
"""
import argparse, importlib.metadata, json, platform, re, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from prepare import ROOT, SiteError, chapters, cost, measured, results_table

PACKAGES = ('torch', 'fastai', 'transformers', 'timm', 'scikit-learn')

def keep(
    rows:list,    # of the results.json of a run of all chapters
    machine:str   # in words
):
    "Write docs/results.json, with the versions of this environment; the rows about the limit of memory are left out, since every row has the peak."
    versions = {'Python': platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}
    content = {'machine': machine, 'versions': versions, 'rows': [r for r in rows if not r['metric'].startswith('peak memory')]}
    (ROOT/'docs'/'results.json').write_text(json.dumps(content, indent=1, ensure_ascii=False)+'\n', encoding='utf-8', newline='\n')

def spread():
    "Write what docs/results.json has into README and into the boxes of the chapters."
    results = measured()
    readme = (ROOT/'README.md').read_text(encoding='utf-8')
    table = re.compile(r'\| chapter \| measured \|.*\n(?:\|.*\n)+')
    written, found = table.subn(lambda m: results_table(results.rows)+'\n', readme, count=1)
    if not found: raise SiteError('README.md has no table that begins with "| chapter | measured |", so there is nothing to replace.')
    (ROOT/'README.md').write_text(written, encoding='utf-8', newline='\n')
    for path in chapters():
        nb = json.loads(path.read_text(encoding='utf-8'))
        row = f'| Time and memory | about {cost(results.of(path.stem))} on two processor cores (sample edition) |'
        text, found = re.subn(r'(?m)^\| Time and memory \|.*$', row, ''.join(nb['cells'][0]['source']))
        if found!=1: raise SiteError(f'{path.name}: the box in the first cell has no row "Time and memory".')
        nb['cells'][0]['source'] = text.splitlines(True)
        path.write_text(json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True)+'\n', encoding='utf-8', newline='\n')

def main():
    p = argparse.ArgumentParser(description='Take over what a run has measured.')
    p.add_argument('results', type=Path, nargs='?', help='results.json of a run of all chapters; without it only README and boxes are written again')
    p.add_argument('--machine', help='the machine in words, for example "two cores of a laptop (…, 16 GB), Linux, no GPU"')
    args = p.parse_args()
    if args.results:
        rows = json.loads(args.results.read_text(encoding='utf-8'))
        missing = [c.stem for c in chapters() if c.stem not in {r['chapter'] for r in rows}]
        failed = [f"{r['chapter']}: {r['metric']}" for r in rows if not r['passed']]
        if missing or failed or not args.machine: sys.exit(f'Nothing was written. Missing chapters: {missing or "none"}; missed bars: {failed or "none"}; machine named with --machine: {"yes" if args.machine else "no"}.')
        keep(rows, args.machine)
    try: spread()
    except SiteError as e: sys.exit(str(e))

if __name__=='__main__': main()
