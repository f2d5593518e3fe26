"""Measure the course: `python -m bench measure`. Every chapter runs three times in fresh processes, in turns.
The result goes to docs/results.json, from which README, the site and the boxes of the chapters are written,
and the outputs of the first run go into the notebooks.

`python -m bench measure 05_mnist` measures only the named chapters and keeps the rest of docs/results.json.
That needs the versions and the number of runs of the file; where the machine is another one, rows say so.

Nothing is written where a chapter fails, misses a bar or does not give the same values each time.
"""
import argparse, datetime, json, statistics, subprocess, sys
from pathlib import Path

from bench import ROOT, machine, ran
from bench.compare import unlike
from bench.refresh import keep_outputs
from bench import results as measured
from practicaldl.cli import find_chapters

OUT = ROOT/'build'/'bench'   # for the executed notebooks

def times_of(
    cell:dict   # of a notebook executed by `practicaldl run`
) -> tuple:     # when it began and when it ended, as nbclient keeps it there
    kept = cell['metadata']['execution']
    return tuple(datetime.datetime.fromisoformat(kept[k].replace('Z', '+00:00'))
                 for k in ('iopub.execute_input', 'shell.execute_reply'))

def wait_of(
    notebook:Path   # executed by `practicaldl run`; {"practicaldl": {"result": true}} marks the first result
) -> float:
    "How long a learner waits, from the start of the first cell to the first result of a model."
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    ran = [c for c in cells if 'execution' in c['metadata']]
    result = next(c for c in ran if c['metadata'].get('practicaldl', {}).get('result'))
    return round((times_of(result)[1]-times_of(ran[0])[0]).total_seconds(), 1)

def import_seconds(times=5) -> float:
    "How long `import practicaldl` takes in a fresh process: the median, in seconds."
    code = 'import time; began = time.perf_counter(); import practicaldl; print(time.perf_counter()-began)'
    said = [subprocess.check_output([sys.executable, '-c', code], cwd=ROOT, text=True) for _ in range(times)]
    return statistics.median(map(float, said))

def run_all(names:list, times:int) -> dict:
    "Run chapters in turns; chapter to the rows of each run. Ends the program where one fails or two differ."
    runs, told = {name: [] for name in names}, []
    for turn in range(1, times+1):
        for name in names:
            rows, failure = ran(name, OUT/f'{turn}'/name)
            if failure:
                sys.exit(f'Nothing was written: {name} failed.\n{failure}')
            wait = wait_of(OUT/f'{turn}'/name/f'{name}.ipynb')
            runs[name].append([{**row, 'first_seconds': wait} for row in rows])
            told += unlike(OUT/'1'/name/f'{name}.ipynb', OUT/f'{turn}'/name/f'{name}.ipynb')
            price = f"{rows[0]['seconds']:7.1f} s  {rows[0]['peak_mb']:>6,} MB, first result {wait:.0f} s"
            print(f'run {turn} of {times}  {name:<20} {price}', flush=True)
    if told:
        sys.exit('Nothing was written: the outputs of two runs differ.\n'+'\n'.join(told))
    return runs

def main(words) -> int:
    p = argparse.ArgumentParser('bench measure', description='Measure chapters.')
    p.add_argument('chapters', nargs='*', help='all of them where none is named')
    p.add_argument('--times', type=int, default=3, help='runs of each chapter (default: 3)')
    args = p.parse_args(words)
    names, others = [p.stem for p in find_chapters(ROOT/'nbs', args.chapters)], None
    if args.chapters:
        others = measured.kept()
        why = measured.hindrances(others, args.times)
        if why:
            sys.exit(f"Nothing was measured: other rows could not be kept. {'; '.join(why)}. "
                     'Measure all chapters.')
    runs = run_all(names, args.times)
    for name in names:
        keep_outputs(OUT/'1'/name/f'{name}.ipynb', ROOT/'nbs'/f'{name}.ipynb')
    print(measured.take(runs, machine(), import_seconds(), others))
    return 0
