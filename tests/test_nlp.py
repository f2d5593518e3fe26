"""What chapter 06 exports: pooling, and the model for pairs of phrases."""
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from practicaldl.nlp import PhraseMatcher, mean_pool

# ------------------------------------------------------------------ pooling and the model

def test_pooling_takes_a_mask_of_any_type():
    hidden = torch.tensor([[[1., 10.], [3., 30.], [9., 9.]], [[5., 5.], [7., 7.], [0., 2.]]])
    mask = torch.tensor([[1, 1, 0], [0, 0, 1]])
    for kind in (torch.int64, torch.bool, torch.float32):
        assert mean_pool(hidden, mask.to(kind)).tolist()==[[2, 20], [0, 2]]
    assert mean_pool(hidden, torch.zeros(2, 3)).tolist()==[[0, 0], [0, 0]]   # nothing to take the mean of

SEP, PAD = 3, 0
PAIR = [1, 9, SEP, 5, 6, SEP, 7, SEP]   # a begin, the context, an anchor of two tokens, a target of one

class Body(nn.Module):
    "A stand-in for a transformer: each token has a fixed vector, whatever its neighbours."
    def __init__(self, size=8):
        super().__init__()
        torch.manual_seed(0)
        self.config = SimpleNamespace(hidden_size=size)
        self.table = nn.Embedding(20, size)
    def forward(self, input_ids, attention_mask):
        return (self.table(input_ids),)

@pytest.fixture
def model():
    return PhraseMatcher(Body(), SEP).eval()

def rows(*texts):
    "Numbers of tokens, filled up with padding, and the attention mask."
    longest = max(map(len, texts))
    ids = [text + [PAD]*(longest-len(text)) for text in texts]
    mask = [[1]*len(text) + [0]*(longest-len(text)) for text in texts]
    return torch.tensor(ids), torch.tensor(mask)

def test_an_untrained_head_is_the_cosine(model):
    table = model.body.table.weight
    out = model(*rows(PAIR))
    assert set(out)=={'logits'} and out['logits'].shape==(1, 1)
    cosine = torch.cosine_similarity(table[[5, 6]].mean(0), table[7], dim=0)
    torch.testing.assert_close(out['logits'][0, 0], cosine)
    same = model(*rows([1, 9, SEP, 5, 6, SEP, 5, 6, SEP]))['logits']
    torch.testing.assert_close(same, torch.ones(1, 1))

def test_padding_changes_nothing(model):
    alone = model(*rows(PAIR))['logits']
    beside = model(*rows(PAIR, [1, 9, SEP, 5, 6, 7, 8, SEP, 4, 4, SEP]))['logits']
    torch.testing.assert_close(alone[0], beside[0])

def test_after_training_the_context_counts(model):
    "The vector of the whole string has weights too; they only begin at zero."
    one, other = rows(PAIR), rows([1, 11, SEP, 5, 6, SEP, 7, SEP])
    torch.testing.assert_close(model(*one)['logits'], model(*other)['logits'])
    with torch.no_grad():
        model.head.weight += 0.1
    assert (model(*one)['logits']-model(*other)['logits']).abs() > 1e-3

def test_the_loss_is_the_mean_squared_error_of_n_numbers(model):
    "Not of the n × n differences between a column and a row; whole numbers may be labels."
    ids, mask = rows(PAIR, [1, 9, SEP, 4, SEP, 8, SEP])
    out = model(ids, mask, labels=torch.tensor([1, 0]))
    expected = ((out['logits'][:, 0]-torch.tensor([1., 0.]))**2).mean()
    torch.testing.assert_close(out['loss'], expected)
    out['loss'].backward()
    assert all(p.grad is not None for p in model.parameters())

def test_training_makes_it_better():
    model = PhraseMatcher(Body(), SEP, dropout=0.)
    ids, mask = rows(PAIR, [1, 9, SEP, 4, SEP, 8, SEP], [1, 11, SEP, 4, SEP, 8, SEP])
    labels = torch.tensor([0.2, 0.9, 0.1])   # the last two differ in the context alone
    opt = torch.optim.AdamW(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = model(ids, mask, labels)['loss']
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 < losses[0]

def test_a_phrase_that_was_cut_off_is_no_crash(model):
    assert model(*rows([1, 9, SEP, SEP], [1, 9, SEP]))['logits'].tolist()==[[0], [0]]
