"""Look for chance: `python -m bench repeat` runs quick chapters again and again, each time in a fresh
process, and compares values and text outputs with the first run."""
import argparse

from bench import ROOT, ran
from bench.compare import unlike
from bench.results import differences, take_check
from practicaldl.cli import find_chapters

QUICK = ['04_how_nets_learn', '05_mnist']
OUT = ROOT/'build'/'repeat'   # for the executed notebooks

def main(words) -> int:
    p = argparse.ArgumentParser('bench repeat', description='Run chapters again; say where a run differs.')
    p.add_argument('chapters', nargs='*', default=QUICK, help=f"default: {' '.join(QUICK)}")
    p.add_argument('--times', type=int, default=20, help='runs of each chapter (default: 20)')
    args = p.parse_args(words)
    names, first, bad = [p.stem for p in find_chapters(ROOT/'nbs', args.chapters)], {}, 0
    for turn in range(1, args.times+1):
        for name in names:
            out = OUT/f'{turn}'/name
            rows, failure = ran(name, out)
            if failure:
                verdict, told = 'FAILED', [failure]
            else:
                rows_then, notebook_then = first.setdefault(name, (rows, out/f'{name}.ipynb'))
                told = differences([rows_then, rows]) + unlike(notebook_then, out/f'{name}.ipynb')
                verdict = f"{'DIFFERS' if told else 'same'}, {rows[0]['seconds']:.1f} s"
            bad += bool(told)
            print(f'run {turn} of {args.times}  {name:<20} {verdict}', *told, sep='\n  ', flush=True)
    summary = f'{bad} failed or differed' if bad else 'all the same'
    print(f"{args.times*len(names)} runs of {', '.join(names)}: {summary}.")
    if not bad and args.times > 1:
        take_check('repeat', names, f', {args.times} times')
    return 1 if bad else 0
