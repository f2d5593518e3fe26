"""The site: built with warnings as errors, then opened in a browser as readers do."""
import ast, functools, http.server, importlib, json, os, posixpath, re, shutil, subprocess, sys, threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from conftest import ROOT

pytest.importorskip('sphinx', reason='the site is built with Sphinx, which is part of the dev extra')
bs4 = pytest.importorskip('bs4')
sys.path.insert(0, str(ROOT/'docs'))
import prepare

CHAPTERS = [p.stem for p in prepare.chapters()]
PREFIX = prepare.SETTINGS['doc_baseurl'].strip('/')

@pytest.fixture(scope='session')
def site(tmp_path_factory):
    "The site as `make docs` builds it, in a folder named as on the web, so that absolute addresses are tried too."
    out = tmp_path_factory.mktemp('www')/PREFIX
    done = subprocess.run([sys.executable, str(ROOT/'docs'/'build.py'), '--out', str(out)], capture_output=True, text=True, encoding='utf-8', errors='replace')
    assert done.returncode==0, f'{done.stdout}\n{done.stderr}'
    return out

@pytest.fixture(scope='session')
def pages(site):
    "Each page by its path, parsed."
    return {p.relative_to(site).as_posix(): bs4.BeautifulSoup(p.read_text(encoding='utf-8'), 'html.parser') for p in sorted(site.rglob('*.html')) if '_static' not in p.parts}

def faults(pages, look): return {name: found for name, page in pages.items() if (found := look(name, page))}


# ------------------------------------------------------------------ the pages as files

def test_the_pages_are_there(pages):
    wanted = [f'{c}.html' for c in CHAPTERS]+['index.html', 'glossary.html', 'run.html', 'data.html', 'results.html', 'contributing.html', 'changelog.html', '404.html', 'search.html', 'api/index.html']
    wanted += [f'api/{p.stem}.html' for p in (ROOT/'nbs'/'lib').glob('*.ipynb')]
    assert [w for w in wanted if w not in pages]==[]

def test_every_internal_link_and_anchor_leads_somewhere(site, pages):
    "Links between pages, links to the site by its address, and links to files of the repository."
    ids = {name: {o['id'] for o in page.select('[id]')} | {o['name'] for o in page.select('a[name]')} for name, page in pages.items()}
    def dead(name, page):
        found = []
        for tag in page.select('a[href]'):
            href = tag['href'].removeprefix(prepare.BASE_URL) if tag['href'].startswith(prepare.BASE_URL) else None
            if own := re.match(re.escape(prepare.REPO)+r'/blob/\w+/([^#?]+)', tag['href']):
                if not (ROOT/unquote(own[1])).is_file(): found.append(tag['href'])
                continue
            link = urlsplit(tag['href'] if href is None else f'/{PREFIX}/{href}')
            if link.scheme or link.netloc: continue
            base = f'/{PREFIX}/{name}'
            path = posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(link.path))) if link.path else base
            inside = path.removeprefix(f'/{PREFIX}').strip('/')
            if (site/inside).is_dir(): inside = f'{inside}/index.html'.lstrip('/')
            if not f'{path}/'.startswith(f'/{PREFIX}/') or not (site/inside).is_file(): found.append(tag['href'])
            elif link.fragment and inside in ids and unquote(link.fragment) not in ids[inside]: found.append(tag['href'])
        return found
    assert sum(len(p.select('a[href]')) for p in pages.values()) > 1000
    assert faults(pages, dead)=={}

def test_markdown_is_rendered(pages):
    "No mark of the language shows: stars, backticks, fences, marks that prepare.py should have filled."
    def raw(name, page):
        article = bs4.BeautifulSoup(str(page.select_one('article') or ''), 'html.parser')
        for tag in article.select('pre, code, .math, .cell_output, .sig, .property'): tag.decompose()
        return re.findall(r'.{0,30}(?:\*\*|`|\]\(|:::|\{\.|%[A-Z]{3,}%|</?details).{0,30}', article.get_text())
    assert faults(pages, raw)=={}

def test_every_picture_exists_and_is_described(site, pages):
    "A figure has the text that stands in its cell's metadata; where there is none, Sphinx would put the name of the file."
    def wrong(name, page):
        found = [t for t in page.select('main img') if not (site/name).parent.joinpath(unquote(t['src'])).resolve().is_file()]
        return [str(t)[:200] for t in found+[t for t in page.select('main img') if not t.get('alt') or '_images/' in t['alt'] or t['alt'].endswith('.png')]]
    assert faults(pages, wrong)=={}
    for name in CHAPTERS:
        told = [c.metadata.practicaldl.alt for c in prepare.read(ROOT/'nbs'/f'{name}.ipynb').cells if c.cell_type=='code' and prepare.has_picture(c)]
        assert [t['alt'] for t in pages[f'{name}.html'].select('article .cell_output img')]==told and len(told) >= 3 and all(len(o) > 50 for o in told), name

def test_a_page_needs_no_other_host(pages):
    def foreign(name, page):
        tags = page.select('script[src], link[rel=stylesheet], link[rel=preload], link[rel=icon], img[src], iframe[src], source[src], object[data]')
        return [o for tag in tags if re.match(r'(https?:)?//', o := tag.get('src') or tag.get('href') or tag.get('data'))]
    assert faults(pages, foreign)=={}

def test_no_directive_is_left(pages):
    "A reader never sees a line that is meant for nbdev; plumbing is hidden."
    def raw(name, page): return [line for block in page.select('pre') for line in block.get_text().splitlines() if re.match(r'\s*#\s*\|', line)]
    assert faults(pages, raw)=={}
    for name, page in pages.items():
        if name.startswith('api/'): assert not any('from fastcore.test import' in o.get_text() and len(o.get_text().splitlines())==1 for o in page.select('pre')), name

def test_a_directive_does_what_nbdev_says():
    def tags(source, **metadata):
        cell = dict(cell_type='code', source=source, metadata=metadata, outputs=[], execution_count=None, id='a1')
        return prepare.apply_directives(cell), cell['source']
    assert tags('#| hide\nimport os')==({'remove-cell'}, 'import os')
    assert tags('#| default_exp x')==({'remove-cell'}, '')
    assert tags('#| default_exp x\nimport os')==(set(), 'import os')
    assert tags('#| export\ndef f(): return 1')==(set(), 'def f(): return 1')
    assert tags('#| echo: false\nshow()')==({'remove-input'}, 'show()')
    assert tags('#|echo:false\nshow()')[0]=={'remove-input'}
    assert tags('#| output: false\nshow()')[0]==tags('#| eval: false\nshow()')[0]=={'remove-output'}
    assert tags('#| code-fold: true\nx = 1')==tags('x = 1', jupyter={'source_hidden': True})==({'hide-input'}, 'x = 1')
    assert tags('x = 1  #| not a directive')==(set(), 'x = 1  #| not a directive')
    assert tags('x = 1\n#| no directive down here')==(set(), 'x = 1\n#| no directive down here')
    with pytest.raises(prepare.SiteError, match='Cell a1.*filter_stream'): tags('#| filter_stream x\nshow()')

@pytest.mark.parametrize('name', CHAPTERS)
def test_plumbing_is_folded(name, pages):
    "What is marked as hidden source stands in a closed fold with a title; all other code is in sight."
    nb = prepare.read(ROOT/'nbs'/f'{name}.ipynb')
    marked = [c for c in nb.cells if c.cell_type=='code' and c.metadata.get('jupyter', {}).get('source_hidden')]
    folds = pages[f'{name}.html'].select('article details.hide.above-input')
    assert [f.summary.get_text(' ', strip=True).partition(' Hide the code')[0] for f in folds]==[prepare.fold_title(c.source) for c in marked] and marked
    assert not any(f.has_attr('open') for f in folds)
    for cell, fold in zip(marked, folds): assert cell.source.strip().splitlines()[-1].strip() in fold.select_one('pre').get_text()

@pytest.mark.parametrize('name', CHAPTERS)
def test_a_chapter_page_is_whole(name, site, pages):
    "The box with what was measured, ways to run it, the notebook as it is in the repository, answers that unfold, and the way on."
    page, rows = pages[f'{name}.html'], prepare.measured().of(name)
    box = page.select_one('.at-a-glance')
    assert f"{rows[0]['seconds']:.0f} s and {rows[0]['peak_mb']:,} MB" in box.get_text()
    links = {a.get_text(): a['href'] for a in box.select('a[href]')}
    assert {place: links[place] for place in ('Colab', 'Kaggle', 'Binder')}==prepare.launch_links(name)
    assert (site/links['Download the notebook']).read_bytes()==(ROOT/'nbs'/f'{name}.ipynb').read_bytes()
    header = {a['href'] for a in page.select('.article-header-buttons a[href], .header-article a[href]')}
    assert set(prepare.launch_links(name).values()) <= header and f'notebooks/{name}.ipynb' in header
    text = '\n'.join(c.source for c in prepare.read(ROOT/'nbs'/f'{name}.ipynb').cells if c.cell_type=='markdown')
    summaries = [o.get_text() for o in page.select('details > summary')]
    assert all(summaries.count(o)==text.count(f'<summary>{o}</summary>') > 0 for o in ('Answer', 'Solution')) and not any(d.has_attr('open') for d in page.select('details'))
    assert page.select_one('a.left-prev') and page.select_one('a.right-next')

@pytest.mark.parametrize('name', CHAPTERS)
def test_a_chapter_loads_fast(name, site, pages):
    "The page and its own pictures are 2 MB at the most."
    pictures = {(site/o['src']) for o in pages[f'{name}.html'].select('article img')}
    assert (site/f'{name}.html').stat().st_size+sum(p.stat().st_size for p in pictures) <= 2e6

def test_the_front_page_invites(pages):
    page = pages['index.html']
    cards = {a['href'].removesuffix('.html'): a.find_parent(class_='sd-card') for a in page.select('.chapter-cards a.sd-stretched-link')}
    assert list(cards)==CHAPTERS
    for name, card in cards.items():
        row = prepare.measured().of(name)[0]
        assert card.img and f"{row['seconds']:.0f} s and {row['peak_mb']:,} MB" in card.get_text()
    assert len(page.select('.ways .sd-card'))==3 and page.select_one('.hero img')

def test_what_others_read(site, pages):
    "Social card, favicon, sitemap, canonical address, and a page for lost readers."
    from PIL import Image
    for name, page in pages.items():
        if name in ('404.html', 'search.html', 'genindex.html', 'py-modindex.html'): continue
        assert page.select_one('link[rel=canonical]')['href']==prepare.BASE_URL+name, name
        meta = {o['property']: o['content'] for o in page.select('meta[property]')}
        assert meta['og:image']==f'{prepare.BASE_URL}_static/social-card.png' and meta['og:title'] and meta['og:description'], name
        assert (site/page.select_one('link[rel=icon]')['href'].replace('../', '')).is_file()
    assert Image.open(site/'_static'/'social-card.png').size==(1200, 630)
    listed = re.findall('<loc>(.*?)</loc>', (site/'sitemap.xml').read_text(encoding='utf-8'))
    assert {prepare.BASE_URL+n for n in ('index.html', 'glossary.html', *(f'{c}.html' for c in CHAPTERS))} <= set(listed)
    assert all(o.startswith(prepare.BASE_URL) and '404' not in o for o in listed)
    assert all(o['href'].startswith(f'/{PREFIX}/') for o in pages['404.html'].select('link[rel=stylesheet]'))


# ------------------------------------------------------------------ glossary, reference, measured numbers

def test_the_glossary_has_every_term_of_the_chapters():
    forms = {f.lower() for t in prepare.terms() for f in (t.name, *t.forms)}
    missing, tables = [], []
    for name in CHAPTERS:
        for cell in prepare.read(ROOT/'nbs'/f'{name}.ipynb').cells:
            if cell.cell_type!='markdown' or not re.search(r'(?mi)^\| term \| meaning \|', cell.source): continue
            tables.append(name)
            rows = re.search(r'(?mi)^\| term \| meaning \|\n.*\n((?:\|.*\n?)+)', cell.source)[1].strip().splitlines()
            missing += [(name, o.strip()) for row in rows for o in re.sub('[`$]', '', row.strip('|').split('|')[0]).split(',') if not {o.strip().lower(), o.strip().lower().removesuffix('s')} & forms]
    assert missing==[] and tables==CHAPTERS

def test_the_glossary_is_in_order_and_each_entry_whole():
    found = prepare.terms()
    names, forms = [t.name.lower() for t in found], [f.lower() for t in found for f in (t.name, *t.forms)]
    assert names==sorted(names) and len(set(forms))==len(forms) and len(found) > 120
    assert [t.name for t in found if not (t.chinese and 25 < len(t.meaning) < 260 and t.chapters and set(t.chapters) <= set(CHAPTERS))]==[]

def test_terms_are_linked_where_they_are_first_used(pages):
    "Each term once in a chapter, with the meaning of just this term as a hint; each entry is reached from at least one chapter."
    entry = {dt['id']: dt for dt in pages['glossary.html'].select('dl.glossary dt')}
    meaning = {t.name: t.meaning for t in prepare.terms()}
    reached = set()
    for name in CHAPTERS:
        links = [o.parent for o in pages[f'{name}.html'].select('a > .glossary-link')]
        targets = [urlsplit(o['href']).fragment for o in links]
        assert len(targets)==len(set(targets)) >= 25, name
        assert [o['title'].replace('’', "'") for o in links]==[meaning[entry[t].find(string=True, recursive=False).strip().replace('’', "'")] for t in targets]
        assert not any(o.find_parent(['h1', 'h2', 'h3', 'pre']) for o in links)
        reached |= set(targets)
    assert set(entry)-reached==set()

@pytest.mark.parametrize('name', CHAPTERS)
def test_no_term_is_used_before_its_link(name, pages):
    "Looked at for terms of two words and more, which cannot mean something else."
    seen, late = '', []
    article = bs4.BeautifulSoup(str(pages[f'{name}.html'].select_one('article')), 'html.parser')   # a copy, since links are taken out
    for block in article.select('p, li, td'):
        if block.find_parent(class_=['cell_output', 'at-a-glance']) or block.find_parent(['blockquote', 'figcaption']) or block.find(['p', 'li']): continue
        for link in block.select('a > .glossary-link'):
            words = link.get_text().lower()
            if ' ' in words and re.search(rf'\b{re.escape(words)}\b', seen): late.append(words)
        for other in block.select('a, code, .math'): other.replace_with(' ')
        seen += ' '+re.sub(r'\s+', ' ', block.get_text()).lower()
    assert late==[] and len(seen) > 5000

def test_words_in_another_sense_are_still_there(pages):
    "Each exception of the glossary's links stands in its chapter, and holds no link."
    import site_extension
    for name, phrases in site_extension.OTHER_SENSE.items():
        blocks = [b for b in pages[f'{name}.html'].select('article p, article li, article td')]
        for phrase in phrases:
            found = [b for b in blocks if phrase in re.sub(r'\s+', ' ', b.get_text())]
            assert found, (name, phrase)
            assert not any(' '.join(a.get_text().split()) in phrase and phrase in re.sub(r'\s+', ' ', f'{a.previous_sibling}'[-40:]+a.get_text()+f'{a.next_sibling}'[:40]) for b in found for a in b.select('a:has(> .glossary-link)')), (name, phrase)

def test_chinese_is_marked_as_chinese(pages):
    marked = [o.get_text() for o in pages['glossary.html'].select('dl.glossary [lang=zh]')]
    assert marked==[t.chinese for t in prepare.terms() if t.chinese!=t.name] and len(marked) > 100

def test_the_reference_has_every_public_name(pages):
    for path in sorted((ROOT/'practicaldl').glob('[a-z]*.py')):
        module = importlib.import_module(f'practicaldl.{path.stem}')
        ids = {o['id'] for o in pages[f'api/{path.stem}.html'].select('[id]')}
        assert [n for n in module.__all__ if f'practicaldl.{path.stem}.{n}' not in ids]==[], path.stem

def test_source_links_lead_to_the_definition(pages):
    "A link names the lines of the function or class, from its `def` or the decorator above to its end."
    wrong, seen = [], 0
    for name, page in pages.items():
        for entry in page.select('dl.py.function, dl.py.class, dl.py.exception'):
            link, thing = entry.select_one('dd a[href*="#L"]'), entry.dt['id'].split('.')[-1]
            file, first, last = re.search(r'blob/[\w.-]+/(practicaldl/\w+\.py)#L(\d+)-L(\d+)', link['href'] if link else '').groups()
            node = next(o for o in ast.walk(ast.parse((ROOT/file).read_text(encoding='utf-8'))) if getattr(o, 'name', None)==thing)
            seen += 1
            if (int(first), int(last))!=(min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno): wrong.append((name, thing))
    assert wrong==[] and seen > 80

def test_parameters_are_told_with_their_comments(pages):
    entry = pages['api/course.html'].find(id='practicaldl.course.record').find_parent('dl')
    assert 'the bar, where more is better' in entry.get_text() and 'at_least' in entry.dt.get_text() and 'float' in entry.get_text()

def test_the_table_of_the_readme_is_the_measured_one():
    results, readme = prepare.measured(), (ROOT/'README.md').read_text(encoding='utf-8')
    assert prepare.results_table(results.rows) in readme and results.in_words() in readme, 'README and docs/results.json differ; run: python docs/measured.py'

@pytest.mark.parametrize('name', CHAPTERS)
def test_the_box_of_a_chapter_is_the_measured_one(name):
    first = prepare.read(ROOT/'nbs'/f'{name}.ipynb').cells[0].source
    assert f'| Time and memory | about {prepare.cost(prepare.measured().of(name))} on two processor cores (sample edition) |' in first, 'run: python docs/measured.py'

@pytest.fixture
def copied(tmp_path):
    "A copy of what the site is made from, to be changed; and how to run a program of docs/ there."
    for name in ('docs', 'nbs', 'practicaldl'): shutil.copytree(ROOT/name, tmp_path/name, ignore=shutil.ignore_patterns('__pycache__', 'work', '.ipynb_checkpoints'))
    for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'LICENSE', 'settings.ini'): shutil.copyfile(ROOT/name, tmp_path/name)
    def run(program, *words):
        return subprocess.run([sys.executable, str(tmp_path/'docs'/program), *map(str, words)], capture_output=True, text=True, encoding='utf-8', cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    return tmp_path, run

def change(path, old, new):
    text = path.read_text(encoding='utf-8')
    assert old in text, old
    path.write_text(text.replace(old, new, 1), encoding='utf-8')

@pytest.mark.parametrize('name,old,new,message', [
    ('nbs/04_how_nets_learn.ipynb', '"alt": "', '"old": "', 'no alternative text'),
    ('nbs/01_bird.ipynb', '"card": true', '"card": false', 'no cell has "card": true'),
    ('nbs/01_bird.ipynb', '| | |\\n', '| |\\n', 'there is no box'),
    ('nbs/06_transformers.ipynb', '#| export', '#| export_it', 'does not know the directive export_it'),
    ('nbs/glossary.ipynb', '](02_intro.ipynb)', '](99_intro.ipynb)', 'a chapter that does not exist: 99_intro'),
    ('nbs/05_mnist.ipynb', '> ', '', 'no promise'),
    ('docs/pages/results.md', '%MEASURED%', '%MEASURES%', 'nothing is made for %MEASURES%'),
    ('README.md', '## Licence', '## License', 'no section "Licence"')])
def test_a_mistake_of_an_author_is_told_in_a_line(name, old, new, message, copied):
    "What is wrong and where, without a traceback; and no site that is half of an old one."
    folder, run = copied
    change(folder/name, old, new)
    done = run('build.py')
    assert done.returncode==1 and message in done.stderr and 'Traceback' not in done.stderr and len(done.stderr.strip().splitlines())==1, done.stderr

TAKE = """
import json, sys
sys.path.insert(0, 'docs')
import measured
runs = json.loads(sys.stdin.read())
print(measured.take(runs, [], 'a laptop', 0.01))
"""

def test_new_runs_are_taken_over_everywhere(copied):
    "README's table, the boxes of the chapters and the file of the site; runs that lack a chapter, missed a bar or differ change nothing."
    folder, _ = copied
    def take(runs): return subprocess.run([sys.executable, '-c', TAKE], cwd=folder, input=json.dumps(runs), capture_output=True, text=True, encoding='utf-8')
    def rows_of(chapter, seconds, **change): return [{**r, 'seconds': seconds, 'peak_mb': 500+seconds, **change} for r in prepare.measured().of(chapter)]
    old = {c: [rows_of(c, r['seconds'], peak_mb=r['peak_mb']) for r in prepare.measured().of(c)[:1]] for c in CHAPTERS}
    good = {**old, '01_bird': [rows_of('01_bird', 9), rows_of('01_bird', 7), rows_of('01_bird', 8)]}
    bad = {'Missing chapters: 01_bird': {c: r for c, r in good.items() if c!='01_bird'},
           'missed bars: 01_bird: accuracy': {**good, '01_bird': [rows_of('01_bird', 7, passed=False)]},
           'run 1, 0.5 in run 2': {**good, '01_bird': [rows_of('01_bird', 7), rows_of('01_bird', 7, value=0.5)]}}
    before = {p: p.read_bytes() for p in folder.rglob('*') if p.is_file()}
    for words, runs in bad.items():
        done = take(runs)
        assert done.returncode==1 and 'Nothing was written' in done.stderr and words in done.stderr and len(done.stderr.splitlines())==1, done.stderr
    assert {p: p.read_bytes() for p in before}==before
    assert (done := take(good)).returncode==0, done.stderr
    n = len(prepare.measured().of('01_bird'))
    assert (readme := (folder/'README.md').read_text(encoding='utf-8')).count('| 8 (7–9) | 509 |')==n and 'on a laptop;' in readme
    assert 'about 8 s and 509 MB' in (folder/'nbs'/'01_bird.ipynb').read_text(encoding='utf-8')
    assert json.loads((folder/'docs'/'results.json').read_text(encoding='utf-8'))['machine']=='a laptop'
    changed = {p.relative_to(folder).as_posix() for p in before if '__pycache__' not in p.parts and p.read_bytes()!=before[p]}
    assert changed-{'README.md'}=={'docs/results.json', 'nbs/01_bird.ipynb'}, 'notebooks that are not concerned stay as they are'

def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path/'mine.txt').write_text('keep me')
    done = subprocess.run([sys.executable, str(ROOT/'docs'/'build.py'), '--out', str(tmp_path)], capture_output=True, text=True, encoding='utf-8')
    assert done.returncode==1 and 'is not empty' in done.stderr and (tmp_path/'mine.txt').read_text()=='keep me'

def test_workflows_build_publish_and_check_links():
    "The site is tested before it is published, from main only; other hosts are asked on a schedule, and not by the tests."
    import yaml
    flows = {p.name: yaml.safe_load(p.read_text(encoding='utf-8')) for p in (ROOT/'.github'/'workflows').glob('*.yml')}
    assert {'site.yml', 'links.yml', 'test.yml'} <= set(flows)
    def commands(flow): return '\n'.join(step.get('run', '') for job in flow['jobs'].values() for step in job['steps'])
    build, publish = flows['site.yml']['jobs']['build'], flows['site.yml']['jobs']['publish']
    assert [o in commands(flows['site.yml']) for o in ('make docs', 'pytest tests/test_site.py')]==[True, True]
    assert publish['needs']=='build' and publish['permissions']=={'pages': 'write', 'id-token': 'write'} and 'refs/heads/main' in publish['if'] and 'permissions' not in build
    assert flows['links.yml'][True]['schedule'] and 'make links' in commands(flows['links.yml']) and 'make links' not in commands(flows['test.yml'])   # YAML reads the key `on` as True
    for name, flow in flows.items():
        assert flow['permissions']=={'contents': 'read'} and all('timeout-minutes' in job for job in flow['jobs'].values()), name
        assert all(re.fullmatch(r'[\w/-]+@[0-9a-f]{40}', step['uses']) for job in flow['jobs'].values() for step in job['steps'] if 'uses' in step), name
        assert all(step['with'].get('persist-credentials') is False for job in flow['jobs'].values() for step in job['steps'] if step.get('uses', '').startswith('actions/checkout')), name


# ------------------------------------------------------------------ in a browser

@pytest.fixture(scope='session')
def address(site):
    "The site on loopback, under the path that it has on the web."
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args): return
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(site.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/{PREFIX}/'
    server.shutdown()

@pytest.fixture
def reader(browser, address):
    "A page of the site, opened by a function; what went wrong is collected, and none of it may be left at the end."
    contexts, wrong = [], []
    def open_page(path, width=1280, height=900, scheme='light', **options):
        context = browser.new_context(viewport={'width': width, 'height': height}, color_scheme=scheme, reduced_motion='reduce', **options)
        contexts.append(context)
        page = context.new_page()
        page.on('console', lambda m: wrong.append((path, m.type, m.text)) if m.type in ('error', 'warning') else None)
        page.on('pageerror', lambda e: wrong.append((path, 'exception', str(e))))
        page.on('request', lambda r: wrong.append((path, 'another host', r.url)) if not r.url.startswith((address, 'data:', 'blob:')) else None)
        page.on('response', lambda r: wrong.append((path, r.status, r.url)) if r.status >= 400 else None)
        page.goto(address+path, wait_until='load')
        return page
    yield open_page
    for context in contexts:
        for page in context.pages: page.wait_for_load_state('networkidle')
        context.close()
    assert wrong==[]

def all_pages(): return sorted(['index', 'glossary', 'run', 'data', 'results', 'contributing', 'changelog', '404', 'search', 'genindex', 'api/index', *CHAPTERS,
                                *(f'api/{p.stem}' for p in (ROOT/'practicaldl').glob('[a-z]*.py'))])

SCROLLS_ALONE = '''() => { const wide = []; const edge = document.documentElement.clientWidth;
  const held = o => { for (let p = o; p && p !== document.body; p = p.parentElement) { const s = getComputedStyle(p); if (['auto', 'scroll', 'hidden', 'clip'].includes(s.overflowX) || s.position === 'fixed' || s.visibility === 'hidden') return true; } return false; };
  for (const o of document.querySelectorAll('main *')) { const b = o.getBoundingClientRect(); if (b.width && b.right > edge + 1 && !held(o)) wide.push(o.tagName + '.' + o.className + ' ' + Math.round(b.right)); }
  return [document.documentElement.scrollWidth, edge, wide.slice(0, 5)]; }'''

@pytest.mark.parametrize('name', all_pages())
def test_on_a_phone_nothing_overflows(name, reader):
    "At 375 pixels a page does not scroll sideways; code and tables that are wide scroll in boxes of their own. Console and network are watched by `reader`."
    page = reader(f'{name}.html', width=375, height=800)
    page.evaluate("document.querySelectorAll('details').forEach(o => o.open = true)")
    width, edge, wide = page.evaluate(SCROLLS_ALONE)
    assert width==edge==375 and wide==[]

@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('name', all_pages())
def test_accessibility(name, scheme, reader):
    "axe-core finds nothing serious, with all answers unfolded, in both colour schemes."
    axe = pytest.importorskip('axe_playwright_python.sync_playwright')
    page = reader(f'{name}.html', scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme")==scheme
    page.evaluate("document.querySelectorAll('details').forEach(o => o.open = true)")
    rules = {'runOnly': ['color-contrast']} if scheme=='dark' else {}   # the rest does not depend on colours
    found = axe.Axe().run(page, options={'resultTypes': ['violations'], 'preload': False, **rules}).response['violations']
    assert [(v['id'], v['help'], [n['html'][:150] for n in v['nodes'][:3]]) for v in found if v['impact'] in ('serious', 'critical')]==[]

@pytest.mark.parametrize('term,place', [('broadcasting', '05_mnist.html'), ('perplexity', 'glossary.html'), ('check_images', 'api/images.html'), ('过拟合', 'glossary.html')])
def test_search_finds(term, place, reader):
    "As a reader does it: open the search, type, press Enter; the page is among the first ten, and opens."
    page = reader('index.html')
    page.keyboard.press('ControlOrMeta+k')
    page.keyboard.type(term)
    page.keyboard.press('Enter')
    page.wait_for_selector('#search-results ul.search li a')
    page.wait_for_function("document.querySelector('.search-summary')?.textContent.includes('finished')")
    links = page.eval_on_selector_all('#search-results ul.search li > a', 'all => all.map(o => o.getAttribute("href"))')
    hit = next((o for o in links[:10] if urlsplit(o).path.endswith(place)), None)
    assert hit, links[:10]
    page.click(f'#search-results ul.search li > a[href="{hit}"]')
    page.wait_for_url(f'**/{place}*')
    mark = page.locator('article .highlighted').first
    mark.wait_for()
    if '#' not in page.url: page.wait_for_function("(() => { const b = document.querySelector('article .highlighted').getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight })()")

def test_the_slider_moves_the_curve(reader):
    "Chapter 04, without a kernel: moving a slider changes curve and loss, walking downhill lowers it, and starting again restores it."
    page = reader('04_how_nets_learn.html')
    box = page.locator('.pdl-fit').first
    def state(): return box.locator('.curve').get_attribute('d'), float(box.locator('.loss').inner_text())
    box.scroll_into_view_if_needed()
    start = state()
    box.get_by_label('parameter c').focus()
    for _ in range(5): page.keyboard.press('ArrowRight')
    assert state()[0]!=start[0] and state()[1]!=start[1]
    box.get_by_role('button', name='start again').click()
    assert state()==start
    box.get_by_role('button', name='walk downhill').click()
    page.wait_for_function('before => +document.querySelector(".pdl-fit .loss").textContent < before/2', arg=start[1])

def test_answers_unfold_and_code_is_copied(reader):
    page = reader('05_mnist.html', permissions=['clipboard-read', 'clipboard-write'])
    answer = page.locator('details', has=page.locator('summary', has_text='Answer')).first
    inside = answer.locator('p').first
    assert not inside.is_visible()
    answer.locator('summary').click()
    assert inside.is_visible()
    cell = page.locator('div.cell_input div.highlight').first
    if not cell.is_visible(): cell = page.locator('div.cell_input div.highlight:visible').first
    cell.hover()
    cell.locator('button.copybtn').click()
    page.wait_for_function('navigator.clipboard.readText().then(t => t.length > 10)')
    assert page.evaluate('navigator.clipboard.readText()').strip()==cell.locator('pre').inner_text().strip()
    assert page.locator('.cell_output .copybtn').count()==0 < page.locator('.cell_input .copybtn').count()

@pytest.mark.parametrize('name', CHAPTERS)
def test_equations_are_set_by_our_own_script(name, reader, pages):
    "Each one, in answers as well, and without an error of MathJax, which shows as an element or as red text."
    wanted = len(pages[f'{name}.html'].select('article .math'))
    page = reader(f'{name}.html')
    page.evaluate("document.querySelectorAll('details').forEach(o => o.open = true)")
    page.wait_for_function("document.querySelectorAll('article .math:not(:has(mjx-container))').length === 0")
    assert page.locator('article .math').count()==wanted==page.locator('article .math > mjx-container').count()
    assert page.locator('mjx-merror, mjx-mtext[style*=red], mjx-mstyle[style*=red]').count()==0
    if name in ('04_how_nets_learn', '07_ulmfit'): assert wanted >= 3

def test_a_hint_shows_the_meaning_of_a_term(reader):
    page = reader('01_bird.html')
    link = page.locator('a:has(> .glossary-link)').first
    assert len(link.get_attribute('title')) > 25
    link.click()
    page.wait_for_url('**/glossary.html#term-*')
    assert page.locator(f"[id='{urlsplit(page.url).fragment}']").is_visible()

def test_dark_and_light_are_remembered(reader):
    "The button switches, and the choice holds on the next page; figures keep a light ground, so that their black letters are legible."
    page = reader('04_how_nets_learn.html', scheme='dark')
    assert page.evaluate("getComputedStyle(document.querySelector('.cell_output img')).backgroundColor")=='rgb(255, 255, 255)'
    page.locator('button.theme-switch-button:visible').first.click()
    choice = page.locator('button.theme-change-button[data-mode=light]:visible')   # a menu; in older themes the button itself switches
    if choice.count(): choice.first.click()
    chosen = page.evaluate('document.documentElement.dataset.mode')
    page.locator('a.right-next').click()
    page.wait_for_url('**/05_mnist.html')
    assert page.evaluate('document.documentElement.dataset.mode')==chosen!='auto'
