"""What chapter 07 exports: surprise on a tiny language model, and training without held-back rows."""
import math

import pytest
import torch
from torch import nn

from practicaldl import ulmfit
from practicaldl.errors import CourseError

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

# ------------------------------------------------------------------ no look at the validation set

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
    "A small net on random points."
    from fastai.basics import Adam, CrossEntropyLossFlat, DataLoaders, Learner, accuracy
    from fastai.data.load import DataLoader
    torch.manual_seed(0)
    points = list(zip(torch.randn(64, 4), torch.randint(2, (64,))))
    train, valid = (DataLoader(points, bs=16, shuffle=shuffle, num_workers=0) for shuffle in (True, False))
    dls = DataLoaders(train, valid, device='cpu')
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2))
    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), opt_func=Adam, metrics=accuracy,
                    cbs=looks, path=tmp_path)
    with learn.no_bar(), learn.no_logging():
        yield learn

def test_no_look_at_the_validation_set(learn, looks):
    learn.fit_one_cycle(2, 0.1, cbs=ulmfit.SkipValidation())
    assert looks.seen==0 and learn.recorder.values[-1][1:]==[None, None]
    learn.validate()
    assert looks.seen==4
    learn.fit(1)
    assert looks.seen==8   # the callback was there for one call only
