"""How Sphinx builds the site; `make docs` gathers the sources and calls it."""
import importlib, inspect, re
from importlib.resources import files
from operator import attrgetter

from docutils import nodes
from fastcore.docments import docments

from bench import results
from bench.results import BASE_URL, BLOB, SETTINGS
from docs import glossary, notebooks

project, author, copyright, release = (SETTINGS[o] for o in ('title', 'author', 'copyright', 'version'))
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.linkcode', 'sphinx_codeautolink',
              'sphinx_copybutton', 'sphinx_design', 'sphinx_sitemap', 'sphinxext.opengraph',
              'notfound.extension']
exclude_patterns = ['included']   # parts of pages
language = 'en'
nb_execution_mode = 'off'
nb_merge_streams = True
nb_code_prompt_show = 'Show the code'
nb_code_prompt_hide = 'Hide the code'
myst_enable_extensions = ['attrs_inline', 'attrs_block', 'colon_fence', 'deflist', 'dollarmath', 'fieldlist',
                          'substitution']
myst_heading_anchors = 4
found = results.measured()
myst_substitutions = {
    'cards': results.cards(found), 'data_table': results.data_table(), 'modules': results.module_table(),
    'measured': results.in_words(found), 'price_table': results.price_table(found),
    'results_table': results.results_table(found),
    'dates_table': results.dates_table(found), 'versions_table': results.versions_table(found),
    'around_table': results.around_table(found.plain), 'plain_in_words': results.plain_in_words(found.plain),
    **{f'plain_{name}': results.plain_table(o) for name, o in found.plain.items()}}
suppress_warnings = ['codeautolink.match_name',   # a name within a text
                     'myst.header',          # an answer or an example may begin with a lower heading
                     'design.card_legacy']   # the sphinx-design of Python 3.10 knows only the old footers

html_theme, html_title, html_baseurl = 'sphinx_book_theme', SETTINGS['title'], BASE_URL
# MathJax lies in a package, of which a page needs the script and the fonts: none asks another host.
html_static_path = ['static', '../images/social-card.png', str(files('sphinx-mathjax-offline')/'static')]
exclude_patterns += ['mathjax/[!ot]*', 'mathjax/tex-[!c]*', 'mathjax/tex-chtml-*', 'mathjax/output/svg',
                     'mathjax/output/**.js']
html_css_files, html_js_files = ['course.css'], [('course.js', {'defer': 'defer'})]
html_favicon = 'static/favicon.svg'
html_show_sourcelink = html_show_sphinx = False
html_context = {'default_mode': 'auto'}
html_theme_options = {
    'repository_url': SETTINGS['git_url'], 'repository_branch': SETTINGS['branch'], 'path_to_docs': 'nbs',
    'use_repository_button': True, 'use_issues_button': True, 'use_edit_page_button': False,
    'use_source_button': False, 'use_fullscreen_button': False,
    'launch_buttons': {'colab_url': 'https://colab.research.google.com',
                       'binderhub_url': 'https://mybinder.org', 'notebook_interface': 'jupyterlab'},
    'logo': {'image_light': 'static/favicon.svg', 'image_dark': 'static/favicon.svg',
             'text': SETTINGS['title'], 'alt_text': ''},
    'navbar_start': [], 'navbar_center': [], 'navbar_end': [], 'navbar_persistent': [],
    'home_page_in_toc': False, 'show_navbar_depth': 1, 'collapse_navbar': True, 'show_toc_level': 2,
    'pygments_light_style': 'a11y-high-contrast-light', 'pygments_dark_style': 'a11y-high-contrast-dark'}
copybutton_selector = 'div.highlight pre:not(.cell_output pre)'   # code, not what it printed
copybutton_exclude = '.linenos, .gp'
mathjax_path = 'mathjax/tex-chtml.js'
mathjax3_config = {'options': {'enableMenu': False}}
sitemap_url_scheme = '{link}'
sitemap_show_lastmod = False
sitemap_excludes = ['search.html', 'genindex.html', 'py-modindex.html', '404.html']
ogp_site_url, ogp_site_name, ogp_description_length = BASE_URL, SETTINGS['title'], 180
ogp_image = '_static/social-card.png'
ogp_social_cards = {'enable': False}
ogp_use_first_image = False
ogp_image_alt = 'practicaldl: a deep-learning course that runs'
ogp_custom_meta_tags = ['<meta name="twitter:card" content="summary_large_image">',
                        '<meta property="og:image:width" content="1200">',
                        '<meta property="og:image:height" content="630">']
notfound_urls_prefix = f"{SETTINGS['doc_baseurl']}/"
linkcheck_anchors, linkcheck_timeout, linkcheck_retries = False, 30, 3
linkcheck_ignore = [rf'{SETTINGS["git_url"]}/blob/.*#L\d+', 'http://127.0.0.1']   # our own code: test_site

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
autodoc_preserve_defaults = True

def add_docments(app, what, name, thing, options, lines):
    "The comments beside parameters become their descriptions; Markdown's marks for code become Sphinx's."
    for parameter, told in (docments(thing, returns=True) if callable(thing) else {}).items():
        own = not inspect.isclass(thing) or '__init__' in vars(thing)
        if told and own and parameter!='self':
            field = 'returns' if parameter=='return' else f'param {parameter}'
            lines += ['', f':{field}: {" ".join(told.split())}']
    lines[:] = [re.sub(r'`([^`]+)`(\w*)', r'``\1``\\ \2', line) for line in lines]

def linkcode_resolve(domain, info):
    "The lines of the repository where a name is defined."
    thing = attrgetter(info['fullname'])(importlib.import_module(info['module']))
    place = f"{BLOB}/{info['module'].replace('.', '/')}.py"
    if not callable(thing):   # a constant
        return place
    lines, first = inspect.getsourcelines(thing)
    return f'{place}#L{first}-L{first+len(lines)-1}'

def link_own_pages(app, doctree, docname):
    "An address of the site leads to the page beside it, so that the site can be carried along."
    for ref in doctree.findall(nodes.reference):
        page, _, anchor = ref.get('refuri', '').partition('.html')
        if page.startswith(BASE_URL):
            name = page.removeprefix(BASE_URL) or 'index'
            ref.attributes.update(internal=True, refuri=app.builder.get_relative_uri(docname, name)+anchor)

def only_own_names(app, env):
    "Other names have no page; to look for one, codeautolink would import half of transformers."
    own = {'practicaldl', *(name.rpartition('.')[2] for name in env.domains['py'].objects)}
    for o in sum(env.sphinx_codeautolink_transforms.values(), []):
        o.names = [n for n in o.names if own & {n.import_components[0], n.import_components[-1]}]

def setup(app):
    app.connect('source-read', notebooks.on_read)
    app.connect('autodoc-process-docstring', add_docments)
    app.connect('env-updated', only_own_names, priority=400)   # before codeautolink
    app.connect('doctree-resolved', link_own_pages)
    app.connect('doctree-resolved', glossary.link_first_uses)
