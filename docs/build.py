"""`make docs`: the site, from what is committed, without a network."""
import re, shutil, sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

from bench.art import card
from bench.results import BLOB, NBS, ROOT, chapter_title, chapters, read, write
from docs.notebooks import entries, module_of

PAGES = ROOT/'docs'/'pages'
INCLUDED = 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'practicaldl/assets/README.md'

def to_include(name) -> str:
    "A file that pages include; its links to files lead to pages, or to GitHub where there is no page."
    def mended(m):
        page, file = m[1].lower(), (Path(name).parent/m[1]).as_posix()
        return f'](/{page})' if (PAGES/page).exists() else f']({BLOB}/{file})'
    return re.sub(r'\]\((?!\w+:|#)([^)\s]+)\)', mended, (ROOT/name).read_text(encoding='utf-8'))

def helper_page(module, path) -> str:
    "The page of a module that is made in a chapter: its helpers, and the way to the chapter."
    return (f'# `{module.__name__}`\n\n> Helpers of the chapter [{chapter_title(path)}](/{path.name}), '
            f'where they are made and used.\n\n```{{py:module}} {module.__name__}\n```\n\n'
            f'{entries(module, module.__all__)}\n')

def gather(sources:Path):
    "One folder with what pages are made from: notebooks and Markdown, as they are in the repository."
    shutil.copytree(PAGES, sources, dirs_exist_ok=True)
    shutil.copytree(ROOT/'images', sources/'images')
    for name in INCLUDED:
        file = sources/'included'/name
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, to_include(name))
    shutil.copyfile(NBS/'glossary.ipynb', sources/'glossary.ipynb')
    for path in (NBS/'lib').glob('*.ipynb'):
        shutil.copyfile(path, sources/'api'/path.name)
    (sources/'cards').mkdir()
    for path in chapters():
        shutil.copyfile(path, sources/path.name)
        card(path).save(sources/'cards'/f'{path.stem}.png', optimize=True)
        module = module_of(read(path)['cells'])
        write(sources/'api'/f'{module.__name__.split(".")[1]}.md', helper_page(module, path))

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
        folder.mkdir(parents=True)
        (folder/'.site').touch()
    gather(sources)
    return sphinx_build(['-b', builder, '-c', str(ROOT/'docs'), '-W', '--keep-going', '-q',
                         '-d', str(sources/'.doctrees'), str(sources), str(out)])

if __name__=='__main__':   # python -m docs.build [linkcheck]
    builder = sys.argv[1] if len(sys.argv) > 1 else 'html'
    out = ROOT/'build'/('site' if builder=='html' else builder)
    failed = build(out, builder)
    if not failed:
        print(f'Open {out/"index.html"} in a browser.' if builder=='html' else f'Checked: {out/"output.txt"}')
    sys.exit(failed)
