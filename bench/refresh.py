"""Run chapters and write their outputs back into the notebooks: `python -m bench refresh`."""
import argparse, base64, io, os, sys, tempfile
from pathlib import Path

import nbformat
from nbdev.clean import nbdev_clean
from PIL import Image

from bench import ROOT
from practicaldl.cli import find_chapters, run_chapter

def lighter_png(
    png:bytes,          # a picture
    enough:int=60_000   # bytes; a picture that stays above that has its colours rounded to 256
) -> bytes:             # the same picture in fewer bytes, or `png` itself where that cannot be
    "Leave out an opacity that is full everywhere, and use a palette where 256 colours are enough."
    picture = Image.open(io.BytesIO(png))
    if picture.mode=='RGBA' and picture.getextrema()[3]==(255, 255):
        picture = picture.convert('RGB')
    def saved(one):
        made = io.BytesIO()
        one.save(made, 'PNG', optimize=True)
        return made.getvalue()
    found = [png, saved(picture)]
    if picture.mode=='RGB':
        palette = picture.quantize(256)
        if palette.convert('RGB').tobytes()==picture.tobytes():
            found.append(saved(palette))
        elif len(found[1]) > enough:
            found.append(saved(picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)))
    return min(found, key=len)

def keep_outputs(
    executed:Path,  # a notebook that was run
    notebook:Path   # the same notebook in the repository, which is replaced
):
    "Keep the outputs of a run, with figures in fewer bytes, and without what nbdev cleans away."
    nb = nbformat.read(executed, as_version=4)
    for output in (o for cell in nb.cells for o in cell.get('outputs', [])):
        png = output.get('data', {}).get('image/png')
        if png:
            output.data['image/png'] = base64.b64encode(lighter_png(base64.b64decode(png))).decode()
    nbformat.write(nb, notebook)
    nbdev_clean(str(notebook))

def main(words) -> int:
    "Nothing is written for a chapter that fails."
    p = argparse.ArgumentParser('bench refresh', description=__doc__)
    p.add_argument('chapters', nargs='*', help='or index; all of them where none is named')
    p.add_argument('--from', dest='folder', type=Path, default=ROOT/'nbs', help='where the notebooks are')
    args = p.parse_args(words)
    os.environ['PRACTICALDL_EDITION'] = 'sample'
    failed, named = [], [o for o in args.chapters if o!='index']
    paths = find_chapters(args.folder, named) if named or not args.chapters else []
    index = args.folder/'index.ipynb'
    if index.exists() and ('index' in args.chapters or not args.chapters):
        paths.append(index)
    with tempfile.TemporaryDirectory() as d:
        for path in paths:
            _, faults = run_chapter(path, Path(d))
            if not faults:
                keep_outputs(Path(d)/path.name, path)
            failed += faults
    for line in failed:
        print(f'FAILED {line}', file=sys.stderr)
    return 1 if failed else 0
