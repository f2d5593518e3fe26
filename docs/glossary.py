"""The glossary: its page, and the first use of each term in a chapter as a link to it. MathJax's files."""
import functools, json, re, shutil
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform

from bench.results import NBS, ROOT, chapter_title, chapters, read

NOT_IN = (nodes.title, nodes.literal_block, nodes.reference, nodes.math, nodes.math_block, nodes.raw,
          nodes.image, nodes.block_quote, pending_xref)
# Phrases in which a word of the glossary means something else; the next use is linked.
OTHER_SENSE = json.loads((ROOT/'docs'/'other_sense.json').read_text(encoding='utf-8'))

@dataclass
class Term:
    "An entry of the glossary."
    name:str       # the canonical term
    forms:list     # other ways to write it
    chinese:str
    meaning:str
    chapters:list  # names of chapters; the first explains it

@functools.lru_cache
def terms() -> list[Term]:
    "The entries of nbs/glossary.ipynb, in its order."
    found, known = [], {p.stem for p in chapters()}
    rows = [line for cell in read(NBS/'glossary.ipynb')['cells'] for line in cell['source'].splitlines()
            if line.startswith('|') and not re.match(r'\| *(term *\||-)', line)]
    for row in rows:
        parts = [p.strip() for p in row.strip().strip('|').split('|')]
        places = re.findall(r'\((\w+)\.ipynb\)', parts[-1])
        if len(parts)!=4 or not set(places)<=known:
            raise ExtensionError(f'nbs/glossary.ipynb: not four columns, or no such chapter: {row}')
        name, *forms = [o.strip() for o in parts[0].split(',')]
        found.append(Term(name, forms, parts[1], parts[2], places))
    return found

def page(first) -> str:
    "The page of the glossary, in Markdown; `first` is the first cell of its notebook."
    letter, lines = '', [first, '']
    titles = {p.stem: chapter_title(p) for p in chapters()}
    for t in sorted(terms(), key=lambda t: t.name[0].upper()):
        if t.name[0].upper()!=letter:
            lines += ['````'] if letter else []
            letter = t.name[0].upper()
            lines += [f'## {letter}', '````{glossary}']
        more = [f'<span class="chinese" lang="zh">{t.chinese}</span>'] if t.chinese!=t.name else []
        more += [f'also: {", ".join(t.forms)}'] if t.forms else []
        where = ' · '.join(f'[{c[:2]}]({c}.ipynb "{titles[c]}")' for c in t.chapters)
        more.append(f'{"chapters" if len(t.chapters) > 1 else "chapter"} {where}')
        lines += [t.name, f'  {t.meaning}', '', f'  {{.term-more}}\n  {" · ".join(more)}', '']
    return '\n'.join([*lines, '````', ''])

def is_chapter(docname): return bool(re.match(r'\d\d_\w+$', docname))

def pattern(form) -> str:
    "A regular expression for a term or its plural. A name or an acronym is looked for as it is written."
    words = r'[\s-]+'.join(re.escape(o) for o in re.split(r'[\s-]+', form))
    return f'{words}(?:e?s)?' if re.search('[A-Z]', form) else f'(?i:{words}(?:e?s)?)'

def finder(terms) -> re.Pattern:
    "Finds any form of any term, the longest first; the matching group's name ends in the term's place."
    forms = [(form, i) for i, t in enumerate(terms) for form in (t.name, *t.forms)]
    forms.sort(key=lambda o: -len(o[0]))
    alternatives = '|'.join(f'(?P<t{n}_{i}>{pattern(form)})' for n, (form, i) in enumerate(forms))
    return re.compile(rf'(?<![\w.-])(?:{alternatives})(?![\w-]|\.\w)')

class LinkFirstUses(SphinxTransform):
    "In each chapter, the first use of a term of the glossary becomes a link to it."
    default_priority = 850

    def apply(self, **kwargs):
        if not is_chapter(self.env.docname):
            return
        self.terms = [t for t in terms() if self.env.docname in t.chapters]
        self.find, self.linked = finder(self.terms), set()
        for text in list(self.document.findall(nodes.Text)):
            is_code = isinstance(text.parent, nodes.literal)
            if self.in_prose(text):
                self.link_name(text.parent) if is_code else self.link_words(text)

    def in_prose(self, text):
        node = text.parent
        while node is not None:
            if isinstance(node, NOT_IN) or {'cell_output', 'at-a-glance'} & set(node.get('classes', [])):
                return False
            node = node.parent
        return True

    def link_words(self, text):
        parts, end, whole, elsewhere = [], 0, text.astext(), self.other_senses(text)
        for m in self.find.finditer(whole):
            i = int(m.lastgroup.split('_')[1])
            if i not in self.linked and not any(start<=m.start()<stop for start, stop in elsewhere):
                self.linked.add(i)
                parts += [nodes.Text(whole[end:m.start()]), self.link(m[0], i)]
                end = m.end()
        if parts:
            text.parent.replace(text, [o for o in [*parts, nodes.Text(whole[end:])] if o.astext()])

    def other_senses(self, text):
        "Places in a text, from its start, where a word has another sense; words around it may be in italics."
        block = text.parent
        while isinstance(block, nodes.Inline):
            block = block.parent
        parts = list(block.findall(nodes.Text))
        at = next(i for i, part in enumerate(parts) if part is text)
        before, words = sum(len(o.astext()) for o in parts[:at]), ''.join(o.astext() for o in parts)
        phrases = [re.escape(o).replace(r'\ ', r'\s+') for o in OTHER_SENSE.get(self.env.docname, [])]
        return [(m.start()-before, m.end()-before) for o in phrases for m in re.finditer(o, words)]

    def link_name(self, literal):
        "A term that is a name in code, such as `DataBlock`."
        found = (i for i, t in enumerate(self.terms) if literal.astext() in (t.name, *t.forms))
        i = next(found, None)
        if i is not None and i not in self.linked:
            self.linked.add(i)
            link = self.link('', i)
            literal.replace_self(link)
            link[0][:] = [literal]

    def link(self, words, i):
        inside = nodes.inline(words, words, classes=['glossary-link'])
        return pending_xref('', inside, refdomain='std', reftype='term', reftarget=self.terms[i].name,
                            refwarn=True, refexplicit=True, refdoc=self.env.docname)

def add_meanings(app, doctree, docname):
    "A link to the glossary shows the meaning when the mouse rests on it."
    anchors = app.env.domains.standard_domain.objects   # the glossary's own anchors
    meanings = {anchors['term', t.name][1]: t.meaning for t in terms()} if is_chapter(docname) else {}
    for ref in doctree.findall(nodes.reference):
        if any('glossary-link' in o.get('classes', []) for o in ref.findall(nodes.inline)):
            ref['reftitle'] = meanings.get(ref['refuri'].rpartition('#')[2])

def copy_mathjax(app, error):
    "Of the package that carries MathJax, the script and the fonts: no page asks another host."
    for file in [] if error or app.builder.format!='html' else files('sphinx-mathjax-offline'):
        inside = file.as_posix().partition('static/mathjax/')[2]
        if inside=='tex-chtml.js' or re.match(r'output/chtml/fonts/woff-v2/.*\.woff$', inside):
            target = Path(app.outdir)/'_static'/'mathjax'/inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)

def setup(app):
    app.add_transform(LinkFirstUses)
    app.connect('doctree-resolved', add_meanings)
    app.connect('build-finished', copy_mathjax)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
