"""Say where the text outputs of chapters that were run differ from the committed ones: `make same`.

Times, and what depends on the machine or on the day by its nature, is left out of the comparison; the list is below.
"""
import difflib, json, re, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What may differ between two good runs: (pattern, what stands there instead).
MAY_DIFFER = (
    (r'^practicaldl [\d.]+ · .*$', '(first line: edition, processor)'),
    (r'\b\d+:\d\d(:\d\d)?\b', '(time)'),
    (r'[\d.,]+ ?(s|ms|µs|us|ns|seconds?|minutes?|milliseconds?)\b', '(time)'),
    (r'(?<=; ratio )[\d.]+$', '(ratio of times)'),
    (r'0x[0-9a-f]{6,}', '(address in memory)'),
    (r'(/[\w.~-]+){2,}/', '(folder)'),
)

def texts(notebook) -> list:
    "For each code cell its number and its text outputs, without what may differ."
    found = []
    for i, cell in enumerate(json.loads(Path(notebook).read_text(encoding='utf-8'))['cells']):
        if cell['cell_type']!='code': continue
        said = [''.join(o.get('text') or o.get('data', {}).get('text/plain') or '') for o in cell['outputs']]
        text = ''.join(said)
        for pattern, instead in MAY_DIFFER: text = re.sub(pattern, instead, text, flags=re.M)
        found.append((i, text))
    return found

def unlike(
    one:Path,   # a notebook with outputs
    other:Path  # the same notebook, run another time
) -> list[str]: # where the outputs differ, line by line
    "Differences between the text outputs of two runs of a notebook."
    first, second = texts(one), texts(other)
    if len(first)!=len(second): return [f'{other.name}: {len(second)} code cells, and {len(first)} in the other']
    told = []
    for (i, a), (_, b) in zip(first, second):
        told += [f'{other.name}, cell {i+1}: {line}' for line in difflib.unified_diff(a.splitlines(), b.splitlines(), lineterm='', n=0) if not line.startswith(('---', '+++', '@@'))]
    return told

def main(folder):
    run = sorted(p for p in Path(folder).glob('*.ipynb') if (ROOT/'nbs'/p.name).exists())
    if not run: sys.exit(f'There are no executed chapters in {folder}. Run `make run` first.')
    told = [line for p in run for line in unlike(ROOT/'nbs'/p.name, p)]
    for line in told: print(line)
    print(f"{len(run)} chapters compared with the committed outputs: {'no difference' if not told else f'{len(told)} lines differ (- committed, + this run)'}.")
    return 1 if told else 0

if __name__=='__main__': sys.exit(main(sys.argv[1] if len(sys.argv)>1 else 'results'))
