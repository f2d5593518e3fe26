"""`make docs` and `make docs-open`: the site, from what is committed, without a network."""
import argparse, functools, http.server, os, shutil, sys, threading, webbrowser
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docs.prepare import ROOT, SiteError, prepare

def build(
    out:Path,             # a folder for the pages; what is in it is removed
    builder:str='html'    # of Sphinx: 'html', or 'linkcheck' for the links to other hosts
) -> int:                 # 0 when all is well
    "Prepare the sources beside `out` and build from them; a warning is an error."
    out = out.absolute()
    sources = out.with_name(f'{out.name}-src')
    try:
        for folder, mark in ((out, '.sphinx'), (sources, '.sources')):
            if folder.exists() and any(folder.iterdir()) and not (folder/mark).exists():
                raise SiteError(f'{folder} is not empty, and was not made by this program. '
                                'Name another folder with --out.')
        prepare(sources)
    except SiteError as e:
        print(f'The site cannot be built. {e}', file=sys.stderr)
        return 1
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out/'.sphinx').touch()
    return sphinx_build(['-b', builder, '-c', str(ROOT/'docs'), '-W', '--keep-going', '-q',
                         '-d', str(sources/'.doctrees'), str(sources), str(out)])

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): return

def serve(folder, port=8000):
    "Show a built site on this machine only, until Ctrl+C."
    # Windows would share a port that is taken
    http.server.ThreadingHTTPServer.allow_reuse_address = os.name!='nt'
    handler = functools.partial(Quiet, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(('127.0.0.1', port), handler)
    except OSError:   # the port is taken: any free one
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    address = f'http://127.0.0.1:{server.server_port}/'
    print(f'The course is at {address}   (Ctrl+C ends it)', flush=True)
    threading.Timer(0.5, webbrowser.open, [address]).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()

def main():
    p = argparse.ArgumentParser(description='Build the site of the course.')
    p.add_argument('--out', type=Path, default=ROOT/'build'/'site', help='folder for the pages; is emptied')
    p.add_argument('--links', action='store_true', help='ask each host that a page links to; needs a network')
    p.add_argument('--serve', action='store_true', help='show the site on this machine afterwards')
    args = p.parse_args()
    if args.links:
        folder = args.out.with_name('links')
        failed = build(folder, 'linkcheck')
        listed = folder/'output.txt'
        if listed.exists():
            print(listed.read_text(encoding='utf-8') or 'Every link to another host answers.')
        sys.exit(failed)
    failed = build(args.out)
    if failed:
        sys.exit(failed)
    print(f'The site is in {args.out}: open index.html there, or run: make docs-open')
    if args.serve:
        serve(args.out)

if __name__=='__main__':
    main()
