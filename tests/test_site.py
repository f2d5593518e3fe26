"""The site: built with warnings as errors, then opened in a browser as readers do."""
import ast, copy, functools, http.server, importlib, json, re, subprocess, sys, threading
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from conftest import ROOT

pytest.importorskip('sphinx', reason='the site is built with Sphinx, which is part of the dev extra')
bs4 = pytest.importorskip('bs4')
from bench import results
from bench.results import BASE_URL, SETTINGS, chapters, read
from docs import build, glossary, notebooks
from sphinx.errors import ExtensionError

CHAPTERS = [p.stem for p in chapters()]
MODULES = sorted(p.stem for p in (ROOT/'practicaldl').glob('[a-z]*.py'))
PAGES = ['index', 'glossary', 'run', 'data', 'network', 'results', 'contributing', 'changelog', '404',
         'search', 'genindex', 'api/index', *CHAPTERS, *(f'api/{name}' for name in MODULES)]
PREFIX = SETTINGS['doc_baseurl'].strip('/')
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]   # some visit every page

@pytest.fixture(scope='session')
def site(tmp_path_factory):
    "The site as `make docs` builds it, in a folder named as on the web, for absolute addresses."
    out = tmp_path_factory.mktemp('www')/PREFIX
    code = f'import pathlib, sys; from docs.build import build; sys.exit(build(pathlib.Path({str(out)!r})))'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True,
                          encoding='utf-8', errors='replace')
    assert done.returncode==0, f'{done.stdout}\n{done.stderr}'
    return out

@pytest.fixture(scope='session')
def pages(site):
    "Each page by its path, parsed."
    files = [p for p in sorted(site.rglob('*.html')) if '_static' not in p.parts]
    return {p.relative_to(site).as_posix(): bs4.BeautifulSoup(p.read_bytes(), 'html.parser') for p in files}

def faults(pages, look): return {name: found for name, page in pages.items() if (found := look(name, page))}
def code_cells(name): return [c for c in read(ROOT/'nbs'/f'{name}.ipynb')['cells'] if c['cell_type']=='code']

# ------------------------------------------------------------------ the pages as files

def test_every_internal_link_and_anchor_leads_somewhere(site, pages):
    "Links between pages, to the site by its address, and to files of the repository; and no page is missing."
    assert [name for name in PAGES if f'{name}.html' not in pages]==[]
    ids = {}
    for name, page in pages.items():
        ids[name] = {o['id'] for o in page.select('[id]')} | {o['name'] for o in page.select('a[name]')}
    def leads(name, href):
        if own := re.match(re.escape(SETTINGS['git_url'])+r'/blob/\w+/([^#?]+)', href):
            return (ROOT/unquote(own[1])).is_file()
        url = urlsplit(urljoin(BASE_URL+name, href))
        if url.netloc!=urlsplit(BASE_URL).netloc:
            return True
        inside = unquote(url.path).removeprefix(f'/{PREFIX}/')
        if inside=='' or (site/inside).is_dir():
            inside = f'{inside}/index.html'.lstrip('/')
        anchor = unquote(url.fragment)
        return (site/inside).is_file() and (not anchor or inside not in ids or anchor in ids[inside])
    def dead(name, page): return [a['href'] for a in page.select('a[href]') if not leads(name, a['href'])]
    assert sum(len(p.select('a[href]')) for p in pages.values()) > 1000
    assert faults(pages, dead)=={}

def test_markdown_is_rendered(pages):
    "No mark of the language shows: stars, backticks, fences, marks of prepare.py, directives of nbdev."
    def raw(name, page):
        article = copy.copy(page.select_one('article') or page)
        lines = [line for block in article.select('pre') for line in block.get_text().splitlines()]
        for tag in article.select('pre, code, .math, .cell_output, .sig, .property'):
            tag.decompose()
        marks = r'.{0,30}(?:\*\*|`|\]\(|:::|\{\.|%[A-Z]{3,}%|</?details).{0,30}'
        return re.findall(marks, article.get_text()) + [o for o in lines if re.match(r'\s*#\s*\|', o)]
    assert faults(pages, raw)=={}

def test_every_picture_exists_and_is_described(site, pages):
    "A figure has the text that stands in its cell's metadata; else Sphinx would put a file name."
    def good(name, img):
        file, alt = (site/name).parent/unquote(img['src']), img.get('alt') or '.png'
        return file.resolve().is_file() and not alt.endswith('.png')
    def wrong(name, page): return [str(img)[:200] for img in page.select('main img') if not good(name, img)]
    assert faults(pages, wrong)=={}
    for name in CHAPTERS:
        alts = [c['metadata']['practicaldl']['alt'] for c in code_cells(name) if notebooks.pictures(c)]
        shown = [img['alt'] for img in pages[f'{name}.html'].select('article .cell_output img')]
        assert shown==alts, name

def test_a_directive_does_what_nbdev_says():
    def tags(source, **metadata):
        cell = dict(cell_type='code', source=source, metadata=metadata, outputs=[], execution_count=None)
        return notebooks.tags_of(cell), cell['source']
    with pytest.raises(ExtensionError, match='does not know the directive export_it'):
        notebooks.tags_of(dict(source='#| export_it\nx = 1', metadata={}, id='a1'))
    assert tags('#| hide\nimport os')==({'remove-cell'}, 'import os')
    assert tags('#| default_exp x')==({'remove-cell'}, '')
    assert tags('#| export\nx = 1\n#| none down here')==(set(), 'x = 1\n#| none down here')
    assert tags('#| echo: false\nshow()')==tags('#|echo:false\nshow()')==({'remove-input'}, 'show()')
    assert tags('#| eval: false\nshow()')[0]=={'remove-output'}
    assert tags('#| code-fold: true\nx = 1')==tags('x = 1', jupyter={'source_hidden': True})

def test_plumbing_is_folded(pages):
    "What is marked as hidden source stands in a closed fold with a title; all other code is in sight."
    for name in CHAPTERS:
        marked = [c for c in code_cells(name) if c['metadata'].get('jupyter', {}).get('source_hidden')
                  and (c['outputs'] or 'told(' not in c['source'])]   # what only checks the prose is left out
        folds = pages[f'{name}.html'].select('article details.hide.above-input')
        titles = [f.summary.get_text(' ', strip=True).partition(' Hide the code')[0] for f in folds]
        sources = [re.sub(r'\A(#\|.*\n)+', '', c['source']) for c in marked]
        assert titles==[notebooks.fold_title(o) for o in sources] and marked, name
        for source, fold in zip(sources, folds):
            assert source.strip().splitlines()[-1].strip() in fold.select_one('pre').get_text()

def test_a_chapter_page_is_whole_and_light(site, pages):
    "A card, what was measured, ways to run it, the notebook as it is, folded answers; at most 2 MB."
    cards = pages['index.html'].select('.chapter-cards .sd-card:has(img)')
    assert [c.a['href'] for c in cards]==[f'{name}.html' for name in CHAPTERS]
    for name, card in zip(CHAPTERS, cards):
        page, nb = pages[f'{name}.html'], ROOT/'nbs'/f'{name}.ipynb'
        box, cost = page.select_one('.at-a-glance'), results.cost(results.measured().of(name))
        assert cost in box.get_text() and cost in card.get_text(), name
        places = results.launch_links(name)
        assert {places['Colab'], places['Kaggle']} <= {a['href'] for a in box.select('a[href]')}
        header = {a['href'] for a in page.select('.article-header-buttons a[href], .header-article a[href]')}
        assert {places['Colab'], places['Binder'], f'_sources/{name}.ipynb'} <= header
        assert (site/'_sources'/f'{name}.ipynb').read_bytes()==nb.read_bytes()
        text = '\n'.join(c['source'] for c in read(nb)['cells'] if c['cell_type']=='markdown')
        titles = re.findall(r'<details><summary>(.*?)</summary>', text)
        folds = [d for d in page.select('details') if d.summary.get_text() in titles]
        assert len(folds)==text.count('<details>') and not page.select('details[open]'), name
        assert page.select_one('a.left-prev') and page.select_one('a.right-next')
        files = {site/f'{name}.html', *(site/img['src'] for img in page.select('article img'))}
        assert sum(p.stat().st_size for p in files) <= 2e6, name

def test_what_others_read(site, pages):
    "Social card, favicon, sitemap, canonical address, and a page for lost readers."
    from PIL import Image
    for name, page in pages.items():
        if name in ('404.html', 'search.html', 'genindex.html', 'py-modindex.html'):
            continue
        assert page.select_one('link[rel=canonical]')['href']==BASE_URL+name, name
        meta = {o['property']: o['content'] for o in page.select('meta[property]')}
        assert meta['og:image']==f'{BASE_URL}_static/social-card.png', name
        assert meta['og:title'] and meta['og:description'], name
        assert (site/page.select_one('link[rel=icon]')['href'].replace('../', '')).is_file()
    assert Image.open(site/'_static'/'social-card.png').size==(1200, 630)
    listed = re.findall('<loc>(.*?)</loc>', (site/'sitemap.xml').read_text(encoding='utf-8'))
    assert {f'{BASE_URL}{n}.html' for n in ('index', 'glossary', *CHAPTERS)} <= set(listed)
    assert all(o.startswith(BASE_URL) and '404' not in o for o in listed)
    assert all(o['href'].startswith(f'/{PREFIX}/') for o in pages['404.html'].select('link[rel=stylesheet]'))

# ------------------------------------------------------------------ glossary, reference, measured numbers

def test_the_glossary_is_in_order_and_has_every_term_of_the_chapters():
    found = glossary.terms()
    names, forms = [t.name.lower() for t in found], [f.lower() for t in found for f in (t.name, *t.forms)]
    assert names==sorted(names) and len(set(forms))==len(forms) and len(found) > 120
    assert [t.name for t in found if not (t.chinese and t.chapters and 25 < len(t.meaning) < 260)]==[]
    for name in CHAPTERS:
        cells = read(ROOT/'nbs'/f'{name}.ipynb')['cells']
        text = '\n\n'.join(c['source'] for c in cells if c['cell_type']=='markdown')
        table = re.search(r'(?mi)^\| term \| meaning \|\n.*\n((?:\|.*\n?)+)', text)[1]
        first = ','.join(row.strip('|').split('|')[0] for row in table.strip().splitlines())
        told = [o.strip(' `$').lower() for o in first.split(',')]
        assert [o for o in told if not {o, o.removesuffix('s')} & set(forms)]==[], name

def test_terms_are_linked_where_they_are_first_used(pages):
    "Each once in a chapter, with its meaning as a hint; each entry is reached; Chinese is marked."
    def plain(text): return text.strip().replace('’', "'")
    terms = pages['glossary.html'].select('dl.glossary dt')
    entry = {dt['id']: plain(dt.find(string=True, recursive=False)) for dt in terms}
    meaning = {plain(t.name): plain(t.meaning) for t in glossary.terms()}
    reached = set()
    for name in CHAPTERS:
        links = [o.parent for o in pages[f'{name}.html'].select('a > .glossary-link')]
        targets = [urlsplit(o['href']).fragment for o in links]
        assert len(targets)==len(set(targets)) >= 25, name
        assert [plain(o['title']) for o in links]==[meaning[entry[t]] for t in targets]
        assert not any(o.find_parent(['h1', 'h2', 'h3', 'pre']) for o in links)
        reached |= set(targets)
    assert set(entry)-reached==set()
    marked = [o.get_text() for o in pages['glossary.html'].select('dl.glossary [lang=zh]')]
    assert marked==[t.chinese for t in glossary.terms() if t.chinese!=t.name] and len(marked) > 100

def test_no_term_is_used_before_its_link(pages):
    "Looked at for terms of two words and more, which cannot mean something else."
    late = []
    for name in CHAPTERS:
        seen, article = '', copy.copy(pages[f'{name}.html'].select_one('article'))   # links are taken out
        for block in article.select('p, li, td'):
            outside = block.find_parent(lambda o: o.name in ('blockquote', 'figcaption')
                                        or {'cell_output', 'at-a-glance'} & set(o.get('class', [])))
            if outside or block.find(['p', 'li']):
                continue
            for link in block.select('a > .glossary-link'):
                words = link.get_text().lower()
                if ' ' in words and re.search(rf'\b{re.escape(words)}\b', seen):
                    late.append((name, words))
            for other in block.select('a, code, .math'):
                other.replace_with(' ')
            seen += ' '+re.sub(r'\s+', ' ', block.get_text()).lower()
        assert len(seen) > 5000
    assert late==[]

def test_words_in_another_sense_are_still_there(pages):
    "Each exception of the glossary's links stands in its chapter, and holds no link."
    def words(article): return ' '.join(article.get_text().split())
    for name, phrases in glossary.OTHER_SENSE.items():
        article = pages[f'{name}.html'].select_one('article')
        bare = copy.copy(article)
        for link in bare.select('a:has(> .glossary-link)'):
            link.string = '·'
        assert [o for o in phrases if not 0 < words(article).count(o)==words(bare).count(o)]==[], name

def test_the_reference_has_every_public_name_and_its_source(pages):
    "A link names the lines of the function or class, from its `def` or the decorator above to its end."
    wrong = []
    for name in MODULES:
        page, file = pages[f'api/{name}.html'], f'practicaldl/{name}.py'
        there = {o['id'] for o in page.select('[id]')}
        module = importlib.import_module(f'practicaldl.{name}')
        own = [n for n in module.__all__ if getattr(getattr(module, n), '__module__', name).endswith(name)]
        wrong += [n for n in own if f'practicaldl.{name}.{n}' not in there]
        nodes = {getattr(o, 'name', ''): o for o in ast.parse((ROOT/file).read_text(encoding='utf-8')).body}
        for entry in page.select('dl.py.function, dl.py.class, dl.py.exception'):
            thing = nodes[entry.dt['id'].split('.')[-1]]
            first = min([thing.lineno, *(d.lineno for d in thing.decorator_list)])
            if not entry.select_one(f'dt a[href$="{file}#L{first}-L{thing.end_lineno}"]'):
                wrong.append((name, thing.name))
    assert wrong==[]
    record = pages['api/course.html'].find(id='practicaldl.course.record').find_parent('dl')
    assert 'at_least' in record.dt.get_text() and 'the bar, where more is better' in record.get_text()

def test_readme_index_and_boxes_show_what_was_measured():
    found, differs = results.measured(), []
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    index = read(ROOT/'nbs'/'index.ipynb')['cells'][0]['source']
    differs += [] if results.readme(text, found)==text else ['README.md']
    differs += [] if results.chapter_table(found, '') in index else ['nbs/index.ipynb']
    for path in chapters():
        nb = json.loads(path.read_text(encoding='utf-8'))
        differs += [] if results.with_box(copy.deepcopy(nb), found, path.stem)==nb else [path.name]
    assert differs==[], 'run: python -m bench results'

def test_what_pages_include_stands_there_once():
    "A section that is missing stops the build; of two with one title only the first would be shown."
    told = r'```\{include\} included/(\S+)\n:start-after: "(.*)"'
    pages = [p.read_text(encoding='utf-8') for p in build.PAGES.glob('*.md')]
    parts = [o for page in pages for o in re.findall(told, page)]
    for file, words in parts:
        assert (ROOT/file).read_text(encoding='utf-8').count(words.replace(r'\n', '\n'))==1, words
    assert len(parts)==5

def test_what_has_no_text_is_told(tmp_path, capsys):
    cell = dict(id='a1', metadata={}, outputs=[dict(data={'image/png': ''})])
    with pytest.raises(ExtensionError, match='no alternative text'):
        notebooks.describe(cell, '01_bird')
    (tmp_path/'mine.txt').write_text('not of the site')
    assert build.build(tmp_path)==1 and 'is not empty' in capsys.readouterr().err
    assert (tmp_path/'mine.txt').exists()

def test_runs_that_are_not_whole_are_not_kept(monkeypatch):
    "Those that lack a chapter, missed a bar, or differ. (What is kept is tested in test_bench.)"
    monkeypatch.setattr(results, 'keep', lambda content: pytest.fail('something was written'))
    found = results.measured()
    others, bird = {name: [found.of(name)] for name in CHAPTERS[1:]}, found.of('01_bird')
    def with_bird(**new): return {**others, '01_bird': [bird, [{**r, **new} for r in bird]]}
    for words, runs in (('Missing chapters: 01_bird', others), ('in run 2', with_bird(value=0.5)),
                        ('missed bars: 01_bird', with_bird(passed=False))):
        with pytest.raises(SystemExit, match=f'Nothing was written.*{words}'):
            results.take(runs, 'a laptop', 0.01)

# ------------------------------------------------------------------ in a browser

@pytest.fixture(scope='session')
def address(site):
    "The site on loopback, under the path that it has on the web."
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site.parent))
    monkeypatched = http.server.SimpleHTTPRequestHandler.log_message
    http.server.SimpleHTTPRequestHandler.log_message = lambda *args: None
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/{PREFIX}/'
    server.shutdown()
    http.server.SimpleHTTPRequestHandler.log_message = monkeypatched

@pytest.fixture
def reader(browser, address):
    "Opens a page of the site; what goes wrong is collected, and none of it may be left at the end."
    wrong = []
    context = browser.new_context(viewport={'width': 1280, 'height': 900}, reduced_motion='reduce',
                                  permissions=['clipboard-read', 'clipboard-write'])
    page = context.new_page()
    def note(*what): wrong.append((page.url, *what))
    own = address, 'data:', 'blob:'
    page.on('console', lambda m: m.type in ('error', 'warning') and note(m.type, m.text))
    page.on('pageerror', lambda e: note('exception', str(e)))
    page.on('request', lambda r: r.url.startswith(own) or note('another host', r.url))
    page.on('response', lambda r: r.status < 400 or note(r.status, r.url))
    def open_page(path, scheme='light'):
        page.emulate_media(color_scheme=scheme)
        page.goto(address+path, wait_until='load')
        return page
    yield open_page
    page.wait_for_load_state('networkidle')
    context.close()
    assert wrong==[]

def unfold(page): page.evaluate("document.querySelectorAll('details').forEach(o => o.open = true)")

TOO_WIDE = '''() => {
  const held = o => {
    if (!o || o === document.body) return false;
    const s = getComputedStyle(o), own = ['auto', 'scroll', 'hidden', 'clip'].includes(s.overflowX);
    return own || s.position === 'fixed' || s.visibility === 'hidden' || held(o.parentElement);
  };
  const wide = [...document.querySelectorAll('main *')].filter(o => {
    const b = o.getBoundingClientRect();
    return b.width && b.right > 376 && !held(o);
  });
  if (document.documentElement.scrollWidth > 375) wide.push(document.documentElement);
  return wide.map(o => o.tagName + '.' + o.className); }'''

def test_on_a_phone_nothing_overflows(reader):
    "At 375 pixels no page scrolls sideways; wide code and tables scroll in boxes of their own."
    wide = []
    for name in PAGES:
        page = reader(f'{name}.html')
        page.set_viewport_size({'width': 375, 'height': 800})
        unfold(page)
        wide += [(name, o) for o in page.evaluate(TOO_WIDE)[:5]]
    assert wide==[]

# Of code, axe is shown one word of each colour: it looks at every word, and a chapter has thousands.
ONE_OF_EACH = '''() => { const seen = {};
  for (const o of document.querySelectorAll('pre span[class]')) if (o.isConnected) {
    const kind = o.className + !!o.closest('.cell_output');
    seen[kind] ? o.replaceWith(o.textContent) : seen[kind] = true; } }'''

# Colours come from one style sheet: in the dark, one page of each kind shows them all.
IN_THE_DARK = ['index', 'glossary', 'results', 'api/serving', '02_intro', '04_how_nets_learn']

@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessibility(scheme, reader):
    "axe-core finds nothing serious, with all answers unfolded."
    axe = pytest.importorskip('axe_playwright_python.sync_playwright').Axe()
    options = {'resultTypes': ['violations'], 'preload': False}
    names = [name for name in PAGES if not name.startswith('api/')] + ['api/serving']
    if scheme=='dark':   # the rest does not depend on colours
        options['runOnly'], names = ['color-contrast'], IN_THE_DARK
    found = []
    for name in names:
        page = reader(f'{name}.html', scheme=scheme)
        assert page.evaluate('document.documentElement.dataset.theme')==scheme
        unfold(page)
        page.evaluate(ONE_OF_EACH)
        for v in axe.run(page, options=options).response['violations']:
            if v['impact'] in ('serious', 'critical'):
                found.append((name, v['id'], v['help'], [n['html'][:150] for n in v['nodes'][:3]]))
    assert found==[]

def test_equations_are_set_by_our_own_script(reader, pages):
    "Each one, in answers as well, and without an error of MathJax, which shows as an element or as red text."
    for name in CHAPTERS:
        wanted = len(pages[f'{name}.html'].select('article .math'))
        page = reader(f'{name}.html')
        unfold(page)
        page.wait_for_function("!document.querySelector('article .math:not(:has(mjx-container))')")
        assert page.locator('article .math > mjx-container').count()==wanted, name
        assert page.locator('mjx-merror, mjx-mtext[style*=red], mjx-mstyle[style*=red]').count()==0, name

def test_search_finds(reader):
    "Open the search, type, press Enter: the page is among the first ten, and opens where the word is."
    for term, place in (('broadcasting', '05_mnist.html'), ('perplexity', 'glossary.html'),
                        ('check_images', 'api/doctor.html'), ('过拟合', 'glossary.html')):
        page = reader('index.html')
        page.keyboard.press('ControlOrMeta+k')
        page.keyboard.type(term)
        page.keyboard.press('Enter')
        page.wait_for_selector('#search-results ul.search li a')
        page.wait_for_function("document.querySelector('.search-summary')?.textContent.includes('finished')")
        links = page.locator('#search-results ul.search li > a').all()[:10]
        hits = [o for o in links if urlsplit(o.get_attribute('href')).path.endswith(place)]
        assert hits, term
        hits[0].click()
        page.wait_for_url(f'**/{place}*')
        page.locator('article .highlighted').first.wait_for()
        if '#' not in page.url:
            box = "document.querySelector('article .highlighted').getBoundingClientRect()"
            page.wait_for_function(f'{box}.top >= 0 && {box}.bottom <= innerHeight')

def test_the_slider_moves_the_curve(reader):
    "Chapter 04, without a kernel: sliders change the loss, walking lowers it, starting again restores it."
    page = reader('04_how_nets_learn.html')
    box = page.locator('.pdl-fit').first
    def state(): return box.locator('.curve').get_attribute('d'), float(box.locator('.loss').inner_text())
    box.scroll_into_view_if_needed()
    start = state()
    box.get_by_label('parameter c').focus()
    page.keyboard.press('ArrowRight')
    assert state()[0]!=start[0] and state()[1]!=start[1]
    box.get_by_role('button', name='start again').click()
    assert state()==start
    box.get_by_role('button', name='walk downhill').click()
    lower = 'old => +document.querySelector(".pdl-fit .loss").textContent < old/2'
    page.wait_for_function(lower, arg=start[1])

def test_answers_unfold_code_is_copied_and_a_hint_tells_a_term(reader):
    page = reader('05_mnist.html')
    answer = page.locator('details', has=page.locator('summary', has_text='Answer')).first
    inside = answer.locator('p').first
    assert not inside.is_visible()
    answer.locator('summary').click()
    assert inside.is_visible()
    cell = page.locator('div.cell_input div.highlight:visible').first
    cell.hover()
    cell.locator('button.copybtn').click()
    page.wait_for_function('navigator.clipboard.readText().then(t => t.length > 10)')
    assert page.evaluate('navigator.clipboard.readText()').strip()==cell.locator('pre').inner_text().strip()
    assert page.locator('.cell_output .copybtn').count()==0 < page.locator('.cell_input .copybtn').count()
    link = page.locator('a:has(> .glossary-link):visible').first
    assert len(link.get_attribute('title')) > 25
    link.click()
    page.wait_for_url('**/glossary.html#term-*')
    assert page.locator(f"[id='{urlsplit(page.url).fragment}']").is_visible()

def test_dark_and_light_are_remembered(reader):
    "The choice holds on the next page; figures keep a light ground, so that their black letters are legible."
    page = reader('04_how_nets_learn.html', scheme='dark')
    ground = "getComputedStyle(document.querySelector('.cell_output img')).backgroundColor"
    assert page.evaluate(ground)=='rgb(255, 255, 255)'
    page.locator('button.theme-switch-button:visible').first.click()
    for choice in page.locator('button.theme-change-button[data-mode=light]:visible').all():   # a newer theme
        choice.click()
    chosen = page.evaluate('document.documentElement.dataset.mode')
    page.locator('a.right-next').click()
    page.wait_for_url('**/05_mnist.html')
    assert page.evaluate('document.documentElement.dataset.mode')==chosen!='auto'
