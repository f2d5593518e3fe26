"""Look for chance: `make repeat` runs quick chapters again and again, each time in a fresh process, and compares values and text outputs with the first run."""
import argparse, sys
from pathlib import Path

from bench import ROOT, ran
from compare import unlike
from measured import differences

QUICK = ['04_how_nets_learn', '05_mnist']

def main() -> int:
    p = argparse.ArgumentParser(description='Run chapters many times, and say where a run differs from the first.')
    p.add_argument('chapters', nargs='*', default=QUICK, help=f"default: {' '.join(QUICK)}")
    p.add_argument('--times', type=int, default=20, help='runs of each chapter (default: 20)')
    p.add_argument('--out', type=Path, default=ROOT/'build'/'repeat', help='folder for the executed notebooks')
    args = p.parse_args()
    first, seconds, bad = {}, [], 0
    for turn in range(1, args.times+1):
        for name in args.chapters:
            out = args.out/f'{turn}'/name
            rows, failure = ran(name, out)
            told = [failure] if failure else []
            if not failure:
                rows_of_first, notebook_of_first = first.setdefault(name, (rows, out/f'{name}.ipynb'))   # of the first run that ended
                told = differences([rows_of_first, rows])+unlike(notebook_of_first, out/f'{name}.ipynb')
                seconds.append(rows[0]['seconds'])
            bad += bool(told)
            took = f"{rows[0]['seconds']:7.1f} s" if rows else 9*' '
            print(f"run {turn} of {args.times}  {name:<20} {took}  {'same' if not told else 'FAILED' if failure else 'DIFFERS'}", flush=True)
            for line in told: print(f'  {line}', flush=True)
    runs = args.times*len(args.chapters)
    between = f', {min(seconds):.1f} to {max(seconds):.1f} s' if seconds else ''
    print(f"{runs} runs of {', '.join(args.chapters)}{between}: {'all the same' if not bad else f'{bad} failed or differed'}.")
    return 1 if bad else 0

if __name__=='__main__': sys.exit(main())
