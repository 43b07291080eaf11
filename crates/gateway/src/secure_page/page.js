(() => {
  'use strict';
  const main = document.querySelector('main');
  const secrets = document.getElementById('secrets');
  const after = document.getElementById('after');
  const said = document.getElementById('said');
  const left = document.querySelector('#left span');
  const texts = main.dataset;

  const hide = (announce) => {
    if (!secrets.isConnected) return;
    const focused = secrets.contains(document.activeElement);
    // Out of the document, not only out of sight.
    for (const value of secrets.querySelectorAll('.value')) value.textContent = '';
    secrets.remove();
    after.hidden = false;
    if (announce) said.textContent = texts.hidden;
    if (focused) after.focus();
  };

  // By itself in a window it shows nothing, also in a browser that does not say where it loads a page into.
  if (window.self === window.top) return hide(false);

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // A frame that was not given the clipboard may still copy what is selected.
      const field = document.createElement('textarea');
      field.value = text;
      field.className = 'said';
      field.setAttribute('aria-hidden', 'true');
      main.append(field);
      field.select();
      try {
        return document.execCommand('copy');
      } catch {
        return false;
      } finally {
        field.remove();
      }
    }
  };

  for (const button of secrets.querySelectorAll('button[data-copy]')) {
    button.hidden = false;
    const label = button.textContent;
    let back = 0;
    button.addEventListener('click', async () => {
      const value = document.getElementById(button.dataset.copy);
      const done = await copy(value.textContent.replace(/\s/g, ''));
      button.focus();
      said.textContent = '';
      // Apart from the emptying, so that a second copy is told too.
      setTimeout(() => { said.textContent = done ? button.dataset.done : texts.failed; }, 50);
      button.textContent = done ? texts.copied : label;
      button.classList.toggle('done', done);
      clearTimeout(back);
      back = setTimeout(() => {
        button.textContent = label;
        button.classList.remove('done');
      }, 2500);
    });
  }

  const now = document.getElementById('now');
  now.hidden = false;
  now.addEventListener('click', () => hide(true));

  const end = performance.now() + Number(texts.seconds) * 1000;
  const tick = () => {
    const rest = Math.ceil((end - performance.now()) / 1000);
    if (rest <= 0) return hide(true);
    left.textContent = String(rest);
    setTimeout(tick, 200);
  };
  tick();
  // A page kept for the back button has nothing in it.
  addEventListener('pagehide', () => hide(false));
})();
