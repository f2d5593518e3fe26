"""Pictures of README and the site, taken from the chapters: the first result, the cards, the social card."""
import base64, io

from PIL import Image

from bench import ROOT
from bench.results import chapters, read
from practicaldl.errors import CourseError

def chosen_picture(path) -> tuple:
    "The picture that stands for a chapter, that of the cell whose metadata says `card`, and what it shows."
    for cell in read(path)['cells']:
        about = cell['metadata'].get('practicaldl', {})
        pngs = [o['data']['image/png'] for o in cell.get('outputs', []) if 'image/png' in o.get('data', {})]
        if about.get('card') and pngs and about.get('alt'):
            png = base64.b64decode(''.join(pngs[0]))
            return Image.open(io.BytesIO(png)).convert('RGB'), about['alt']
    raise CourseError(f'{path.name}: no cell with a picture has "card": true and an "alt" in its metadata '
                      '("practicaldl"), so the front page has no picture for this chapter.')

def card(path) -> Image.Image:
    "The picture of a chapter's card on the front page: half of it where it is a long row of pictures."
    picture, _ = chosen_picture(path)
    if picture.width > 3*picture.height:
        picture = picture.crop((0, 0, picture.width//2, picture.height))
    picture.thumbnail((720, 720))
    return picture

def social_card(first):
    "The picture where somebody shares a link, 1200 × 630 pixels: name, promise, and a first result."
    import numpy as np
    from matplotlib.figure import Figure
    fig = Figure(figsize=(12, 6.3), dpi=100, facecolor='#123f6b')
    valley = fig.add_axes([0.06, 0.60, 0.11, 0.26])
    x = np.linspace(-1, 1, 50)
    valley.plot(x, x**2, color='#9fd0ff', lw=9, solid_capstyle='round')
    valley.scatter([-0.85, -0.6, 0], [0.85, 0.48, 0.12], s=[90, 160, 420], color='#ffb454', zorder=3)
    valley.set(xlim=(-1.15, 1.15), ylim=(-0.2, 1.15))
    valley.axis('off')
    fig.text(0.20, 0.74, 'practicaldl', color='white', fontsize=50, weight='bold')
    fig.text(0.20, 0.635, 'A deep-learning course that runs', color='#d6e8fb', fontsize=25)
    row = fig.add_axes([0.05, 0.08, 0.90, 0.42])
    row.imshow(first)
    row.axis('off')
    made = io.BytesIO()
    fig.savefig(made)
    return Image.open(made).convert('RGB').quantize(256)

def draw():
    "Draw images/ again from what chapter 01 shows first."
    first, _ = chosen_picture(chapters()[0])
    first.quantize(256).save(ROOT/'images'/'first-result.png', optimize=True)
    social_card(first).save(ROOT/'images'/'social-card.png', optimize=True)
