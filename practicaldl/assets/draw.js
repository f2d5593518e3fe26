document.querySelectorAll('.pdl-draw:not([data-ready])').forEach(box => {
  box.dataset.ready = 'yes';
  const net = JSON.parse(box.dataset.net), one = q => box.querySelector(q);
  const numbers = layer => {   /* whole numbers of 16 bits, little endian, in base64 */
    const bytes = Uint8Array.from(atob(layer.weights), c => c.charCodeAt(0)), view = new DataView(bytes.buffer);
    return Float32Array.from({length: bytes.length/2}, (_, i) => view.getInt16(2*i, true)*layer.scale);
  };
  const layers = net.layers.map(layer => ({...layer, w: numbers(layer)}));
  const pad = one('.pad'), seen = one('.seen');
  const pen = pad.getContext('2d', {willReadFrequently: true}), glass = seen.getContext('2d');
  pen.lineWidth = 22;
  pen.lineCap = pen.lineJoin = 'round';

  const ink = () => {   /* 280 × 280 numbers, 0 is paper and 1 is ink */
    const rgba = pen.getImageData(0, 0, 280, 280).data;
    return Float32Array.from({length: 280*280}, (_, i) => rgba[4*i+3]/255);
  };
  const asMnist = from => {   /* the longer side becomes 20 pixels, the centre of mass goes to the middle */
    let [x0, y0, x1, y1, mass, mx, my] = [280, 280, -1, -1, 0, 0, 0];
    from.forEach((v, i) => {
      const x = i%280, y = Math.floor(i/280);
      if (v > 0) [x0, y0, x1, y1] = [Math.min(x0, x), Math.min(y0, y), Math.max(x1, x), Math.max(y1, y)];
      mass += v;
      mx += v*(x+.5);
      my += v*(y+.5);
    });
    if (mass === 0) return null;
    const cell = Math.max(x1-x0+1, y1-y0+1)/20, to = new Float32Array(28*28);
    from.forEach((v, i) => {
      const x = Math.floor((i%280 + .5 - mx/mass)/cell + 14);
      const y = Math.floor((Math.floor(i/280) + .5 - my/mass)/cell + 14);
      if (v > 0 && x >= 0 && x < 28 && y >= 0 && y < 28) to[28*y+x] += v/cell**2;
    });
    return to.map(v => Math.min(1, v));
  };
  const outputs = pixels => layers.reduce((x, layer, k) => layer.bias.map((b, row) => {
    const at = row*x.length, sum = x.reduce((total, v, i) => total + v*layer.w[at+i], b);
    return k < layers.length-1 ? Math.max(0, sum) : sum;
  }), Array.from(pixels, v => (v-net.mean)/net.std));
  const softmax = z => {
    const powers = z.map(v => Math.exp(v-Math.max(...z))), sum = powers.reduce((a, b) => a+b);
    return powers.map(v => v/sum);
  };
  const show = () => {
    const pixels = asMnist(ink()), image = glass.createImageData(28, 28);
    if (pixels) pixels.forEach((v, i) => image.data.set([0, 0, 0, 255*v], 4*i));
    glass.putImageData(image, 0, 0);
    const probs = pixels ? softmax(outputs(pixels)) : net.labels.map(() => 0);
    box.querySelectorAll('.bars li').forEach((row, i) => {
      row.querySelector(':scope div div').style.width = `${100*probs[i]}%`;
      row.lastElementChild.textContent = probs[i].toFixed(2);
    });
    const best = probs.indexOf(Math.max(...probs));
    one('.answer').textContent = pixels ? `${net.labels[best]} (probability ${probs[best].toFixed(2)})`
      : 'nothing yet';
  };

  let last = null;
  const at = event => {
    const frame = pad.getBoundingClientRect();
    return [(event.clientX-frame.left)/frame.width*280, (event.clientY-frame.top)/frame.height*280];
  };
  const line = (from, to) => {
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  };
  pad.addEventListener('pointerdown', event => {
    pad.setPointerCapture(event.pointerId);
    last = at(event);
    line(last, last);
    show();
  });
  pad.addEventListener('pointermove', event => {
    if (!last) return;
    const now = at(event);
    line(last, now);
    last = now;
    show();
  });
  ['pointerup', 'pointercancel'].forEach(name => pad.addEventListener(name, () => { last = null; }));

  const ring = [...Array(33).keys()].map(i => [140 + 55*Math.cos(i*Math.PI/16), 140 + 85*Math.sin(i*Math.PI/16)]);
  const strokes = [null, ring, [[150, 50], [135, 230]], [[75, 65], [205, 65], [120, 235]]];
  box.querySelectorAll('button').forEach((button, k) => button.addEventListener('click', () => {
    pen.clearRect(0, 0, 280, 280);
    (strokes[k] || []).forEach((point, i, all) => { if (i > 0) line(all[i-1], point); });
    show();
  }));
  one('.still').hidden = true;
  one('.live').hidden = false;
});
