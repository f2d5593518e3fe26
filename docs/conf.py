"""How Sphinx builds the site. The sources are made by prepare.py; `make docs` does both."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docs.prepare import BASE_URL, REPO, SETTINGS, STATIC

project, author, copyright, release = (SETTINGS[o] for o in ('title', 'author', 'copyright', 'version'))
extensions = ['myst_nb', 'sphinx_copybutton', 'sphinx_design', 'sphinx_sitemap', 'sphinxext.opengraph',
              'notfound.extension', 'docs.site_extension']
exclude_patterns = ['downloads']
language = 'en'

myst_enable_extensions = ['attrs_inline', 'attrs_block', 'colon_fence', 'deflist', 'dollarmath', 'fieldlist']
myst_heading_anchors = 4
suppress_warnings = ['myst.header',          # an answer or an example may begin with a lower heading
                     'design.card_legacy']   # the sphinx-design of Python 3.10 knows only the old footers
nb_execution_mode = 'off'             # the outputs that are shown are those that were committed
nb_merge_streams = True
nb_code_prompt_show, nb_code_prompt_hide = 'Show the code', 'Hide the code'

html_theme = 'sphinx_book_theme'
html_title = SETTINGS['title']
html_baseurl = BASE_URL
html_static_path = [str(STATIC)]
html_css_files, html_js_files = ['course.css'], [('course.js', {'defer': 'defer'})]
html_favicon = str(STATIC/'favicon.svg')
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_last_updated_fmt = None
html_context = {'default_mode': 'auto'}
html_theme_options = {
    'repository_url': REPO, 'repository_branch': SETTINGS['branch'], 'path_to_docs': 'nbs',
    'use_repository_button': True, 'use_issues_button': True, 'use_download_button': False,
    'use_edit_page_button': False, 'use_source_button': False, 'use_fullscreen_button': False,
    'launch_buttons': {'colab_url': 'https://colab.research.google.com',
                       'binderhub_url': 'https://mybinder.org', 'notebook_interface': 'jupyterlab'},
    'logo': {'image_light': str(STATIC/'favicon.svg'), 'image_dark': str(STATIC/'favicon.svg'),
             'text': SETTINGS['title'], 'alt_text': ''},
    'navbar_start': [], 'navbar_center': [], 'navbar_end': [], 'navbar_persistent': [],
    'home_page_in_toc': False, 'show_navbar_depth': 1, 'collapse_navbar': True, 'show_toc_level': 2,
    'pygments_light_style': 'a11y-high-contrast-light', 'pygments_dark_style': 'a11y-high-contrast-dark'}
# A learner copies code, not what it printed.
copybutton_selector = 'div.highlight pre:not(.cell_output pre)'
copybutton_exclude = '.linenos, .gp'

# The script and its fonts come with the site: a page asks no other host for anything.
mathjax_path = 'mathjax/tex-chtml.js'
mathjax3_config = {'options': {'enableMenu': False}}

sitemap_url_scheme, sitemap_show_lastmod = '{link}', False
sitemap_excludes = ['search.html', 'genindex.html', 'py-modindex.html', '404.html']
ogp_site_url, ogp_site_name, ogp_description_length = BASE_URL, SETTINGS['title'], 180
ogp_social_cards = {'enable': False}
ogp_image, ogp_use_first_image = '_static/social-card.png', False
ogp_image_alt = 'practicaldl: a deep-learning course whose chapters run'
ogp_custom_meta_tags = ['<meta name="twitter:card" content="summary_large_image">',
                        '<meta property="og:image:width" content="1200">',
                        '<meta property="og:image:height" content="630">']
notfound_urls_prefix = f"{SETTINGS['doc_baseurl']}/"
linkcheck_anchors, linkcheck_timeout, linkcheck_retries = False, 30, 3
# Lines of our own code are checked by tests/test_site.py.
linkcheck_ignore = [rf'{REPO}/blob/.*#L\d+', 'http://127.0.0.1']
