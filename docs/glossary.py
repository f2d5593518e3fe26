"""The glossary: its page, and the first use of each term in a chapter as a link to it."""
import functools, json, re
from collections import namedtuple

from docutils import nodes
from sphinx.errors import ExtensionError

from bench.results import NBS, ROOT, chapter_title, chapters, read

NOT_IN = (nodes.title, nodes.literal_block, nodes.reference, nodes.math, nodes.math_block, nodes.raw,
          nodes.image, nodes.block_quote)
# Phrases in which a word of the glossary means something else; the next use is linked.
OTHER_SENSE = json.loads((ROOT/'docs'/'other_sense.json').read_text(encoding='utf-8'))
# An entry: its name, other ways to write it, its Chinese name, its meaning, its chapters.
Term = namedtuple('Term', 'name forms chinese meaning chapters')

def terms_in(text) -> list[Term]:
    "The entries in a table of nbs/glossary.ipynb."
    found = []
    for row in re.findall(r'(?m)^\|(?! *(?:term *\||-)) *(.*\S) *\|$', text):
        columns = re.split(r' *\| *', row)
        if len(columns)!=4:
            raise ExtensionError(f'nbs/glossary.ipynb: this row has not four columns: {row}')
        name, *forms = columns[0].split(', ')
        found.append(Term(name, forms, *columns[1:3], re.findall(r'\((\w+)\.ipynb\)', columns[3])))
    return found

@functools.cache
def terms() -> list[Term]:
    "The entries of nbs/glossary.ipynb, in its order."
    return [t for cell in read(NBS/'glossary.ipynb')['cells'] for t in terms_in(cell['source'])]

def page(cells):
    "Turn the tables of the notebook into lists of entries, to which chapters can link."
    titles = {p.stem: chapter_title(p) for p in chapters()}
    for cell in cells[1:]:
        lines = [cell.source.partition('\n')[0], '````{glossary}']
        for t in terms_in(cell.source):
            more = [f'<span class="chinese" lang="zh">{t.chinese}</span>'] if t.chinese!=t.name else []
            more += [f'also: {", ".join(t.forms)}'] if t.forms else []
            where = ' · '.join(f'[{c[:2]}]({c}.ipynb "{titles[c]}")' for c in t.chapters)
            more.append(f'{"chapters" if len(t.chapters) > 1 else "chapter"} {where}')
            lines += [t.name, f'  {t.meaning}', '', f'  {{.term-more}}\n  {" · ".join(more)}', '']
        cell.source = '\n'.join([*lines, '````'])

def pattern(form) -> str:
    "A regular expression for a term or its plural. A name or an acronym is looked for as it is written."
    words = r'[\s-]+'.join(re.escape(o) for o in re.split(r'[\s-]+', form))
    return f'{words}(?:e?s)?' if re.search('[A-Z]', form) else f'(?i:{words}(?:e?s)?)'

def finder(found, phrases):
    "Finds phrases, then any form of any term, the longest first; and for each group its term, or None."
    forms = sorted(((form, t) for t in found for form in (t.name, *t.forms)), key=lambda o: -len(o[0]))
    groups = [re.escape(o).replace(r'\ ', r'\s+') for o in phrases] + [pattern(form) for form, _ in forms]
    either = '|'.join(f'({o})' for o in groups)
    return re.compile(rf'(?<![\w.-])(?:{either})(?![\w-]|\.\w)'), [None]*len(phrases) + [t for _, t in forms]

def is_prose(node) -> bool:
    "Whether a link may stand here: not in code, a title, a quotation, a link, an output or the box."
    if node is None:
        return True
    boxed = {'cell_output', 'at-a-glance'} & set(getattr(node, 'attributes', {}).get('classes', []))
    return not boxed and not isinstance(node, NOT_IN) and is_prose(node.parent)

def link_first_uses(app, doctree, docname):
    "In a chapter, the first use of each term becomes a link, which shows the meaning under the mouse."
    own, linked = [t for t in terms() if docname in t.chapters], set()
    if not own:
        return
    find, owners = finder(own, OTHER_SENSE.get(docname, []))
    address, anchors = app.builder.get_relative_uri(docname, 'glossary'), app.env.domains['std'].objects
    for text in filter(is_prose, list(doctree.findall(nodes.Text))):
        is_code, parts, end = isinstance(text.parent, nodes.literal), [], 0
        for m in find.finditer(text):
            term = owners[m.lastindex-1]   # None: a phrase with another sense
            if term and term.name not in linked and (not is_code or m[0]==text):
                linked.add(term.name)
                inside = nodes.inline(m[0], m[0], classes=['glossary-link'])
                if is_code:
                    inside[:] = [text.parent.deepcopy()]
                uri = f"{address}#{anchors['term', term.name][1]}"
                link = nodes.reference('', '', inside, internal=True, refuri=uri, reftitle=term.meaning)
                parts += [nodes.Text(text[end:m.start()]), link]
                end = m.end()
        if parts:
            place = text.parent if is_code else text
            place.parent.replace(place, [*parts, nodes.Text(text[end:])])
