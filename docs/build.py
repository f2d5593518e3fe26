"""`make docs`: the site, from what is committed, without a network."""
import shutil, sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

from bench.art import card
from bench.results import NBS, ROOT, chapters
from docs.notebooks import helper_page, module_of

def gather(sources:Path):
    "One folder with what pages are made from: notebooks and Markdown, as they are in the repository."
    shutil.copytree(ROOT/'docs'/'pages', sources)
    shutil.copytree(ROOT/'images', sources/'images')
    shutil.copyfile(NBS/'glossary.ipynb', sources/'glossary.ipynb')
    for path in (NBS/'lib').glob('*.ipynb'):
        shutil.copyfile(path, sources/'api'/path.name)
    (sources/'cards').mkdir()
    for path in chapters():
        shutil.copyfile(path, sources/path.name)
        card(path).save(sources/'cards'/f'{path.stem}.png', optimize=True)
        (sources/'api'/f'{module_of(path)}.md').write_text(helper_page(path), encoding='utf-8', newline='\n')

def build(
    out:Path,             # a folder for the pages; what is in it is removed
    builder:str='html'    # of Sphinx: 'html', or 'linkcheck' for the links to other hosts
) -> int:                 # 0 when all is well
    "Gather the sources beside `out` and build from them; a warning is an error."
    sources = out.with_name(f'{out.name}-src')
    for folder in (out, sources):
        if folder.exists() and any(folder.iterdir()) and not (folder/'.site').exists():
            print(f'{folder} is not empty, and was not made by this program. Empty it, or move it away.',
                  file=sys.stderr)
            return 1
        shutil.rmtree(folder, ignore_errors=True)
    gather(sources)
    out.mkdir(parents=True)
    for folder in (out, sources):
        (folder/'.site').touch()
    return sphinx_build(['-b', builder, '-c', str(ROOT/'docs'), '-W', '--keep-going', '-q',
                         '-d', str(sources/'.doctrees'), str(sources), str(out)])


if __name__=='__main__':   # python -m docs.build [linkcheck]
    builder = sys.argv[1] if len(sys.argv) > 1 else 'html'
    out = ROOT/'build'/('site' if builder=='html' else builder)
    failed = build(out, builder)
    if not failed:
        print(f'Open {out/"index.html"} in a browser.' if builder=='html' else f'Checked: {out/"output.txt"}')
    sys.exit(failed)
