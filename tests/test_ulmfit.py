"""What chapter 07 exports: surprise and writing on a tiny language model, counting, drawing, stages."""
import math, random
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from practicaldl import ulmfit
from practicaldl.errors import CourseError, DataError

TEXTS = ['The dress is soft and warm.', 'I love the colour of this dress!',
         'It is too short for me, so I sent it back.', 'Soft, warm and lovely.']*6

@pytest.fixture(scope='module')
def lm():
    "A language model of a few words with random weights."
    import pandas as pd
    from fastai.basics import set_seed
    from fastai.text.all import AWD_LSTM, TextDataLoaders, awd_lstm_lm_config, language_model_learner
    set_seed(0)
    table = pd.DataFrame({'text': TEXTS})
    dls = TextDataLoaders.from_df(table, is_lm=True, valid_pct=0.25, seed=1, bs=2, seq_len=8)
    config = {**awd_lstm_lm_config, 'emb_sz': 12, 'n_hid': 16, 'n_layers': 2}
    learn = language_model_learner(dls, AWD_LSTM, config=config, pretrained=False)
    with torch.no_grad():
        learn.model[1].decoder.weight.mul_(20)   # far from even, so that the draw has something to choose
    return learn

@pytest.fixture
def decoder(lm):
    "The last layer of the model; what a test does to it is undone."
    layer = lm.model[1].decoder
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    with torch.no_grad():
        yield layer
    layer.load_state_dict(before)

def all_scores(learn, numbers):
    "The scores for the token after these, all of them read anew."
    learn.model.reset()
    learn.model.eval()
    with torch.no_grad():
        return learn.model(torch.tensor([numbers], device=learn.dls.device))[0][0, -1].float()

# ------------------------------------------------------------------ surprise

def test_surprise_is_the_probability_of_each_token(lm):
    numbers = lm.dls.test_dl(['The dress is soft.']).items[0].tolist()
    expected = []
    for i in range(1, len(numbers)):
        probs = all_scores(lm, numbers[:i]).softmax(-1)
        expected.append(-math.log2(probs[numbers[i]].item()))
    for _ in range(2):   # the memory of the model is emptied first, so a second call gives the same
        tokens, bits = ulmfit.surprises(lm, 'The dress is soft.')
        assert tokens==[lm.dls.vocab[i] for i in numbers[1:]]
        assert bits.tolist()==pytest.approx(expected, abs=1e-3)

def test_a_model_that_knows_nothing_is_always_equally_surprised(lm, decoder):
    decoder.weight.zero_()
    decoder.bias.zero_()
    bits = ulmfit.surprises(lm, 'I love this dress')[1]
    assert bits.tolist()==pytest.approx([math.log2(len(lm.dls.vocab))]*len(bits), abs=1e-4)

def test_no_word_no_surprise(lm):
    with pytest.raises(CourseError, match='no word'):
        ulmfit.surprises(lm, '   ')

# ------------------------------------------------------------------ writing

def test_the_text_begins_as_it_should_and_is_as_long_as_asked(lm):
    assert ulmfit.write(lm, 'the dress', 0)=='the dress'
    tokens = ulmfit.write(lm, 'the dress', 15, seed=3).split()
    assert tokens[:2]==['the', 'dress']
    assert 2 < len(tokens) <= 17   # signs such as xxmaj are carried out, not written

def test_the_seed_decides(lm):
    one, same, other = (ulmfit.write(lm, 'the dress', 12, seed=seed) for seed in (1, 1, 2))
    assert one==same!=other

def test_cold_writing_takes_the_most_probable_word_and_remembers(lm):
    "As somebody would do it who reads the whole text anew for each word."
    from fastai.text.learner import decode_spec_tokens
    vocab = lm.dls.vocab
    numbers = lm.dls.test_dl(['the dress is']).items[0].tolist()
    for _ in range(10):
        scores = all_scores(lm, numbers)
        scores[vocab.index('xxunk')] = -math.inf
        numbers.append(scores.argmax().item())
    words = [vocab[i] for i in numbers if vocab[i] not in ('xxbos', 'xxpad')]
    for _, cell in lm.model[0].hidden:
        cell.fill_(20.)   # what an earlier text has left in the memory
    assert ulmfit.write(lm, 'the dress is', 10, temperature=0.02)==' '.join(decode_spec_tokens(words))

def test_an_unknown_word_is_never_written(lm, decoder):
    decoder.bias[lm.dls.vocab.index('xxunk')] = 30.
    assert 'xxunk' not in ulmfit.write(lm, 'the dress', 20)

@pytest.mark.parametrize('temperature', [0, float('nan')])
def test_a_temperature_is_above_zero(lm, temperature):
    with pytest.raises(CourseError, match='above 0'):
        ulmfit.write(lm, 'the dress', 3, temperature=temperature)

# ------------------------------------------------------------------ counting tokens

def test_only_the_parts_that_are_named_count(tmp_path):
    texts = {'train/pos/1.txt': 'xxbos so so good', 'train/neg/2.txt': 'xxbos bad', 'train/a.md': 'no text',
             'unsup/3.txt': 'xxbos fine é', 'test/pos/4.txt': 'xxbos secret'}
    for place, text in texts.items():
        (tmp_path/place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/place).write_text(text, encoding='utf-8')
    counts = ulmfit.count_tokens(str(tmp_path), ('train', 'unsup'))
    assert counts=={'xxbos': 3, 'so': 2, 'good': 1, 'bad': 1, 'fine': 1, 'é': 1}

def test_nothing_to_count(tmp_path):
    with pytest.raises(DataError, match='from_folder'):
        ulmfit.count_tokens(tmp_path, ('nowhere',))

# ------------------------------------------------------------------ sixteen bits

@pytest.mark.parametrize('device, half', [('cuda', True), ('cpu', False), (None, False)])
def test_half_precision_only_on_a_gpu(device, half):
    dls = SimpleNamespace(device=device and SimpleNamespace(type=device))
    learn = SimpleNamespace(dls=dls, to_fp16=lambda: 'half')
    assert ulmfit.half_on_gpu(learn)==('half' if half else learn)

# ------------------------------------------------------------------ drawing labels

@pytest.fixture
def files(tmp_path):
    "30 of one label, 20 of the other."
    pos = [tmp_path/'train'/'pos'/f'{i}.txt' for i in range(30)]
    return pos + [tmp_path/'train'/'neg'/f'{i}.txt' for i in range(20)]

def labels(chosen):
    return Counter(f.parent.name for f in chosen)

def test_as_many_of_each(files):
    for n in (2, 40):
        chosen = ulmfit.balanced_sample(files, n)
        assert labels(chosen)=={'pos': n//2, 'neg': n//2}
        assert len(set(chosen))==n and set(chosen) <= set(files)
    assert labels(ulmfit.balanced_sample(files))=={'pos': 20, 'neg': 20}   # all that can be had evenly

def test_a_draw_depends_on_the_seed_alone(files):
    "Not on the order of the files; and a small sample is the beginning of a larger one."
    mixed = random.Random(1).sample(files, len(files))
    assert list(ulmfit.balanced_sample(mixed, 12))==list(ulmfit.balanced_sample(files, 40)[:12])
    assert list(ulmfit.balanced_sample(files, 12, seed=1))!=list(ulmfit.balanced_sample(files, 12, seed=2))

@pytest.mark.parametrize('n', [0, 7, 42])
def test_what_cannot_be_drawn(files, n):
    with pytest.raises(CourseError, match='30 pos'):
        ulmfit.balanced_sample(files, n)
    with pytest.raises(CourseError, match='no files'):
        ulmfit.balanced_sample([], n)

# ------------------------------------------------------------------ training in stages

@pytest.fixture
def looks():
    "Counts the batches of the validation set."
    from fastai.callback.core import Callback
    class Looks(Callback):
        seen = 0
        def after_batch(self):
            self.seen += not self.training
    return Looks()

@pytest.fixture
def learn(tmp_path, looks):
    "A net of four groups on random points."
    from fastai.basics import Adam, CrossEntropyLossFlat, DataLoaders, Learner, accuracy, params
    from fastai.data.load import DataLoader
    torch.manual_seed(0)
    points = list(zip(torch.randn(64, 4), torch.randint(2, (64,))))
    train, valid = (DataLoader(points, bs=16, shuffle=shuffle, num_workers=0) for shuffle in (True, False))
    dls = DataLoaders(train, valid, device='cpu')
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), opt_func=Adam, metrics=accuracy, cbs=looks,
                    splitter=lambda m: [params(o) for o in m], path=tmp_path)
    with learn.no_bar(), learn.no_logging():
        yield learn

def test_the_groups_are_unfrozen_from_the_end(learn, monkeypatch):
    "In each stage exactly the groups that may learn have changed, at the rates of a slice."
    usual = learn.fit_one_cycle
    stages = []
    def watch(n, lr, **kwargs):
        before = [layer.weight.clone() for layer in learn.model]
        usual(n, lr, **kwargs)
        changed = [not torch.equal(a, layer.weight) for a, layer in zip(before, learn.model)]
        stages.append((n, lr.start, lr.stop, sum(changed), changed==sorted(changed)))
    monkeypatch.setattr(learn, 'fit_one_cycle', watch)
    ends = ulmfit.fit_gradually(learn, (1, 1, 2, 3), (0.1, 0.05, 0.04, 0.03), div=8)
    assert stages==[(1, 0.1/8, 0.1, 1, True), (1, 0.05/8, 0.05, 2, True), (2, 0.04/8, 0.04, 3, True),
                    (3, 0.03/8, 0.03, 4, True)]
    assert len(ends)==4
    assert all(len(o)==3 and 0 <= o[2] <= 1 for o in ends)   # training loss, validation loss, accuracy

def test_one_stage_trains_everything_at_spread_rates(learn):
    before = [layer.weight.clone() for layer in learn.model]
    ulmfit.fit_gradually(learn, (1,), (0.08,), div=8)
    rates = [h['lr'] for h in learn.opt.hypers]
    assert [rate/rates[-1] for rate in rates]==pytest.approx([1/8, 1/4, 1/2, 1])
    assert not any(torch.equal(a, layer.weight) for a, layer in zip(before, learn.model))

@pytest.mark.parametrize('epochs, lrs', [((1, 1), (0.1,)), ((), ())])
def test_a_rate_for_each_stage(learn, epochs, lrs):
    with pytest.raises(CourseError, match='one rate for each stage'):
        ulmfit.fit_gradually(learn, epochs, lrs)

def test_no_look_at_the_validation_set(learn, looks):
    ulmfit.fit_gradually(learn, (1, 2), (0.1, 0.1), cbs=ulmfit.SkipValidation())
    assert looks.seen==0 and learn.recorder.values[-1][1:]==[None, None]
    learn.validate()
    assert looks.seen==4
    learn.fit(1)
    assert looks.seen==8   # the callback was there for one call only
