"""Say where the text outputs of chapters that were run differ from the committed ones: `python -m bench
compare`.

What is compared is what a reader sees as text: printed lines, values, the words of tables in HTML and
Markdown, and errors. Pictures are not compared. Times, and what depends on the machine or on the day by its
nature, are left out of the comparison; the list is below.
"""
import argparse, difflib, html, json, re, sys
from pathlib import Path

from bench import ROOT

# What may differ between two good runs: (pattern, what stands there instead).
MAY_DIFFER = (
    (r'^practicaldl [\d.]+ · .*$', '(first line: edition, processor)'),
    (r'\b\d+:\d\d(:\d\d)?\b', '(time)'),
    (r'[\d.,]+ ?(s|ms|µs|us|ns|seconds?|minutes?|milliseconds?)\b', '(time)'),
    (r'(?<=; ratio )[\d.]+$', '(ratio of times)'),
    (r'\bmemory [\d.,]+ ?MB', '(memory)'),   # the peak hangs on the allocator, the threads and the versions
    (r'0x[0-9a-f]{6,}', '(address in memory)'),
    (r'(/[\w.~-]+){2,}/', '(folder)'),
)

def words_of(
    markup:str  # HTML, or Markdown, which may hold HTML
) -> str:       # a line for each row or paragraph
    "What of a table is to be read: no tags, no styles, no scripts."
    text = re.sub(r'(?s)<style.*?</style>|<script.*?</script>|<!--.*?-->', '', markup)
    if '</tr>' in text:   # pandas breaks lines within a row
        text = re.sub(r'\s+', ' ', text)
    text = re.sub(r'</(tr|p|div|h\d|li|table)>|<br ?/?>', '\n', text)
    text = re.sub(r'<[^>]+>', ' ', text)
    lines = (' '.join(html.unescape(line).split()) for line in text.splitlines())
    return '\n'.join(filter(None, lines))

def said_by(
    output:dict  # of a code cell
) -> str:
    "The text of an output: what was printed, an error, or a value with the words of its table."
    if output['output_type']=='error':
        return f"{output['ename']}: {output['evalue']}\n"
    if output['output_type']=='stream':
        return ''.join(output['text'])
    data = {kind: ''.join(text) for kind, text in output['data'].items() if kind.startswith('text/')}
    plain, markup = data.get('text/plain', ''), data.get('text/html') or data.get('text/markdown', '')
    # Both, since the plain text of a table is often only the name of a class. fastai's has its HTML there.
    parts = [words_of(plain) if plain==markup else plain, words_of(markup)]
    return '\n'.join(dict.fromkeys(parts))+'\n'

def texts(notebook:Path) -> list:
    "For each code cell its number and its text outputs, without what may differ."
    found = []
    for i, cell in enumerate(json.loads(notebook.read_text(encoding='utf-8'))['cells']):
        if cell['cell_type']!='code':
            continue
        text = ''.join(map(said_by, cell['outputs']))
        for pattern, instead in MAY_DIFFER:
            text = re.sub(pattern, instead, text, flags=re.M)
        found.append((i, text))
    return found

def unlike(
    one:Path,   # a notebook with outputs
    other:Path  # the same notebook, run another time
) -> list[str]: # where the outputs differ, line by line
    "Differences between the text outputs of two runs of a notebook."
    first, second = texts(one), texts(other)
    if len(first)!=len(second):
        return [f'{other.name}: {len(second)} code cells, and {len(first)} in the other']
    told = []
    for (i, a), (_, b) in zip(first, second):
        for line in difflib.unified_diff(a.splitlines(), b.splitlines(), lineterm='', n=0):
            if not line.startswith(('---', '+++', '@@')):
                told.append(f'{other.name}, cell {i+1}: {line}')
    return told

def main(words) -> int:
    p = argparse.ArgumentParser('bench compare', description='Compare executed with committed chapters.')
    p.add_argument('folder', nargs='?', type=Path, default='results', help='default: results')
    folder = p.parse_args(words).folder
    run = sorted(p for p in folder.glob('*.ipynb') if (ROOT/'nbs'/p.name).exists())
    if not run:
        sys.exit(f'There are no executed chapters in {folder}. Run `make run` first.')
    told = [line for p in run for line in unlike(ROOT/'nbs'/p.name, p)]
    for line in told:
        print(line)
    verdict = f'{len(told)} lines differ (- committed, + this run)' if told else 'no difference'
    print(f'{len(run)} chapters compared with the committed outputs: {verdict}.')
    if told:
        machine = json.loads((ROOT/'docs'/'results.json').read_text(encoding='utf-8'))['machine']
        print('Another processor rounds differently, and training carries that on. '
              f'The committed outputs are of {machine}.')
    return 1 if told else 0
