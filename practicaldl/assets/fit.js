document.querySelectorAll('.pdl-fit:not([data-ready])').forEach(box => {
  box.dataset.ready = 'yes';
  const s = JSON.parse(box.dataset.fit), one = q => box.querySelector(q),
    sliders = box.querySelectorAll('input'), sum = values => values.reduce((a, b) => a + b, 0);
  let p = s.start.slice(), steps = 0, timer = null;
  const bends = x => p[0] + sum(p.map((k, i) => i && i%2 === 0 ? p[i-1]*Math.max(x-k, 0) : 0));
  const f = s.more ? bends : x => (p[0]*x + p[1])*x + p[2];
  const loss = () => sum(s.x.map((x, i) => (f(x)-s.y[i])**2))/s.x.length;
  const nudged = (i, by) => {
    const before = p[i];
    p[i] += by;
    const there = loss();
    p[i] = before;
    return there;
  };
  const step = () => {
    if (loss() < 1e12) {
      const slopes = p.map((v, i) => (nudged(i, 1e-5)-nudged(i, -1e-5))/2e-5);
      p = p.map((v, i) => v - s.lr*slopes[i]);
      steps += 1;
    }
  };
  const px = x => ((x-s.xlim[0])/(s.xlim[1]-s.xlim[0])*s.size[0]).toFixed(1);
  const py = y => Math.max(-2000, Math.min(2000, (s.ylim[1]-y)/(s.ylim[1]-s.ylim[0])*s.size[1])).toFixed(1);
  const number = v => Math.abs(v) < 1e4 ? v.toFixed(3) : v.toExponential(2);
  const draw = () => {
    const at = [...Array(121).keys()].map(i => s.xlim[0] + i/120*(s.xlim[1]-s.xlim[0]));
    one('.curve').setAttribute('d', 'M' + at.map(x => px(x) + ' ' + py(f(x))).join('L'));
    one('.sticks').setAttribute('d', s.x.map((x, i) => `M${px(x)} ${py(s.y[i])}V${py(f(x))}`).join(''));
    sliders.forEach((slider, i) => {
      slider.parentNode.hidden = i >= p.length;
      if (i < p.length) {
        slider.value = p[i];
        slider.parentNode.lastElementChild.textContent = number(p[i]);
      }
    });
    one('.loss').textContent = number(loss());
    one('.steps').textContent = steps;
    one('.bar div').style.width = Math.min(100, 100*Math.sqrt(loss()/s.loss)) + '%';
    one('.pdl-far').hidden = loss() < 1e12;
    if (s.more) box.querySelectorAll('button')[3].disabled = p.length === sliders.length;
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    one('[aria-live]').setAttribute('aria-live', 'polite');
  };
  const walk = () => {
    stop();
    one('[aria-live]').setAttribute('aria-live', 'off');
    let left = 200;
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) while (left-- > 0) step();
    timer = setInterval(() => {
      if (left-- > 0 && loss() < 1e12) step(); else stop();
      draw();
    }, 30);
  };
  const act = [
    () => { stop(); step(); },
    walk,
    () => { stop(); p = s.start.slice(); steps = 0; },
    () => { stop(); p.push(...s.more[(p.length-s.start.length)/2]); }];
  box.querySelectorAll('button').forEach((button, i) => button.addEventListener('click', () => {
    act[i]();
    draw();
  }));
  sliders.forEach((slider, i) => slider.addEventListener('input', () => {
    stop();
    p[i] = +slider.value;
    draw();
  }));
  one('.controls').hidden = false;
  one('.still').hidden = true;
  draw();
});
