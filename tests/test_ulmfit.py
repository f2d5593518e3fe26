"""What chapter 07 exports: surprise and writing on a tiny language model, counting, drawing, and training in stages."""
import math
import random
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from practicaldl import ulmfit
from practicaldl.errors import CourseError, DataError

TEXTS = ['The dress is soft and warm.', 'I love the colour of this dress!', 'It is too short for me, so I sent it back.', 'Soft, warm and lovely.']*6


@pytest.fixture(scope='module')
def lm():
    "A language model of a few words with random weights."
    import pandas as pd
    from fastai.text.all import AWD_LSTM, TextDataLoaders, awd_lstm_lm_config, language_model_learner, set_seed
    set_seed(0)
    dls = TextDataLoaders.from_df(pd.DataFrame({'text': TEXTS}), is_lm=True, valid_pct=0.25, seed=1, bs=2, seq_len=8)
    config = {**awd_lstm_lm_config, 'emb_sz': 12, 'n_hid': 16, 'n_layers': 2}
    learn = language_model_learner(dls, AWD_LSTM, config=config, pretrained=False)
    with torch.no_grad(): learn.model[1].decoder.weight.mul_(20)   # far from even, so that the draw has something to choose
    return learn


def all_scores(learn, numbers):
    "The scores for the token after these, all of them read anew."
    learn.model.reset(); learn.model.eval()
    with torch.no_grad(): return learn.model(torch.tensor([numbers], device=learn.dls.device))[0][0, -1].float()


# ------------------------------------------------------------------ surprise

def test_surprise_is_the_probability_of_each_token(lm):
    text = 'The dress is soft.'
    tokens, bits = ulmfit.surprises(lm, text)
    numbers = lm.dls.test_dl([text]).items[0].tolist()
    assert tokens==[lm.dls.vocab[i] for i in numbers[1:]] and bits.shape==(len(tokens),)
    for i, b in enumerate(bits.tolist(), 1):
        assert b==pytest.approx(-math.log2(all_scores(lm, numbers[:i]).softmax(-1)[numbers[i]].item()), abs=1e-3)

def test_a_model_that_knows_nothing_is_always_equally_surprised(lm):
    weights = {k: v.clone() for k, v in lm.model.state_dict().items()}
    try:
        with torch.no_grad(): lm.model[1].decoder.weight.zero_(); lm.model[1].decoder.bias.zero_()
        bits = ulmfit.surprises(lm, 'I love this dress')[1]
    finally: lm.model.load_state_dict(weights)
    assert bits.tolist()==pytest.approx([math.log2(len(lm.dls.vocab))]*len(bits), abs=1e-4)

def test_what_comes_later_does_not_change_the_surprise(lm):
    short, long = ulmfit.surprises(lm, 'I love the')[1], ulmfit.surprises(lm, 'I love the colour of it')[1]
    torch.testing.assert_close(short, long[:len(short)], atol=1e-4, rtol=0)

def test_a_second_call_gives_the_same(lm):
    "The memory of the model is emptied first."
    torch.testing.assert_close(ulmfit.surprises(lm, 'soft and warm')[1], ulmfit.surprises(lm, 'soft and warm')[1])

@pytest.mark.parametrize('text', ['', '   '])
def test_no_word_no_surprise(lm, text):
    with pytest.raises(CourseError, match='no word'): ulmfit.surprises(lm, text)


# ------------------------------------------------------------------ writing

def test_the_text_begins_as_it_should_and_is_as_long_as_asked(lm):
    text = ulmfit.write(lm, 'the dress', 0)
    assert text=='the dress'
    tokens = ulmfit.write(lm, 'the dress', 15, seed=3).split()
    assert tokens[:2]==['the', 'dress'] and 2 < len(tokens) <= 17   # signs such as xxmaj are carried out, not written

def test_the_seed_decides(lm):
    one, same, other = (ulmfit.write(lm, 'the dress', 12, seed=s) for s in (1, 1, 2))
    assert one==same!=other

def test_cold_writing_takes_the_most_probable_word_and_remembers(lm):
    "As somebody would do it who reads the whole text anew for each word."
    numbers, unknown = lm.dls.test_dl(['the dress is']).items[0].tolist(), lm.dls.vocab.index('xxunk')
    for _ in range(10):
        scores = all_scores(lm, numbers)
        scores[unknown] = -math.inf
        numbers.append(scores.argmax().item())
    from fastai.text.learner import decode_spec_tokens
    by_hand = ' '.join(decode_spec_tokens([lm.dls.vocab[i] for i in numbers if lm.dls.vocab[i] not in ('xxbos', 'xxpad')]))
    assert ulmfit.write(lm, 'the dress is', 10, temperature=0.02)==by_hand

def test_an_unknown_word_is_never_written(lm):
    weights = {k: v.clone() for k, v in lm.model.state_dict().items()}
    try:
        with torch.no_grad(): lm.model[1].decoder.bias[lm.dls.vocab.index('xxunk')] = 30.
        text = ulmfit.write(lm, 'the dress', 20)
    finally: lm.model.load_state_dict(weights)
    assert 'xxunk' not in text

@pytest.mark.parametrize('temperature', [0, -1., float('nan')])
def test_a_temperature_is_above_zero(lm, temperature):
    with pytest.raises(CourseError, match='above 0'): ulmfit.write(lm, 'the dress', 3, temperature=temperature)


# ------------------------------------------------------------------ counting tokens

def test_only_the_parts_that_are_named_count(tmp_path):
    for place, text in (('train/pos/1.txt', 'xxbos so so good'), ('train/neg/2.txt', 'xxbos bad'), ('unsup/3.txt', 'xxbos fine é'), ('test/pos/4.txt', 'xxbos secret')):
        (tmp_path/place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/place).write_text(text, encoding='utf-8')
    (tmp_path/'train'/'notes.md').write_text('not a text', encoding='utf-8')
    counts = ulmfit.count_tokens(tmp_path, ('train', 'unsup'))
    assert counts==Counter({'xxbos': 3, 'so': 2, 'good': 1, 'bad': 1, 'fine': 1, 'é': 1})
    assert ulmfit.count_tokens(str(tmp_path), ('test',))['secret']==1

@pytest.mark.parametrize('parts', [('nowhere',), ()])
def test_nothing_to_count(tmp_path, parts):
    with pytest.raises(DataError, match='from_folder'): ulmfit.count_tokens(tmp_path, parts)


# ------------------------------------------------------------------ sixteen bits

@pytest.mark.parametrize('device, half', [('cuda', True), ('cpu', False), ('mps', False), (None, False)])
def test_half_precision_only_on_a_gpu(device, half):
    learn = SimpleNamespace(dls=SimpleNamespace(device=device and SimpleNamespace(type=device)), to_fp16=lambda: 'half')
    assert ulmfit.half_on_gpu(learn)==('half' if half else learn)


# ------------------------------------------------------------------ drawing labels

@pytest.fixture
def files(tmp_path): return [tmp_path/'train'/label/f'{i}.txt' for label, n in (('pos', 30), ('neg', 20)) for i in range(n)]

def labels(chosen): return Counter(f.parent.name for f in chosen)

@pytest.mark.parametrize('n', [2, 10, 40])
def test_as_many_of_each(files, n):
    chosen = ulmfit.balanced_sample(files, n)
    assert labels(chosen)=={'pos': n//2, 'neg': n//2} and len(set(chosen))==n and set(chosen) <= set(files)

def test_small_samples_are_parts_of_larger_ones(files):
    large = ulmfit.balanced_sample(files, 40)
    assert list(ulmfit.balanced_sample(files, 8))==list(large[:8])

def test_the_order_of_the_files_does_not_matter(files):
    mixed = random.Random(1).sample(files, len(files))
    assert list(ulmfit.balanced_sample(mixed, 12))==list(ulmfit.balanced_sample(files, 12))
    assert list(ulmfit.balanced_sample(files, 12, seed=1))!=list(ulmfit.balanced_sample(files, 12, seed=2))

def test_all_that_can_be_had_evenly(files):
    assert labels(ulmfit.balanced_sample(files))=={'pos': 20, 'neg': 20}

@pytest.mark.parametrize('n', [-2, 0, 7, 42])
def test_what_cannot_be_drawn(files, n):
    with pytest.raises(CourseError, match='30 pos'): ulmfit.balanced_sample(files, n)

@pytest.mark.parametrize('n', [None, 2])
def test_no_files(n):
    with pytest.raises(CourseError, match='no files'): ulmfit.balanced_sample([], n)


# ------------------------------------------------------------------ training in stages

@pytest.fixture
def learner(tmp_path):
    "A net of four groups on random points; `looks` counts the batches of the validation set."
    from fastai.basics import Adam, Callback, CrossEntropyLossFlat, DataLoaders, Learner, accuracy, params
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), torch.randint(2, (64,))
    train, valid = (torch.utils.data.TensorDataset(x, y) for _ in range(2))
    from fastai.data.load import DataLoader
    dls = DataLoaders(DataLoader(train, bs=16, shuffle=True, num_workers=0), DataLoader(valid, bs=16, num_workers=0), device='cpu')
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    class Looks(Callback):
        seen = 0
        def after_batch(self): self.seen += not self.training
    looks = Looks()
    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), opt_func=Adam, splitter=lambda m: [params(o) for o in m], metrics=accuracy, cbs=looks, path=tmp_path)
    with learn.no_bar(), learn.no_logging(): yield SimpleNamespace(learn=learn, looks=looks)

def test_the_groups_are_unfrozen_from_the_end(learner, monkeypatch):
    "In each stage exactly the groups that may learn have changed, at the rates of a slice."
    learn, stages = learner.learn, []
    usual = learn.fit_one_cycle
    def watch(n, lr, **kwargs):
        before = [layer.weight.clone() for layer in learn.model]
        usual(n, lr, **kwargs)
        stages.append((n, lr, [not torch.equal(a, layer.weight) for a, layer in zip(before, learn.model)]))
    monkeypatch.setattr(learn, 'fit_one_cycle', watch)
    ends = ulmfit.fit_gradually(learn, (1, 1, 2, 3), (0.1, 0.05, 0.04, 0.03), div=8)
    assert [changed for _, _, changed in stages]==[[False, False, False, True], [False, False, True, True], [False, True, True, True], [True]*4]
    assert [n for n, _, _ in stages]==[1, 1, 2, 3] and [(lr.start, lr.stop) for _, lr, _ in stages]==[(o/8, o) for o in (0.1, 0.05, 0.04, 0.03)]
    assert len(ends)==4 and all(len(o)==3 and 0 <= o[2] <= 1 for o in ends)   # training loss, validation loss, accuracy

def test_rates_are_spread_over_the_groups(learner):
    learn = learner.learn
    ulmfit.fit_gradually(learn, (1,), (0.08,), div=8)
    last = [h['lr'] for h in learn.opt.hypers]
    assert [a/last[-1] for a in last]==pytest.approx([1/8, 1/4, 1/2, 1])

def test_one_stage_trains_everything(learner):
    before = [layer.weight.clone() for layer in learner.learn.model]
    ulmfit.fit_gradually(learner.learn, (1,), (0.1,))
    assert not any(torch.equal(a, layer.weight) for a, layer in zip(before, learner.learn.model))

@pytest.mark.parametrize('epochs, lrs', [((1, 1), (0.1,)), ((1,), (0.1, 0.1)), ((), ())])
def test_a_rate_for_each_stage(learner, epochs, lrs):
    with pytest.raises(CourseError, match='one rate for each stage'): ulmfit.fit_gradually(learner.learn, epochs, lrs)

def test_no_look_at_the_validation_set(learner):
    learn, looks = learner.learn, learner.looks
    ulmfit.fit_gradually(learn, (1, 2), (0.1, 0.1), cbs=ulmfit.SkipValidation())
    assert looks.seen==0 and learn.recorder.values[-1][1:]==[None, None]
    loss, accuracy = learn.validate()
    assert looks.seen==4 and loss > 0 and 0 <= accuracy <= 1
    learn.fit(1)
    assert looks.seen==8   # it was there for one call only
