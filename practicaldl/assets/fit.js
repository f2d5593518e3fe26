document.querySelectorAll('.pdl-fit:not([data-ready])').forEach(box => {
  box.dataset.ready = 'yes';
  const s = JSON.parse(box.dataset.fit), one = q => box.querySelector(q),
    sliders = box.querySelectorAll('input');
  let p = s.start.slice(), steps = 0, timer = null;
  const f = x => (p[0]*x + p[1])*x + p[2];
  const loss = () => s.x.reduce((sum, x, i) => sum + (f(x)-s.y[i])**2, 0)/s.x.length;
  const step = () => {
    const slope = k => s.x.reduce((sum, x, i) => sum + 2*(f(x)-s.y[i])*x**k, 0)/s.x.length;
    const g = [slope(2), slope(1), slope(0)];
    if (loss() < 1e12) {
      p = p.map((v, i) => v - s.lr*g[i]);
      steps += 1;
    }
  };
  const px = x => ((x-s.xlim[0])/(s.xlim[1]-s.xlim[0])*s.size[0]).toFixed(1);
  const py = y => Math.max(-2000, Math.min(2000, (s.ylim[1]-y)/(s.ylim[1]-s.ylim[0])*s.size[1])).toFixed(1);
  const number = v => Math.abs(v) < 1e4 ? v.toFixed(3) : v.toExponential(2);
  const draw = () => {
    const at = [...Array(61).keys()].map(i => s.xlim[0] + i/60*(s.xlim[1]-s.xlim[0]));
    one('.curve').setAttribute('d', 'M' + at.map(x => px(x) + ' ' + py(f(x))).join('L'));
    one('.sticks').setAttribute('d', s.x.map((x, i) => `M${px(x)} ${py(s.y[i])}V${py(f(x))}`).join(''));
    sliders.forEach((slider, i) => {
      slider.value = p[i];
      slider.parentNode.lastElementChild.textContent = number(p[i]);
    });
    one('.loss').textContent = number(loss());
    one('.steps').textContent = steps;
    one('.bar div').style.width = Math.min(100, 100*Math.sqrt(loss()/s.loss)) + '%';
    one('.pdl-far').hidden = loss() < 1e12;
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
    () => { stop(); p = s.start.slice(); steps = 0; }];
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
