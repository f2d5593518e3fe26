"""The project itself: the curriculum has a home, chapters can be read, addresses and versions agree."""
import ast, copy, functools, json, os, re, shutil, subprocess, sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import practicaldl
from bench.results import SETTINGS, chapters, data_table, read
from docs.notebooks import pictures
from practicaldl.registry import TWINS

CURRICULUM = json.loads((ROOT/'tests'/'curriculum.json').read_text(encoding='utf-8'))
WRITTEN = {p.stem: nbformat.read(p, as_version=4) for p in chapters()}
MODULES = sorted((ROOT/'practicaldl').glob('*.py'))

def code(nb): return [c for c in nb.cells if c.cell_type=='code' and c.source.strip()]
def prose(nb): return '\n\n'.join(c.source for c in nb.cells if c.cell_type=='markdown')
def text_of(name): return (ROOT/name).read_text(encoding='utf-8')

# ------------------------------------------------------------------ the curriculum

def test_every_point_of_the_curriculum_has_its_chapter():
    "Letters count from one without a gap; a chapter names its own points; the others are planned."
    wanted = CURRICULUM['chapters']
    for ids in wanted.values():
        assert ids==[f'{ids[0][0]}{i}' for i in range(1, len(ids)+1)]
    assert len({i for ids in wanted.values() for i in ids})==sum(map(len, wanted.values()))==92
    there = {name: ids for name, ids in wanted.items() if name not in CURRICULUM['planned']}
    assert {name: nb.metadata.practicaldl.ids for name, nb in WRITTEN.items()}==there

def test_a_chapter_has_its_shape():
    "Title, promise, a result in five cells, a bar, short cells, folded answers, clean outputs."
    for name, nb in WRITTEN.items():
        cells, sources, text = code(nb), [c.source for c in code(nb)], prose(nb)
        outputs = [o for c in cells for o in c.outputs]
        read_by_learners = [c.source for c in cells if not is_folded(c)]
        assert [o[:60] for o in read_by_learners if len(re.findall(r'(?m)^(?!#\||%%).*\S', o)) > 18]==[], name
        assert re.match(r'# \S.*\n+> \S', nb.cells[0].source), name
        assert any(f"start('{name}'" in o for o in sources), name
        assert any('record(' in o and ('at_least' in o or 'at_most' in o) for o in sources), name
        shown = {kind for c in cells[:5] for o in c.outputs for kind in o.get('data', {})}
        assert {'image/png', 'text/html'} & shown, name
        first = [c for c in cells if c.metadata.get('practicaldl', {}).get('result')]   # see bench measure
        assert len(first)==1 and first[0] in cells[:5] and not is_folded(first[0]), name
        assert 0 < nb.metadata.practicaldl.memory_mb <= CURRICULUM['memory_mb'][name], name
        folds = re.findall(r'<details>\s*<summary>(.*?)</summary>(.*?)</details>', text, re.S)
        titles = [title for title, _ in folds]
        assert titles.count('Answer') >= 8 and titles.count('Solution') >= 3, name
        assert len(folds)==text.count('<details>') and min(len(o.strip()) for _, o in folds) > 20, name
        assert not any(o.output_type=='error' or o.get('name')=='stderr' for o in outputs), name
        assert sum(bool(c.outputs) for c in cells) >= len(cells)/2, name
        assert all(c.execution_count is None and 'execution' not in c.metadata for c in cells), name
        assert (ROOT/'nbs'/f'{name}.ipynb').stat().st_size < 2.5e6, name

def is_folded(cell): return cell.metadata.get('jupyter', {}).get('source_hidden', False)

def test_a_chapter_that_was_written_anew_is_short():
    "A learner's cells have at most 88 columns, so that the site cuts no line."
    # lines of code, words before the questions
    limits = {'01_bird': (250, 4000), '02_intro': (320, 5500), '03_production': (250, 4500),
              '04_how_nets_learn': (250, 4500), '05_mnist': (250, 4500),
              '06_transformers': (250, 4500), '07_ulmfit': (320, 5500), '08_scaling': (250, 4500)}
    for name, (most_lines, words) in limits.items():
        shown = [c.source for c in code(WRITTEN[name]) if not is_folded(c)]
        lines = [o for source in shown for o in source.splitlines() if o.strip()]
        assert [o for o in lines if len(o) > 88]==[] and len(lines) <= most_lines, name
        main = prose(WRITTEN[name]).partition('## Questions')[0]
        assert len(re.findall(r'\w+', main)) <= words, name

def test_a_bar_is_folded():
    "It is the course's business, not the learner's."
    for name, nb in WRITTEN.items():
        bars = [c for c in code(nb) if re.search(r'record\((?s:.*?)at_(least|most)=', c.source)]
        assert bars and all(map(is_folded, bars)), name

def test_pictures_are_described_and_drawn_by_code():
    "Those who cannot see one read its text; a picture file in prose would be missing on Kaggle and Colab."
    file = r'!\[[^\]]*\]\((?!https?://)[^)]*\)|<img[^>]*src="(?!https?://)[^"]*"'
    for name, nb in WRITTEN.items():
        drawn = [c for c in code(nb) if pictures(c)]
        bare = [c.source[:60] for c in drawn if len(c.metadata.get('practicaldl', {}).get('alt', '')) < 50]
        assert len(drawn) >= 3 and bare==[] and re.findall(file, prose(nb))==[], name

def test_a_chapter_installs_the_course_only_where_it_is_missing():
    "The first code cell looks for the package and keeps every version that is there; no other cell installs."
    for name, nb in WRITTEN.items():
        first, *others = (c.source for c in code(nb))
        assert "if importlib.util.find_spec('practicaldl') is None:" in first, name
        assert '-c installed.txt' in first and f"git+{SETTINGS['git_url']}" in first, name
        assert not any(re.search(r'pip\w* install|%conda|%pip', o) for o in others), name

# ------------------------------------------------------------------ addresses, licences, versions

@functools.cache
def texts():
    "README, CONTRIBUTING and the notebooks, by name; of notebooks prose and code."
    found = {name: text_of(name) for name in ('README.md', 'CONTRIBUTING.md')}
    for path in [*(ROOT/'nbs').glob('*.ipynb'), *(ROOT/'nbs'/'lib').glob('*.ipynb')]:
        found[path.relative_to(ROOT).as_posix()] = '\n'.join(c['source'] for c in read(path)['cells'])
    return found

def test_links_to_the_repository_agree_with_the_settings():
    "A link with our user or our repository has both; what is cloned, installed or launched is always ours."
    ours, pair, wrong = (SETTINGS['user'], SETTINGS['repo']), r'([\w-]+)/([\w.-]+)', []
    taken = r'(?:git clone|git\+|src=|colab\.research\.google\.com/github/)\s*(?:https://(?:www\.)?github\.com/)?'
    for name, text in texts().items():
        linked = re.findall(r'github\.com/'+pair, text) + re.findall(r'//([\w-]+)\.github\.io/([\w.]*)', text)
        linked = [o for o in linked if set(o) & set(ours)] + re.findall(taken+pair, text)
        wrong += [(name, *o) for o in linked if (o[0], o[1].removesuffix('.git').rstrip('.'))!=ours]
    assert wrong==[]

def test_launch_links_open_what_is_there():
    "README launches each chapter, and each chapter itself."
    seen, blob = set(), rf"{SETTINGS['user']}/{SETTINGS['repo']}/blob/([\w.-]+)/([\w./-]+\.ipynb)"
    for name, text in texts().items():
        for branch, path in re.findall(blob, text):
            assert branch==SETTINGS['branch'] and (ROOT/path).exists(), (name, path)
            assert Path(name).stem not in WRITTEN or path==name or path.startswith('nbs/lib/'), (name, path)
            seen.add((name, path))
    for path in (f'nbs/{name}.ipynb' for name in WRITTEN):
        assert {('README.md', path), (path, path)} <= seen

def test_links_in_the_readme_lead_somewhere():
    text = text_of('README.md')
    files, headings = re.findall(r'\]\((?!\w+:|#)([^)\s#]+)', text), re.findall(r'^#+ (.*)$', text, re.M)
    anchors = {re.sub(r'[^\w\- ]', '', h.lower()).strip().replace(' ', '-') for h in headings}
    assert [o for o in files if not (ROOT/o).exists()]==[]
    assert set(re.findall(r'\]\(#([^)]+)\)', text)) <= anchors

def test_every_data_set_and_shipped_file_tells_what_it_is_and_its_licence():
    table, about = data_table(), text_of('practicaldl/assets/README.md')
    for o in TWINS.values():
        assert [word for word in (o.name, o.sample, o.full, o.licence) if word not in table]==[]
    files = [p for p in (ROOT/'practicaldl'/'assets').iterdir() if p.name!='README.md']
    assert [p.name for p in files if p.name not in about]==[] and 'licence' in about.lower()
    assert sum(p.stat().st_size for p in files) < 20e6

def test_the_index_shows_the_data_sets_that_there_are():
    cells = read(ROOT/'nbs'/'index.ipynb')['cells']
    shown = ''.join(str(c.get('outputs')) for c in cells)
    assert [o for o in TWINS if o not in shown]==[]   # else: python -m bench refresh index

def test_nothing_is_left_to_be_filled_in():
    wanted = r'\bMEASURED_\w+|^RESULTS$|\(MACHINE\)|\bXXX+\b|\bTO'+r'DO\b|\bFIX'+r'ME\b'
    files = {**texts(), **{p.name: p.read_text(encoding='utf-8') for p in MODULES}}
    assert [(name, o) for name, text in files.items() for o in re.findall(wanted, text, re.M)]==[]

def test_the_lock_pins_every_requirement():
    "At a version that the requirement allows, on this Python and system; and the project has one version."
    assert SETTINGS['version']==practicaldl.__version__ and SETTINGS['version'] in text_of('CHANGELOG.md')
    pins = {}
    for line in text_of('constraints.txt').splitlines():
        if line.split('#')[0].strip():
            pin = Requirement(line.split(' #')[0])
            assert [s.operator for s in pin.specifier]==['=='], line
            if pin.marker is None or pin.marker.evaluate():
                pins[canonicalize_name(pin.name)] = next(iter(pin.specifier)).version
    for word in SETTINGS['requirements'].split()+SETTINGS['dev_requirements'].split():
        need = Requirement(word)
        assert need.specifier.contains(pins[canonicalize_name(need.name)], prereleases=True), word

def test_every_import_is_a_requirement():
    "What the package imports is in settings.ini, or in Python itself."
    from importlib.metadata import packages_distributions
    known = {canonicalize_name(Requirement(o).name) for o in SETTINGS['requirements'].split()}
    owners, tops = packages_distributions(), set()
    for node in (o for path in MODULES for o in ast.walk(ast.parse(path.read_text(encoding='utf-8')))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        tops |= {name.split('.')[0] for name in names}-set(sys.stdlib_module_names)
    strangers = {o for o in tops if not known & {canonicalize_name(name) for name in owners.get(o, [o])}}
    # plum comes with newer versions of fastai; duckduckgo_search is the old name of ddgs; HEIC is extra
    assert strangers <= {'practicaldl', 'plum', 'duckduckgo_search', 'pillow_heif'}

# ------------------------------------------------------------------ make

# What Colab had installed in August 2026; its newest list: github.com/googlecolab/backend-info
COLAB = dict(fastai='2.8.8', fastcore='2.2.12', transformers='5.15.0', gradio='6.24.0', ipywidgets='7.7.1',
             ipython='7.34.0', pillow='11.3.0')

def test_colab_keeps_its_versions():
    "Our requirements admit what is there, so that an installation leaves the rest of Colab alone."
    needed = [Requirement(o) for o in SETTINGS['requirements'].split()]
    refused = [str(o) for o in needed if o.name in COLAB and not o.specifier.contains(COLAB[o.name])]
    assert refused==[] and len([o for o in needed if o.name in COLAB]) >= 5

# A cell that makes what is there already, or removes what is gone, fails when it is run a second time.
ONCE = re.compile(r'\.mkdir\((?!.*exist_ok)|\.unlink\((?!.*missing_ok)|map\(Path\.unlink(?!, missing_ok)|'
                  r'copytree\((?!.*dirs_exist_ok)|os\.(mkdir|rename|remove)\(|\.rename\(')

def test_every_cell_can_be_run_twice():
    "What a cell makes is in a folder that it got empty, or it may be there. 04 and 05 are run so below."
    for name, nb in WRITTEN.items():
        for cell in code(nb):
            lines = [o for o in cell.source.splitlines() if ONCE.search(o)]
            fresh = re.search(r'work_folder\(|TemporaryDirectory|#\| *export', cell.source)
            assert not lines or fresh, (name, cell.id, lines)

@pytest.mark.slow
@pytest.mark.parametrize('name', ['04_how_nets_learn', '05_mnist'])
def test_the_cells_of_a_quick_chapter_run_twice_in_a_row(name, usual_cache, tmp_path, monkeypatch):
    "Each cell stands there twice. Trained twice, a model may be better or worse: no bar counts here."
    import nbclient
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    nb = copy.deepcopy(WRITTEN[name])
    nb.cells = [copy.deepcopy(c) for c in nb.cells for _ in range(1 + (c.cell_type=='code'))]
    for i, cell in enumerate(nb.cells):
        cell.id = f'c{i}'
    client = nbclient.NotebookClient(nb, timeout=None, kernel_name='python3', allow_errors=True,
                                     resources={'metadata': {'path': str(tmp_path)}})
    client.execute()
    failed = [(c.source[:80], o.ename, o.evalue) for c in code(nb) for o in c.outputs
              if o.output_type=='error' and o.ename!='BarMissed']
    assert failed==[]

@pytest.fixture
def make(tmp_path):
    "Calls make in a folder with the Makefile and the files that it looks at."
    if not shutil.which('make') or os.name=='nt':
        pytest.skip('the Makefile is for Linux and macOS; Windows uses the commands without make')
    shutil.copyfile(ROOT/'Makefile', tmp_path/'Makefile')
    for name in ('constraints.txt', 'settings.ini', 'setup.py', 'pyproject.toml'):
        (tmp_path/name).touch()
    env = {k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS'))}
    run = functools.partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, env=env)
    return lambda *words: run(['make', *words])

def test_make_lists_its_commands_and_installs_once(make, tmp_path):
    told = re.findall(r'^make ([\w-]+)', make().stdout, re.M)
    targets = re.findall(r'^([\w-]+):', text_of('Makefile'), re.M)
    wanted = 'run test check lab app data docs doctor clean'.split()
    assert sorted(told)==sorted(wanted) and set(told) <= set(targets)
    assert 'pip install' in make('-n', 'run').stdout
    (tmp_path/'.venv').mkdir()
    (tmp_path/'.venv'/'.ready').touch()
    said = make('-n', 'run', 'CHAPTERS=01_bird 05_mnist').stdout
    assert 'pip install' not in said and 'run 01_bird 05_mnist' in said

@pytest.mark.parametrize('played, told', [
    ('import sys; sys.version_info = (3, 9, 1)', 'needs Python 3.10 or newer'),
    ("import platform; platform.uname = lambda: platform.uname_result('Darwin', '', '', '', 'x86_64')",
     'Intel Macs')])
def test_a_python_that_cannot_be_used(make, tmp_path, played, told):
    "One line that says so and what to do; no half-made environment."
    python = tmp_path/'python3.9'
    code = f'import sys; {played}; exec(sys.argv[2])'
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    python.chmod(0o755)
    done = make('run', f'PYTHON={python}')
    assert done.returncode and told in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path/'.venv').exists()

def test_what_another_editor_writes_is_cleaned(tmp_path):
    "VS Code orders the keys anew and adds its own."
    from nbdev.clean import nbdev_clean
    def turned(o):
        if isinstance(o, dict):
            return {key: turned(o[key]) for key in sorted(o, reverse=True)}
        return [turned(v) for v in o] if isinstance(o, list) else o
    nb, path = turned(json.loads(text_of('nbs/lib/edition.ipynb'))), tmp_path/'edition.ipynb'
    for cell in nb['cells']:
        cell['metadata']['vscode'] = {'languageId': 'python'}
    path.write_text(json.dumps(nb, indent=2), encoding='utf-8')
    nbdev_clean(str(path))
    assert path.read_text(encoding='utf-8')==text_of('nbs/lib/edition.ipynb')
