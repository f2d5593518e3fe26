"""The site: built with warnings as errors, then opened in a browser as readers do."""
import functools, http.server, importlib, json, os, re, shutil, subprocess, sys, threading
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
    ids = {name: {o['id'] for o in page.select('[id]')} | {o['name'] for o in page.select('a[name]')} for name, page in pages.items()}
    def dead(name, page):
        found = []
        for tag in page.select('a[href]'):
            link = urlsplit(tag['href'])
            if link.scheme or link.netloc: continue
            path = unquote(link.path).removeprefix(f'/{PREFIX}/') if link.path.startswith('/') else os.path.normpath((Path(name).parent/unquote(link.path)).as_posix()).replace('\\', '/') if link.path else name
            if (site/path).is_dir(): path = f'{path}/index.html'.removeprefix('./')
            if not (site/path).is_file(): found.append(tag['href'])
            elif link.fragment and path in ids and unquote(link.fragment) not in ids[path]: found.append(tag['href'])
        return found
    assert sum(len(p.select('a[href]')) for p in pages.values()) > 1000
    assert faults(pages, dead)=={}

def test_every_picture_exists_and_is_described(site, pages):
    "Figures of the text are told in a sentence, small signs in a word."
    def wrong(name, page):
        found = [t for t in page.select('main img') if not (site/name).parent.joinpath(unquote(t['src'])).resolve().is_file()]
        return [str(t)[:200] for t in found+[t for t in page.select('main img') if len(t.get('alt') or '') < (30 if t.find_parent('article') and 'indextable' not in str(t.find_parent('table')) else 1)]]
    assert faults(pages, wrong)=={}
    assert sum(len(p.select('article .cell_output img')) for n, p in pages.items() if Path(n).stem in CHAPTERS) >= 80

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
    missing = []
    for name in CHAPTERS:
        for cell in prepare.read(ROOT/'nbs'/f'{name}.ipynb').cells:
            if cell.cell_type!='markdown' or not re.search(r'(?mi)^\| term \| meaning \|', cell.source): continue
            rows = re.search(r'(?mi)^\| term \| meaning \|\n.*\n((?:\|.*\n?)+)', cell.source)[1].strip().splitlines()
            missing += [(name, o.strip()) for row in rows for o in re.sub('[`$]', '', row.strip('|').split('|')[0]).split(',') if not {o.strip().lower(), o.strip().lower().removesuffix('s')} & forms]
    assert missing==[]

def test_the_glossary_is_in_order_and_each_entry_whole():
    found = prepare.terms()
    names, forms = [t.name.lower() for t in found], [f.lower() for t in found for f in (t.name, *t.forms)]
    assert names==sorted(names) and len(set(forms))==len(forms) and len(found) > 120
    assert [t.name for t in found if not (t.chinese and 25 < len(t.meaning) < 260 and t.chapters and set(t.chapters) <= set(CHAPTERS))]==[]

def test_terms_are_linked_where_they_are_first_used(pages):
    "Each term once in a chapter, with its meaning as a hint; each entry is reached from at least one chapter."
    meanings, reached = {t.meaning for t in prepare.terms()}, set()
    for name in CHAPTERS:
        links = [o.parent for o in pages[f'{name}.html'].select('a > .glossary-link')]
        targets = [o['href'] for o in links]
        assert len(targets)==len(set(targets)) >= 30 and all(o['title'] in meanings for o in links), name
        assert not any(o.find_parent(['h1', 'h2', 'h3', 'code', 'pre']) for o in links)
        reached |= {urlsplit(o).fragment for o in targets}
    ids = {o['id'] for o in pages['glossary.html'].select('dl.glossary dt')}
    assert ids-reached==set()

def test_the_reference_has_every_public_name(pages):
    for path in sorted((ROOT/'practicaldl').glob('[a-z]*.py')):
        module = importlib.import_module(f'practicaldl.{path.stem}')
        ids = {o['id'] for o in pages[f'api/{path.stem}.html'].select('[id]')}
        assert [n for n in module.__all__ if f'practicaldl.{path.stem}.{n}' not in ids]==[], path.stem

def test_source_links_lead_to_the_definition(pages):
    "The first line that a link names is the first of the function or class: of its `def`, or of a decorator above it."
    wrong, seen = [], 0
    for name, page in pages.items():
        for entry in page.select('dl.py.function, dl.py.class, dl.py.exception'):
            link, thing = entry.select_one('dd a[href*="#L"]'), entry.dt['id'].split('.')[-1]
            file, first = re.search(r'blob/[\w.-]+/(practicaldl/\w+\.py)#L(\d+)-', link['href']).groups()
            lines = (ROOT/file).read_text(encoding='utf-8').splitlines()[int(first)-1:int(first)+4]
            seen += 1
            if not any(re.match(rf'(def|class) {thing}\b', o) for o in lines): wrong.append((name, thing))
    assert wrong==[] and seen > 80

def test_parameters_are_told_with_their_comments(pages):
    entry = pages['api/course.html'].find(id='practicaldl.course.record').find_parent('dl')
    assert 'the bar, where more is better' in entry.get_text() and 'at_least' in entry.dt.get_text() and 'float' in entry.get_text()

def test_the_table_of_the_readme_is_the_measured_one():
    assert prepare.results_table(prepare.measured().rows) in (ROOT/'README.md').read_text(encoding='utf-8'), 'README and docs/results.json differ; run: python docs/measured.py'

@pytest.mark.parametrize('name', CHAPTERS)
def test_the_box_of_a_chapter_is_the_measured_one(name):
    first = prepare.read(ROOT/'nbs'/f'{name}.ipynb').cells[0].source
    assert f'| Time and memory | about {prepare.cost(prepare.measured().of(name))} on two processor cores (sample edition) |' in first, 'run: python docs/measured.py'

def test_what_is_missing_is_said_in_one_line(tmp_path, monkeypatch):
    "An author who forgets something learns what, and where."
    nb = prepare.read(ROOT/'nbs'/'01_bird.ipynb')
    cell = next(c for c in nb.cells if c.cell_type=='code' and prepare.has_picture(c))
    del cell.metadata['practicaldl']
    with pytest.raises(prepare.SiteError, match=f'cell {cell.id}.*no alternative text'): prepare.describe_picture(cell, '01_bird.ipynb')
    with pytest.raises(prepare.SiteError, match='no box'): prepare.at_a_glance('# Title', [], '01_bird')
    with pytest.raises(prepare.SiteError, match='no section "Nothing"'): prepare.section('README.md', 'Nothing')

def test_workflows_build_publish_and_check_links():
    text = {p.name: p.read_text(encoding='utf-8') for p in (ROOT/'.github'/'workflows').glob('*.yml')}
    assert 'make docs' in text['site.yml'] and 'deploy-pages' in text['site.yml'] and 'id-token: write' in text['site.yml']
    assert 'schedule' in text['links.yml'] and 'make links' in text['links.yml'] and 'make links' not in text['test.yml']


# ------------------------------------------------------------------ in a browser

def find_browser():
    "A Chromium of the system, or the one named by PRACTICALDL_BROWSER."
    names = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'msedge')
    usual = ('/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', r'C:\Program Files\Google\Chrome\Application\chrome.exe')
    return os.environ.get('PRACTICALDL_BROWSER') or next((o for o in (*map(shutil.which, names), *(u for u in usual if Path(u).exists())) if o), None)

@pytest.fixture(scope='session')
def address(site):
    "The site on loopback, under the path that it has on the web."
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args): return
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(site.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/{PREFIX}/'
    server.shutdown()

@pytest.fixture(scope='session')
def browser():
    api = pytest.importorskip('playwright.sync_api', reason='the site is not opened in a browser: playwright is missing, which is part of the dev extra')
    if not (program := find_browser()): pytest.skip('the site is not opened in a browser: no Chromium or Chrome is installed (Debian: apt-get install chromium), and PRACTICALDL_BROWSER names none')
    with api.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=program, args=['--disable-gpu', '--disable-background-networking'])
        yield chromium
        chromium.close()

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
    for context in contexts: context.close()
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
    page.keyboard.press('Control+k')
    page.keyboard.type(term)
    page.keyboard.press('Enter')
    page.wait_for_selector('#search-results ul.search li a')
    page.wait_for_function("!document.querySelector('#search-progress')?.textContent.includes('Searching')")
    links = page.eval_on_selector_all('#search-results ul.search li > a', 'all => all.map(o => o.getAttribute("href"))')
    hit = next((o for o in links[:10] if urlsplit(o).path.endswith(place)), None)
    assert hit, links[:10]
    page.click(f'#search-results ul.search li > a[href="{hit}"]')
    page.wait_for_url(f'**/{place}*')

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

def test_equations_are_set_by_our_own_script(reader):
    page = reader('04_how_nets_learn.html')
    page.wait_for_selector('mjx-container mjx-math')
    page.evaluate("document.querySelectorAll('details').forEach(o => o.open = true)")
    page.wait_for_function("document.querySelectorAll('mjx-container').length > 20")
    assert page.locator('mjx-merror').count()==0
    assert '\\(' not in page.locator('article').inner_text()

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
