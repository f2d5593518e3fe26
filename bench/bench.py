"""Measure the course: `make bench`. Every chapter three times in fresh processes, in turns, and beside it, in the same run, the same sections
in plain fastai and transformers (bench/plain.py). The result goes to docs/results.json; README, the site and the boxes of the chapters are written from it.

`make bench CHAPTERS="05_mnist"` measures only the named chapters, with their sections, and keeps the rest of docs/results.json. That needs the machine and the
versions of the file, since one line says for all rows how they were measured.

Nothing is written where a chapter fails, misses a bar or does not give the same values each time.
"""
import argparse, datetime, json, os, platform, re, statistics, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'docs'))
import measured
from compare import unlike
from practicaldl.cli import keep_outputs
from prepare import chapters

# Section of plain.py -> chapter, metric, whether more is better, and the cells (by id) that do the same work in the chapter.
SECTIONS = {
    'birds':      ('01_bird', 'accuracy', True, ('b92a807d', '32b5ec1a', 'cb82d826')),
    'pets':       ('02_intro', 'cats and dogs: error rate', False, ('50c93665', '547b774e', '2354d994')),
    'pixels':     ('02_intro', 'segmentation: foreground accuracy', True, ('eb4dccf6', '5bc794d7', 'f109efed')),
    'reviews':    ('02_intro', 'reviews: accuracy', True, ('50d80d69', '35114e95', 'd87c0d30', 'e62f25db')),
    'salaries':   ('02_intro', 'table: accuracy', True, ('974259e8', '25f67756', '80edbd02')),
    'films':      ('02_intro', 'films: mean squared error', False, ('b18f395c',)),
    'digits':     ('05_mnist', 'small ResNet accuracy', True, ('2037aaf4', '4b3575e0')),
    'phrases':    ('06_transformers', 'Pearson r on held-back pairs', True, ('040d5ac7', '8b3e4e1d', '9aac1fa4')),
    'few_labels': ('07_ulmfit', 'reviews with ULMFiT: accuracy', True, ('f7b693f7', '6cbcb41f', 'e1f813e4', '19e81857', '5f6b0801', '09f674bb')),
}

def machine() -> str:
    "This machine in words, as far as Python knows it."
    import psutil, torch
    model = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.exists():
        found = re.search(r'model name\s*:\s*(.+)', info.read_text(encoding='utf-8'))
        if found: model = found[1].strip()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    # The instructions are named because values depend on them, and because virtual machines call different processors by one name.
    return f'{os.cpu_count()} processor cores ({model} with {torch.backends.cpu.get_cpu_capability()}, {psutil.virtual_memory().total/2**30:.0f} GB), {platform.system()}, {gpu}'

def seconds_of(
    notebook:Path,  # executed by `practicaldl run`
    ids:tuple       # of cells
) -> float:
    "How long some cells took, by the times that nbclient keeps in the notebook."
    cells = {c['id']: c for c in json.loads(notebook.read_text(encoding='utf-8'))['cells']}
    total = 0.0
    for one in ids:
        if one not in cells: sys.exit(f'{notebook.name} has no cell {one}: bring SECTIONS in bench/bench.py up to date.')
        kept = cells[one]['metadata']['execution']
        began, ended = (datetime.datetime.fromisoformat(kept[k].replace('Z', '+00:00')) for k in ('iopub.execute_input', 'shell.execute_reply'))
        total += (ended-began).total_seconds()
    return total

def import_seconds(times=5) -> float:
    "How long `import practicaldl` takes in a fresh process: the median, in seconds."
    code = 'import time; began = time.perf_counter(); import practicaldl; print(time.perf_counter()-began)'
    return statistics.median(float(subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True).stdout) for _ in range(times))

def ran(
    name:str,  # of a chapter
    out:Path   # a folder
) -> tuple:    # rows of results, and what went wrong: empty where nothing did
    "Run one chapter in a fresh process."
    done = subprocess.run([sys.executable, '-c', 'import sys; from practicaldl.cli import main; sys.exit(main())', 'run', name, '--edition', 'sample', '--out', str(out)], cwd=ROOT, capture_output=True, text=True, encoding='utf-8')
    if done.returncode: return [], done.stderr.strip() or f'ended with {done.returncode}'
    return json.loads((out/'results.json').read_text(encoding='utf-8')), ''

def run_chapter(name, out):
    "Rows of results of one chapter; ends the program where it fails."
    rows, failure = ran(name, out)
    if failure: sys.exit(f'Nothing was written: {name} failed.\n{failure}')
    return rows

def run_plain(name):
    "What a section of plain.py measures; where it fails, the last line of what it said."
    done = subprocess.run([sys.executable, str(ROOT/'bench'/'plain.py'), name], cwd=ROOT, capture_output=True, text=True, encoding='utf-8',
                          env={**os.environ, 'PRACTICALDL_EDITION': 'sample'})
    if done.returncode: sys.exit(f'Nothing was written: the plain code of {name} failed.\n{done.stderr.strip().splitlines()[-1]}')
    return json.loads(done.stdout.strip().splitlines()[-1])

def main():
    p = argparse.ArgumentParser(description='Measure chapters, and the plain code beside them.')
    p.add_argument('chapters', nargs='*', help='all of them where none is named; else the other rows of docs/results.json are kept')
    p.add_argument('--times', type=int, default=3, help='runs of each chapter (default: 3)')
    p.add_argument('--keep-plain', action='store_true', help='do not run the plain code, which takes most of the time; its rows stay as they were measured, with their day and machine')
    p.add_argument('--out', type=Path, default=ROOT/'build'/'bench', help='folder for the executed notebooks')
    p.add_argument('--machine', default=machine(), help='the machine in words')
    p.add_argument('--outputs', action='store_true', help='keep the outputs of the first run in the notebooks, too')
    args = p.parse_args()
    names, runs, others = [c.stem for c in chapters()], {}, None
    if args.chapters:
        if unknown := set(args.chapters)-set(names): sys.exit(f"There is no chapter {', '.join(sorted(unknown))}. There are: {', '.join(names)}.")
        others = measured.kept()
        if why := measured.hindrances(others, args.machine, args.times): sys.exit(f"Nothing was measured, since the other rows could not be kept: {'; '.join(why)}. Measure every chapter: make bench.")
        if missing := set(names)-set(args.chapters)-{r['chapter'] for r in others['rows']}: sys.exit(f"Nothing was measured: docs/results.json has no rows for {', '.join(sorted(missing))} either. Name them as well.")
        names = [name for name in names if name in args.chapters]
    sections = {} if args.keep_plain else {section: about for section, about in SECTIONS.items() if about[0] in names}
    theirs = {}
    for section in sections:   # first, since a section that fails then costs the least time
        theirs[section] = run_plain(section)
        print(f"plain  {section:<20} {theirs[section]['seconds']:7.1f} s  {theirs[section]['value']:.4g}", flush=True)
    for turn in range(args.times):
        for name in names:
            rows = run_chapter(name, args.out/f'{turn+1}'/name)
            runs.setdefault(name, []).append(rows)
            print(f"run {turn+1} of {args.times}  {name:<20} {rows[0]['seconds']:7.1f} s  {rows[0]['peak_mb']:>6,} MB", flush=True)
    plain = []
    for section, (chapter, metric, more, ids) in sections.items():
        ours = statistics.median(seconds_of(args.out/f'{turn+1}'/chapter/f'{chapter}.ipynb', ids) for turn in range(args.times))
        value = next(r['value'] for r in runs[chapter][0] if r['metric']==metric)
        found = theirs[section]
        plain.append(dict(section=section, chapter=chapter, metric=metric, more_is_better=more, value=value, seconds=round(ours, 1),
                          plain_value=found['value'], plain_seconds=found['seconds'], ratio=round(found['seconds']/ours, 2),
                          machine=args.machine, day=datetime.date.today().isoformat()))
    if told := [line for turn in range(args.times) for name in names for line in unlike(args.out/'1'/name/f'{name}.ipynb', args.out/f'{turn+1}'/name/f'{name}.ipynb')]:
        sys.exit('Nothing was written: the outputs of two runs differ.\n'+'\n'.join(told))
    if args.outputs:
        for name in names: keep_outputs(args.out/'1'/name/f'{name}.ipynb', ROOT/'nbs'/f'{name}.ipynb')
    print(measured.take(runs, plain, args.machine, import_seconds(), others, args.keep_plain))

if __name__=='__main__': main()
