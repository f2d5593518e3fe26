"""Draws the street scenes that stand in for CamVid, and writes the two sheets that the package ships.

    python -m bench scenes

CamVid is a set of frames from a car's camera in which every pixel has a class. Nothing of the kind is on a
package index, so the twin is drawn, with a fixed seed. It is an exercise sheet, not a street. Light, tint,
texture and noise vary from scene to scene, and cars, buildings and pavements share their colours, so that
colour alone does not give the class away. The drawings are shipped, and not this program: another NumPy may
draw other random numbers.
"""
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from practicaldl.samples import CAMVID_CODES

SCENE_SIZE = 128, 96   # width and height in pixels, as in CAMVID_TINY


class _Sketch:
    "A picture and its mask, drawn together. The order of the random draws makes the twin: keep it."
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.picture = Image.new('RGB', SCENE_SIZE)
        self.mask = Image.new('L', SCENE_SIZE, CAMVID_CODES.index('Void'))
        self.ink, self.label = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.mask)
    def number(self, low, high):
        return int(self.rng.integers(low, high))
    def colour(self, *choices):
        "One of some colours, changed a little."
        base = choices[self.rng.integers(len(choices))] if len(choices)>1 else choices[0]
        return tuple(int(v) for v in (base + self.rng.integers(-18, 19, 3)).clip(0, 255))
    def shape(self, kind, xy, code, fill):
        "A rectangle, polygon or ellipse of one class."
        getattr(self.ink, kind)(xy, fill=fill)
        getattr(self.label, kind)(xy, fill=CAMVID_CODES.index(code))


def _draw_town(s, horizon):
    "Sky, and a row of buildings with gaps."
    w = SCENE_SIZE[0]
    air = s.colour((150, 185, 225), (190, 195, 200), (225, 190, 165))
    s.shape('rectangle', (0, 0, w, horizon), 'Sky', air)
    x = 0
    while x < w:
        width, top = s.number(14, 34), s.number(6, horizon-8)
        if s.rng.random() < 0.85:
            wall = s.colour((150, 110, 90), (130, 130, 135), (185, 175, 155))
            s.shape('rectangle', (x, top, x+width, horizon+4), 'Building', wall)
            for wx in range(x+3, x+width-3, 6):
                for wy in range(top+4, horizon-4, 8):
                    s.ink.rectangle((wx, wy, wx+2, wy+4), fill=tuple(int(v*0.6) for v in wall))
        x += width


def _draw_street(s, horizon, vanish):
    "Pavement, road and its marks; returns where the road begins and ends at the lower edge."
    w, h = SCENE_SIZE
    left, right = s.number(-30, 12), s.number(w-12, w+30)
    pavement = [(0, h), (0, horizon+4), (vanish, horizon), (w, horizon+4), (w, h)]
    s.shape('polygon', pavement, 'Sidewalk', s.colour((140, 136, 130)))
    road = [(left, h), (vanish-6, horizon), (vanish+6, horizon), (right, h)]
    s.shape('polygon', road, 'Road', s.colour((105, 105, 110)))
    lean = (left+right)/2 - vanish
    for t in (0.25, 0.45, 0.7):   # marks in the middle of the road grow towards the viewer
        x, y = vanish + t*lean, horizon + t*(h-horizon)
        ends = [(x, y), (x + t*6*lean/(h-horizon), y+6*t)]
        s.ink.line(ends, fill=s.colour((215, 215, 205)), width=max(1, int(3*t)))
    return left, right


def _draw_tree(s, horizon):
    w, size, on_the_left = SCENE_SIZE[0], s.number(9, 17), s.rng.random() < 0.5
    x = s.number(2, 30) if on_the_left else s.number(w-30, w-2)
    foot = s.number(horizon+4, horizon+16)
    s.shape('rectangle', (x-1, foot-size, x+1, foot), 'Tree', s.colour((85, 65, 50)))
    for _ in range(5):
        cx, cy = x+s.number(-size//2, size//2+1), foot-size-s.number(0, size)
        crown = (cx-size//2, cy-size//2, cx+size//2, cy+size//2)
        s.shape('ellipse', crown, 'Tree', s.colour((75, 105, 60)))


def _draw_car(s, horizon, vanish, road_width):
    t = s.rng.uniform(0.2, 0.75)   # larger when nearer
    size, y = int(8+34*t), int(horizon+t*(SCENE_SIZE[1]-horizon))
    x = int(vanish + s.rng.uniform(-0.7, 0.7)*t*road_width/2)
    body = s.colour((140, 40, 40), (60, 75, 120), (200, 200, 200), (70, 70, 75), (150, 115, 90))
    roof, third, quarter = y-size*3//5, size//3, size//4
    cabin = [(x-third, y-third), (x-quarter, roof), (x+quarter, roof), (x+third, y-third)]
    s.shape('rectangle', (x-size//2, y-third, x+size//2, y), 'Car', body)
    s.shape('polygon', cabin, 'Car', body)
    s.ink.rectangle((x-size//5, y-size//2, x+size//5, y-third), fill=(50, 60, 70))
    for wheel in (x-third, x+third):
        s.shape('ellipse', (wheel-size//8, y-size//8, wheel+size//8, y+size//8), 'Car', (25, 25, 25))


def _draw_walker(s, horizon):
    t = s.rng.uniform(0.25, 0.7)
    tall, foot, w = int(8+20*t), int(horizon+t*(SCENE_SIZE[1]-horizon)), SCENE_SIZE[0]
    x = s.number(4, 26) if s.rng.random() < 0.5 else s.number(w-26, w-4)
    wide, head = max(2, tall//4), foot-tall
    coat = s.colour((120, 60, 60), (60, 60, 110), (90, 90, 90))
    s.shape('rectangle', (x-wide//2, head, x+wide//2, foot), 'Pedestrian', coat)
    s.shape('ellipse', (x-wide//2, head-wide, x+wide//2, head), 'Pedestrian', s.colour((190, 150, 125)))


def _in_the_light(s):
    "The picture with light, tint and noise of its own."
    (w, h), rng = SCENE_SIZE, s.rng
    strength = rng.uniform(0.65, 1.2)
    across = np.linspace(rng.uniform(0.8, 1.1), rng.uniform(0.8, 1.1), w)[None, :, None]
    light = strength * across * rng.uniform(0.92, 1.08, 3)
    grain = rng.normal(0, 9, (h, w, 1)) + rng.normal(0, 4, (h, w, 3))
    grain = grain + np.kron(rng.normal(0, 8, (h//4, w//4, 1)), np.ones((4, 4, 1)))
    return Image.fromarray((np.asarray(s.picture).astype(float)*light + grain).clip(0, 255).astype('uint8'))


def draw_scene(
    seed:int  # each seed is one scene
) -> tuple:   # PIL picture (RGB) and PIL mask (one byte a pixel: the index into `CAMVID_CODES`)
    "Draw one street scene and its mask."
    s, (w, h) = _Sketch(seed), SCENE_SIZE
    horizon, vanish = s.number(38, 50), s.number(48, 80)
    _draw_town(s, horizon)
    left, right = _draw_street(s, horizon, vanish)
    for _ in range(s.number(1, 4)):
        _draw_tree(s, horizon)
    for _ in range(s.number(1, 4)):
        _draw_car(s, horizon, vanish, right-left)
    for _ in range(s.number(1, 4)):
        _draw_walker(s, horizon)
    s.shape('rectangle', (0, h-4, w, h), 'Void', s.colour((30, 30, 35)))   # the bonnet of our own car
    return _in_the_light(s), s.mask


def main(words) -> int:
    "Write `scenes.webp` and `scene_masks.png`: 120 scenes, ten in a row."
    folder = Path(__file__).resolve().parent.parent/'practicaldl'/'assets'
    w, h = SCENE_SIZE
    pictures, masks = Image.new('RGB', (10*w, 12*h)), Image.new('L', (10*w, 12*h))
    for seed in range(120):
        at = seed%10*w, seed//10*h
        for sheet, drawn in zip((pictures, masks), draw_scene(seed)):
            sheet.paste(drawn, at)
    pictures.save(folder/'scenes.webp', lossless=True, quality=100, method=6)
    masks.save(folder/'scene_masks.png', optimize=True)
    return 0
