"""The language model of the course, from the raw text of Wikipedia articles to the weights that the package
ships: `python -m bench pretrain FOLDER [--bf16]` writes lm.safetensors, lm_vocab.json and lm_card.json, as
they lie in practicaldl/assets.

ULMFiT begins with a language model of general English. The full edition takes the one that fastai offers,
trained on WikiText-103. The sample edition needs one that is small and comes without a download, so it was
made here, once, on two cores in the minutes that the card states. tests/test_pretrain.py runs every step on
an encyclopedia of a few sentences, and measures the shipped weights on the articles held out.

The wheel of gensim carries, for its own tests, the beginning of a dump of the English Wikipedia of 2013: 106
articles as their authors wrote them, in wiki mark-up, under CC BY-SA 3.0.
"""
import argparse, bz2, json, re, tempfile, time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import mwparserfromhell
import torch
from fastai.text.all import (AWD_LSTM, Callback, DataLoaders, L, LMDataLoader, Numericalize, Perplexity,
                             Tokenizer, WordTokenizer, awd_lstm_lm_config, language_model_learner, make_vocab,
                             set_seed, to_float)
from mwparserfromhell import nodes
from safetensors.torch import load_file, save_file

from bench import machine
from practicaldl.cache import fetch_members
from practicaldl.registry import GENSIM

# ------------------------------------------------------------------ articles

DUMP = 'enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2'
NOT_PROSE = re.compile(r'(?i)see also|references?|(foot|end)?notes.*|bibliography|(external )?links|sources|'
                       r'further reading|citations|works cited|literature|publications|gallery|discography|'
                       r'filmography')
KEPT_TAGS = {'b', 'i', 'u', 'sub', 'sup', 'small', 'big', 'blockquote', 'br', 'nowiki'}

def is_clutter(node) -> bool:
    "Tables, notes, pictures, headings, links to other sites: what a reader of the prose would not read."
    if isinstance(node, nodes.Tag):
        return str(node.tag).lower() not in KEPT_TAGS
    if isinstance(node, nodes.Wikilink):
        return ':' in str(node.title)   # files, categories, other languages
    return isinstance(node, (nodes.Template, nodes.Comment, nodes.Heading, nodes.ExternalLink))

def article_text(
    markup:str  # of one article
) -> str:       # its paragraphs, one a line
    "The prose of a Wikipedia article: whole paragraphs, without lists of books and links."
    paragraphs = []
    for section in mwparserfromhell.parse(markup).get_sections(flat=True):
        title = section.filter_headings(recursive=False)
        if title and NOT_PROSE.fullmatch(title[0].title.strip_code().strip()):
            continue
        for node in [o for o in section.nodes if is_clutter(o)]:
            section.remove(node)
        for line in section.strip_code().split('\n'):
            text = re.sub(r'\(\s*[;,]*\s*', '(', re.sub(r'\s+', ' ', line).strip())
            text = text.replace('()', '').replace(' ,', ',').replace("''", '')
            if len(text)>=80 and text[-1] in '.!?”")\'':   # headlines and items of lists are not like that
                paragraphs.append(text)
    return '\n'.join(paragraphs)

def read_articles(
    path:Path          # a dump of Wikipedia (.xml.bz2)
) -> dict[str, str]:   # title to prose; redirects and pages about Wikipedia itself are left out
    "The articles of a dump that have prose."
    articles = {}
    with bz2.open(path) as f:
        for _, page in ElementTree.iterparse(f):
            if not page.tag.endswith('}page'):
                continue
            if page.find('{*}ns').text=='0' and page.find('{*}redirect') is None:
                markup = page.find('{*}revision/{*}text').text or ''
                articles[page.find('{*}title').text] = article_text(markup)
            page.clear()
    return {title: text for title, text in articles.items() if text}

def wikipedia_tokens() -> dict:  # title to list of tokens
    "The articles of gensim's wheel, fetched, cleaned and cut into fastai's tokens, as in the chapters."
    with tempfile.TemporaryDirectory() as d:
        articles = read_articles(fetch_members(GENSIM, ('gensim/test/test_data/'+DUMP,), Path(d))[DUMP])
    tokenize = Tokenizer(WordTokenizer())
    return {title: list(tokenize(text)) for title, text in articles.items()}

def split_articles(
    articles:dict  # title to text
) -> tuple:        # titles to train on, titles held out
    "Hold out every tenth article, in alphabetical order: neither the weights nor the vocabulary know it."
    titles = sorted(articles)
    held_out = titles[::10]
    return [o for o in titles if o not in held_out], held_out

# ------------------------------------------------------------------ training

def language_model_loaders(
    train:list,       # texts, each a list of tokens
    valid:list,       # the same, held out
    vocab:list=None,  # the words in their order; None: those that stand at least three times in `train`
    bs:int=32         # streams that are read side by side
):                    # fastai `DataLoaders`, with `vocab`
    "Loaders of 72 tokens at a time, the target one token ahead."
    if vocab is None:
        vocab = make_vocab(Counter(o for text in train for o in text), min_freq=3, max_vocab=60000)
    number = Numericalize(vocab=vocab)
    def loader(texts, shuffle):
        return LMDataLoader(L(number(L(o)) for o in texts), bs=bs, seq_len=72, shuffle=shuffle, num_workers=0)
    dls = DataLoaders(loader(train, True), loader(valid, False))
    dls.vocab = vocab
    return dls

class Bf16OnCpu(Callback):
    """Multiply matrices in bfloat16 on the processor, where that is cheaper with AVX512-BF16 or AMX. Weights,
    loss and steps stay in 32 bits, as in fastai's `MixedPrecision`, which is for GPUs only."""
    order = 10
    def before_batch(self):
        self.autocast = torch.autocast('cpu', dtype=torch.bfloat16)
        self.autocast.__enter__()
    def after_pred(self):
        self.learn.pred = to_float(self.pred)
    def after_loss(self):
        self.autocast.__exit__(None, None, None)

# Numbers a word, numbers a hidden layer, layers: what a laptop can train. fastai's own: 400, 1,152 and three.
SIZE = dict(emb_sz=128, n_hid=256, n_layers=2)

def new_learner(dls, size=SIZE, **kwargs):
    "An `AWD_LSTM` (Merity and others 2017, arXiv:1708.02182) that has learnt nothing; measures perplexity."
    kwargs.update(config={**awd_lstm_lm_config, **size}, pretrained=False, metrics=Perplexity())
    return language_model_learner(dls, AWD_LSTM, **kwargs)

def train_language_model(
    dls,               # fastai `DataLoaders`, as from `language_model_loaders`
    epochs:int=16,
    lr:float=1e-2,     # the highest learning rate of the cycle
    size:dict=SIZE,
    bf16:bool=False    # with `Bf16OnCpu`
):                     # the trained fastai `LMLearner`
    "Train an `AWD_LSTM` from nothing, in one cycle."
    set_seed(42, reproducible=True)
    learn = new_learner(dls, size, drop_mult=0.5, wd=0.1, cbs=Bf16OnCpu() if bf16 else None)
    with learn.no_bar():
        learn.fit_one_cycle(epochs, lr, div=10)
    return learn

# ------------------------------------------------------------------ what is kept

TABLE = '0.encoder.weight'   # the word table, first and last layer at once: AWD_LSTM has it under three names

def save_language_model(
    learn,        # a fastai `LMLearner`
    folder:Path,  # an existing folder
    card:dict     # what the weights are made of; the size of the model is added
):
    """Write the three files that the package ships. safetensors holds numbers and nothing that could be run.
    Half precision is enough for numbers that are trained on at once; the word table is stored once."""
    weights, layers = learn.model.state_dict(), learn.model[0].rnns
    table = weights[TABLE]
    size = dict(emb_sz=table.shape[1], n_hid=layers[0].module.hidden_size, n_layers=len(layers))
    once = {name: o.half() for name, o in weights.items() if name==TABLE or o.data_ptr()!=table.data_ptr()}
    save_file(once, folder/'lm.safetensors')
    words, card = list(learn.dls.vocab), {**card, 'size': size}
    (folder/'lm_vocab.json').write_text(json.dumps(words, ensure_ascii=False), encoding='utf-8')
    (folder/'lm_card.json').write_text(json.dumps(card, indent=1)+'\n', encoding='utf-8')

def perplexity_of(
    folder:Path,  # where `save_language_model` wrote
    dls           # loaders with the vocabulary of the model
) -> float:
    "The perplexity of stored weights on the texts held out."
    size = json.loads((folder/'lm_card.json').read_text(encoding='utf-8'))['size']
    learn, kept = new_learner(dls, size), load_file(folder/'lm.safetensors')
    names = learn.model.state_dict()
    learn.model.load_state_dict({name: kept.get(name, kept[TABLE]).float() for name in names})
    with learn.no_bar():
        return float(learn.validate()[1])

def make_language_model(
    folder:Path,      # where the three files go
    tokens:dict,      # title to list of tokens
    **how             # for `train_language_model`: epochs, lr, size, bf16
) -> dict:            # the card
    "From tokens to the weights that the package ships, measured as they were stored."
    folder, began = Path(folder), time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    titles, held_out = split_articles(tokens)
    train, valid = [tokens[o] for o in titles], [tokens[o] for o in held_out]
    dls = language_model_loaders(train, valid)
    learn = train_language_model(dls, **how)
    card = dict(
        about='An AWD_LSTM language model of English for fastai, for teaching; made by bench/pretrain.py',
        corpus=f'English Wikipedia, dump of 2013, {len(tokens)} articles, from the wheel of gensim '
               f'{GENSIM.version} ({DUMP})',
        licence_of_the_text='CC BY-SA 3.0', articles_trained_on=len(titles), articles_held_out=held_out,
        tokens_trained_on=sum(map(len, train)), tokens_held_out=sum(map(len, valid)), words=len(dls.vocab),
        epochs=learn.n_epoch, minutes=round((time.perf_counter()-began)/60, 1),
        machine=f'{machine()}; PyTorch {torch.__version__}')
    save_language_model(learn, folder, card)
    card['perplexity_held_out'] = round(perplexity_of(folder, dls), 2)
    save_language_model(learn, folder, card)
    return card

def main(words) -> int:
    p = argparse.ArgumentParser('bench pretrain', description='Make the language model that is shipped.')
    p.add_argument('folder', type=Path, help='for the three files, for example practicaldl/assets')
    p.add_argument('--bf16', action='store_true', help='for processors with AVX512-BF16 or AMX')
    args = p.parse_args(words)
    print(json.dumps(make_language_model(args.folder, wikipedia_tokens(), bf16=args.bf16), indent=1))
    return 0
