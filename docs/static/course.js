// What scrolls sideways must be reachable by keyboard.
const reachable = () => document.querySelectorAll('.bd-article pre, .bd-article .cell_output, .bd-article table.dataframe, .bd-article table.fastprogress, .bd-article .math, .pst-scrollable-table-container').forEach(box => {
  if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0; else if (box.tabIndex === 0) box.removeAttribute('tabindex');
});
addEventListener('load', reachable);
addEventListener('resize', reachable);
document.addEventListener('toggle', reachable, true);

// Names for those who cannot see: of the theme's buttons that unfold the table of contents, of copy buttons, and of folded code.
document.querySelectorAll('nav summary').forEach(button => { if (!button.textContent.trim()) button.setAttribute('aria-label', 'Show or hide the pages below'); });
document.querySelectorAll('details.hide > summary').forEach(fold => fold.removeAttribute('aria-label'));
addEventListener('load', () => document.querySelectorAll('.copybtn').forEach(button => button.setAttribute('aria-label', 'Copy this code')));

// A figure that is shown smaller than it is, as on a phone, opens in its own size.
addEventListener('load', () => document.querySelectorAll('.bd-article .cell_output img').forEach(img => {
  if (img.closest('a') || img.naturalWidth < img.clientWidth * 1.2) return;
  const link = document.createElement('a');
  link.href = img.src; link.className = 'larger'; link.title = 'Open in full size';
  img.replaceWith(link); link.append(img);
}));

// On paper, answers and folded code are open.
addEventListener('beforeprint', () => document.querySelectorAll('.bd-article details:not([open])').forEach(fold => { fold.open = true; fold.dataset.printed = 'yes'; }));
addEventListener('afterprint', () => document.querySelectorAll('details[data-printed]').forEach(fold => { fold.open = false; delete fold.dataset.printed; }));

// A search leads to the first place where the words stand, and marks them. (The theme loads the search on each page, so Sphinx takes each for the search page and marks nothing.)
if (typeof SphinxHighlight !== 'undefined' && !document.getElementById('search-results')) SphinxHighlight.highlightSearchWords();
addEventListener('load', () => setTimeout(() => { if (!location.hash) document.querySelector('.bd-article span.highlighted')?.scrollIntoView({block: 'center'}); }, 100));
