"""What the site needs beyond Sphinx's own extensions: links to the glossary, buttons, MathJax's files."""
import functools, json, re, shutil
from importlib.metadata import files
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform

from docs.prepare import launch_links

NOT_IN = (nodes.title, nodes.literal_block, nodes.reference, nodes.math, nodes.math_block, nodes.raw,
          nodes.image, nodes.block_quote, pending_xref)
# Words of the glossary in another sense: a link would mislead. The next use is linked.
OTHER_SENSE = {
    '01_bird': ['without a network', 'asked of the network'],
    '02_intro': ['last step', 'fit the purpose', 'It fits where', 'fits: it has'],
    '04_how_nets_learn': ['take any shape'],
    '05_mnist': ['one step along', 'seven steps'],
    '06_transformers': ['Two steps lead', 'Step by step'],
    '07_ulmfit': ['Every step of it', 'the class itself', 'the class', 'a second layer',
                  'learner of the same shape', 'in two steps'],
}

def is_chapter(docname): return bool(re.match(r'\d\d_\w+$', docname))

@functools.lru_cache
def entries(folder) -> list:
    "The glossary, as prepare.py has left it among the sources."
    return json.loads((Path(folder)/'glossary.json').read_text(encoding='utf-8'))

def pattern(form) -> str:
    "A regular expression for a term or its plural. A name or an acronym is looked for as it is written."
    words = r'[\s-]+'.join(re.escape(o) for o in re.split(r'[\s-]+', form))
    return f'{words}(?:e?s)?' if re.search('[A-Z]', form) else f'(?i:{words}(?:e?s)?)'

def finder(terms) -> re.Pattern:
    "Finds any form of any term, the longest first; the matching group's name ends in the term's place."
    forms = [(form, i) for i, t in enumerate(terms) for form in (t['name'], *t['forms'])]
    forms.sort(key=lambda o: -len(o[0]))
    alternatives = '|'.join(f'(?P<t{n}_{i}>{pattern(form)})' for n, (form, i) in enumerate(forms))
    return re.compile(rf'(?<![\w.-])(?:{alternatives})(?![\w-]|\.\w)')

class LinkFirstUses(SphinxTransform):
    "In each chapter, the first use of a term of the glossary becomes a link to it."
    default_priority = 850

    def apply(self, **kwargs):
        if not is_chapter(self.env.docname):
            return
        terms = [t for t in entries(self.env.srcdir) if self.env.docname in t['chapters']]
        find, linked = finder(terms), set()
        for text in list(self.document.findall(nodes.Text)):
            if not self.in_prose(text):
                continue
            if isinstance(text.parent, nodes.literal):
                self.link_name(text.parent, terms, linked)
            else:
                self.link_words(text, find, terms, linked)

    def link_words(self, text, find, terms, linked):
        parts, end, whole = [], 0, text.astext()
        elsewhere = self.other_senses(text)
        for m in find.finditer(whole):
            i = int(m.lastgroup.split('_')[1])
            if i in linked or any(start<=m.start()<stop for start, stop in elsewhere):
                continue
            linked.add(i)
            parts += [nodes.Text(whole[end:m.start()]), self.link(m[0], terms[i]['name'])]
            end = m.end()
        if parts:
            text.parent.replace(text, [o for o in [*parts, nodes.Text(whole[end:])] if o.astext()])

    def other_senses(self, text):
        "Places in a text, from its start, where a word has another sense; words around it may be in italics."
        if self.env.docname not in OTHER_SENSE:
            return []
        block = text.parent
        while isinstance(block, nodes.Inline):
            block = block.parent
        parts = list(block.findall(nodes.Text))
        at = next(i for i, part in enumerate(parts) if part is text)
        before = sum(len(part.astext()) for part in parts[:at])
        phrases = '|'.join(re.escape(o).replace(r'\ ', r'\s+') for o in OTHER_SENSE[self.env.docname])
        found = re.finditer(phrases, ''.join(o.astext() for o in parts))
        return [(m.start()-before, m.end()-before) for m in found]

    def link_name(self, literal, terms, linked):
        "A term that is a name in code, such as `DataBlock`."
        i = next((i for i, t in enumerate(terms) if literal.astext() in (t['name'], *t['forms'])), None)
        if i is None or i in linked:
            return
        linked.add(i)
        link = self.link('', terms[i]['name'])
        literal.replace_self(link)
        link[0][:] = [literal]

    def in_prose(self, text):
        node = text.parent
        while node is not None:
            if isinstance(node, NOT_IN) or {'cell_output', 'at-a-glance'} & set(node.get('classes', [])):
                return False
            node = node.parent
        return True

    def link(self, words, term):
        inside = nodes.inline(words, words, classes=['glossary-link'])
        return pending_xref('', inside, refdomain='std', reftype='term', reftarget=term, refwarn=True,
                            refexplicit=True, refdoc=self.env.docname)

def add_definitions(app, doctree, docname):
    "A link to the glossary shows the meaning when the mouse rests on it."
    if not is_chapter(docname):
        return
    anchors = app.env.domains.standard_domain.objects   # the glossary's own anchors
    meanings = {anchors['term', t['name']][1]: t['meaning'] for t in entries(app.srcdir)}
    for ref in doctree.findall(nodes.reference):
        if any('glossary-link' in o.get('classes', []) for o in ref.findall(nodes.inline)):
            ref['reftitle'] = meanings.get(ref['refuri'].rpartition('#')[2])

def add_buttons(app, pagename, templatename, context, doctree):
    "Beside the theme's buttons for Colab and Binder: Kaggle, and the notebook as it is in the repository."
    if not is_chapter(pagename):
        return
    kaggle = {'type': 'link', 'text': 'Kaggle', 'tooltip': 'Launch on Kaggle', 'icon': 'fab fa-kaggle',
              'url': launch_links(pagename)['Kaggle'], 'label': 'launch-kaggle'}
    download = {'type': 'link', 'tooltip': 'Download the notebook', 'icon': 'fas fa-download',
                'url': f'notebooks/{pagename}.ipynb', 'label': 'download-notebook'}
    for group in context['header_buttons']:
        if group.get('label')=='launch-buttons':
            group['buttons'].insert(1, kaggle)
    context['header_buttons'].insert(1, download)

def copy_mathjax(app, error):
    "Of the package that carries MathJax, the one script and the fonts that it uses."
    if error or app.builder.format!='html':
        return
    copied = set()
    for file in files('sphinx-mathjax-offline') or []:
        inside = file.as_posix().partition('static/mathjax/')[2]
        if inside=='tex-chtml.js' or re.match(r'output/chtml/fonts/woff-v2/.*\.woff$', inside):
            target = Path(app.outdir)/'_static'/'mathjax'/inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)
            copied.add(target.suffix)
    if copied!={'.js', '.woff'}:
        raise ExtensionError('sphinx-mathjax-offline has not the script and the fonts that equations need. '
                             'Install the version in constraints.txt.')

def add_downloads(app, config):
    "Files that go to the site as they are: the notebooks to download, the social card."
    config.html_extra_path = [str(Path(app.srcdir)/'downloads')]

def setup(app):
    app.connect('config-inited', add_downloads)
    app.add_transform(LinkFirstUses)
    app.connect('doctree-resolved', add_definitions)
    app.connect('html-page-context', add_buttons, priority=900)
    app.connect('build-finished', copy_mathjax)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
